//! One walk over a syntax tree, statements and expressions in the order of the text.
//!
//! It recurses as deep as the tree, which the interpreter bounds before it parses.

use std::collections::HashSet;

use starcell_interp::tools;
use starlark::codemap::Span;
use starlark::syntax::AstModule;
use starlark::syntax::ast::{
    Argument, AssignTarget, AstArgument, AstAssignTarget, AstExpr, AstLiteral, AstParameter, AstStmt, Clause, Expr,
    ForClause, Parameter, Stmt,
};

use super::{Attribute, Bound, CallSite, Callee, Conditions, Facts, Mention, Variable};

/// Builtins that only look at what a value is. What they are given does not become reachable by it.
const LOOKS: [&str; 3] = ["dir", "hasattr", "type"];

impl<'a> Facts<'a> {
    /// Reads a syntax tree; `modules` are the names of the predeclared modules.
    pub fn read(ast: &'a AstModule, modules: &HashSet<&'a str>) -> Self {
        let module = ast.statement();
        let mut names = HashSet::new();
        bound_in(module, &mut names);
        let mut walk = Walk {
            modules,
            facts: Self::default(),
            scopes: vec![Scope { number: 0, names }],
            last_scope: 0,
            place: Conditions::default(),
            last_condition: 0,
            loaded: HashSet::new(),
        };
        walk.stmt(module);
        let mut facts = walk.facts;
        facts.called = facts.calls.iter().enumerate().map(|(at, call)| (call.span, at)).collect();
        facts.callees = facts.calls.iter().enumerate().map(|(at, call)| (call.name, at)).collect();
        facts.exports = walk.scopes.into_iter().flat_map(|scope| scope.names).collect();
        facts.exports.retain(|name| !name.starts_with('_') && !walk.loaded.contains(name));
        facts
    }
}

struct Walk<'a, 'm> {
    modules: &'m HashSet<&'a str>,
    facts: Facts<'a>,
    /// The innermost last.
    scopes: Vec<Scope<'a>>,
    last_scope: usize,
    place: Conditions,
    last_condition: u32,
    /// Names that `load()` binds; they are not loaded on from here.
    loaded: HashSet<&'a str>,
}

struct Scope<'a> {
    number: usize,
    names: HashSet<&'a str>,
}

impl<'a> Walk<'a, '_> {
    fn stmt(&mut self, stmt: &'a AstStmt) {
        match &stmt.node {
            Stmt::Break | Stmt::Continue | Stmt::Pass | Stmt::Return(None) => {}
            Stmt::Return(Some(expr)) | Stmt::Expression(expr) => self.expr(expr),
            Stmt::Assign(assign) => {
                self.expr(&assign.rhs);
                if let Some(typ) = &assign.ty {
                    self.expr(&typ.node.expr);
                }
                self.assign(&assign.lhs, Bound::Expr(&assign.rhs));
            }
            Stmt::AssignModify(target, _, expr) => {
                self.expr(expr);
                self.assign(target, Bound::Unknown);
            }
            Stmt::Statements(statements) => statements.iter().for_each(|statement| self.stmt(statement)),
            Stmt::If(condition, then) => {
                self.expr(condition);
                let number = self.condition();
                self.within(number, 0, |walk| walk.stmt(then));
            }
            Stmt::IfElse(condition, branches) => {
                self.expr(condition);
                let number = self.condition();
                self.within(number, 0, |walk| walk.stmt(&branches.0));
                self.within(number, 1, |walk| walk.stmt(&branches.1));
            }
            Stmt::For(repeated) => {
                self.expr(&repeated.over);
                self.assign(&repeated.var, Bound::Unknown);
                let number = self.condition();
                self.within(number, 0, |walk| walk.stmt(&repeated.body));
            }
            Stmt::Def(def) => {
                self.bind(&def.name.node.ident, Bound::Def(def));
                if let Some(typ) = &def.return_type {
                    self.expr(&typ.node.expr);
                }
                let mut names = HashSet::new();
                bound_in(&def.body, &mut names);
                self.facts.functions.push(def);
                self.function(def.name.span, &def.params, names, |walk| walk.stmt(&def.body));
            }
            Stmt::Load(load) => {
                for arg in &load.args {
                    self.loaded.insert(&arg.local.node.ident);
                    self.bind(&arg.local.node.ident, Bound::Unknown);
                }
            }
        }
    }

    fn expr(&mut self, expr: &'a AstExpr) {
        match &expr.node {
            Expr::Tuple(parts) | Expr::List(parts) => parts.iter().for_each(|part| self.expr(part)),
            Expr::Dot(object, name) => self.dot(expr.span, object, name),
            Expr::Call(callee, args) => self.call(expr.span, callee, &args.args),
            Expr::Index(pair) => [&pair.0, &pair.1].into_iter().for_each(|part| self.expr(part)),
            Expr::Index2(parts) => [&parts.0, &parts.1, &parts.2].into_iter().for_each(|part| self.expr(part)),
            Expr::Slice(of, from, to, step) => {
                self.expr(of);
                [from, to, step].into_iter().flatten().for_each(|part| self.expr(part));
            }
            Expr::Identifier(name) => self.value(&name.node.ident, expr.span),
            Expr::Lambda(lambda) => {
                self.function(expr.span, &lambda.params, HashSet::new(), |walk| walk.expr(&lambda.body));
            }
            Expr::Literal(_) => {}
            Expr::Not(of) | Expr::Minus(of) | Expr::Plus(of) | Expr::BitNot(of) => self.expr(of),
            Expr::Op(left, operator, right) => {
                self.expr(left);
                use starlark::syntax::ast::BinOp;
                match operator {
                    BinOp::And | BinOp::Or => {
                        let number = self.condition();
                        self.within(number, 0, |walk| walk.expr(right));
                    }
                    _ => self.expr(right),
                }
            }
            Expr::If(parts) => {
                self.expr(&parts.0);
                let number = self.condition();
                self.within(number, 0, |walk| walk.expr(&parts.1));
                self.within(number, 1, |walk| walk.expr(&parts.2));
            }
            Expr::Dict(pairs) => pairs.iter().for_each(|(key, value)| {
                self.expr(key);
                self.expr(value);
            }),
            Expr::ListComprehension(element, first, clauses) => {
                self.comprehension(first, clauses, |walk| walk.expr(element));
            }
            Expr::DictComprehension(pair, first, clauses) => self.comprehension(first, clauses, |walk| {
                walk.expr(&pair.0);
                walk.expr(&pair.1);
            }),
            Expr::FString(text) => text.node.expressions.iter().for_each(|part| self.expr(part)),
        }
    }

    /// A name whose value is used.
    fn value(&mut self, name: &'a str, span: Span) {
        match self.resolve(name) {
            Some(variable) => {
                self.facts.names.insert(span, variable);
            }
            None if self.modules.contains(name) => {
                self.facts.mentions.push(Mention { module: name, member: None, span });
            }
            // Under another name it takes attributes that nobody sees.
            None if self.bare(name, span) => {}
            // `getattr` is passed as a value here, so assume that it may read any attribute.
            None if name == "getattr" => self.facts.attributes.push(Attribute { name: None, span }),
            None => {}
        }
    }

    /// Notes a function of a module that stands under its name alone; false if the name is no such function.
    fn bare(&mut self, name: &'a str, span: Span) -> bool {
        let Some(module) = tools::module_of(name).filter(|_| self.resolve(name).is_none()) else { return false };
        self.facts.mentions.push(Mention { module, member: Some(name), span });
        true
    }

    fn dot(&mut self, span: Span, object: &'a AstExpr, name: &'a starlark::syntax::ast::AstString) {
        match self.module(object) {
            Some(module) => self.facts.mentions.push(Mention { module, member: Some(&name.node), span }),
            None => {
                self.expr(object);
                self.facts.attributes.push(Attribute { name: Some(&name.node), span });
            }
        }
    }

    fn call(&mut self, span: Span, callee: &'a AstExpr, args: &'a [AstArgument]) {
        let called = match &callee.node {
            Expr::Identifier(name) if self.resolve(&name.node.ident).is_none() => {
                Some(Callee::Predeclared(&name.node.ident))
            }
            Expr::Dot(object, name) => Some(match self.module(object) {
                Some(module) => Callee::Member(module, &name.node),
                None => Callee::Method(self.own(object), &name.node),
            }),
            _ => None,
        };
        let args_left = match called {
            Some(Callee::Predeclared("getattr")) => self.getattr(span, args),
            Some(Callee::Predeclared(name)) if LOOKS.contains(&name) => match args.split_first() {
                Some((first, rest)) if self.module(first.node.expr()).is_some() => rest,
                _ => args,
            },
            Some(Callee::Predeclared(name)) if !self.modules.contains(name) => {
                self.bare(name, callee.span);
                args
            }
            _ => {
                self.expr(callee);
                args
            }
        };
        for arg in args_left {
            self.expr(arg.node.expr());
        }
        if let Some(callee_is) = called {
            let place = self.place.clone();
            self.facts.calls.push(CallSite { callee: callee_is, args, span, name: callee.span, place });
        }
    }

    /// `getattr(value, name)`; gives the arguments that are still to be looked at.
    fn getattr(&mut self, span: Span, args: &'a [AstArgument]) -> &'a [AstArgument] {
        let [of, name, rest @ ..] = args else { return args };
        let constant = match (&name.node, &name.node.expr().node) {
            (Argument::Positional(_), Expr::Literal(AstLiteral::String(text))) => Some(text.node.as_str()),
            _ => None,
        };
        match (&of.node, self.module(of.node.expr()), constant) {
            (Argument::Positional(_), Some(module), Some(member)) => {
                self.facts.mentions.push(Mention { module, member: Some(member), span });
                rest
            }
            (Argument::Positional(_), _, Some(name)) => {
                self.facts.attributes.push(Attribute { name: Some(name), span });
                args
            }
            _ => {
                self.facts.attributes.push(Attribute { name: None, span });
                args
            }
        }
    }

    fn comprehension(&mut self, first: &'a ForClause, clauses: &'a [Clause], body: impl FnOnce(&mut Self)) {
        self.expr(&first.over);
        let mut names = HashSet::new();
        bound_by(&first.var, &mut names);
        for clause in clauses {
            if let Clause::For(clause) = clause {
                bound_by(&clause.var, &mut names);
            }
        }
        let number = self.condition();
        self.scope(names, |walk| {
            walk.within(number, 0, |walk| {
                walk.assign(&first.var, Bound::Unknown);
                for clause in clauses {
                    match clause {
                        Clause::For(clause) => {
                            walk.expr(&clause.over);
                            walk.assign(&clause.var, Bound::Unknown);
                        }
                        Clause::If(condition) => walk.expr(condition),
                    }
                }
                body(walk);
            });
        });
    }

    fn function(
        &mut self,
        at: Span,
        params: &'a [AstParameter],
        mut names: HashSet<&'a str>,
        body: impl FnOnce(&mut Self),
    ) {
        for param in params {
            if let Parameter::Normal(_, typ, default) = &param.node {
                typ.iter().for_each(|typ| self.expr(&typ.node.expr));
                default.iter().for_each(|default| self.expr(default));
            }
        }
        let params: Vec<&'a str> =
            params.iter().filter_map(|param| Some(param.node.ident()?.node.ident.as_str())).collect();
        names.extend(&params);
        let number = self.condition();
        self.facts.scopes.insert(at, self.last_scope + 1);
        self.scope(names, |walk| {
            params.into_iter().for_each(|param| walk.bind(param, Bound::Unknown));
            walk.within(number, 0, body);
        });
    }

    fn assign(&mut self, target: &'a AstAssignTarget, value: Bound<'a>) {
        match &target.node {
            AssignTarget::Tuple(parts) => parts.iter().for_each(|part| self.assign(part, Bound::Unknown)),
            AssignTarget::Index(pair) => {
                self.expr(&pair.0);
                self.expr(&pair.1);
            }
            AssignTarget::Dot(object, _) => self.expr(object),
            AssignTarget::Identifier(name) => {
                if let Some(variable) = self.resolve(&name.node.ident) {
                    self.facts.names.insert(target.span, variable);
                }
                self.bind(&name.node.ident, value);
            }
        }
    }

    fn bind(&mut self, name: &'a str, value: Bound<'a>) {
        if let Some(variable) = self.resolve(name) {
            self.facts.bindings.entry(variable).or_default().push(value);
        }
    }

    /// The predeclared module that an expression names.
    fn module(&self, expr: &'a AstExpr) -> Option<&'a str> {
        match &expr.node {
            Expr::Identifier(name) if self.modules.contains(name.node.ident.as_str()) => {
                self.resolve(&name.node.ident).is_none().then_some(&name.node.ident)
            }
            _ => None,
        }
    }

    /// The variable that an expression names.
    fn own(&self, expr: &'a AstExpr) -> Option<Variable<'a>> {
        match &expr.node {
            Expr::Identifier(name) => self.resolve(&name.node.ident),
            _ => None,
        }
    }

    fn resolve(&self, name: &str) -> Option<Variable<'a>> {
        self.scopes.iter().rev().find_map(|scope| {
            let name = scope.names.get(name)?;
            Some(Variable { scope: scope.number, name })
        })
    }

    fn scope(&mut self, names: HashSet<&'a str>, inside: impl FnOnce(&mut Self)) {
        self.last_scope += 1;
        self.scopes.push(Scope { number: self.last_scope, names });
        inside(self);
        self.scopes.pop();
    }

    fn condition(&mut self) -> u32 {
        self.last_condition += 1;
        self.last_condition
    }

    fn within(&mut self, number: u32, branch: u32, inside: impl FnOnce(&mut Self)) {
        self.place.enter(number, branch);
        inside(self);
        self.place.leave();
    }
}

/// The names that a block binds in its own scope.
fn bound_in<'a>(stmt: &'a AstStmt, names: &mut HashSet<&'a str>) {
    match &stmt.node {
        Stmt::Assign(assign) => bound_by(&assign.lhs, names),
        Stmt::AssignModify(target, ..) => bound_by(target, names),
        Stmt::Statements(statements) => statements.iter().for_each(|statement| bound_in(statement, names)),
        Stmt::If(_, then) => bound_in(then, names),
        Stmt::IfElse(_, branches) => {
            bound_in(&branches.0, names);
            bound_in(&branches.1, names);
        }
        Stmt::For(repeated) => {
            bound_by(&repeated.var, names);
            bound_in(&repeated.body, names);
        }
        Stmt::Def(def) => {
            names.insert(&def.name.node.ident);
        }
        Stmt::Load(load) => names.extend(load.args.iter().map(|arg| arg.local.node.ident.as_str())),
        Stmt::Break | Stmt::Continue | Stmt::Pass | Stmt::Return(_) | Stmt::Expression(_) => {}
    }
}

fn bound_by<'a>(target: &'a AstAssignTarget, names: &mut HashSet<&'a str>) {
    match &target.node {
        AssignTarget::Tuple(parts) => parts.iter().for_each(|part| bound_by(part, names)),
        AssignTarget::Identifier(name) => {
            names.insert(&name.node.ident);
        }
        AssignTarget::Index(_) | AssignTarget::Dot(..) => {}
    }
}
