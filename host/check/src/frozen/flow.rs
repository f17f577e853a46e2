//! The flow of function values: it tells which functions a request may run.
//!
//! A function runs in a request if it is handed to a server, or to something that is not known here, as a value, in a
//! container, as what a function returns, or under another name; and if a function that runs in a request calls it. A
//! function that only the setup calls, also through a variable, a parameter or a list of steps, is not among them.

use std::collections::{BTreeSet, HashSet};

use super::functions::{Functions, Held};
use crate::facts::Variable;

/// Most steps that are taken for one file, and most results of results that are looked through: a script may hand
/// functions on in circles. What is not reached in time is not told.
const MOST_STEPS: usize = 200_000;
const MOST_DEPTH: usize = 16;

/// The functions that a request may run: those of `first`, those that go to a server, and what they call.
pub(super) fn running(functions: &Functions<'_>, first: Vec<usize>) -> BTreeSet<usize> {
    let mut flow =
        Flow { functions, running: BTreeSet::new(), next: first, variables: HashSet::new(), steps: MOST_STEPS };
    flow.run(&functions.given);
    for held in &functions.middleware {
        flow.run_middleware(held);
    }
    flow.finish()
}

struct Flow<'f, 'a> {
    functions: &'f Functions<'a>,
    running: BTreeSet<usize>,
    next: Vec<usize>,
    /// Variables whose functions run already.
    variables: HashSet<Variable<'a>>,
    steps: usize,
}

impl<'f, 'a> Flow<'f, 'a> {
    fn finish(mut self) -> BTreeSet<usize> {
        while let Some(number) = self.next.pop() {
            if !self.running.insert(number) {
                continue;
            }
            let Some(function) = self.functions.all.get(number) else { continue };
            self.next.extend(function.calls.iter().map(|calling| calling.callee));
            self.run(&function.runs);
        }
        self.running
    }

    /// A request may call these values.
    fn run(&mut self, values: &'f [Held<'a>]) {
        let mut left: Vec<&Held<'a>> = values.iter().collect();
        while let Some(held) = left.pop() {
            match held {
                Held::Function(number) => self.next.push(*number),
                Held::Variable(variable) if self.variables.insert(*variable) => {
                    left.extend(self.functions.held(*variable));
                }
                Held::Variable(_) => {}
                Held::ResultOf(of) => {
                    for number in functions_of(self.functions, of, MOST_DEPTH, &mut self.steps) {
                        self.run_result(number);
                    }
                }
            }
        }
    }

    fn run_result(&mut self, number: usize) {
        let Some(function) = self.functions.all.get(number) else { return };
        for held in &function.returns {
            self.next.extend(functions_of(self.functions, held, MOST_DEPTH, &mut self.steps));
        }
    }

    /// Middleware that takes the next handler alone is called by the setup, and what it returns is the handler.
    fn run_middleware(&mut self, held: &Held<'a>) {
        for number in functions_of(self.functions, held, MOST_DEPTH, &mut self.steps) {
            match self.functions.all.get(number) {
                Some(function) if function.required == 1 => self.run_result(number),
                _ => self.next.push(number),
            }
        }
    }
}

/// The functions that a value may be.
fn functions_of<'a>(functions: &Functions<'a>, held: &Held<'a>, depth: usize, steps: &mut usize) -> BTreeSet<usize> {
    let (mut found, mut variables, mut results) = (BTreeSet::new(), HashSet::new(), HashSet::new());
    let mut left = vec![held];
    while let Some(held) = left.pop() {
        let Some(fewer) = steps.checked_sub(1) else { break };
        *steps = fewer;
        match held {
            Held::Function(number) => {
                found.insert(*number);
            }
            Held::Variable(variable) if variables.insert(*variable) => left.extend(functions.held(*variable)),
            Held::Variable(_) => {}
            Held::ResultOf(of) => {
                let Some(depth) = depth.checked_sub(1) else { continue };
                for number in functions_of(functions, of, depth, steps) {
                    let function = functions.all.get(number).filter(|_| results.insert(number));
                    left.extend(function.into_iter().flat_map(|function| &function.returns));
                }
            }
        }
    }
    found
}
