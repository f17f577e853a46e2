//! Calls of builtins against what those take: a wrong number of arguments, names and members that do not exist.

use starcell_interp::tools;
use starcell_policy::nearest;
use starlark::codemap::Span;
use starlark::docs::{DocMember, DocParam, DocParams};
use starlark::syntax::AstModule;
use starlark::syntax::ast::{Argument, AstArgument};

use crate::builtins::{Builtins, builtins};
use crate::diagnostic::Diagnostic;
use crate::facts::{Bound, CallSite, Callee, Facts, Variable};

/// What is wrong with the calls and the members in a file.
pub(crate) fn check(ast: &AstModule, facts: &Facts<'_>) -> Vec<Diagnostic> {
    let mut check = Check { ast, facts, builtins: builtins(), found: Vec::new() };
    check.members();
    for call in &facts.calls {
        check.call(call);
    }
    check.found
}

/// The function of a module that made the value of a variable, where that is certain: `("http", "server")`.
pub(crate) fn maker<'a>(facts: &Facts<'a>, variable: Variable<'a>) -> Option<(&'a str, &'a str)> {
    let Some(Bound::Expr(value)) = facts.bound(variable) else { return None };
    match facts.call(value)?.callee {
        Callee::Member(module, function) => Some((module, function)),
        Callee::Predeclared(_) | Callee::Method(..) => None,
    }
}

struct Check<'c> {
    ast: &'c AstModule,
    facts: &'c Facts<'c>,
    builtins: &'static Builtins,
    found: Vec<Diagnostic>,
}

impl Check<'_> {
    /// Members of modules that those do not have.
    fn members(&mut self) {
        for mention in &self.facts.mentions {
            let (Some(module), Some(member)) = (self.builtins.module(mention.module), mention.member) else { continue };
            if module.members.contains_key(member) {
                continue;
            }
            if let Some(here) = tools::called_here(mention.module, member) {
                let text = format!("the module {} has no {member}; {here}", mention.module);
                self.error("unknown-name", text, mention.span);
            } else {
                let names = module.members.keys().map(String::as_str);
                self.unknown(&format!("the module {}", mention.module), member, names, mention.span);
            }
        }
    }

    fn call(&mut self, call: &CallSite<'_>) {
        match call.callee {
            Callee::Predeclared(name) => {
                if let Some(function) = self.builtins.function("", name) {
                    self.arguments(name, &function.params, call);
                }
            }
            Callee::Member(module, name) => {
                if let Some(function) = self.builtins.function(module, name) {
                    self.arguments(&format!("{module}.{name}"), &function.params, call);
                }
            }
            Callee::Method(Some(variable), name) => self.method(variable, name, call),
            Callee::Method(None, _) => {}
        }
    }

    fn method(&mut self, variable: Variable<'_>, name: &str, call: &CallSite<'_>) {
        let Some((module, maker)) = maker(self.facts, variable) else { return };
        let Some((typ, methods)) = self.builtins.returned(module, maker) else { return };
        match methods.members.get(name) {
            Some(DocMember::Function(function)) => {
                self.arguments(&format!("{}.{name}", variable.name), &function.params, call);
            }
            Some(DocMember::Property(_)) => {}
            None => {
                let names = methods.members.keys().map(String::as_str);
                self.unknown(&format!("{} (an {typ})", variable.name), name, names, call.name);
            }
        }
    }

    fn unknown<'n>(&mut self, of: &str, name: &str, names: impl Iterator<Item = &'n str>, span: Span) {
        let hint = nearest(name, names).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        self.error("unknown-name", format!("{of} has no {name}{hint}"), span);
    }

    fn arguments(&mut self, name: &str, params: &DocParams, call: &CallSite<'_>) {
        let given = Given::of(call.args);
        let by_position: Vec<&DocParam> = params.pos_only.iter().chain(&params.pos_or_named).collect();
        if let (Some(extra), None) = (given.positional.get(by_position.len()), &params.args) {
            let most = match by_position.len() {
                0 => "no positional arguments".to_owned(),
                1 => "at most 1 positional argument".to_owned(),
                most => format!("at most {most} positional arguments"),
            };
            let text = format!("{name} takes {most}, {} given", given.positional.len());
            self.error("too-many-arguments", text, *extra);
        }
        for (argument, span) in &given.named {
            self.named(name, params, &given, argument, *span);
        }
        if given.spreads_named {
            return;
        }
        let missing = by_position.iter().enumerate().filter(|(at, _)| *at >= given.positional.len() && !given.spreads);
        let missing = missing.map(|(_, param)| *param).chain(&params.named_only);
        let missing: Vec<&str> = missing
            .filter(|param| param.default_value.is_none() && !given.has(&param.name))
            .map(|param| param.name.as_str())
            .collect();
        if !missing.is_empty() {
            let text = format!("{name}: missing {}; it takes {}", missing.join(", "), listed(params));
            self.error("missing-argument", text, call.span);
        }
    }

    fn named(&mut self, name: &str, params: &DocParams, given: &Given<'_>, argument: &str, span: Span) {
        let at = params.pos_or_named.iter().position(|param| param.name == argument);
        if at.is_some_and(|at| at + params.pos_only.len() < given.positional.len()) {
            self.error("repeated-argument", format!("{name}: {argument} given twice"), span);
        }
        let named_only = params.named_only.iter().any(|param| param.name == argument);
        if at.is_none() && !named_only && params.kwargs.is_none() {
            let names = params.pos_or_named.iter().chain(&params.named_only).map(|param| param.name.as_str());
            let hint = nearest(argument, names).map(|name| format!("; did you mean {name}?"));
            let hint = hint.unwrap_or_else(|| format!("; it takes {}", listed(params)));
            self.error("unknown-argument", format!("{name}: unknown argument {argument}{hint}"), span);
        }
    }

    fn error(&mut self, code: &str, message: String, span: Span) {
        self.found.push(Diagnostic::error(code, message, self.ast.file_span(span)));
    }
}

/// The arguments of a call.
struct Given<'a> {
    positional: Vec<Span>,
    named: Vec<(&'a str, Span)>,
    /// Whether there is a `*args`, which may stand for any number.
    spreads: bool,
    /// Whether there is a `**kwargs`.
    spreads_named: bool,
}

impl<'a> Given<'a> {
    fn of(args: &'a [AstArgument]) -> Self {
        let mut given = Self { positional: Vec::new(), named: Vec::new(), spreads: false, spreads_named: false };
        for arg in args {
            match &arg.node {
                Argument::Positional(value) => given.positional.push(value.span),
                Argument::Named(name, _) => given.named.push((&name.node, arg.span)),
                Argument::Args(_) => given.spreads = true,
                Argument::KwArgs(_) => given.spreads_named = true,
            }
        }
        given
    }

    fn has(&self, name: &str) -> bool {
        self.named.iter().any(|(given, _)| *given == name)
    }
}

/// The parameters of a function, in a sentence.
fn listed(params: &DocParams) -> String {
    let mut names: Vec<String> = params.pos_only.iter().chain(&params.pos_or_named).map(|p| p.name.clone()).collect();
    names.extend(params.args.iter().map(|param| format!("*{}", param.name)));
    names.extend(params.named_only.iter().map(|param| param.name.clone()));
    names.extend(params.kwargs.iter().map(|param| format!("**{}", param.name)));
    match names.is_empty() {
        true => "nothing".to_owned(),
        false => names.join(", "),
    }
}
