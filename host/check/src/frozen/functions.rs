//! The functions of a file: what each one changes, which functions it calls, and which of them a request may run.
//!
//! A function that is only called runs when its caller runs. A function that is used as a value may be run by a request:
//! it is a handler, stands in a table of handlers, or is handed to a function that registers it. Predeclared functions
//! and functions of modules (`sorted`, `retry.do`) are the exception: they run what they are given at once.

use std::collections::{HashMap, HashSet};

use starlark::codemap::Span;
use starlark::syntax::ast::{
    Argument, AssignTarget, AstArgument, AstAssignTarget, AstExpr, AstNoPayload, AstParameter, AstStmt, Clause, DefP,
    Expr, ForClause, Parameter, Stmt,
};

use crate::facts::{Bound, Facts, Variable};

/// Methods that change a list, a dict or a set.
const CHANGES: [&str; 18] = [
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
    "reverse",
    "setdefault",
    "sort",
    "symmetric_difference_update",
    "update",
    "union_update",
    "write",
];

/// A function, or the top level, which is function 0.
#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    /// The scope that its own names are in.
    pub(super) scope: usize,
    /// Its parameters.
    pub(super) params: Vec<&'a str>,
    /// How many of them have no default.
    required: usize,
    pub(super) changes: Vec<Change<'a>>,
    pub(super) calls: Vec<Calling<'a>>,
    returns: Vec<Returned>,
}

/// A function that a function may return.
#[derive(Clone, Copy, Debug)]
enum Returned {
    /// This one.
    Function(usize),
    /// What a call of this one returns.
    ResultOf(usize),
}

/// A change of the value that a variable holds, or of a part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    pub(super) variable: Variable<'a>,
    /// The method that changes it; none for an assignment to an element.
    pub(super) method: Option<&'a str>,
    pub(super) span: Span,
}

/// A call of one of the file's own functions.
#[derive(Debug)]
pub(super) struct Calling<'a> {
    pub(super) callee: usize,
    /// The variable that each positional argument is.
    pub(super) arguments: Vec<Option<Variable<'a>>>,
    pub(super) span: Span,
}

/// The functions of a file.
#[derive(Debug)]
pub(super) struct Functions<'a> {
    pub(super) all: Vec<Function<'a>>,
    /// Functions that a request may run first.
    pub(super) roots: Vec<usize>,
    /// Functions whose results may reach a request.
    makers: Vec<usize>,
    by_name: HashMap<Span, usize>,
}

impl<'a> Functions<'a> {
    /// Reads a syntax tree.
    pub(super) fn read(module: &'a AstStmt, facts: &Facts<'a>) -> Self {
        let mut walk = Walk {
            facts,
            found: Self {
                all: vec![Function::default()],
                roots: Vec::new(),
                makers: Vec::new(),
                by_name: HashMap::new(),
            },
            current: 0,
        };
        walk.declare(module);
        walk.stmt(module);
        walk.found.follow_results();
        walk.found
    }

    /// Adds the functions that come out of functions whose results may reach a request.
    fn follow_results(&mut self) {
        let mut seen = HashSet::new();
        while let Some(maker) = self.makers.pop() {
            if !seen.insert(maker) {
                continue;
            }
            for returned in self.all.get(maker).into_iter().flat_map(|function| &function.returns) {
                match *returned {
                    Returned::Function(number) => {
                        self.roots.push(number);
                        self.makers.push(number);
                    }
                    Returned::ResultOf(number) => self.makers.push(number),
                }
            }
        }
    }

    /// The function of a definition.
    pub(super) fn of(&self, def: &DefP<AstNoPayload>) -> Option<usize> {
        self.by_name.get(&def.name.span).copied()
    }
}

/// What becomes of the value of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// It may reach a request.
    Kept,
    /// It is a middleware: one that takes the next handler alone is run by the setup.
    Middleware,
    /// It is returned.
    Returned,
    /// Whoever gets it runs it at once, or only looks at it.
    Spent,
}

struct Walk<'a, 'f> {
    facts: &'f Facts<'a>,
    found: Functions<'a>,
    current: usize,
}

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
            Stmt::Statements(statements) => statements.iter().for_each(|statement| self.declare(statement)),
            Stmt::If(_, then) => self.declare(then),
            Stmt::IfElse(_, branches) => {
                self.declare(&branches.0);
                self.declare(&branches.1);
            }
            Stmt::For(repeated) => self.declare(&repeated.body),
            _ => {}
        }
    }

    fn add(&mut self, scope: usize, params: &'a [AstParameter]) -> usize {
        let required = params.iter().filter(|param| matches!(param.node, Parameter::Normal(_, _, None))).count();
        let params = params.iter().filter_map(|param| Some(param.node.ident()?.node.ident.as_str())).collect();
        self.found.all.push(Function { scope, params, required, ..Function::default() });
        self.found.all.len() - 1
    }

    fn within(&mut self, function: usize, inside: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.current, function);
        inside(self);
        self.current = outer;
    }

    fn function(&mut self) -> Option<&mut Function<'a>> {
        self.found.all.get_mut(self.current)
    }

    fn stmt(&mut self, stmt: &'a AstStmt) {
        match &stmt.node {
            Stmt::Break | Stmt::Continue | Stmt::Pass | Stmt::Return(None) | Stmt::Load(_) => {}
            Stmt::Return(Some(expr)) => self.expr(expr, Use::Returned),
            Stmt::Expression(expr) => self.expr(expr, Use::Spent),
            Stmt::Assign(assign) => {
                self.expr(&assign.rhs, Use::Kept);
                self.target(&assign.lhs);
            }
            Stmt::AssignModify(target, _, expr) => {
                self.expr(expr, Use::Kept);
                self.target(target);
            }
            Stmt::Statements(statements) => statements.iter().for_each(|statement| self.stmt(statement)),
            Stmt::If(condition, then) => {
                self.expr(condition, Use::Spent);
                self.stmt(then);
            }
            Stmt::IfElse(condition, branches) => {
                self.expr(condition, Use::Spent);
                self.stmt(&branches.0);
                self.stmt(&branches.1);
            }
            Stmt::For(repeated) => {
                self.expr(&repeated.over, Use::Kept);
                self.target(&repeated.var);
                self.stmt(&repeated.body);
            }
            Stmt::Def(def) => {
                self.defaults(&def.params);
                if let Some(number) = self.found.of(def) {
                    self.within(number, |walk| walk.stmt(&def.body));
                }
            }
        }
    }

    fn defaults(&mut self, params: &'a [AstParameter]) {
        for param in params {
            if let Parameter::Normal(_, _, Some(default)) = &param.node {
                self.expr(default, Use::Kept);
            }
        }
    }

    fn target(&mut self, target: &'a AstAssignTarget) {
        match &target.node {
            AssignTarget::Tuple(parts) => parts.iter().for_each(|part| self.target(part)),
            AssignTarget::Index(pair) => {
                self.change(&pair.0, None, target.span);
                self.expr(&pair.0, Use::Spent);
                self.expr(&pair.1, Use::Spent);
            }
            AssignTarget::Dot(object, _) => self.expr(object, Use::Spent),
            AssignTarget::Identifier(_) => {}
        }
    }

    fn expr(&mut self, expr: &'a AstExpr, used: Use) {
        match &expr.node {
            Expr::Identifier(_) => self.name(expr, used),
            Expr::Lambda(lambda) => {
                self.defaults(&lambda.params);
                let scope = self.facts.scope(expr.span).unwrap_or_default();
                let number = self.add(scope, &lambda.params);
                self.within(number, |walk| walk.expr(&lambda.body, Use::Returned));
                self.used(number, expr.span, used);
            }
            Expr::Call(callee, args) => self.call(expr.span, callee, &args.args, used),
            Expr::Tuple(parts) | Expr::List(parts) => parts.iter().for_each(|part| self.expr(part, kept(used))),
            Expr::Dict(pairs) => pairs.iter().for_each(|(key, value)| {
                self.expr(key, kept(used));
                self.expr(value, kept(used));
            }),
            Expr::If(parts) => {
                self.expr(&parts.0, Use::Spent);
                self.expr(&parts.1, used);
                self.expr(&parts.2, used);
            }
            Expr::Op(left, _, right) => {
                self.expr(left, used);
                self.expr(right, used);
            }
            Expr::Dot(of, _) | Expr::Not(of) | Expr::Minus(of) | Expr::Plus(of) | Expr::BitNot(of) => {
                self.expr(of, Use::Spent);
            }
            Expr::Index(pair) => [&pair.0, &pair.1].into_iter().for_each(|part| self.expr(part, Use::Spent)),
            Expr::Index2(parts) => {
                [&parts.0, &parts.1, &parts.2].into_iter().for_each(|part| self.expr(part, Use::Spent));
            }
            Expr::Slice(of, from, to, step) => {
                self.expr(of, used);
                [from, to, step].into_iter().flatten().for_each(|part| self.expr(part, Use::Spent));
            }
            Expr::ListComprehension(element, first, clauses) => {
                self.clauses(first, clauses);
                self.expr(element, kept(used));
            }
            Expr::DictComprehension(pair, first, clauses) => {
                self.clauses(first, clauses);
                self.expr(&pair.0, kept(used));
                self.expr(&pair.1, kept(used));
            }
            Expr::FString(text) => text.node.expressions.iter().for_each(|part| self.expr(part, Use::Spent)),
            Expr::Literal(_) => {}
        }
    }

    fn clauses(&mut self, first: &'a ForClause, clauses: &'a [Clause]) {
        self.expr(&first.over, Use::Kept);
        for clause in clauses {
            match clause {
                Clause::For(clause) => self.expr(&clause.over, Use::Kept),
                Clause::If(condition) => self.expr(condition, Use::Spent),
            }
        }
    }

    fn call(&mut self, span: Span, callee: &'a AstExpr, args: &'a [AstArgument], used: Use) {
        let given = match &callee.node {
            Expr::Dot(object, name) => {
                if CHANGES.contains(&name.node.as_str()) {
                    self.change(object, Some(&name.node), span);
                }
                self.expr(object, Use::Spent);
                self.given_to(object, &name.node)
            }
            Expr::Identifier(_) => match self.facts.variable(callee.span) {
                Some(_) => {
                    if let Some(number) = self.own(callee) {
                        self.note_call(number, args, span);
                        self.result(number, used);
                    }
                    Use::Kept
                }
                None => Use::Spent,
            },
            _ => {
                self.expr(callee, Use::Spent);
                Use::Kept
            }
        };
        args.iter().for_each(|arg| self.expr(arg.node.expr(), given));
    }

    /// What becomes of the arguments of a method or of a function of a module.
    fn given_to(&self, object: &AstExpr, name: &str) -> Use {
        let of_module = matches!(&object.node, Expr::Identifier(_)) && self.facts.variable(object.span).is_none();
        match name {
            "use" => Use::Middleware,
            "serve" | "server" | "handle" => Use::Kept,
            _ if of_module => Use::Spent,
            _ => Use::Kept,
        }
    }

    fn note_call(&mut self, callee: usize, args: &'a [AstArgument], span: Span) {
        let positional = args.iter().filter(|arg| matches!(arg.node, Argument::Positional(_)));
        let arguments = positional.map(|arg| self.facts.variable(arg.node.expr().span)).collect();
        self.calls(Calling { callee, arguments, span });
    }

    /// A name that is used as a value.
    fn name(&mut self, expr: &'a AstExpr, used: Use) {
        if let Some(number) = self.own(expr) {
            self.used(number, expr.span, used);
        }
    }

    /// A function that is used as a value.
    fn used(&mut self, number: usize, span: Span, used: Use) {
        let takes_next = self.found.all.get(number).is_some_and(|function| function.required == 1);
        match used {
            // The setup calls it once, and what it returns is the handler.
            Use::Middleware if takes_next => self.found.makers.push(number),
            Use::Kept | Use::Middleware => {
                self.found.roots.push(number);
                self.found.makers.push(number);
            }
            Use::Returned => self.returns(Returned::Function(number)),
            Use::Spent => self.calls(Calling { callee: number, arguments: Vec::new(), span }),
        }
    }

    /// What a function returns is used.
    fn result(&mut self, number: usize, used: Use) {
        match used {
            Use::Kept | Use::Middleware => self.found.makers.push(number),
            Use::Returned => self.returns(Returned::ResultOf(number)),
            Use::Spent => {}
        }
    }

    fn returns(&mut self, returned: Returned) {
        self.function().into_iter().for_each(|function| function.returns.push(returned));
    }

    fn calls(&mut self, calling: Calling<'a>) {
        if let Some(function) = self.function() {
            function.calls.push(calling);
        }
    }

    /// The file's own function that an expression names.
    fn own(&self, expr: &AstExpr) -> Option<usize> {
        match self.facts.bound(self.facts.variable(expr.span)?)? {
            Bound::Def(def) => self.found.of(def),
            Bound::Expr(_) | Bound::Unknown => None,
        }
    }

    fn change(&mut self, object: &'a AstExpr, method: Option<&'a str>, span: Span) {
        if let Some(variable) = base(object).and_then(|base| self.facts.variable(base.span)) {
            self.function().into_iter().for_each(|function| function.changes.push(Change { variable, method, span }));
        }
    }
}

/// Parts of a value that reaches a request reach it too.
fn kept(used: Use) -> Use {
    match used {
        Use::Spent => Use::Spent,
        Use::Kept | Use::Middleware | Use::Returned => Use::Kept,
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
