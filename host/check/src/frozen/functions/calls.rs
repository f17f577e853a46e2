//! Calls: what they change, which of the file's own functions they reach, and where the functions go that they hand on.

use starlark::codemap::Span;
use starlark::syntax::ast::{Argument as Given, AstArgument, AstExpr, Expr};

use super::walk::{Holding, Walk};
use super::{Argument, Calling, Change, Held};

/// Methods that change a list, a dict or a set.
const CHANGES: [&str; 14] = [
    "add",
    "append",
    "clear",
    "difference_update",
    "discard",
    "extend",
    "insert",
    "intersection_update",
    "pop",
    "popitem",
    "remove",
    "setdefault",
    "symmetric_difference_update",
    "update",
];

/// Methods of containers that only look.
const LOOKS: [&str; 6] = ["count", "get", "index", "items", "keys", "values"];

/// Predeclared functions that call nothing of what they are given.
const PLAIN: [&str; 19] = [
    "all",
    "any",
    "bool",
    "bytes",
    "chr",
    "dir",
    "fail",
    "float",
    "hasattr",
    "hash",
    "int",
    "isinstance",
    "len",
    "ord",
    "print",
    "range",
    "repr",
    "str",
    "type",
];

/// Predeclared functions whose result holds what they are given.
const KEEPS: [&str; 11] =
    ["dict", "enumerate", "getattr", "list", "namespace", "partial", "reversed", "set", "struct", "tuple", "zip"];

impl<'a> Walk<'a, '_> {
    pub(super) fn call(&mut self, span: Span, callee: &'a AstExpr, args: &'a [AstArgument]) -> Holding<'a> {
        match &callee.node {
            Expr::Dot(object, name) => self.method(span, object, &name.node, args),
            Expr::Identifier(name) if self.facts.variable(callee.span).is_none() => {
                self.predeclared(span, &name.node.ident, args)
            }
            _ => match self.found.own(self.facts, callee) {
                Some(number) => {
                    let calling = self.calling(number, args, span);
                    self.give(number, args);
                    self.here(|function| function.calls.push(calling));
                    vec![Held::ResultOf(Box::new(Held::Function(number)))]
                }
                None => {
                    let values = self.expr(callee);
                    self.here(|function| function.runs.extend(values.iter().cloned()));
                    let given = self.values(args);
                    self.found.given.extend(given);
                    values.into_iter().map(|held| Held::ResultOf(Box::new(held))).collect()
                }
            },
        }
    }

    /// What parameters of one of the file's own functions hold by a call of it.
    fn give(&mut self, number: usize, args: &'a [AstArgument]) {
        for (at, arg) in args.iter().enumerate() {
            let values = self.expr(arg.node.expr());
            let params = self.found.all.get(number).map(|function| function.params.as_slice()).unwrap_or_default();
            let name: Option<&'a str> = match &arg.node {
                // What `*args` and `**kwargs` collect is held by the last of them.
                Given::Positional(_) => params.get(at).or(params.last()).copied(),
                Given::Named(name, _) => params.iter().find(|param| **param == name.node).or(params.last()).copied(),
                Given::Args(_) | Given::KwArgs(_) => None,
            };
            match name.and_then(|name| self.local(number, name)) {
                Some(variable) => self.hold(variable, values),
                None => self.found.given.extend(values),
            }
        }
    }

    fn predeclared(&mut self, span: Span, name: &str, args: &'a [AstArgument]) -> Holding<'a> {
        if name == "partial"
            && let Some((first, rest)) = args.split_first()
            && let Some(number) = self.found.own(self.facts, first.node.expr())
        {
            let calling = self.calling(number, rest, span);
            self.give(number, rest);
            self.found.applied.push(calling);
            return vec![Held::Function(number)];
        }
        let values = self.values(args);
        if KEEPS.contains(&name) {
            return values;
        }
        if !PLAIN.contains(&name) {
            // Such as the key of `sorted`: it is called at once.
            self.here(|function| function.runs.extend(values));
        }
        Vec::new()
    }

    fn method(&mut self, span: Span, object: &'a AstExpr, name: &'a str, args: &'a [AstArgument]) -> Holding<'a> {
        let is_module = matches!(&object.node, Expr::Identifier(_)) && self.facts.variable(object.span).is_none();
        let values = self.expr(object);
        let given = self.values(args);
        match name {
            "use" => self.found.middleware.extend(given),
            "serve" | "server" | "handle" => self.found.given.extend(given),
            // A function of a module calls what it is given at once.
            _ if is_module => self.here(|function| function.runs.extend(given)),
            _ if CHANGES.contains(&name) => {
                self.change(object, Some(name), span, true);
                self.hold_in(object, given);
                return values;
            }
            _ if LOOKS.contains(&name) => return [values, given].concat(),
            _ => {
                self.here(|function| function.runs.extend(values.iter().cloned()));
                self.found.given.extend(given);
                return values.into_iter().map(|held| Held::ResultOf(Box::new(held))).collect();
            }
        }
        Vec::new()
    }

    fn values(&mut self, args: &'a [AstArgument]) -> Holding<'a> {
        args.iter().flat_map(|arg| self.expr(arg.node.expr())).collect()
    }

    fn calling(&self, callee: usize, args: &'a [AstArgument], span: Span) -> Calling<'a> {
        let mut calling = Calling { callee, positional: Vec::new(), named: Vec::new(), span };
        for arg in args {
            let argument = self.argument(arg.node.expr());
            match &arg.node {
                Given::Positional(_) => calling.positional.push(argument),
                Given::Named(name, _) => calling.named.extend(argument.map(|argument| (name.node.as_str(), argument))),
                Given::Args(_) | Given::KwArgs(_) => break,
            }
        }
        calling
    }

    fn argument(&self, expr: &AstExpr) -> Option<Argument<'a>> {
        let is_whole = matches!(&expr.node, Expr::Identifier(_));
        let variable = self.facts.variable(base(expr)?.span)?;
        Some(Argument { variable, is_whole })
    }

    pub(super) fn hold_in(&mut self, container: &AstExpr, values: Holding<'a>) {
        if let Some(variable) = base(container).and_then(|base| self.facts.variable(base.span)) {
            self.hold(variable, values);
        }
    }

    pub(super) fn change(&mut self, object: &AstExpr, method: Option<&'a str>, span: Span, of_itself: bool) {
        let Some(argument) = self.argument(object) else { return };
        let change = Change { variable: argument.variable, is_whole: of_itself && argument.is_whole, method, span };
        self.here(|function| function.changes.push(change));
    }
}

/// The name that a chain of elements and attributes begins with: `a` of `a["b"].c[0]`.
fn base(expr: &AstExpr) -> Option<&AstExpr> {
    match &expr.node {
        Expr::Identifier(_) => Some(expr),
        Expr::Index(pair) => base(&pair.0),
        Expr::Dot(object, _) => base(object),
        _ => None,
    }
}
