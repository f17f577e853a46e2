//! The functions of a file: what each of them changes, what it calls and with which variables, and what it returns.
//!
//! Function values are followed through variables, parameters, containers and results. Where one goes to something that
//! is not known here, such as a method of a value or a function of another file, it may be called by any request.

mod calls;
mod walk;

use std::collections::HashMap;

use starlark::codemap::Span;
use starlark::syntax::ast::{AstExpr, AstNoPayload, DefP};

use crate::facts::{Bound, Facts, Variable};

/// A function, or the top level, which is function 0.
#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    /// The scope that its own names are in.
    pub(super) scope: usize,
    /// Its parameters.
    pub(super) params: Vec<&'a str>,
    /// How many of them have no default.
    pub(super) required: usize,
    pub(super) changes: Vec<Change<'a>>,
    /// Calls of the file's own functions.
    pub(super) calls: Vec<Calling<'a>>,
    /// Other values that are called.
    pub(super) runs: Vec<Held<'a>>,
    /// Function values that it may return.
    pub(super) returns: Vec<Held<'a>>,
    /// The expressions that it returns.
    pub(super) returned: Vec<&'a AstExpr>,
}

/// A function value, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Held<'a> {
    /// A function of the file.
    Function(usize),
    /// Whatever a variable holds, or holds in a container.
    Variable(Variable<'a>),
    /// What a call of this value returns.
    ResultOf(Box<Self>),
}

/// A change of the value that a variable holds, or of a part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) variable: Variable<'a>,
    /// True if the value itself is changed, and not a part of it.
    pub(super) is_whole: bool,
    /// The method or operator that changes it; none for an assignment to an element.
    pub(super) method: Option<&'a str>,
    pub(super) span: Span,
}

/// A call of one of the file's own functions.
#[derive(Debug)]
pub(super) struct Calling<'a> {
    pub(super) callee: usize,
    /// The arguments by position, where they are variables or parts of them.
    pub(super) positional: Vec<Option<Argument<'a>>>,
    /// Those by name.
    pub(super) named: Vec<(&'a str, Argument<'a>)>,
    pub(super) span: Span,
}

/// An argument: a variable, or a part of its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument<'a> {
    pub(super) variable: Variable<'a>,
    pub(super) is_whole: bool,
}

/// Where a variable has its value from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// It is assigned this.
    Value(&'a AstExpr),
    /// It is each of the elements of this in turn, or a part of each.
    Element(&'a AstExpr),
    /// It is a part of something that is taken apart, or comes from another file.
    Unknown,
}

/// The functions of a file.
#[derive(Debug, Default)]
pub(super) struct Functions<'a> {
    pub(super) all: Vec<Function<'a>>,
    /// Values that go to a server, or to something that is not known.
    pub(super) given: Vec<Held<'a>>,
    /// Values that are registered as middleware.
    pub(super) middleware: Vec<Held<'a>>,
    /// Calls that are made later, with arguments that are bound already.
    pub(super) applied: Vec<Calling<'a>>,
    held: HashMap<Variable<'a>, Vec<Held<'a>>>,
    sources: HashMap<Variable<'a>, Vec<Source<'a>>>,
    by_name: HashMap<Span, usize>,
    by_scope: HashMap<usize, usize>,
}

impl<'a> Functions<'a> {
    /// The function of a definition.
    pub(super) fn of(&self, def: &DefP<AstNoPayload>) -> Option<usize> {
        self.by_name.get(&def.name.span).copied()
    }

    /// The file's own function that an expression names.
    pub(super) fn own(&self, facts: &Facts<'a>, expr: &AstExpr) -> Option<usize> {
        match facts.bound(facts.variable(expr.span)?)? {
            Bound::Def(def) => self.of(def),
            Bound::Expr(_) | Bound::Unknown => None,
        }
    }

    /// The functions that a variable holds, itself or in a container.
    pub(super) fn held(&self, variable: Variable<'a>) -> &[Held<'a>] {
        self.held.get(&variable).map(Vec::as_slice).unwrap_or_default()
    }

    /// Where a variable has its values from; changes by operators are left out.
    pub(super) fn sources(&self, variable: Variable<'a>) -> &[Source<'a>] {
        self.sources.get(&variable).map(Vec::as_slice).unwrap_or_default()
    }

    /// The function whose own name a variable is.
    pub(super) fn owner(&self, variable: Variable<'a>) -> Option<usize> {
        self.by_scope.get(&variable.scope).copied()
    }

    /// The function that has a variable as its parameter, and at which place.
    pub(super) fn parameter(&self, variable: Variable<'a>) -> Option<(usize, usize)> {
        let owner = self.owner(variable)?;
        let at = self.all.get(owner)?.params.iter().position(|name| *name == variable.name)?;
        Some((owner, at))
    }

    /// The argument that a call gives for a parameter.
    pub(super) fn argument(&self, calling: &Calling<'a>, parameter: usize) -> Option<Argument<'a>> {
        if let Some(argument) = calling.positional.get(parameter) {
            return *argument;
        }
        let name = self.all.get(calling.callee)?.params.get(parameter)?;
        calling.named.iter().find(|(given, _)| given == name).map(|(_, argument)| *argument)
    }
}
