//! The buffer that lines gather in, and the thread that empties it.
//!
//! Nothing of the host waits for room: a log that nobody reads must stop neither an answer nor the end. A line that
//! finds none is counted, and the thread tells once a second how many were. Only a script waits for room, in its own
//! time, and not even a script once the process is to end.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::field::Field;
use crate::level::{Format, Level, LogStream};
use crate::line::Line;
use crate::tally::Tally;

/// Bytes that may wait for the writer.
const ROOM: usize = 1 << 20;

/// Bytes that a script leaves free for the lines of the host.
const RESERVE: usize = 128 << 10;

/// Pause between two writes. Lines that come meanwhile are written together, and a caller has nobody to wake.
const GATHER: Duration = Duration::from_millis(5);

/// How often the lines that were not written are told.
const TELL: Duration = Duration::from_secs(1);

/// Bytes that are written in one piece: the progress of a reader shows after each.
const PIECE: usize = 4 << 10;

/// How long the end waits for a reader that takes nothing, and how long it waits in all.
const PATIENCE: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(5);

/// Where lines go. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sink(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    format: Format,
    buffers: Mutex<Buffers>,
    /// Something is there to be written, or it is the end.
    filled: Condvar,
    /// There is room again, or nobody may wait for it any more.
    emptied: Notify,
    /// Nobody waits for room any more: the process is to end.
    hurried: AtomicBool,
    /// Pieces that were written.
    progress: AtomicU64,
    /// Lines that were not written, of each app and of the host.
    tallies: Mutex<Vec<Arc<Tally>>>,
}

#[derive(Debug, Default)]
struct Buffers {
    /// For standard output: what the user asked to see.
    out: String,
    /// For standard error: what happened.
    err: String,
    ended: bool,
    /// True if the writer waits to be woken.
    idle: bool,
    /// True if it has taken something that is not written yet.
    writing: bool,
}

/// The thread that writes.
#[derive(Debug)]
pub struct LogWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts the thread. Without one, lines are dropped.
    #[expect(clippy::disallowed_methods, reason = "`LogWriter` owns this thread and joins it")]
    pub(crate) fn start(format: Format) -> (Self, LogWriter) {
        let shared = Arc::new(Shared::new(format));
        let writing = Arc::clone(&shared);
        let write = move || writing.write_all(&mut io::stdout(), &mut io::stderr());
        let thread = thread::Builder::new().name("log".into()).spawn(write).ok();
        shared.lock().ended = thread.is_none();
        (Self(Arc::clone(&shared)), LogWriter { shared, thread })
    }

    /// A tally that the thread tells of, for as long as somebody holds it.
    pub(crate) fn tally(&self, script: Option<Arc<str>>) -> Arc<Tally> {
        let tally = Arc::new(Tally::new(script));
        let mut tallies = self.0.tallies.lock();
        // What an app that is gone left out is still told.
        tallies.retain(|tally| Arc::strong_count(tally) > 1 || !tally.is_empty());
        tallies.push(Arc::clone(&tally));
        tally
    }

    /// Writes a line of the host. False where there is no room.
    pub(crate) fn put(&self, stream: LogStream, text: &str) -> bool {
        self.0.put(stream, text, ROOM)
    }

    /// Writes a line of a script, and waits for room unless the process is to end. False where there is none.
    pub(crate) async fn put_patiently(&self, stream: LogStream, text: &str) -> bool {
        loop {
            // Registered before looking, so that room made in between is not missed.
            let mut emptied = std::pin::pin!(self.0.emptied.notified());
            emptied.as_mut().enable();
            if self.0.put(stream, text, ROOM - RESERVE) {
                return true;
            }
            if self.0.hurried.load(Ordering::Acquire) {
                return false;
            }
            emptied.await;
        }
    }

    /// From now on no script waits for room.
    pub(crate) fn hurry(&self) {
        self.0.hurried.store(true, Ordering::Release);
        self.0.emptied.notify_waiters();
    }

    /// Waits until everything so far is written.
    pub(crate) async fn settle(&self) {
        loop {
            let mut emptied = std::pin::pin!(self.0.emptied.notified());
            emptied.as_mut().enable();
            if self.0.lock().is_settled() {
                return;
            }
            emptied.await;
        }
    }
}

impl Buffers {
    fn is_settled(&self) -> bool {
        self.ended || (self.out.is_empty() && self.err.is_empty() && !self.writing)
    }
}

impl Shared {
    fn new(format: Format) -> Self {
        Self {
            format,
            buffers: Mutex::default(),
            filled: Condvar::new(),
            emptied: Notify::new(),
            hurried: AtomicBool::new(false),
            progress: AtomicU64::new(0),
            tallies: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buffers> {
        // No code that can panic runs under this lock but an allocation, and half a line is still a line.
        self.buffers.lock()
    }

    /// Adds a text if less than `room` waits already, and says whether. After the end there is nobody to write anything.
    fn put(&self, stream: LogStream, text: &str, room: usize) -> bool {
        let mut buffers = self.lock();
        if buffers.ended {
            return true;
        }
        if buffers.out.len() + buffers.err.len() >= room {
            return false;
        }
        match stream {
            LogStream::Out => buffers.out.push_str(text),
            LogStream::Err => buffers.err.push_str(text),
        }
        if mem::take(&mut buffers.idle) {
            self.filled.notify_one();
        }
        true
    }

    /// Writes until the end. A closed stream loses its lines, not the process.
    #[expect(clippy::disallowed_methods, reason = "this thread is the writer's own")]
    fn write_all(&self, stdout: &mut impl Write, stderr: &mut impl Write) {
        let (mut out, mut err) = (String::new(), String::new());
        let mut told = Instant::now();
        loop {
            let mut buffers = self.lock();
            while buffers.out.is_empty() && buffers.err.is_empty() && !buffers.ended {
                buffers.idle = true;
                self.filled.wait_for(&mut buffers, TELL);
                if told.elapsed() >= TELL {
                    break;
                }
            }
            buffers.idle = false;
            let ended = buffers.ended;
            buffers.writing = true;
            mem::swap(&mut buffers.out, &mut out);
            mem::swap(&mut buffers.err, &mut err);
            drop(buffers);
            self.emptied.notify_waiters();
            if ended || told.elapsed() >= TELL {
                told = Instant::now();
                self.push_missing(&mut err);
            }
            self.write(stdout, &out);
            self.write(stderr, &err);
            self.lock().writing = false;
            self.emptied.notify_waiters();
            if ended {
                return;
            }
            out.clear();
            err.clear();
            thread::sleep(GATHER);
        }
    }

    fn write(&self, stream: &mut impl Write, text: &str) {
        for piece in text.as_bytes().chunks(PIECE) {
            if stream.write_all(piece).is_err() {
                return;
            }
            self.progress.fetch_add(1, Ordering::Relaxed);
        }
        let _ = stream.flush();
    }

    /// Adds a line for each reason for which lines are missing.
    fn push_missing(&self, err: &mut String) {
        let tallies = self.tallies.lock();
        for tally in tallies.iter() {
            for sentence in tally.take().sentences() {
                let mut line = Line::begin(err, self.format, Instant::now(), Level::Warn, &sentence);
                if let Some(script) = tally.script() {
                    line.text(Field::SCRIPT, script);
                }
                line.end();
            }
        }
    }
}

impl LogWriter {
    /// Waits until everything is written, or until a reader takes nothing any more.
    #[expect(clippy::disallowed_methods, reason = "no guest calls this")]
    pub async fn finish(mut self) {
        self.shared.hurried.store(true, Ordering::Release);
        self.shared.lock().ended = true;
        self.shared.filled.notify_one();
        let Some(thread) = self.thread.take() else { return };
        let shared = Arc::clone(&self.shared);
        // Neither the task nor the thread panics.
        let written = tokio::task::spawn_blocking(move || thread.join());
        let gave_up = async {
            let last = Instant::now() + LAST;
            let mut seen = shared.progress.load(Ordering::Relaxed);
            loop {
                tokio::time::sleep(PATIENCE).await;
                let now = mem::replace(&mut seen, shared.progress.load(Ordering::Relaxed));
                if now == seen || Instant::now() >= last {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            _ = written => {}
            () = gave_up => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    /// A sink whose thread does not run.
    fn unread() -> Sink {
        Sink(Arc::new(Shared::new(Format::Text)))
    }

    #[tokio::test(start_paused = true)]
    async fn the_host_never_waits_and_a_script_does_until_the_end() {
        let sink = unread();
        let line = "x".repeat(64 << 10);
        while sink.0.put(LogStream::Err, &line, ROOM - RESERVE) {}
        assert!(sink.put(LogStream::Err, "a line of the host\n"), "scripts leave room for it");
        let script = sink.put_patiently(LogStream::Err, "a line of a script\n");
        let waiting = tokio::time::timeout(Duration::from_secs(3600), script).await;
        assert!(waiting.is_err(), "a script waits");
        while sink.put(LogStream::Err, &line) {}
        let script = async { sink.put_patiently(LogStream::Err, "a line of a script\n").await };
        let (put, ()) = tokio::join!(script, async { sink.hurry() });
        assert!(!put, "nobody waits at the end");
    }

    #[test]
    fn missing_lines_are_told_with_their_app() {
        let sink = unread();
        let (host, app) = (sink.tally(None), sink.tally(Some("a.star".into())));
        host.unread();
        app.over_budget();
        let mut err = String::new();
        sink.0.push_missing(&mut err);
        let lines: Vec<_> = err.lines().collect();
        assert_eq!(lines.len(), 2, "{err}");
        assert!(lines[0].ends_with("warn  1 line was dropped: the log was not read fast enough"), "{err}");
        assert!(
            lines[1]
                .ends_with("warn  1 line was dropped: the script wrote more than --log-rate allows script=\"a.star\""),
            "{err}"
        );
        drop(app);
        sink.tally(None);
        assert_eq!(sink.0.tallies.lock().len(), 2, "an app that is gone is forgotten");
    }

    #[tokio::test]
    async fn the_end_writes_all_and_tells_what_is_missing() {
        let shared = Arc::new(Shared::new(Format::Text));
        let (sink, writing) = (Sink(Arc::clone(&shared)), Arc::clone(&shared));
        let tally = sink.tally(None);
        tally.unread();
        assert!(sink.put(LogStream::Out, "out\n") && sink.put(LogStream::Err, "err\n"));
        let thread = thread::spawn(move || {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            writing.write_all(&mut out, &mut err);
            (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
        });
        shared.lock().ended = true;
        shared.filled.notify_one();
        let (out, err) = thread.join().unwrap();
        assert_eq!(out, "out\n");
        assert!(err.starts_with("err\n") && err.contains("1 line was dropped"), "{err}");
    }
}
