//! What scripts and the host have to say: one bounded, escaped line each.
//!
//! A script's words are hostile input to whoever reads the log. Control characters and the Unicode characters that turn
//! text around are escaped, so that a line stays a line and a terminal shows what was written; long ones are cut with a
//! note of how much is missing. One thread writes what has gathered in a bounded buffer: a script that logs faster than
//! the disk waits for it in its own time, and no thread of the async runtime ever does. Lines about requests do not wait,
//! as a log that nobody reads must not stop the servers; those that find no room are counted instead.

mod sink;
mod time;
mod warnings;

use std::cell::RefCell;
use std::fmt::Write as _;

use starcell_runtime::{Level, LogRecord, Position};
use tokio::time::Instant;

pub use self::sink::Writer;

use self::sink::Sink;
use crate::cli::LogFormat;

/// Bytes of one value; the rest is cut.
const MAX_VALUE: usize = 16 << 10;

/// Attributes of one line; the rest are counted.
const MAX_ATTRIBUTES: usize = 64;

thread_local! {
    /// Where a line about a request is put together.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Where lines go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    sink: Sink,
    format: LogFormat,
}

impl Logs {
    /// Starts the thread that writes. Without one, lines are dropped.
    #[must_use]
    pub fn start(format: LogFormat) -> (Self, Writer) {
        let (sink, writer) = Sink::start();
        (Self { sink, format }, writer)
    }

    /// Tells the user something on standard output.
    pub fn announce(&self, text: &str) {
        // Announcements are few; when the buffer is full nobody reads.
        self.sink.out_now(&format!("starcell: {text}\n"));
    }

    /// Writes what a script said.
    pub async fn script(&self, script: &str, record: &LogRecord<'_>) {
        let Some(level) = record.level else {
            return self.sink.out(&printed(record.message)).await;
        };
        let mut line = Line::new(level, record.message).with("script", script);
        if let Some(request) = record.request {
            line = line.with("request", request);
        }
        self.write(line.of(record)).await;
    }

    /// Writes to standard output; waits while there is no room.
    pub async fn tell(&self, text: &str) {
        self.sink.out(text).await;
    }

    /// Writes to standard error; waits while there is no room.
    pub async fn warn(&self, text: &str) {
        self.sink.err(text).await;
    }

    /// Waits until everything so far is written.
    pub async fn settle(&self) {
        self.sink.settle().await;
    }

    /// Writes a line; waits while there is no room.
    pub async fn write(&self, line: Line) {
        self.sink.err(&line.render(self.format, Instant::now())).await;
    }

    /// Writes a line about a request, or counts it where there is no room.
    pub fn access(&self, now: Instant, attributes: impl FnOnce(&mut Writing<'_>)) {
        LINE.with_borrow_mut(|text| {
            text.clear();
            let mut writing = Writing::lead(text, self.format, now, ACCESS);
            attributes(&mut writing);
            writing.end();
            self.put(text);
        });
    }

    /// Takes what the crates of the host warn of into this log, for the rest of the process.
    pub fn take_warnings(&self) {
        warnings::listen(self.clone());
    }

    /// Writes a line from where nobody can wait, or counts it where there is no room.
    fn note(&self, line: &Line) {
        self.put(&line.render(self.format, Instant::now()));
    }

    fn put(&self, text: &str) {
        self.sink.err_now(text, |lost| {
            let message = format!("{lost} lines were lost: the log was not read fast enough");
            Line::warn(&message).render(self.format, Instant::now())
        });
    }
}

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
const ACCESS: Piece = Piece { json: "\",\"level\":\"info\",\"msg\":\"access\"", text: " info  access" };

/// A line as it is written.
#[derive(Debug)]
pub struct Writing<'a> {
    out: &'a mut String,
    format: LogFormat,
}

impl<'a> Writing<'a> {
    fn begin(out: &'a mut String, format: LogFormat, now: Instant, level: Level, message: &str) -> Self {
        let lead = match level {
            Level::Debug => lead!("debug", "debug "),
            Level::Info => lead!("info", "info  "),
            Level::Warn => lead!("warn", "warn  "),
            Level::Error => lead!("error", "error "),
        };
        let writing = Self::lead(out, format, now, lead);
        match format {
            LogFormat::Json => push_quoted(writing.out, message),
            LogFormat::Text => push_line(writing.out, message),
        }
        writing
    }

    /// Begins with the time and what follows it.
    fn lead(out: &'a mut String, format: LogFormat, now: Instant, lead: Piece) -> Self {
        let mut writing = Self { out, format };
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
        match self.format {
            LogFormat::Json => self.out.push_str(piece.json),
            LogFormat::Text => self.out.push_str(piece.text),
        }
    }

    fn json(&mut self, name: &str, json: &str) {
        match self.format {
            LogFormat::Json => {
                self.out.push(',');
                push_quoted(self.out, name);
                self.out.push(':');
            }
            LogFormat::Text => {
                self.out.push(' ');
                push_line(self.out, name);
                self.out.push('=');
            }
        }
        self.out.push_str(json);
    }

    fn end(mut self) {
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
        let value = if json.len() > MAX_VALUE { quoted(&bounded(json)) } else { escaped(json) };
        self.attributes.push((bounded(name), value));
        self
    }

    /// Adds where a script said something, and its attributes.
    fn of(mut self, record: &LogRecord<'_>) -> Self {
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

    fn render(&self, format: LogFormat, now: Instant) -> String {
        let mut text = String::with_capacity(128 + self.message.len());
        let mut writing = Writing::begin(&mut text, format, now, self.level, &self.message);
        self.attributes.iter().for_each(|(name, json)| writing.json(name, json));
        writing.end();
        text
    }
}

/// What a script said, for a reader who knows when and by whom: a line without its time, or what `print` wrote.
#[must_use]
pub fn said(record: &LogRecord<'_>) -> String {
    let Some(level) = record.level else { return printed(record.message) };
    let line = Line::new(level, record.message).of(record).render(LogFormat::Text, Instant::now());
    line.split_once(' ').map_or(line.as_str(), |(_time, rest)| rest).to_owned()
}

/// A text for a terminal: of several lines, with everything escaped that could disturb it.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '\n' | '\t' => out.push(c),
            c => push_visible(&mut out, c),
        }
        out
    })
}

/// What `print` wrote, with a newline at its end.
fn printed(text: &str) -> String {
    shown(&bounded(text)) + "\n"
}

/// At most [`MAX_VALUE`] bytes of a text.
fn bounded(text: &str) -> String {
    if text.len() <= MAX_VALUE {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(MAX_VALUE);
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}... ({} bytes more)", text.len() - end)
}

/// Adds a text as a JSON string; most need nothing escaped.
fn push_quoted(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&quoted(text));
    }
}

/// Whether a text can stand in a line as it is, quoted or not. Looks at all of it at once, which for short texts is
/// faster than stopping at the first byte that cannot.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    text.bytes().fold(true, |all, byte| all & plain(byte))
}

/// A text as a JSON string, with everything escaped that could disturb a reader.
fn quoted(text: &str) -> String {
    escaped(&serde_json::Value::from(text).to_string())
}

/// A JSON text with the characters escaped that JSON allows and terminals do not survive.
fn escaped(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if disturbing(c) {
            let _ = write!(out, "\\u{:04x}", c as u32);
        } else {
            out.push(c);
        }
        out
    })
}

/// Adds a text, on one line.
fn push_line(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        text.chars().for_each(|c| push_visible(out, c));
    }
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if disturbing(c) => {
            let _ = write!(out, "\\u{:04x}", c as u32);
        }
        c => out.push(c),
    }
}

/// Control characters, and those that change the direction or the lines of text around them.
fn disturbing(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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

    #[test]
    fn print_keeps_newlines_and_escapes_the_rest() {
        assert_eq!(printed("a\nb\x1b[31m"), "a\nb\\u001b[31m\n");
    }
}
