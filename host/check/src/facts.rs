//! What a syntax tree says, with every name resolved: the calls, the bindings, and the uses of predeclared modules.
//!
//! Scopes are those of the language: a name that is bound anywhere in a function or at the top level means that binding
//! everywhere in it. So `fs` is the module exactly where no binding of the script is nearer.

mod conditions;
mod walk;

use std::collections::{HashMap, HashSet};

use starlark::codemap::Span;
use starlark::syntax::ast::{AstArgument, AstExpr, AstNoPayload, DefP};

pub use conditions::{Conditions, Relation};

/// The scope that binds a name, and the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variable<'a> {
    /// The number of the scope; 0 is the top level.
    pub scope: usize,
    /// The name.
    pub name: &'a str,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub enum Callee<'a> {
    /// A predeclared function by its name.
    Predeclared(&'a str),
    /// A member of a predeclared module.
    Member(&'a str, &'a str),
    /// A method of a value; the variable that holds it, if it is one.
    Method(Option<Variable<'a>>, &'a str),
}

/// One call.
#[derive(Clone, Debug)]
pub struct CallSite<'a> {
    /// What is called.
    pub callee: Callee<'a>,
    /// With what.
    pub args: &'a [AstArgument],
    /// The call from its first to its last character.
    pub span: Span,
    /// The callee alone.
    pub name: Span,
    /// Under what conditions it happens.
    pub place: Conditions,
}

/// A use of a predeclared module, or of a function of one under its name alone, such as `read_text`.
#[derive(Clone, Copy, Debug)]
pub struct Mention<'a> {
    /// The module.
    pub module: &'a str,
    /// The member that is taken from it; without one it is used as a value, which may lead to any.
    pub member: Option<&'a str>,
    /// Where.
    pub span: Span,
}

/// What a name is bound to.
#[derive(Clone, Copy, Debug)]
pub enum Bound<'a> {
    /// A function.
    Def(&'a DefP<AstNoPayload>),
    /// The value of an expression.
    Expr(&'a AstExpr),
    /// Something that only running tells.
    Unknown,
}

/// An attribute that is taken from a value.
#[derive(Clone, Copy, Debug)]
pub struct Attribute<'a> {
    /// Its name; none where only running tells.
    pub name: Option<&'a str>,
    /// Where.
    pub span: Span,
}

/// What the syntax tree of a file says.
#[derive(Debug, Default)]
pub struct Facts<'a> {
    /// Every call of something that has a name, in the order of the text.
    pub calls: Vec<CallSite<'a>>,
    /// Every use of a predeclared module.
    pub mentions: Vec<Mention<'a>>,
    /// Every attribute that is taken from something else than a predeclared module.
    pub attributes: Vec<Attribute<'a>>,
    bindings: HashMap<Variable<'a>, Vec<Bound<'a>>>,
    names: HashMap<Span, Variable<'a>>,
    /// Calls by the place of the whole call.
    called: HashMap<Span, usize>,
    /// Calls by the place of what is called.
    callees: HashMap<Span, usize>,
    exports: HashSet<&'a str>,
    functions: Vec<&'a DefP<AstNoPayload>>,
    /// The scope inside of each function, by the place of its name, or of the whole lambda.
    scopes: HashMap<Span, usize>,
}

impl<'a> Facts<'a> {
    /// Every definition of a function.
    #[must_use]
    pub fn functions(&self) -> &[&'a DefP<AstNoPayload>] {
        &self.functions
    }

    /// The scope inside of the function whose name, or of the lambda that, is at a place.
    #[must_use]
    pub fn scope(&self, function: Span) -> Option<usize> {
        self.scopes.get(&function).copied()
    }

    /// Everything that a variable is bound to.
    #[must_use]
    pub fn bindings(&self, variable: Variable<'a>) -> &[Bound<'a>] {
        self.bindings.get(&variable).map(Vec::as_slice).unwrap_or_default()
    }

    /// What a variable is bound to, if it is bound once and for all.
    #[must_use]
    pub fn bound(&self, variable: Variable<'a>) -> Option<Bound<'a>> {
        match self.bindings.get(&variable).map(Vec::as_slice) {
            Some([only]) => Some(*only),
            _ => None,
        }
    }

    /// The call that an expression is.
    #[must_use]
    pub fn call(&self, expr: &AstExpr) -> Option<&CallSite<'a>> {
        self.calls.get(*self.called.get(&expr.span)?)
    }

    /// The call of what is at a place; none if it is not called there.
    #[must_use]
    pub fn call_of(&self, callee: Span) -> Option<&CallSite<'a>> {
        self.calls.get(*self.callees.get(&callee)?)
    }

    /// The names that other files can load: bound at the top level, by this file itself, and not private.
    #[must_use]
    pub fn exports(&self) -> &HashSet<&'a str> {
        &self.exports
    }

    /// The variable that the name at this place means, if it is one of the script's own.
    #[must_use]
    pub fn variable(&self, name: Span) -> Option<Variable<'a>> {
        self.names.get(&name).copied()
    }
}
