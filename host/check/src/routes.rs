//! Routes, judged by the router that serves them: patterns that are refused, that conflict, and that nothing can reach.
//!
//! Only constant patterns are looked at, and only where they meet on one server in one run of the script: two branches
//! of an `if` may register what they like.

use std::collections::HashMap;

use starcell_http::router::{Found, PatternError, Routes};
use starlark::codemap::Span;
use starlark::syntax::AstModule;
use starlark::syntax::ast::{Argument, AstArgument, AstExpr, AstLiteral, AstParameter, Expr, Parameter};

use crate::calls::maker;
use crate::diagnostic::{Diagnostic, Severity};
use crate::facts::{Bound, CallSite, Callee, Conditions, Facts, Relation, Variable};

/// Routes of one server; the host takes no more.
const MAX_ROUTES: usize = 1000;

/// How deep a request may go below a pattern that stands for everything below it, each with one segment more: nothing
/// else of the script may answer them all.
const DEPTHS: std::ops::Range<usize> = 0..12;

/// What is wrong with the routes of a file.
pub(crate) fn check<'a>(ast: &'a AstModule, facts: &Facts<'a>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut tables: Vec<Table<'a>> = Vec::new();
    let mut servers: HashMap<Variable<'a>, usize> = HashMap::new();
    for call in &facts.calls {
        match call.callee {
            Callee::Member("http", "serve" | "try_serve") => {
                let mut table = Table::default();
                for (pattern, handler) in pairs(call) {
                    table.add(pattern, handler, call, ast, facts, &mut found);
                }
                table.reach(ast, &mut found);
            }
            Callee::Method(Some(server), "handle" | "try_handle")
                if maker(facts, server) == Some(("http", "server")) =>
            {
                let Some(pattern) = argument(call.args, 0, "pattern") else { continue };
                let handler = argument(call.args, 1, "handler");
                let at = *servers.entry(server).or_insert_with(|| {
                    tables.push(Table::default());
                    tables.len() - 1
                });
                if let Some(table) = tables.get_mut(at) {
                    table.add(pattern, handler, call, ast, facts, &mut found);
                }
            }
            _ => {}
        }
    }
    for table in &tables {
        table.reach(ast, &mut found);
    }
    found
}

/// The routes of one server, as far as the script says them.
#[derive(Default)]
struct Table<'a> {
    routes: Vec<Route<'a>>,
    full: bool,
}

struct Route<'a> {
    pattern: &'a str,
    at: Span,
    place: Conditions,
}

impl<'a> Table<'a> {
    fn add(
        &mut self,
        pattern: &'a AstExpr,
        handler: Option<&'a AstExpr>,
        call: &CallSite<'a>,
        ast: &AstModule,
        facts: &Facts<'a>,
        found: &mut Vec<Diagnostic>,
    ) {
        found.extend(handler.and_then(|handler| handler_takes_one(handler, ast, facts)));
        let Expr::Literal(AstLiteral::String(text)) = &pattern.node else { return };
        if self.routes.len() >= MAX_ROUTES {
            if !std::mem::replace(&mut self.full, true) {
                let message = format!("a server has at most {MAX_ROUTES} routes");
                found.push(Diagnostic::error("too-many-routes", message, ast.file_span(pattern.span)));
            }
            return;
        }
        if let Err(error) = Routes::new().add(&text.node) {
            found.push(Diagnostic::error("bad-route", error.to_string(), ast.file_span(pattern.span)));
            return;
        }
        let route = Route { pattern: &text.node, at: pattern.span, place: call.place.clone() };
        found.extend(self.conflict(&route, ast));
        found.extend(lower_case(&route, ast));
        self.routes.push(route);
    }

    /// The first route that may be registered in the same run and conflicts.
    fn conflict(&self, new: &Route<'_>, ast: &AstModule) -> Option<Diagnostic> {
        let (old, error, relation) = self.routes.iter().find_map(|old| {
            let relation = old.place.relation(&new.place);
            if relation == Relation::Exclusive {
                return None;
            }
            let mut both = Routes::new();
            both.add(old.pattern).ok()?;
            Some((old, both.add(new.pattern).err()?, relation))
        })?;
        let severity = if relation == Relation::Same { Severity::Error } else { Severity::Warning };
        let why = match error {
            PatternError::Conflict { why, .. } => why,
            PatternError::Invalid { reason, .. } => reason,
        };
        let line = ast.file_span(old.at).resolve_span().begin.line + 1;
        let text = format!("route pattern {:?} conflicts with {:?} in line {line}: {why}", new.pattern, old.pattern);
        Some(Diagnostic::new(severity, "route-conflict", text, ast.file_span(new.at)))
    }

    /// Routes that no request finds.
    fn reach(&self, ast: &AstModule, found: &mut Vec<Diagnostic>) {
        let mut routes = Routes::new();
        let indices: Vec<Option<usize>> = self.routes.iter().map(|route| routes.add(route.pattern).ok()).collect();
        for (route, index) in self.routes.iter().zip(indices) {
            let Some(index) = index else { continue };
            let mut why = None;
            for depth in DEPTHS {
                let (method, host, path) = example(route.pattern, depth);
                why = match routes.find(&method, &host, &path, None) {
                    Found::Route { index: other, .. } if other == index => None,
                    Found::Route { index: other, .. } => {
                        Some(format!("{:?} answers in its place", routes.pattern(other).unwrap_or_default()))
                    }
                    Found::Redirect { location } => Some(format!("requests for it are redirected to {location}")),
                    Found::NotFound | Found::MethodNotAllowed { .. } => {
                        Some("no request has such a path or host once it is brought to its clean form".to_owned())
                    }
                };
                if why.is_none() {
                    break;
                }
            }
            let Some(why) = why else { continue };
            let text = format!("route pattern {:?} is never reached: {why}", route.pattern);
            found.push(Diagnostic::warning("unreachable-route", text, ast.file_span(route.at)));
        }
    }
}

/// A request that a pattern should answer: method, host, path.
fn example(pattern: &str, depth: usize) -> (String, String, String) {
    let (method, rest) = match pattern.split_once([' ', '\t']) {
        Some((method, rest)) => (method, rest.trim_start_matches([' ', '\t'])),
        // Not one that another pattern names.
        None => ("STARCELL", pattern),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = if host.is_empty() { "starcell.invalid" } else { host };
    let below = if depth == 0 { "/".to_owned() } else { "/~".repeat(depth) };
    let mut request = String::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match *segment {
            "{$}" => request.push('/'),
            "" if last => request.push_str(&below),
            rest if rest.ends_with("...}") => request.push_str(&below),
            wildcard if wildcard.starts_with('{') => request.push_str("/~"),
            literal => {
                request.push('/');
                request.push_str(literal);
            }
        }
    }
    (method.to_owned(), host.to_owned(), request)
}

/// A method that no client sends.
fn lower_case(route: &Route<'_>, ast: &AstModule) -> Option<Diagnostic> {
    let (method, _) = route.pattern.split_once([' ', '\t'])?;
    let upper = method.to_ascii_uppercase();
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    if method == upper || !known.contains(&upper.as_str()) {
        return None;
    }
    let text = format!("methods are compared as they are written: {method:?} is not {upper:?}, which clients send");
    Some(Diagnostic::warning("route-method", text, ast.file_span(route.at)))
}

/// The patterns and handlers of `http.serve`.
fn pairs<'a>(call: &CallSite<'a>) -> Vec<(&'a AstExpr, Option<&'a AstExpr>)> {
    match argument(call.args, 0, "routes").map(|routes| &routes.node) {
        Some(Expr::Dict(pairs)) => pairs.iter().map(|(pattern, handler)| (pattern, Some(handler))).collect(),
        _ => Vec::new(),
    }
}

/// An argument by its place or its name.
fn argument<'a>(args: &'a [AstArgument], at: usize, name: &str) -> Option<&'a AstExpr> {
    let mut positional = args.iter().filter_map(|arg| match &arg.node {
        Argument::Positional(value) => Some(value),
        _ => None,
    });
    positional.nth(at).or_else(|| {
        args.iter().find_map(|arg| match &arg.node {
            Argument::Named(given, value) if given.node == name => Some(value),
            _ => None,
        })
    })
}

/// What is wrong with a handler that the file itself defines.
fn handler_takes_one(handler: &AstExpr, ast: &AstModule, facts: &Facts<'_>) -> Option<Diagnostic> {
    let (name, params) = match &handler.node {
        Expr::Lambda(lambda) => ("the lambda", &lambda.params),
        Expr::Identifier(_) => match facts.bound(facts.variable(handler.span)?)? {
            Bound::Def(def) => (def.name.node.ident.as_str(), &def.params),
            Bound::Expr(_) | Bound::Unknown => return None,
        },
        Expr::Literal(_) | Expr::List(_) | Expr::Dict(_) => {
            let text = "a handler is a function of the request, this cannot be called";
            return Some(Diagnostic::error("handler", text, ast.file_span(handler.span)));
        }
        _ => return None,
    };
    if takes_one(params) {
        return None;
    }
    let text = format!("a handler takes one argument, the request; {name} does not");
    Some(Diagnostic::error("handler", text, ast.file_span(handler.span)))
}

/// Returns whether a function can be called with one positional argument and nothing else.
fn takes_one(params: &[AstParameter]) -> bool {
    let (mut required, mut positional, mut any, mut named_only) = (0, 0, false, false);
    for param in params {
        match &param.node {
            Parameter::Normal(_, _, default) if named_only => {
                if default.is_none() {
                    return false;
                }
            }
            Parameter::Normal(_, _, default) => {
                positional += 1;
                required += usize::from(default.is_none());
            }
            Parameter::Args(..) => (any, named_only) = (true, true),
            Parameter::NoArgs => named_only = true,
            Parameter::KwArgs(..) | Parameter::Slash => {}
        }
    }
    required <= 1 && (positional >= 1 || any)
}
