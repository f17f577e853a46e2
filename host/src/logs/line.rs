//! A line of the log, from its time to its end.

use starcell_runtime::{Level, LogRecord, Position};
use starcell_text::{escape_json, is_plain, push_json, push_one_line};
use tokio::time::Instant;

use super::escape::{MAX_VALUE, bounded, quoted};
use super::time;
use crate::cli::LogFormat;

/// Attributes of one line; the rest are counted.
const MAX_ATTRIBUTES: usize = 64;

/// A name that stands in this program, as it precedes its value in either format, and with the quote of a text. Made by
/// `name!`.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    #[doc(hidden)]
    pub bare: Piece,
    #[doc(hidden)]
    pub quote: Piece,
}

/// A piece of a line that is the same in all of them, in either format.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub json: &'static str,
    pub text: &'static str,
}

/// The [`Name`] of a literal that has nothing in it to be escaped.
macro_rules! name {
    ($name:literal) => {
        $crate::logs::Name {
            bare: $crate::logs::Piece { json: concat!(",\"", $name, "\":"), text: concat!(" ", $name, "=") },
            quote: $crate::logs::Piece { json: concat!(",\"", $name, "\":\""), text: concat!(" ", $name, "=\"") },
        }
    };
}
pub(crate) use name;

/// What stands between the time of a line and its message, for a level.
macro_rules! lead {
    ($level:literal, $padded:literal) => {
        Piece { json: concat!("\",\"level\":\"", $level, "\",\"msg\":"), text: concat!(" ", $padded) }
    };
}

/// The same, with the message of all lines about requests.
pub(super) const ACCESS: Piece = Piece { json: "\",\"level\":\"info\",\"msg\":\"access\"", text: " info  access" };

/// What a line about a request says, in either format.
pub trait Attributes {
    /// Adds them.
    fn write<const JSON: bool>(&self, line: &mut Writing<'_, JSON>);
}

/// A line as it is written, as JSON or as text: code for each, so that what is the same in all lines is known to it.
#[derive(Debug)]
pub struct Writing<'a, const JSON: bool> {
    out: &'a mut String,
}

impl<'a, const JSON: bool> Writing<'a, JSON> {
    fn begin(out: &'a mut String, now: Instant, level: Level, message: &str) -> Self {
        let lead = match level {
            Level::Debug => lead!("debug", "debug "),
            Level::Info => lead!("info", "info  "),
            Level::Warn => lead!("warn", "warn  "),
            Level::Error => lead!("error", "error "),
        };
        let writing = Self::lead(out, now, lead);
        if JSON {
            push_json(writing.out, message);
        } else {
            push_one_line(writing.out, message);
        }
        writing
    }

    /// Begins with the time and what follows it.
    pub(super) fn lead(out: &'a mut String, now: Instant, lead: Piece) -> Self {
        let mut writing = Self { out };
        writing.piece(Piece { json: "{\"time\":\"", text: "" });
        time::push(writing.out, now);
        writing.piece(lead);
        writing
    }

    /// Adds a text.
    pub fn text(&mut self, name: Name, value: &str) {
        if value.len() <= MAX_VALUE && is_plain(value) {
            self.plain(name, value);
        } else {
            self.piece(name.bare);
            self.out.push_str(&quoted(&bounded(value)));
        }
    }

    /// Adds a text that has nothing in it to be escaped, wherever it comes from.
    #[inline(always)]
    pub fn plain(&mut self, name: Name, value: &str) {
        debug_assert!(is_plain(value), "{value:?}");
        self.piece(name.quote);
        self.out.push_str(value);
        self.out.push('"');
    }

    /// Adds a number that is there as text.
    #[inline(always)]
    pub fn digits(&mut self, name: Name, digits: &str) {
        self.piece(name.bare);
        self.out.push_str(digits);
    }

    /// Adds a number.
    #[inline(always)]
    pub fn number(&mut self, name: Name, value: u64) {
        self.digits(name, itoa::Buffer::new().format(value));
    }

    /// Adds what is the same in all lines: a copy of known length, for which nothing is called.
    #[inline(always)]
    fn piece(&mut self, piece: Piece) {
        self.out.push_str(if JSON { piece.json } else { piece.text });
    }

    fn json(&mut self, name: &str, json: &str) {
        if JSON {
            self.out.push(',');
            push_json(self.out, name);
            self.out.push(':');
        } else {
            self.out.push(' ');
            push_one_line(self.out, name);
            self.out.push('=');
        }
        self.out.push_str(json);
    }

    pub(super) fn end(mut self) {
        self.piece(Piece { json: "}\n", text: "\n" });
    }
}

/// One log line in the making.
#[derive(Debug)]
pub struct Line {
    level: Level,
    message: String,
    /// Names and JSON texts.
    attributes: Vec<(String, String)>,
}

impl Line {
    /// A line of a level.
    #[must_use]
    pub fn new(level: Level, message: &str) -> Self {
        Self { level, message: bounded(message), attributes: Vec::new() }
    }

    /// The normal course of events.
    #[must_use]
    pub fn info(message: &str) -> Self {
        Self::new(Level::Info, message)
    }

    /// Something to look at.
    #[must_use]
    pub fn warn(message: &str) -> Self {
        Self::new(Level::Warn, message)
    }

    /// Something failed.
    #[must_use]
    pub fn error(message: &str) -> Self {
        Self::new(Level::Error, message)
    }

    /// Adds a text.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.attributes.push((name.to_owned(), quoted(&bounded(value))));
        self
    }

    /// Adds a JSON text; one that is too long becomes a text that says so.
    #[must_use]
    fn with_json(mut self, name: &str, json: &str) -> Self {
        let value = if json.len() > MAX_VALUE { quoted(&bounded(json)) } else { escape_json(json) };
        self.attributes.push((bounded(name), value));
        self
    }

    /// Adds where a script said something, and its attributes.
    pub(super) fn of(mut self, record: &LogRecord<'_>) -> Self {
        let Position { file, line: number, .. } = record.at;
        if *number > 0 {
            self = self.with("at", &format!("{file}:{number}"));
        }
        for (name, json) in record.attributes.iter().take(MAX_ATTRIBUTES) {
            self = self.with_json(name, json);
        }
        if let Some(more @ 1..) = record.attributes.len().checked_sub(MAX_ATTRIBUTES) {
            self = self.with("attributes_left_out", &more.to_string());
        }
        self
    }

    pub(super) fn render(&self, format: LogFormat, now: Instant) -> String {
        match format {
            LogFormat::Json => self.render_as::<true>(now),
            LogFormat::Text => self.render_as::<false>(now),
        }
    }

    fn render_as<const JSON: bool>(&self, now: Instant) -> String {
        let mut text = String::with_capacity(128 + self.message.len());
        let mut writing = Writing::<JSON>::begin(&mut text, now, self.level, &self.message);
        self.attributes.iter().for_each(|(name, json)| writing.json(name, json));
        writing.end();
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn render(line: &Line, format: LogFormat) -> String {
        line.render(format, Instant::now())
    }

    #[test]
    fn a_line_stays_a_line() {
        let line = Line::error("a\r\nforged line\x1b[2J\u{202e}").with("k\n", "v\n").with_json("j", "{\"x\":1}");
        let text = render(&line, LogFormat::Text);
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text}");
        let json = render(&line, LogFormat::Json);
        assert_eq!(json.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["msg"], "a\r\nforged line\x1b[2J\u{202e}");
        assert_eq!(value["k\n"], "v\n");
        assert_eq!(value["j"]["x"], 1);
    }

    #[test]
    fn long_values_are_cut_with_a_note() {
        let json = render(&Line::warn(&"é".repeat(MAX_VALUE)), LogFormat::Json);
        assert!(json.len() < MAX_VALUE + 200, "{}", json.len());
        assert!(json.contains("bytes more"));
        let json =
            render(&Line::warn("m").with_json("big", &format!("\"{}\"", "x".repeat(MAX_VALUE))), LogFormat::Json);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "a cut value is still JSON");
    }
}
