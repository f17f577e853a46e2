//! What scripts and the host have to say: one bounded, escaped line each.
//!
//! - [`Logs`]: the way into the log, for the host and for each script
//! - [`mod@line`], [`field`], `attributes`, `value`: a line, the names that only the host may use, and bounds
//! - [`kept`]: the last lines of each app, for whoever asks
//! - `budget`, `tally`: how much a script may write, and what was not written
//! - `sink`: the buffer, and the one thread that empties it
//! - `warnings`: what the crates of the host warn of
//!
//! The decision: a script's words are hostile input to whoever reads the log. A character that ends lines, drives
//! terminals or turns text around is escaped; a line has at most 64 KiB as it is written; a script's attributes cannot
//! pass for fields of the host; and what an app writes in time is bounded, with what is missing told.
//!
//! The log never stands in the way. Nothing of the host waits for a reader of it: not an answer, not a drain, not the
//! end. Only a script that logs faster than the log is read waits, in its own time.

mod attributes;
mod budget;
pub mod field;
pub mod kept;
mod level;
pub mod line;
mod sink;
mod tally;
mod time;
mod value;
mod warnings;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use starcell_text::one_line;
use tokio::time::Instant;

pub use self::budget::{LogRate, LogShare};
pub use self::field::Field;
pub use self::kept::{KeptLines, KeptLog, KeptLogs};
pub use self::level::{Format, Level, LogChoice, LogStream};
pub use self::line::{Line, Remark};
pub use self::sink::LogWriter;

use self::sink::Sink;
use self::tally::Tally;
use self::value::{bounded, printed};

/// Bytes of a failing handler's report when its app is over its budget.
const SHORT_REPORT: usize = 200;

thread_local! {
    /// Where a line is put together.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The log of the host or of one script. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Logs {
    sink: Sink,
    choice: LogChoice,
    tally: Arc<Tally>,
    script: Option<Arc<Script>>,
    tap: Option<Arc<dyn LogTap>>,
}

/// Whoever gets each line too, whatever its reader has chosen. Must not wait.
pub trait LogTap: fmt::Debug + Send + Sync + 'static {
    /// A line, as an object of JSON.
    fn line(&self, line: &str);
}

/// The script that a log is of.
#[derive(Debug)]
struct Script {
    name: Arc<str>,
    /// Its own, or that of several scripts.
    budget: LogShare,
    /// Where its last lines are kept.
    kept: Option<KeptLog>,
}

impl Logs {
    /// The log of the host, and the thread that writes it.
    #[must_use]
    pub fn start(choice: LogChoice) -> (Self, LogWriter) {
        let (sink, writer) = Sink::start(choice.format.unwrap_or_default());
        let tally = sink.tally(None);
        (Self { sink, choice, tally, script: None, tap: None }, writer)
    }

    /// The same log, whose lines go to somebody else too: all but those of requests that were answered.
    #[must_use]
    pub fn tapped(self, tap: Arc<dyn LogTap>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    /// The log of a script: its lines name the script, and what the script says is taken from a budget of its own.
    #[must_use]
    pub fn of_script(&self, name: &str, rate: LogRate) -> Self {
        self.of_one_of(name, &LogShare::new(rate))
    }

    /// The log of one of several scripts, which have one budget together.
    #[must_use]
    pub fn of_one_of(&self, name: &str, budget: &LogShare) -> Self {
        self.of(name, budget, None)
    }

    /// The same, with the last lines of the script kept.
    #[must_use]
    pub fn of_kept(&self, name: &str, budget: &LogShare, kept: KeptLog) -> Self {
        self.of(name, budget, Some(kept))
    }

    fn of(&self, name: &str, budget: &LogShare, kept: Option<KeptLog>) -> Self {
        let name: Arc<str> = name.into();
        let tally = self.sink.tally(Some(Arc::clone(&name)));
        Self { tally, script: Some(Arc::new(Script { name, budget: budget.clone(), kept })), ..self.clone() }
    }

    /// Tells the operator something on standard output.
    pub fn announce(&self, text: &str) {
        if !self.sink.put(LogStream::Out, &format!("starcell: {}\n", one_line(text))) {
            self.tally.unread();
        }
    }

    /// Writes a line of the host.
    pub fn say(&self, level: Level, message: &str) {
        self.write(level, message, |_| {});
    }

    /// Writes a line of the host with the fields that `add` adds.
    pub fn write(&self, level: Level, message: &str, add: impl Fn(&mut Line<'_>)) {
        let now = Instant::now();
        let fill = |line: &mut Line<'_>| {
            self.name(line);
            add(line);
        };
        self.put(now, level, message, fill);
        if level >= self.choice.least.unwrap_or_default() {
            self.tap(now, level, message, fill);
        }
    }

    /// Writes the line of a request that was answered `now`.
    pub fn access(&self, now: Instant, add: impl Fn(&mut Line<'_>)) {
        self.put(now, Level::Info, "access", add);
    }

    /// Writes why the handler of a request failed. The report is the script's doing and is taken from its budget; over
    /// that it is cut short, as a line about a request is never left out.
    pub fn failure(&self, report: &str, add: impl Fn(&mut Line<'_>)) {
        let length = report.len().min(value::MAX_VALUE);
        let report = if self.affords(length) { report.into() } else { bounded(report, SHORT_REPORT) };
        self.write(Level::Error, &report, add);
    }

    /// Writes what a script said, in its own way where the operator has made no choice. Waits while there is no room.
    pub async fn script(&self, remark: &Remark<'_>) {
        let (stream, text) = match remark.level {
            None => (LogStream::Out, printed(remark.message)),
            Some(level) if self.choice.least.is_some_and(|least| level < least) => return,
            Some(level) => {
                let format = self.choice.format.unwrap_or(remark.format);
                let mut text = String::new();
                let mut line = Line::begin(&mut text, format, Instant::now(), level, remark.message);
                self.name(&mut line);
                line.remark(remark);
                line.end();
                (remark.stream, text)
            }
        };
        if !self.affords(text.len()) {
            return self.tally.over_budget();
        }
        self.keep(&text);
        self.tap(Instant::now(), remark.level.unwrap_or(Level::Info), remark.message, |line| {
            self.name(line);
            line.remark(remark);
        });
        if !self.sink.put_patiently(stream, &text).await {
            self.tally.unread();
        }
    }

    /// Writes to standard output; waits while there is no room.
    pub async fn out(&self, text: &str) {
        self.sink.put_patiently(LogStream::Out, text).await;
    }

    /// Writes to standard error; waits while there is no room.
    pub async fn err(&self, text: &str) {
        self.sink.put_patiently(LogStream::Err, text).await;
    }

    /// Waits until everything so far is written.
    pub async fn settle(&self) {
        self.sink.settle().await;
    }

    /// From now on no script waits for room: the process is to end.
    pub fn hurry(&self) {
        self.sink.hurry();
    }

    /// Takes bytes from the budget of the script; the host has none.
    fn affords(&self, bytes: usize) -> bool {
        self.script.as_ref().is_none_or(|script| script.budget.0.take(bytes))
    }

    /// Writes a line anew for whoever gets it too.
    fn tap(&self, now: Instant, level: Level, message: &str, fill: impl Fn(&mut Line<'_>)) {
        let Some(tap) = &self.tap else { return };
        let mut text = String::new();
        let mut line = Line::begin(&mut text, Format::Json, now, level, message);
        fill(&mut line);
        line.end();
        tap.line(&text);
    }

    /// Keeps a line as one of the last of the script.
    fn keep(&self, text: &str) {
        if let Some(kept) = self.script.as_ref().and_then(|script| script.kept.as_ref()) {
            kept.add(text);
        }
    }

    fn name(&self, line: &mut Line<'_>) {
        if let Some(script) = &self.script {
            line.text(Field::SCRIPT, &script.name);
        }
    }

    fn put(&self, now: Instant, level: Level, message: &str, add: impl Fn(&mut Line<'_>)) {
        if level < self.choice.least.unwrap_or_default() {
            return;
        }
        let format = self.choice.format.unwrap_or_default();
        let put = LINE.with_borrow_mut(|text| {
            text.clear();
            let mut line = Line::begin(text, format, now, level, message);
            add(&mut line);
            line.end();
            self.keep(text);
            self.sink.put(LogStream::Err, text)
        });
        if !put {
            self.tally.unread();
        }
    }
}

/// What a script said, for a reader who knows when and by whom: a line without its time in text, a whole one in JSON, or
/// what `print` wrote.
#[must_use]
pub fn said(choice: LogChoice, remark: &Remark<'_>) -> String {
    let format = choice.format.unwrap_or(remark.format);
    let text = written(format, &Remark { request: None, ..*remark });
    match (remark.level, format, text.split_once(' ')) {
        (Some(_), Format::Text, Some((_time, rest))) => rest.to_owned(),
        _ => text,
    }
}

/// What a script said as the log has it, without the name of the script: a whole line, or what `print` wrote.
#[must_use]
pub fn written(format: Format, remark: &Remark<'_>) -> String {
    let Some(level) = remark.level else { return printed(remark.message) };
    let mut text = String::new();
    let mut line = Line::begin(&mut text, format, Instant::now(), level, remark.message);
    line.remark(remark);
    line.end();
    text
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_script_chooses_the_format_unless_the_operator_does() {
        let (format, stream) = (Format::Json, LogStream::Err);
        let attributes = [("n".to_owned(), "1".to_owned())];
        let (level, at) = (Some(Level::Info), ("a.star", 3));
        let remark = Remark { level, message: "m", attributes: &attributes, at, request: None, format, stream };
        let free: serde_json::Value = serde_json::from_str(&said(LogChoice::default(), &remark)).unwrap();
        assert_eq!((free["msg"].as_str(), free["attrs"]["n"].as_i64()), (Some("m"), Some(1)));
        let text = LogChoice { format: Some(Format::Text), least: None };
        assert_eq!(said(text, &remark), "info  m at=\"a.star:3\" n=1\n");
    }
}
