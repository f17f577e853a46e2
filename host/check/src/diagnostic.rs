//! One thing that was found, and how it is shown.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use serde::ser::SerializeStruct as _;
use starcell_interp::as_written;
use starlark::codemap::FileSpan;

/// Longest part of a line that is shown. A line of a script can have megabytes.
const SHOWN_BYTES: usize = 160;

/// Longest message. A message can quote what the script says, which has no bound.
const MESSAGE_BYTES: usize = 2000;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The script cannot work as it is written.
    Error,
    /// The script can work, and probably not as it was meant.
    Warning,
    /// It could be said better.
    Advice,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Advice => "advice",
        })
    }
}

/// One thing that was found in a file.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is, in a word that stays the same: `unknown-name`.
    pub code: String,
    /// The sentence for whoever wrote the script.
    pub message: String,
    /// Where it is.
    pub at: FileSpan,
}

impl Diagnostic {
    /// Something at a place.
    pub fn new(severity: Severity, code: &str, message: impl Into<String>, at: FileSpan) -> Self {
        let mut message = as_written(&message.into()).into_owned();
        if message.len() > MESSAGE_BYTES {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
            message.push_str("...");
        }
        Self { severity, code: code.to_owned(), message, at }
    }

    /// An error at a place.
    pub fn error(code: &str, message: impl Into<String>, at: FileSpan) -> Self {
        Self::new(Severity::Error, code, message, at)
    }

    /// A warning at a place.
    pub fn warning(code: &str, message: impl Into<String>, at: FileSpan) -> Self {
        Self::new(Severity::Warning, code, message, at)
    }

    /// The text for a terminal: what it is, where, and the line with carets.
    #[must_use]
    pub fn text(&self) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Advice => Level::HELP.with_name("advice"),
        };
        let (line, number, range) = self.shown();
        let annotation = AnnotationKind::Primary.span(range);
        let snippet =
            Snippet::source(as_written(line)).line_start(number).path(self.at.filename()).annotation(annotation);
        let group = level.primary_title(self.message.as_str()).id(self.code.as_str()).element(snippet);
        Renderer::plain().render(&[group])
    }

    /// The line it begins in, or a part of it; its number; and the range to point at.
    fn shown(&self) -> (&str, usize, Range<usize>) {
        let (file, span) = (&self.at.file, self.at.span);
        let number = file.find_line(span.begin());
        let line_span = file.line_span_trim_newline(number);
        let line = file.source_span(line_span);
        let offset = |at: u32| at.saturating_sub(line_span.begin().get()) as usize;
        let begin = line.floor_char_boundary(offset(span.begin().get()).min(line.len()));
        let end = line.ceil_char_boundary(offset(span.end().get()).clamp(begin, line.len()));
        let from = line.floor_char_boundary(match line.len() > SHOWN_BYTES {
            true => begin.saturating_sub(SHOWN_BYTES / 4),
            false => 0,
        });
        let to = line.ceil_char_boundary((from + SHOWN_BYTES).min(line.len()));
        let shown = line.get(from..to).unwrap_or_default();
        (shown, number + 1, begin - from..end.min(to) - from)
    }

    /// The order in which they are told: by file, then by place.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        let key = |d: &Self| (d.at.span.begin(), d.severity, d.at.span.end());
        self.at.filename().cmp(other.at.filename()).then_with(|| key(self).cmp(&key(other)))
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span = self.at.resolve_span();
        let mut fields = serializer.serialize_struct("Diagnostic", 7)?;
        fields.serialize_field("file", self.at.filename())?;
        fields.serialize_field("line", &(span.begin.line + 1))?;
        fields.serialize_field("column", &(span.begin.column + 1))?;
        fields.serialize_field("end", &End { line: span.end.line + 1, column: span.end.column + 1 })?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("code", &self.code)?;
        fields.serialize_field("message", &self.message)?;
        fields.end()
    }
}

/// The end of something: line and column from 1, the column behind its last character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use starlark::codemap::{CodeMap, Pos, Span};

    use super::*;

    fn at(source: &str, begin: u32, end: u32) -> FileSpan {
        CodeMap::new("a.star".to_owned(), source.to_owned()).file_span(Span::new(Pos::new(begin), Pos::new(end)))
    }

    #[test]
    fn the_text_points_at_the_place() {
        let found = Diagnostic::error("unknown-name", "no such name", at("x = 1\ny = é + nope\n", 15, 19));
        assert_eq!(
            found.text(),
            "error[unknown-name]: no such name\n --> a.star:2:9\n  |\n2 | y = é + nope\n  |         ^^^^"
        );
    }

    #[test]
    fn json_has_the_place_from_one_and_its_end() {
        let found = Diagnostic::warning("unused-load", "unused", at("x = 1\ny = é + nope\n", 15, 19));
        let json = serde_json::to_value(&found).unwrap();
        let expected = serde_json::json!({
            "file": "a.star", "line": 2, "column": 9, "end": {"line": 2, "column": 13},
            "severity": "warning", "code": "unused-load", "message": "unused",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_line_of_megabytes_is_shown_in_part() {
        let source = format!("{}here{}", "é".repeat(1 << 20), "x".repeat(1 << 20));
        let found = Diagnostic::error("syntax", "wrong", at(&source, 2 << 20, (2 << 20) + 4)).text();
        assert!(found.contains("here") && found.contains("^^^^") && found.len() < 2000, "{found}");
        let everything = Diagnostic::error("syntax", "wrong", at(&source, 0, 3 << 20)).text();
        assert!(everything.len() < 2000);
    }

    #[test]
    fn places_at_the_end_and_without_extent_are_shown() {
        for (source, begin, end) in [("", 0, 0), ("x", 1, 1), ("x\n", 2, 2), ("a\nb\nc", 0, 5), ("x = [\n", 4, 6)] {
            assert!(Diagnostic::error("syntax", "wrong", at(source, begin, end)).text().contains("a.star:"));
        }
    }
}
