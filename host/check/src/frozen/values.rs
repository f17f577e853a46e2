//! The values of variables, as far as the text says: a container, or the value of another variable or a part of it.

use starlark::syntax::ast::{AstExpr, BinOp, Expr};

use super::functions::{Functions, Source};
use crate::facts::{Bound, Facts, Variable};

/// Predeclared functions that return a new list, dict or set.
const MAKERS: [&str; 7] = ["dict", "dir", "enumerate", "list", "set", "sorted", "zip"];

/// Methods that return a new list.
const LISTING: [&str; 6] = ["items", "keys", "rsplit", "split", "splitlines", "values"];

/// Methods and predeclared functions whose result holds the elements of what they are given, each as it is.
const ELEMENTS: [&str; 6] = ["enumerate", "items", "list", "reversed", "sorted", "values"];

/// Most names of one value that are followed.
const MOST_NAMES: usize = 16;

/// A name of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    pub(super) variable: Variable<'a>,
    /// True if the first name means this whole value, and not a part of it.
    pub(super) is_whole: bool,
}

/// The bindings of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values<'c, 'a> {
    pub(super) facts: &'c Facts<'a>,
    pub(super) functions: &'c Functions<'a>,
}

impl<'a> Values<'_, 'a> {
    /// A variable, and those whose value or part it is for certain.
    pub(super) fn chain(&self, variable: Variable<'a>) -> Vec<Link<'a>> {
        let mut chain = vec![Link { variable, is_whole: true }];
        while let Some(last) = chain.last().copied()
            && chain.len() < MOST_NAMES
            && let Some(next) = self.source(last.variable)
        {
            chain.push(Link { variable: next.variable, is_whole: last.is_whole && next.is_whole });
        }
        chain
    }

    /// The variable whose value, or part, another one holds: it has one value, and that is written as such.
    fn source(&self, variable: Variable<'a>) -> Option<Link<'a>> {
        if self.functions.parameter(variable).is_some() {
            return None;
        }
        match self.functions.sources(variable) {
            [Source::Value(expr)] => self.part(expr),
            [Source::Element(of)] => self.elements(of).map(|variable| Link { variable, is_whole: false }),
            _ => None,
        }
    }

    /// The variable that an expression is, or is a part of.
    pub(super) fn part(&self, expr: &AstExpr) -> Option<Link<'a>> {
        match &expr.node {
            Expr::Identifier(_) => Some(Link { variable: self.facts.variable(expr.span)?, is_whole: true }),
            Expr::Index(pair) => self.within(&pair.0),
            Expr::Dot(object, _) => self.within(object),
            // With a default the value may be the default.
            Expr::Call(callee, args) => match &callee.node {
                Expr::Dot(object, name) if name.node == "get" && args.args.len() == 1 => self.within(object),
                _ => None,
            },
            _ => None,
        }
    }

    fn within(&self, expr: &AstExpr) -> Option<Link<'a>> {
        self.part(expr).map(|link| Link { is_whole: false, ..link })
    }

    /// The variable whose elements a loop over an expression takes.
    fn elements(&self, expr: &AstExpr) -> Option<Variable<'a>> {
        let of = match &expr.node {
            Expr::Call(callee, args) => match &callee.node {
                Expr::Dot(object, name) if ELEMENTS.contains(&name.node.as_str()) => &**object,
                Expr::Identifier(name)
                    if ELEMENTS.contains(&name.node.ident.as_str()) && self.facts.variable(callee.span).is_none() =>
                {
                    return self.elements(args.args.first()?.node.expr());
                }
                _ => return None,
            },
            _ => expr,
        };
        self.part(of).map(|link| link.variable)
    }

    /// The place of a parameter of a function, if a variable is one and is bound to nothing else.
    pub(super) fn parameter(&self, function: usize, variable: Variable<'a>) -> Option<usize> {
        let (_, at) = self.functions.parameter(variable).filter(|(of, _)| *of == function)?;
        (self.functions.sources(variable).is_empty()).then_some(at)
    }

    /// Returns whether a variable holds a list, a dict or a set.
    pub(super) fn is_container(&self, variable: Variable<'a>) -> bool {
        self.facts.bindings(variable).iter().any(|bound| match bound {
            Bound::Expr(expr) => self.makes_container(expr, MOST_NAMES),
            Bound::Def(_) | Bound::Unknown => false,
        })
    }

    /// `left` bounds how many functions and names are followed.
    fn makes_container(&self, expr: &AstExpr, left: usize) -> bool {
        let Some(left) = left.checked_sub(1) else { return false };
        match &expr.node {
            Expr::List(_) | Expr::Dict(_) | Expr::ListComprehension(..) | Expr::DictComprehension(..) => true,
            Expr::Identifier(_) => match self.facts.variable(expr.span).and_then(|variable| self.facts.bound(variable))
            {
                Some(Bound::Expr(expr)) => self.makes_container(expr, left),
                _ => false,
            },
            Expr::Call(callee, _) => match &callee.node {
                Expr::Identifier(name) if self.facts.variable(callee.span).is_none() => {
                    MAKERS.contains(&name.node.ident.as_str())
                }
                Expr::Identifier(_) => self.functions.own(self.facts, callee).is_some_and(|number| {
                    let returned = self.functions.all.get(number).map(|function| function.returned.as_slice());
                    returned.unwrap_or_default().iter().any(|expr| self.makes_container(expr, left))
                }),
                Expr::Dot(_, name) => LISTING.contains(&name.node.as_str()),
                _ => false,
            },
            Expr::Op(one, BinOp::Add | BinOp::Multiply | BinOp::BitOr, other) => {
                self.makes_container(one, left) || self.makes_container(other, left)
            }
            Expr::If(parts) => self.makes_container(&parts.1, left) || self.makes_container(&parts.2, left),
            _ => false,
        }
    }
}
