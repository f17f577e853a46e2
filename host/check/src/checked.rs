//! A report as plain data: what a process that checks a script under limits hands to the one that asked.
//!
//! A [`crate::Report`] points into syntax trees. This has lines and columns, and the texts that commands show.

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Severity};
use crate::program::beginning;
use crate::report::Report;

/// Everything that a command shows of a check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// The report for a terminal.
    pub text: String,
    /// The report as one line of JSON, with its newline.
    pub json: String,
    /// True if the script was taken apart within the limits; if not, there is nothing but the advice that says so.
    pub parsed: bool,
    /// True if a file does not parse.
    pub broken: bool,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings there are.
    pub warnings: usize,
    /// What was found, for editors.
    pub findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The file, as messages call it.
    pub file: String,
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is, in a word that stays the same.
    pub code: String,
    /// The sentence for whoever wrote the script.
    pub message: String,
    /// Where it begins.
    pub begin: TextPosition,
    /// Where it ends, behind the last character.
    pub end: TextPosition,
}

/// A place in a text as the language server protocol counts: from 0, columns in units of UTF-16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPosition {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl From<&Report> for Checked {
    fn from(report: &Report) -> Self {
        Self {
            text: report.text(),
            json: report.json(),
            parsed: true,
            broken: report.broken,
            errors: report.count(Severity::Error),
            warnings: report.count(Severity::Warning),
            findings: report.diagnostics.iter().map(Finding::from).collect(),
        }
    }
}

/// The outcome for a script that could not even be taken apart within the limits.
#[must_use]
pub fn unfinished(script: &str) -> Checked {
    let text = "the check was not finished: the script needs more time or memory than a check may take";
    let advice = Diagnostic::new(Severity::Advice, "unfinished", text, beginning(script));
    let report = Report { files: vec![script.to_owned()], diagnostics: vec![advice], ..Report::default() };
    Checked { parsed: false, ..Checked::from(&report) }
}

impl From<&Diagnostic> for Finding {
    fn from(found: &Diagnostic) -> Self {
        let span = found.at.resolve_span();
        let position = |line: usize, characters: usize| {
            let text =
                found.at.file.line_span_opt(line).map(|span| found.at.file.source_span(span)).unwrap_or_default();
            let column = text.chars().take(characters).map(char::len_utf16).sum::<usize>();
            TextPosition {
                line: u32::try_from(line).unwrap_or(u32::MAX),
                column: u32::try_from(column).unwrap_or(u32::MAX),
            }
        };
        Self {
            file: found.at.filename().to_owned(),
            severity: found.severity,
            code: found.code.clone(),
            message: found.message.clone(),
            begin: position(span.begin.line, span.begin.column),
            end: position(span.end.line, span.end.column),
        }
    }
}
