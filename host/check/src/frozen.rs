//! State of the module that a request changes: it runs in a fork of a frozen module, so such a change is an error in
//! every request.
//!
//! A change is told where it is certain that a request may run it and that what it changes was made before: by the top
//! level, by a function that ran in the setup, or by a file that is loaded. Containers that a handler makes itself and
//! changes that the setup makes are right, and nothing is said about them.

mod functions;

use std::collections::{BTreeSet, HashMap, HashSet};

use starlark::codemap::Span;
use starlark::syntax::AstModule;
use starlark::syntax::ast::{AstExpr, BinOp, Expr};

use crate::diagnostic::Diagnostic;
use crate::facts::{Bound, Facts, Variable};
use functions::{Calling, Change, Functions};

/// Methods that nothing but a list, a dict or a set has.
const OF_CONTAINERS: [&str; 5] = ["append", "extend", "insert", "popitem", "setdefault"];

/// Predeclared functions that return a list, a dict or a set.
const MAKERS: [&str; 7] = ["dict", "dir", "enumerate", "list", "set", "sorted", "zip"];

/// Names that test files give to what runs in a fork of them.
const TEST_PREFIX: &str = "test_";

/// What of a file runs in requests although the file itself does not say so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside<'a> {
    /// Names that other files load from it: it is frozen before any of them runs.
    pub(crate) loaded: HashSet<&'a str>,
    /// Whether its functions named `test_*` are tests.
    pub(crate) is_test: bool,
}

/// The changes of frozen state in a file.
pub(crate) fn check<'a>(ast: &'a AstModule, facts: &Facts<'a>, outside: &Outside<'_>) -> Vec<Diagnostic> {
    let mut functions = Functions::read(ast.statement(), facts);
    for def in facts.functions() {
        let name = def.name.node.ident.as_str();
        if outside.loaded.contains(name) || (outside.is_test && name.starts_with(TEST_PREFIX)) {
            functions.roots.extend(functions.of(def));
        }
    }
    let check = Check { facts, mutated: mutated(&functions), running: running(&functions), functions: &functions };
    let mut found: Vec<(Span, String)> = check.running.iter().flat_map(|number| check.function(*number)).collect();
    found.sort_by_key(|(span, _)| *span);
    found.dedup();
    let told = |(span, variable): (Span, String)| {
        let text = format!(
            "a request cannot change `{variable}`: the module is frozen once the setup is over, and each request runs \
             in a fork of its own; keep in kv what outlives a request, as in kv.set(\"{variable}\", value)"
        );
        Diagnostic::error("frozen-state", text, ast.file_span(span))
    };
    found.into_iter().map(told).collect()
}

/// The functions that a request may run.
fn running(functions: &Functions<'_>) -> BTreeSet<usize> {
    let mut running = BTreeSet::new();
    let mut next = functions.roots.clone();
    while let Some(number) = next.pop() {
        if running.insert(number) {
            next.extend(functions.all.get(number).into_iter().flat_map(|function| &function.calls).map(|c| c.callee));
        }
    }
    running
}

/// The parameters that each function changes, itself or through what it calls.
fn mutated(functions: &Functions<'_>) -> HashMap<usize, BTreeSet<usize>> {
    let mut mutated: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    loop {
        let mut news = Vec::new();
        for (number, function) in functions.all.iter().enumerate() {
            let parameter = |variable: Variable<'_>| {
                let own = (variable.scope == function.scope).then_some(variable.name)?;
                function.params.iter().position(|name| *name == own)
            };
            let own = function.changes.iter().map(|change| change.variable);
            let passed = function.calls.iter().flat_map(|calling| changed_arguments(calling, &mutated));
            news.extend(own.chain(passed).filter_map(parameter).map(|at| (number, at)));
        }
        let before: usize = mutated.values().map(BTreeSet::len).sum();
        for (number, at) in news {
            mutated.entry(number).or_default().insert(at);
        }
        if mutated.values().map(BTreeSet::len).sum::<usize>() == before {
            return mutated;
        }
    }
}

/// The variables whose values a call changes.
fn changed_arguments<'c, 'a>(
    calling: &'c Calling<'a>,
    mutated: &'c HashMap<usize, BTreeSet<usize>>,
) -> impl Iterator<Item = Variable<'a>> + 'c {
    let changed = mutated.get(&calling.callee).into_iter().flatten();
    changed.filter_map(|at| calling.arguments.get(*at).copied().flatten())
}

struct Check<'c, 'a> {
    facts: &'c Facts<'a>,
    functions: &'c Functions<'a>,
    mutated: HashMap<usize, BTreeSet<usize>>,
    running: BTreeSet<usize>,
}

impl<'a> Check<'_, 'a> {
    /// What a function changes that is frozen while it runs.
    fn function(&self, number: usize) -> Vec<(Span, String)> {
        let Some(function) = self.functions.all.get(number) else { return Vec::new() };
        let own = function.changes.iter().filter(|change| self.is_certain(change));
        let own = own.map(|change| (change.variable, change.span));
        let passed = function.calls.iter().flat_map(|calling| {
            changed_arguments(calling, &self.mutated)
                .filter(|variable| self.is_container(*variable))
                .map(|variable| (variable, calling.span))
        });
        own.chain(passed)
            .filter(|(variable, _)| self.is_frozen(*variable))
            .map(|(variable, span)| (span, variable.name.to_owned()))
            .collect()
    }

    /// Whether a change is one of a container: an element can be assigned in nothing else, but other values have
    /// methods of these names.
    fn is_certain(&self, change: &Change<'a>) -> bool {
        match change.method {
            None => true,
            Some(method) => OF_CONTAINERS.contains(&method) || self.is_container(change.variable),
        }
    }

    /// Whether a variable is of the top level, or of a function that no request runs.
    fn is_frozen(&self, variable: Variable<'a>) -> bool {
        if variable.scope == 0 {
            return true;
        }
        let owner = self.functions.all.iter().skip(1).position(|function| function.scope == variable.scope);
        // A parameter is what the caller gave, and a scope without a function is that of a comprehension.
        owner.is_some_and(|at| {
            let is_parameter =
                self.functions.all.get(at + 1).is_some_and(|function| function.params.contains(&variable.name));
            !is_parameter && !self.running.contains(&(at + 1))
        })
    }

    fn is_container(&self, variable: Variable<'a>) -> bool {
        self.facts.bindings(variable).iter().any(|bound| match bound {
            Bound::Expr(expr) => makes_container(self.facts, expr),
            Bound::Def(_) | Bound::Unknown => false,
        })
    }
}

fn makes_container(facts: &Facts<'_>, expr: &AstExpr) -> bool {
    match &expr.node {
        Expr::List(_) | Expr::Dict(_) | Expr::ListComprehension(..) | Expr::DictComprehension(..) => true,
        Expr::Call(callee, _) => match &callee.node {
            Expr::Identifier(name) => {
                facts.variable(callee.span).is_none() && MAKERS.contains(&name.node.ident.as_str())
            }
            _ => false,
        },
        Expr::Op(left, BinOp::Add | BinOp::Multiply | BinOp::BitOr, right) => {
            makes_container(facts, left) || makes_container(facts, right)
        }
        Expr::If(parts) => makes_container(facts, &parts.1) || makes_container(facts, &parts.2),
        _ => false,
    }
}
