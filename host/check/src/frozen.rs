//! State of the module that a request changes: it runs in a fork of a frozen module, so such a change is an error in
//! every request.
//!
//! A change is told where it is certain that a request may run it and that what it changes was made before: by the top
//! level, by a function that ran in the setup, or by a file that is loaded. It is followed through functions that are
//! called, parameters, and other names of a container or of a part of it. Containers that a handler makes itself, copies
//! and changes that the setup makes are right, and nothing is said about them.
//!
//! - `functions`: what each function changes, calls and returns
//! - `flow`: which functions a request may run, by where function values go
//! - `values`: what variables hold: a container, or a part of another variable's value

mod flow;
mod functions;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use starlark::codemap::Span;
use starlark::syntax::AstModule;

use crate::diagnostic::Diagnostic;
use crate::facts::{Facts, Variable};
use functions::{Argument, Calling, Change, Functions};
use values::Values;

/// Methods that nothing but a list, a dict or a set has.
const OF_CONTAINERS: [&str; 9] = [
    "append",
    "difference_update",
    "discard",
    "extend",
    "insert",
    "intersection_update",
    "popitem",
    "setdefault",
    "symmetric_difference_update",
];

/// Names that test files give to what runs in a fork of them.
const TEST_PREFIX: &str = "test_";

/// What of a file runs in requests although the file itself does not say so.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside<'a> {
    /// Names that other files load from it: it is frozen before any of them runs.
    pub(crate) loaded: HashSet<&'a str>,
    /// True if its functions named `test_*` are tests.
    pub(crate) is_test: bool,
}

/// The changes of frozen state in a file.
pub(crate) fn check<'a>(ast: &'a AstModule, facts: &Facts<'a>, outside: &Outside<'_>) -> Vec<Diagnostic> {
    let functions = Functions::read(ast.statement(), facts);
    let named = facts.functions().iter().filter(|def| {
        let name = def.name.node.ident.as_str();
        outside.loaded.contains(name) || (outside.is_test && name.starts_with(TEST_PREFIX))
    });
    let named = named.filter_map(|def| functions.of(def)).collect();
    let running = flow::running(&functions, named);
    let values = Values { facts, functions: &functions };
    let check = Check { mutated: mutated(&functions, &values), values, running, functions: &functions };
    let mut found: Vec<(Span, String)> = check.running.iter().flat_map(|number| check.function(*number)).collect();
    found.extend(
        functions.applied.iter().filter(|one| check.running.contains(&one.callee)).flat_map(|one| check.passed(one)),
    );
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

/// How sure it is that a function changes a container when it is given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Certainty {
    /// By what other values take as well, so it must be the container itself: `+=` makes a new number of a number, times
    /// have `add`, and paths have `remove`.
    Itself,
    /// By a method that nothing else has that is kept in a container.
    Part,
    /// By what nothing but a container takes.
    Certain,
}

/// For each function the parameters that it changes, itself or through what it calls.
type Mutated = HashMap<usize, BTreeMap<usize, Certainty>>;

fn mutated<'a>(functions: &Functions<'a>, values: &Values<'_, 'a>) -> Mutated {
    let mut mutated = Mutated::new();
    loop {
        let before: Vec<_> = mutated.values().flat_map(|of| of.values().copied()).collect();
        let mut news = Vec::new();
        for (number, function) in functions.all.iter().enumerate() {
            let own = function.changes.iter().map(|change| (change.variable, certainty(change)));
            let passed = function.calls.iter().flat_map(|calling| {
                changed_arguments(functions, calling, &mutated).map(|(argument, how)| (argument.variable, how))
            });
            for (variable, how) in own.chain(passed) {
                let chain = values.chain(variable);
                // A part of a parameter may be a number, which `+=` does not change.
                let mut links = chain.iter().filter(|link| link.is_whole || how != Certainty::Itself);
                let parameter = links.find_map(|link| values.parameter(number, link.variable));
                news.extend(parameter.map(|at| (number, at, how)));
            }
        }
        for (number, at, how) in news {
            let known = mutated.entry(number).or_default().entry(at).or_insert(how);
            *known = (*known).max(how);
        }
        if mutated.values().flat_map(|of| of.values().copied()).eq(before) {
            return mutated;
        }
    }
}

fn certainty(change: &Change<'_>) -> Certainty {
    match change.method {
        None => Certainty::Certain,
        Some(method) if OF_CONTAINERS.contains(&method) => Certainty::Certain,
        Some(method) if method.ends_with('=') || matches!(method, "add" | "remove") => Certainty::Itself,
        Some(_) => Certainty::Part,
    }
}

/// The arguments whose values a call changes.
fn changed_arguments<'c, 'a>(
    functions: &'c Functions<'a>,
    calling: &'c Calling<'a>,
    mutated: &'c Mutated,
) -> impl Iterator<Item = (Argument<'a>, Certainty)> + 'c {
    let changed = mutated.get(&calling.callee).into_iter().flatten();
    changed.filter_map(move |(at, how)| Some((functions.argument(calling, *at)?, *how)))
}

struct Check<'c, 'a> {
    values: Values<'c, 'a>,
    functions: &'c Functions<'a>,
    mutated: Mutated,
    running: BTreeSet<usize>,
}

impl<'a> Check<'_, 'a> {
    /// What a function changes that is frozen while it runs.
    fn function(&self, number: usize) -> Vec<(Span, String)> {
        let Some(function) = self.functions.all.get(number) else { return Vec::new() };
        let own = function.changes.iter().filter_map(|change| {
            let name = self.frozen(change.variable, certainty(change), change.is_whole)?;
            Some((change.span, name.to_owned()))
        });
        own.chain(function.calls.iter().flat_map(|calling| self.passed(calling))).collect()
    }

    /// What a call changes by its arguments.
    fn passed(&self, calling: &Calling<'a>) -> Vec<(Span, String)> {
        changed_arguments(self.functions, calling, &self.mutated)
            .filter_map(|(argument, how)| self.frozen(argument.variable, how, argument.is_whole))
            .map(|name| (calling.span, name.to_owned()))
            .collect()
    }

    /// The name of what is frozen, if the value of a variable, or a part of it, is and can be changed.
    fn frozen(&self, variable: Variable<'a>, how: Certainty, is_whole: bool) -> Option<&'a str> {
        let chain = self.values.chain(variable);
        let at = chain.iter().position(|link| self.is_frozen(link.variable))?;
        let link = chain.get(at)?;
        let certain = match how {
            Certainty::Itself => is_whole && link.is_whole && self.values.is_container(link.variable),
            Certainty::Part => self.values.is_container(link.variable),
            Certainty::Certain => true,
        };
        certain.then_some(link.variable.name)
    }

    /// Returns whether a variable is of the top level, or of a function that no request runs.
    fn is_frozen(&self, variable: Variable<'a>) -> bool {
        if variable.scope == 0 {
            return true;
        }
        // A parameter is what the caller gave, and a scope without a function is that of a comprehension.
        let owner = self.functions.owner(variable);
        owner.is_some_and(|owner| !self.running.contains(&owner)) && self.functions.parameter(variable).is_none()
    }
}
