//! What scripts and the host have to say: one bounded, escaped line each.
//!
//! A script's words are hostile input to whoever reads the log. Control characters and the Unicode characters that turn
//! text around are escaped, so that a line stays a line and a terminal shows what was written; long ones are cut with a
//! note of how much is missing. One thread writes what has gathered in a bounded buffer: a script that logs faster than
//! the disk waits for it in its own time, and no thread of the async runtime ever does. Lines about requests do not wait,
//! as a log that nobody reads must not stop the servers; those that find no room are counted instead.

mod escape;
mod line;
mod sink;
mod time;
mod warnings;

use std::cell::RefCell;

use starcell_runtime::{Level, LogRecord};
use tokio::time::Instant;

pub(crate) use self::line::name;
pub use self::line::{Attributes, Line, Name, Piece, Writing};
pub use self::sink::Writer;

use self::escape::printed;
use self::line::ACCESS;
use self::sink::Sink;
use crate::cli::LogFormat;

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
    pub fn access(&self, now: Instant, attributes: &impl Attributes) {
        match self.format {
            LogFormat::Json => self.access_as::<true>(now, attributes),
            LogFormat::Text => self.access_as::<false>(now, attributes),
        }
    }

    fn access_as<const JSON: bool>(&self, now: Instant, attributes: &impl Attributes) {
        LINE.with_borrow_mut(|text| {
            text.clear();
            let mut writing = Writing::<JSON>::lead(text, now, ACCESS);
            attributes.write(&mut writing);
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

/// What a script said, for a reader who knows when and by whom: a line without its time, or what `print` wrote.
#[must_use]
pub fn said(record: &LogRecord<'_>) -> String {
    let Some(level) = record.level else { return printed(record.message) };
    let line = Line::new(level, record.message).of(record).render(LogFormat::Text, Instant::now());
    line.split_once(' ').map_or(line.as_str(), |(_time, rest)| rest).to_owned()
}
