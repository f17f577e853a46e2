//! What scripts and the host have to say: one bounded, escaped line each.
//!
//! A script's words are hostile input to whoever reads the log. Control characters and the Unicode characters that turn
//! text around are escaped, so that a line stays a line and a terminal shows what was written; long ones are cut with a
//! note of how much is missing. One thread writes, behind a bounded queue: a script that logs faster than the disk waits
//! for it in its own time, and no thread of the async runtime ever does.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write as _};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use starcell_runtime::{Level, LogRecord, Position};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::cli::LogFormat;

/// Lines that may wait for the writer.
const QUEUE: usize = 1024;

/// Bytes of one value; the rest is cut.
const MAX_VALUE: usize = 16 << 10;

/// Attributes of one line; the rest are counted.
const MAX_ATTRIBUTES: usize = 64;

/// Where lines go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    lines: Sender<Output>,
    format: LogFormat,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    lines: Sender<Output>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Output {
    /// For standard output: what the user asked to see.
    Out(String),
    /// For standard error: what happened.
    Err(String),
    End,
}

impl Logs {
    /// Starts the writer. Without a thread for it, lines are dropped.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "`Writer` owns this thread and joins it")]
    pub fn start(format: LogFormat) -> (Self, Writer) {
        let (lines, receiver) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("log".into()).spawn(move || write_all(receiver)).ok();
        (Self { lines: lines.clone(), format }, Writer { lines, thread })
    }

    /// Tells the user something on standard output.
    pub fn announce(&self, text: &str) {
        // Announcements are few; a full queue means that nobody reads.
        let _ = self.lines.try_send(Output::Out(format!("starcell: {text}\n")));
    }

    /// Writes what a script said.
    pub async fn script(&self, script: &str, record: &LogRecord<'_>) {
        let Some(level) = record.level else {
            return self.send(Output::Out(printed(record.message))).await;
        };
        let mut line = Line::new(level, record.message).with("script", script);
        if let Some(request) = record.request {
            line = line.with("request", request);
        }
        let Position { file, line: number, .. } = record.at;
        if *number > 0 {
            line = line.with("at", &format!("{file}:{number}"));
        }
        for (name, json) in record.attributes.iter().take(MAX_ATTRIBUTES) {
            line = line.with_json(name, json);
        }
        if let Some(more @ 1..) = record.attributes.len().checked_sub(MAX_ATTRIBUTES) {
            line = line.with("attributes_left_out", &more.to_string());
        }
        self.write(line).await;
    }

    /// Writes a line.
    #[expect(clippy::disallowed_methods, reason = "when a line is written is part of it")]
    pub async fn write(&self, line: Line) {
        self.send(Output::Err(line.render(self.format, SystemTime::now()))).await;
    }

    async fn send(&self, output: Output) {
        // The writer is gone only when the process ends.
        let _ = self.lines.send(output).await;
    }
}

impl Writer {
    /// Waits until everything is written.
    pub async fn finish(mut self) {
        if self.lines.send(Output::End).await.is_ok()
            && let Some(thread) = self.thread.take()
        {
            // Neither the task nor the thread panics.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Writes until the end, and flushes whenever nothing is waiting. A closed stream loses its lines, not the process.
fn write_all(mut lines: Receiver<Output>) {
    let (mut out, mut err) = (BufWriter::new(io::stdout()), BufWriter::new(io::stderr()));
    while let Some(first) = lines.blocking_recv() {
        let mut next = Some(first);
        while let Some(output) = next {
            let _ = match output {
                Output::Out(line) => out.write_all(line.as_bytes()),
                Output::Err(line) => err.write_all(line.as_bytes()),
                Output::End => {
                    let _ = (out.flush(), err.flush());
                    return;
                }
            };
            next = lines.try_recv().ok();
        }
        let _ = (out.flush(), err.flush());
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

    fn render(&self, format: LogFormat, now: SystemTime) -> String {
        let time = humantime::format_rfc3339_millis(now);
        let level = match self.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let mut line = String::with_capacity(128 + self.message.len());
        // Writing to a String cannot fail.
        let _ = match format {
            LogFormat::Json => {
                write!(line, "{{\"time\":\"{time}\",\"level\":\"{level}\",\"msg\":{}", quoted(&self.message))
            }
            LogFormat::Text => write!(line, "{time} {level:5} {}", visible(&self.message)),
        };
        for (name, json) in &self.attributes {
            let _ = match format {
                LogFormat::Json => write!(line, ",{}:{json}", quoted(name)),
                LogFormat::Text => write!(line, " {}={json}", visible(name)),
            };
        }
        line.push_str(if format == LogFormat::Json { "}\n" } else { "\n" });
        line
    }
}

/// What `print` wrote, with a newline at its end.
fn printed(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in bounded(text).chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c => push_visible(&mut out, c),
        }
    }
    out.push('\n');
    out
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

/// A text on one line.
fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        push_visible(&mut out, c);
        out
    })
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
        line.render(format, SystemTime::UNIX_EPOCH)
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
