//! `main()`: called once the top level has run, as Starkite calls it.
//!
//! The rule: a function named `main` that the entry script defines, that can be called without arguments and that the top
//! level has not called. Whether it was called is read from the source: a call of it, or a call that is handed it, at the
//! top level or in a function that the top level calls. A value, a function that a loaded file defines and one that needs
//! an argument are left alone.

use std::collections::{HashMap, HashSet};

use starlark::eval::Evaluator;
use starlark::syntax::AstModule;
use starlark_syntax::syntax::ast::{AstExpr, AstStmt, Expr, Stmt};
use starlark_syntax::syntax::uniplate::Visit;

use crate::callable;

/// The function's name.
const NAME: &str = "main";

/// Whether a script defines a `main` that it does not call.
pub(crate) fn is_left(ast: &AstModule) -> bool {
    let mut script = Script::default();
    script.look(ast.statement());
    if !script.functions.contains_key(NAME) {
        return false;
    }
    let (mut reached, mut next) = (HashSet::new(), std::mem::take(&mut script.called));
    while let Some(name) = next.pop() {
        if name == NAME {
            return false;
        }
        let Some(body) = script.functions.get(name).filter(|_| reached.insert(name)) else { continue };
        let mut inside = Script::default();
        inside.look(body);
        next.extend(inside.called);
    }
    true
}

/// Calls the `main` of a module, if it can be called without arguments.
pub(crate) fn call(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<()> {
    let Some(main) = eval.module().get(NAME) else { return Ok(()) };
    let defined = main.function_name() == Some(NAME);
    if defined && callable::required_positional(main) == Some(callable::Required::Exactly(0)) {
        eval.eval_function(main, &[], &[])?;
    }
    Ok(())
}

/// The functions that some statements define, and those that they call or hand to a call.
#[derive(Default)]
struct Script<'a> {
    functions: HashMap<&'a str, &'a AstStmt>,
    called: Vec<&'a str>,
}

impl<'a> Script<'a> {
    fn look(&mut self, stmt: &'a AstStmt) {
        if let Stmt::Def(def) = &stmt.node {
            self.functions.insert(&def.name.node.ident, &*def.body);
            return;
        }
        stmt.node.visit_children(|child| match child {
            Visit::Stmt(stmt) => self.look(stmt),
            Visit::Expr(expr) => self.look_into(expr),
        });
    }

    fn look_into(&mut self, expr: &'a AstExpr) {
        match &expr.node {
            // What a lambda calls is called later, or never.
            Expr::Lambda(_) => return,
            Expr::Call(function, arguments) => {
                self.note(function);
                arguments.args.iter().for_each(|argument| self.note(argument.node.expr()));
            }
            _ => {}
        }
        expr.node.visit_expr(|child| self.look_into(child));
    }

    fn note(&mut self, expr: &'a AstExpr) {
        if let Expr::Identifier(ident) = &expr.node {
            self.called.push(&ident.node.ident);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use crate::testing::NativeHost;

    fn printed(source: &str) -> Vec<String> {
        let host = NativeHost::new();
        crate::run(&host, "a.star", source.as_bytes()).unwrap();
        host.prints()
    }

    #[test]
    fn a_main_that_is_left_is_called_after_the_top_level() {
        for source in [
            "def main():\n    print('main')\nprint('top')",
            "def main(n = 1, *rest, **more):\n    print('main')\nprint('top')",
            "if True:\n    def main():\n        print('main')\nprint('top')",
            "def main():\n    print('main')\nprint('top')\nuse = {'main': main}\nlater = lambda: main()",
            "def main():\n    print('main')\ndef unused():\n    main()\nprint('top')",
        ] {
            assert_eq!(printed(source), ["top", "main"], "{source}");
        }
    }

    #[test]
    fn a_main_that_was_called_or_cannot_be_is_left_alone() {
        for (source, expected) in [
            ("def main():\n    print('main')\nmain()", vec!["main"]),
            ("def main():\n    print('main')\ndef go():\n    main()\ngo()", vec!["main"]),
            ("def main():\n    print('main')\nif 1 > 0:\n    main()", vec!["main"]),
            ("def main():\n    print('main')\nretry.do(main)", vec!["main"]),
            ("def main():\n    print('main')\n[main() for _ in [1, 2]]", vec!["main", "main"]),
            ("def main(argv):\n    print('main')", vec![]),
            ("def main(*, needed):\n    print('main')", vec![]),
            ("main = 5", vec![]),
            ("main = {'a': print}", vec![]),
            ("def other():\n    print('other')\nmain = other", vec![]),
            ("def main():\n    print('main')\nmain = None", vec![]),
        ] {
            assert_eq!(printed(source), expected, "{source}");
        }
    }

    #[test]
    fn a_main_that_serves_starts_a_server_and_an_error_in_it_is_the_scripts() {
        let host = NativeHost::new();
        let source = "def main():\n    http.serve({'GET /': lambda req: 'hi'}, port = 0)\n";
        let (_, serving) = crate::run_native(&host, "a.star", source);
        assert!(serving.is_some());
        let failure = crate::run(&host, "a.star", b"def main():\n    fail('no')\n").unwrap_err();
        assert_eq!((failure.message.as_str(), failure.at.line), ("no", 2));
    }

    #[test]
    fn the_main_of_a_loaded_file_is_left_alone() {
        let mut host = NativeHost::new();
        host.sources.insert("lib.star".to_owned(), b"def main():\n    print('lib')\nx = 1".to_vec());
        crate::run(&host, "app/a.star", b"load('lib.star', 'x', 'main')\nprint(x)").unwrap();
        assert_eq!(host.prints(), ["1"]);
    }
}
