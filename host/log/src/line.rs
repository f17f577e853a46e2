//! A line of the log, from its time to its end.
//!
//! A line has at most [`MAX_LINE`] bytes as it is written. Its fields come in this order: time, level and message; the
//! fields of the host; the attributes of the script. In text a message that could be read as fields is quoted.

use starcell_text::disturbs;
use tokio::time::Instant;

use crate::attributes;
use crate::field::Field;
use crate::level::{Format, Level, LogStream};
use crate::time;
use crate::value::{MAX_LINE, MAX_VALUE, bounded, push_text};

/// Bytes of a line that are kept for what follows the attributes of a script.
const END: usize = 64;

/// A remark of a script, with its place and its request.
#[derive(Clone, Copy, Debug)]
pub struct Remark<'a> {
    /// Severity; `None` for `print`.
    pub level: Option<Level>,
    /// The message, unescaped and as long as the script made it.
    pub message: &'a str,
    /// Names with one JSON text each.
    pub attributes: &'a [(String, String)],
    /// The file and the line of the call; line 0 for a place that is not known.
    pub at: (&'a str, u32),
    /// The id of the request that the script wrote it for; none during setup.
    pub request: Option<&'a str>,
    /// How the script wants the line to look. The operator's choice comes first.
    pub format: Format,
    /// Where the script wants the line to go; `print` writes to standard output.
    pub stream: LogStream,
}

/// A line that is being written.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut String,
    format: Format,
}

impl<'a> Line<'a> {
    /// Begins a line with its time, its level and its message.
    pub(crate) fn begin(out: &'a mut String, format: Format, now: Instant, level: Level, message: &str) -> Self {
        let json = format == Format::Json;
        out.push_str(if json { "{\"time\":\"" } else { "" });
        time::push(out, now);
        if json {
            out.push_str("\",\"level\":\"");
            out.push_str(level.name());
            out.push_str("\",\"msg\":");
            push_text(out, message);
        } else {
            out.push(' ');
            out.push_str(level.padded());
            push_message(out, message);
        }
        Self { out, format }
    }

    /// Adds a text.
    pub fn text(&mut self, field: Field, value: &str) {
        self.name(field);
        push_text(self.out, value);
    }

    /// Adds a number.
    pub fn number(&mut self, field: Field, value: u64) {
        self.name(field);
        self.out.push_str(itoa::Buffer::new().format(value));
    }

    /// Adds where and for whom a script wrote something, and its attributes.
    pub(crate) fn remark(&mut self, remark: &Remark<'_>) {
        if let Some(request) = remark.request {
            self.text(Field::REQUEST, request);
        }
        let (file, number) = remark.at;
        if number > 0 {
            self.text(Field::AT, &format!("{file}:{number}"));
        }
        if !remark.attributes.is_empty() {
            let room = MAX_LINE.saturating_sub(self.out.len() + END);
            let left_out = attributes::push(self.out, self.format, remark.attributes, room);
            if left_out > 0 {
                self.number(Field::ATTRIBUTES_LEFT_OUT, left_out as u64);
            }
        }
    }

    /// Ends the line.
    pub(crate) fn end(self) {
        self.out.push_str(if self.format == Format::Json { "}\n" } else { "\n" });
    }

    fn name(&mut self, field: Field) {
        let (before, after) = if self.format == Format::Json { (",\"", "\":") } else { (" ", "=") };
        self.out.push_str(before);
        self.out.push_str(field.name());
        self.out.push_str(after);
    }
}

/// Adds a message as it stands in text: as it is unless it could be read as fields or disturbs a reader.
fn push_message(out: &mut String, message: &str) {
    let odd = |c: char| disturbs(c) || matches!(c, '"' | '\\' | '=');
    if message.is_empty() || message.starts_with(' ') || message.ends_with(' ') || message.contains(odd) {
        push_text(out, message);
    } else {
        out.push_str(&bounded(message, MAX_VALUE));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn written(format: Format, message: &str, add: impl FnOnce(&mut Line<'_>)) -> String {
        let mut out = String::new();
        let mut line = Line::begin(&mut out, format, Instant::now(), Level::Error, message);
        add(&mut line);
        line.end();
        out
    }

    fn plain() -> Remark<'static> {
        let (format, stream) = (Format::Text, LogStream::Err);
        Remark { level: None, message: "", attributes: &[], at: ("a.star", 3), request: None, format, stream }
    }

    #[test]
    fn a_line_stays_a_line() {
        let message = "a\r\nforged line\x1b[2J\u{202e}";
        let add = |line: &mut Line<'_>| line.text(Field::PATH, "v\n");
        let text = written(Format::Text, message, add);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text}");
        let json = written(Format::Json, message, add);
        assert_eq!(json.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((value["msg"].as_str(), value["path"].as_str()), (Some(message), Some("v\n")));
    }

    #[test]
    fn a_message_in_text_is_quoted_when_it_could_be_read_as_fields() {
        for (message, expected) in [
            ("order placed", " error order placed\n"),
            ("größer als 日本", " error größer als 日本\n"),
            ("access method=\"GET\" status=200", " error \"access method=\\\"GET\\\" status=200\"\n"),
            ("a level=error b", " error \"a level=error b\"\n"),
            ("", " error \"\"\n"),
            ("a\nb", " error \"a\\nb\"\n"),
        ] {
            let line = written(Format::Text, message, |_| {});
            assert!(line.ends_with(expected), "{line}");
        }
    }

    #[test]
    fn a_line_has_a_bound_and_tells_what_is_missing() {
        let long = "\u{1}".repeat(16_300);
        let json = serde_json::to_string(&long).unwrap();
        let attributes: Vec<_> = (0..64).map(|number| (format!("{long}{number}"), json.clone())).collect();
        let remark =
            Remark { message: &long, attributes: &attributes, at: (&long, 1), request: Some(&long), ..plain() };
        for format in [Format::Json, Format::Text] {
            let line = written(format, &long, |line| line.remark(&remark));
            assert!(line.len() <= MAX_LINE, "{} bytes", line.len());
            assert!(line.contains("bytes more") && line.contains("attributes_left_out"), "{line}");
        }
    }

    #[test]
    fn attributes_of_a_script_stand_below_one_key() {
        let attributes = [("level".to_owned(), "\"info\"".to_owned()), ("k".to_owned(), "[1,2.5,null]".to_owned())];
        let remark = Remark { attributes: &attributes, ..plain() };
        let line = written(Format::Json, "m", |line| line.remark(&remark));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((value["level"].as_str(), value["at"].as_str()), (Some("error"), Some("a.star:3")));
        assert_eq!(value["attrs"].to_string(), r#"{"k":[1,2.5,null],"level":"info"}"#);
        let line = written(Format::Text, "m", |line| line.remark(&remark));
        assert!(line.ends_with(" error m at=\"a.star:3\" attrs.level=\"info\" k=[1,2.5,null]\n"), "{line}");
    }
}
