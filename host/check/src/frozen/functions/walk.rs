//! One walk over a syntax tree for [`Functions`].
//!
//! It recurses as deep as the tree, which the interpreter bounds before it parses.

use starlark::syntax::ast::{
    AssignOp, AssignTarget, AstAssignTarget, AstExpr, AstParameter, AstStmt, Clause, Expr, ForClause, Parameter, Stmt,
};

use super::{Change, Function, Functions, Held, Source};
use crate::facts::{Facts, Variable};

impl<'a> Functions<'a> {
    /// Reads a syntax tree.
    pub(in crate::frozen) fn read(module: &'a AstStmt, facts: &Facts<'a>) -> Self {
        let mut walk = Walk { facts, found: Self::default(), current: 0 };
        walk.found.all.push(Function::default());
        walk.declare(module);
        walk.stmt(module);
        walk.found
    }
}

pub(super) struct Walk<'a, 'f> {
    pub(super) facts: &'f Facts<'a>,
    pub(super) found: Functions<'a>,
    current: usize,
}

/// The functions that a value is or holds.
pub(super) type Holding<'a> = Vec<Held<'a>>;

impl<'a> Walk<'a, '_> {
    /// Numbers the definitions of a block, since one may be used above its own text.
    fn declare(&mut self, stmt: &'a AstStmt) {
        match &stmt.node {
            Stmt::Def(def) => {
                let scope = self.facts.scope(def.name.span).unwrap_or_default();
                let number = self.add(scope, &def.params);
                self.found.by_name.insert(def.name.span, number);
                self.declare(&def.body);
            }
            _ => stmt.node.visit_stmt(|stmt| self.declare(stmt)),
        }
    }

    fn add(&mut self, scope: usize, params: &'a [AstParameter]) -> usize {
        let required = params.iter().filter(|param| matches!(param.node, Parameter::Normal(_, _, None))).count();
        let params = params.iter().filter_map(|param| Some(param.node.ident()?.node.ident.as_str())).collect();
        let number = self.found.all.len();
        self.found.by_scope.insert(scope, number);
        self.found.all.push(Function { scope, params, required, ..Function::default() });
        number
    }

    fn within(&mut self, function: usize, inside: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.current, function);
        inside(self);
        self.current = outer;
    }

    pub(super) fn here(&mut self, note: impl FnOnce(&mut Function<'a>)) {
        if let Some(function) = self.found.all.get_mut(self.current) {
            note(function);
        }
    }

    fn stmt(&mut self, stmt: &'a AstStmt) {
        match &stmt.node {
            Stmt::Break | Stmt::Continue | Stmt::Pass | Stmt::Return(None) => {}
            Stmt::Load(load) => load.args.iter().for_each(|arg| {
                let variable = Variable { scope: 0, name: arg.local.node.ident.as_str() };
                self.found.sources.entry(variable).or_default().push(Source::Unknown);
            }),
            Stmt::Return(Some(expr)) => {
                let values = self.expr(expr);
                self.here(|function| {
                    function.returns.extend(values);
                    function.returned.push(expr);
                });
            }
            Stmt::Expression(expr) => {
                self.expr(expr);
            }
            Stmt::Assign(assign) => {
                let values = self.expr(&assign.rhs);
                self.assign(&assign.lhs, values, Source::Value(&assign.rhs));
            }
            Stmt::AssignModify(target, operator, expr) => {
                let values = self.expr(expr);
                self.modify(target, *operator, values);
            }
            Stmt::Statements(statements) => statements.iter().for_each(|statement| self.stmt(statement)),
            Stmt::If(condition, then) => {
                self.expr(condition);
                self.stmt(then);
            }
            Stmt::IfElse(condition, branches) => {
                self.expr(condition);
                self.stmt(&branches.0);
                self.stmt(&branches.1);
            }
            Stmt::For(repeated) => {
                let values = self.expr(&repeated.over);
                self.assign(&repeated.var, values, Source::Element(&repeated.over));
                self.stmt(&repeated.body);
            }
            Stmt::Def(def) => {
                self.defaults(self.found.of(def), &def.params);
                if let Some(number) = self.found.of(def) {
                    if let Some(variable) = self.local(self.current, &def.name.node.ident) {
                        self.hold(variable, vec![Held::Function(number)]);
                    }
                    self.within(number, |walk| walk.stmt(&def.body));
                }
            }
        }
    }

    fn defaults(&mut self, function: Option<usize>, params: &'a [AstParameter]) {
        for param in params {
            if let Parameter::Normal(name, _, Some(default)) = &param.node {
                let values = self.expr(default);
                if let Some(variable) = function.and_then(|function| self.local(function, &name.node.ident)) {
                    self.hold(variable, values);
                }
            }
        }
    }

    /// The variable that a function has under a name of its own.
    pub(super) fn local(&self, function: usize, name: &'a str) -> Option<Variable<'a>> {
        self.found.all.get(function).map(|function| Variable { scope: function.scope, name })
    }

    pub(super) fn hold(&mut self, variable: Variable<'a>, values: Holding<'a>) {
        if !values.is_empty() {
            self.found.held.entry(variable).or_default().extend(values);
        }
    }

    fn assign(&mut self, target: &'a AstAssignTarget, values: Holding<'a>, source: Source<'a>) {
        match &target.node {
            AssignTarget::Tuple(parts) => {
                // Each name may be any of the parts; those of an element are parts of the container too.
                let source = match source {
                    Source::Value(_) => Source::Unknown,
                    other => other,
                };
                parts.iter().for_each(|part| self.assign(part, values.clone(), source));
            }
            AssignTarget::Index(pair) => {
                self.change(&pair.0, None, target.span, false);
                self.expr(&pair.0);
                self.expr(&pair.1);
                self.hold_in(&pair.0, values);
            }
            AssignTarget::Dot(object, _) => {
                self.expr(object);
            }
            AssignTarget::Identifier(_) => {
                if let Some(variable) = self.facts.variable(target.span) {
                    self.hold(variable, values);
                    self.found.sources.entry(variable).or_default().push(source);
                }
            }
        }
    }

    /// `x += y`: a list, a dict or a set is changed in place.
    fn modify(&mut self, target: &'a AstAssignTarget, operator: AssignOp, values: Holding<'a>) {
        match &target.node {
            AssignTarget::Identifier(_) => {
                let in_place = match operator {
                    AssignOp::Add => "+=",
                    AssignOp::BitOr => "|=",
                    AssignOp::BitAnd => "&=",
                    AssignOp::BitXor => "^=",
                    AssignOp::Subtract => "-=",
                    _ => return,
                };
                if let Some(variable) = self.facts.variable(target.span) {
                    self.hold(variable, values);
                    let change = Change { variable, is_whole: true, method: Some(in_place), span: target.span };
                    self.here(|function| function.changes.push(change));
                }
            }
            _ => self.assign(target, values, Source::Unknown),
        }
    }

    /// Looks into an expression, and gives the functions that its value is or holds.
    pub(super) fn expr(&mut self, expr: &'a AstExpr) -> Holding<'a> {
        match &expr.node {
            Expr::Identifier(_) => match self.found.own(self.facts, expr) {
                Some(number) => vec![Held::Function(number)],
                None => self.facts.variable(expr.span).map(Held::Variable).into_iter().collect(),
            },
            Expr::Lambda(lambda) => {
                let scope = self.facts.scope(expr.span).unwrap_or_default();
                let number = self.add(scope, &lambda.params);
                self.defaults(Some(number), &lambda.params);
                self.within(number, |walk| {
                    let values = walk.expr(&lambda.body);
                    walk.here(|function| {
                        function.returns.extend(values);
                        function.returned.push(&lambda.body);
                    });
                });
                vec![Held::Function(number)]
            }
            Expr::Call(callee, args) => self.call(expr.span, callee, &args.args),
            Expr::If(parts) => {
                self.expr(&parts.0);
                [self.expr(&parts.1), self.expr(&parts.2)].concat()
            }
            Expr::Index(pair) => {
                self.expr(&pair.1);
                self.expr(&pair.0)
            }
            Expr::ListComprehension(element, first, clauses) => {
                self.clauses(first, clauses);
                self.expr(element)
            }
            Expr::DictComprehension(pair, first, clauses) => {
                self.clauses(first, clauses);
                [self.expr(&pair.0), self.expr(&pair.1)].concat()
            }
            Expr::FString(_) | Expr::Not(_) | Expr::Minus(_) | Expr::Plus(_) | Expr::BitNot(_) => {
                expr.node.visit_expr(|part| {
                    self.expr(part);
                });
                Vec::new()
            }
            Expr::Literal(_) => Vec::new(),
            Expr::Tuple(_)
            | Expr::List(_)
            | Expr::Dict(_)
            | Expr::Op(..)
            | Expr::Dot(..)
            | Expr::Slice(..)
            | Expr::Index2(_) => {
                let mut values = Vec::new();
                expr.node.visit_expr(|part| values.extend(self.expr(part)));
                values
            }
        }
    }

    fn clauses(&mut self, first: &'a ForClause, clauses: &'a [Clause]) {
        self.clause(first);
        for clause in clauses {
            match clause {
                Clause::For(clause) => self.clause(clause),
                Clause::If(condition) => {
                    self.expr(condition);
                }
            }
        }
    }

    fn clause(&mut self, clause: &'a ForClause) {
        let values = self.expr(&clause.over);
        self.assign(&clause.var, values, Source::Element(&clause.over));
    }
}
