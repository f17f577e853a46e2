//! What starlark's language server asks: texts, trees, diagnostics, and where a `load()` leads.

use std::path::{Path, PathBuf};

use lsp_types::{Diagnostic, DiagnosticSeverity, NumberOrString, Position, Range};
use starcell_check::{Severity, ScriptFiles as _, builtins, check};
use starcell_interp::tools;
use starlark::docs::DocModule;
use starlark_lsp::server::{LspContext, LspEvalResult, LspUri, StringLiteralResult};

use super::documents::to_utf16;
use super::stubs;
use crate::folder::Folder;

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
        let ast = tools::parse(&name, content.as_bytes()).ok();
        let report = check(&Folder(root(path)), &name, content.as_bytes());
        // What is wrong in a file that it loads is told where that one is open.
        let own = report.diagnostics.iter().filter(|found| found.at.filename() == name);
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

fn diagnostic(found: &starcell_check::Diagnostic) -> Diagnostic {
    let span = found.at.resolve_span();
    let position = |line: usize, column: usize| {
        let text = found.at.file.line_span_opt(line).map(|span| found.at.file.source_span(span)).unwrap_or_default();
        Position { line: u32::try_from(line).unwrap_or(u32::MAX), character: to_utf16(text, column) }
    };
    Diagnostic {
        range: Range {
            start: position(span.begin.line, span.begin.column),
            end: position(span.end.line, span.end.column),
        },
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
