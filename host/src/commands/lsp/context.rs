//! The context of starlark's language server: texts, trees, diagnostics, and the files that a `load()` names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lsp_types::{Diagnostic, DiagnosticSeverity, NumberOrString, Position, Range};
use starcell_check::{Finding, ScriptFiles as _, Severity, TextPosition, builtins};
use starcell_interp::tools;
use starlark::docs::DocModule;
use starlark_lsp::server::{LspContext, LspEvalResult, LspUri, StringLiteralResult};

use super::stubs;
use crate::folder::Folder;
use crate::worker;

/// Processor time for the check of one document. The server answers one message after the other, and an editor waits.
const CPU: Duration = Duration::from_secs(2);

/// How many folders above a file its script is looked for.
const MAX_ABOVE: usize = 8;

/// Our files, modules and checks.
#[derive(Debug, Default)]
pub(super) struct Context {}

impl LspContext for Context {
    fn parse_file_with_contents(&self, uri: &LspUri, content: String) -> LspEvalResult {
        let LspUri::File(path) = uri else {
            return LspEvalResult { diagnostics: Vec::new(), ast: tools::parse("builtin", content.as_bytes()).ok() };
        };
        let name = path.display().to_string();
        let outcome = match worker::check(&root(path), &name, content.as_bytes(), CPU) {
            Ok(outcome) => outcome,
            Err(error) => return LspEvalResult { diagnostics: vec![failed(&error)], ast: None },
        };
        // Parsed here only when the worker has shown that it takes neither long nor much.
        let ast = outcome.parsed.then(|| tools::parse(&name, content.as_bytes()).ok()).flatten();
        // What is wrong in a file that it loads is told where that one is open.
        let own = outcome.findings.iter().filter(|found| found.file == name);
        LspEvalResult { diagnostics: own.map(diagnostic).collect(), ast }
    }

    fn resolve_load(&self, path: &str, current: &LspUri, _workspace: Option<&Path>) -> Result<LspUri, String> {
        let LspUri::File(file) = current else { return Err(format!("{current} loads nothing")) };
        Ok(LspUri::File(root(file).join(tools::load_path(path)?)))
    }

    fn render_as_load(&self, target: &LspUri, current: &LspUri, _workspace: Option<&Path>) -> Result<String, String> {
        let (LspUri::File(target), LspUri::File(current)) = (target, current) else {
            return Err("only files are loaded".to_owned());
        };
        let path = target.strip_prefix(root(current)).map_err(|_| "it is not in the script's folder".to_owned())?;
        Ok(path.display().to_string())
    }

    fn resolve_string_literal(
        &self,
        _literal: &str,
        _current: &LspUri,
        _workspace: Option<&Path>,
    ) -> Result<Option<StringLiteralResult>, String> {
        Ok(None)
    }

    fn get_load_contents(&self, uri: &LspUri) -> Result<Option<String>, String> {
        match uri {
            LspUri::File(path) => {
                let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
                else {
                    return Ok(None);
                };
                let bytes = Folder(folder.to_owned()).read(name)?;
                Ok(String::from_utf8(bytes).ok())
            }
            LspUri::Starlark(path) => Ok(path.to_str().and_then(stubs::at).map(|stub| stub.text)),
            LspUri::Other(_) => Ok(None),
        }
    }

    fn get_environment(&self, _uri: &LspUri) -> DocModule {
        builtins().documentation.clone()
    }

    fn get_uri_for_global_symbol(&self, _current: &LspUri, symbol: &str) -> Result<Option<LspUri>, String> {
        Ok(stubs::of(symbol).map(|path| LspUri::Starlark(PathBuf::from(path))))
    }
}

/// The folder that the loads of a file are relative to: that of the script it belongs to.
///
/// A file does not say which script loads it. The nearest folder with a `main.star` is where one starts; without any, the
/// file is taken for a script itself.
#[expect(clippy::disallowed_methods, reason = "looks for the script that an opened file belongs to")]
fn root(file: &Path) -> PathBuf {
    let above = file.ancestors().skip(1).take(MAX_ABOVE);
    let own = file.parent().unwrap_or(file);
    above.into_iter().find(|folder| folder.join("main.star").is_file()).unwrap_or(own).to_owned()
}

/// The check itself failed: told at the beginning of the document.
fn failed(error: &std::io::Error) -> Diagnostic {
    let severity = Some(DiagnosticSeverity::ERROR);
    Diagnostic { severity, message: format!("cannot check the script: {error}"), ..Diagnostic::default() }
}

fn diagnostic(found: &Finding) -> Diagnostic {
    let position = |at: TextPosition| Position { line: at.line, character: at.column };
    Diagnostic {
        range: Range { start: position(found.begin), end: position(found.end) },
        severity: Some(match found.severity {
            Severity::Error => DiagnosticSeverity::ERROR,
            Severity::Warning => DiagnosticSeverity::WARNING,
            Severity::Advice => DiagnosticSeverity::HINT,
        }),
        code: Some(NumberOrString::String(found.code.clone())),
        source: Some("starcell".to_owned()),
        message: found.message.clone(),
        ..Diagnostic::default()
    }
}
