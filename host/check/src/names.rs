//! Names and types: starlark's own resolver, linter and type checker over every file.
//!
//! They know the language best. What they say of other implementations than this one is left out, as is what a script
//! of handlers does all the time: taking a request it does not look at.

use std::collections::HashMap;

use starcell_interp::tools;
use starlark::analysis::AstModuleLint as _;
use starlark::codemap::FileSpan;
use starlark::typing::{AstModuleTypecheck as _, Interface};

use crate::diagnostic::{Diagnostic, Severity};
use crate::program::Program;

/// Larger files are not type-checked: its time grows faster than the text, and an editor waits for it.
const TYPED_BYTES: usize = 1 << 20;

/// What is wrong with the names and types of a script.
pub(crate) fn check(program: &Program) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut interfaces: HashMap<&str, Interface> = HashMap::new();
    for file in &program.files {
        found.extend(file.ast.lint(None).into_iter().filter_map(|lint| {
            let severity = severity(&lint.short_name)?;
            Some(Diagnostic::new(severity, &lint.short_name, lint.problem, lint.location))
        }));
        let whole = file.ast.file_span(file.ast.statement().span);
        if whole.file.source().len() > TYPED_BYTES {
            let text = format!("names and types are not checked in a file of more than {TYPED_BYTES} bytes");
            let start = starlark::codemap::Span::new(whole.span.begin(), whole.span.begin());
            found.push(Diagnostic::new(Severity::Advice, "too-large", text, file.ast.file_span(start)));
            continue;
        }
        let loads = file
            .loads
            .iter()
            .map(|(written, path)| (written.clone(), interfaces.get(path.as_str()).cloned().unwrap_or_default()));
        let missing = file.loads.iter().filter(|(_, path)| !interfaces.contains_key(path.as_str()));
        let missing: Vec<&str> = missing.map(|(written, _)| written.as_str()).collect();
        let predeclared = tools::predeclared(program.is_test());
        let (errors, _, interface, _) = file.ast.clone().typecheck(predeclared, &loads.collect());
        found.extend(errors.into_iter().filter_map(|error| {
            let message = tools::message(&error);
            let at = error.span().cloned()?;
            // Its file was not found, or does not parse, and that is told already.
            let excused = missing.iter().any(|path| message.contains(*path));
            (!excused).then(|| told(message, at))
        }));
        interfaces.insert(&file.path, interface);
    }
    found
}

fn told(message: String, at: FileSpan) -> Diagnostic {
    // It can be meant, and it runs.
    if message.starts_with("Values of the types ") && message.ends_with(" are never equal") {
        return Diagnostic::warning("never-equal", message, at);
    }
    let unknown = message.starts_with("Variable") && message.contains("not found");
    Diagnostic::error(if unknown { "unknown-name" } else { "type" }, message, at)
}

/// How bad what the linter finds is here.
fn severity(lint: &str) -> Option<Severity> {
    match lint {
        "duplicate-key" | "using-unassigned" => Some(Severity::Error),
        "ident-as-statement"
        | "misplaced-load"
        | "missing-return"
        | "missing-return-expression"
        | "no-effect"
        | "unreachable"
        | "unused-assign"
        | "unused-load"
        | "using-maybe-undefined" => Some(Severity::Warning),
        "dict-without-star-star" | "redundant-continue" | "redundant-return" => Some(Severity::Advice),
        // Undefined names are the type checker's, as an error of this implementation.
        _ => None,
    }
}
