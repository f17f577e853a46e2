//! The writer of anchors: one at the start, one at an interval while the log grows, one at the end.
//!
//! A thread of its own writes them, since the second place may be slower than the log and no call waits for it. An anchor
//! that cannot be written is an error line, and an error of the process at its end; calls go on, for they are recorded. A
//! file that cannot take the first anchor stops the start, since its path is probably wrong; a server may come later.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "reads the log to count its lines")]

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use crate::{
    anchor::Anchor,
    anchor_file::AnchorFile,
    anchor_server::AnchorServer,
    chain::{self, Hash},
    clock::now,
    error::AuditError,
    file::Opened,
    files::files_of,
    options::{AnchorOptions, AnchorPlace},
    signing::SigningKey,
};

/// How often the last anchor is sent to a server that does not take it.
const LAST_TRIES: u32 = 3;

/// How long to wait before the next try.
const PAUSE: Duration = Duration::from_millis(200);

/// Owns the thread that writes anchors.
#[derive(Debug)]
pub(crate) struct Anchoring {
    shared: Arc<Shared>,
    /// Lines of the log before those that this writer counts.
    before: u64,
    thread: Option<JoinHandle<Result<(), AuditError>>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    current: Anchor,
    ended: bool,
}

impl Anchoring {
    /// SecondPlace a log that was just opened, then follows it. Reads as much of the log as was written since the last
    /// anchor of a file; all of it when there is none.
    pub(crate) fn start(options: AnchorOptions, log: &Opened) -> Result<Self, AuditError> {
        let path = log.file.path();
        let every = options.every;
        let (mut anchors, last) = SecondPlace::open(options, path)?;
        let (head, written) = log.file.head();
        let before = match last {
            Some(last) if last.head == log.head_before => last.lines,
            last => lines_of(path, last)
                .map_err(|error| AuditError::open(path, error))?
                .unwrap_or_else(|lines| {
                    if last.is_some() {
                        let place = &anchors.name;
                        tracing::error!("the audit log lacks the line that {place} anchored last: lines are missing");
                    }
                    lines
                })
                .saturating_sub(written),
        };
        let current = Anchor { lines: before + written, head };
        if let Place::File(_) = anchors.place {
            anchors.add(current, 1)?;
        }
        let state = Mutex::new(State { current, ended: false });
        let shared = Arc::new(Shared { state, ended: Condvar::new() });
        let following = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("audit-anchor".into())
            .spawn(move || following.follow(anchors, every))
            .map_err(|source| AuditError::Thread { source: Arc::new(source) })?;
        Ok(Self { shared, before, thread: Some(thread) })
    }

    /// Tells the head of the log and how many lines its writer wrote.
    pub(crate) fn note(&self, head: Hash, written: u64) {
        self.shared.state.lock().current = Anchor { lines: self.before + written, head };
    }

    /// Writes the last anchor.
    pub(crate) fn finish(mut self) -> Result<(), AuditError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), AuditError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.shared.state.lock().ended = true;
        self.shared.ended.notify_one();
        thread.join().unwrap_or(Err(AuditError::Closed))
    }
}

impl Drop for Anchoring {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(error = &error as &dyn std::error::Error, "the audit log was not anchored at its end");
        }
    }
}

impl Shared {
    fn follow(&self, mut anchors: SecondPlace, every: Duration) -> Result<(), AuditError> {
        let mut failing = false;
        let first = self.state.lock().current;
        self.note(anchors.add(first, 1), &mut failing);
        loop {
            let (current, ended) = {
                let mut state = self.state.lock();
                if !state.ended {
                    self.ended.wait_for(&mut state, every);
                }
                (state.current, state.ended)
            };
            if ended {
                return anchors.add(current, LAST_TRIES);
            }
            self.note(anchors.add(current, 1), &mut failing);
        }
    }

    /// Tells of the first anchor that could not be written, and of the first that could be after that.
    fn note(&self, added: Result<(), AuditError>, failing: &mut bool) {
        match &added {
            Err(error) if !*failing => {
                tracing::error!(error = error as &dyn std::error::Error, "the audit log is not anchored any more");
            }
            Ok(()) if *failing => tracing::info!("the audit log is anchored again"),
            Ok(()) | Err(_) => {}
        }
        *failing = added.is_err();
    }
}

/// The second place of a log, and what was written there last.
#[derive(Debug)]
struct SecondPlace {
    place: Place,
    /// The place, for messages.
    name: String,
    key: Option<SigningKey>,
    /// The name of the log, for whoever reads the anchors.
    log: String,
    last: Option<Hash>,
}

#[derive(Debug)]
enum Place {
    File(AnchorFile),
    Server(AnchorServer),
}

impl SecondPlace {
    /// Opens the place, with its last anchor if it is a file that has one.
    fn open(options: AnchorOptions, log: &Path) -> Result<(Self, Option<Anchor>), AuditError> {
        let name = options.place.to_string();
        let (place, last) = match options.place {
            AnchorPlace::File(path) => {
                let opened = AnchorFile::open(path).map_err(|error| AuditError::anchor(&name, error))?;
                (Place::File(opened.0), opened.1)
            }
            AnchorPlace::Server(url) => (Place::Server(AnchorServer::new(url)), None),
        };
        let log = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((Self { place, name, key: options.key, log, last: last.map(|anchor| anchor.head) }, last))
    }

    /// Adds an anchor, unless nothing was written since the last one. A server is asked so many times.
    fn add(&mut self, anchor: Anchor, tries: u32) -> Result<(), AuditError> {
        if self.last == Some(anchor.head) {
            return Ok(());
        }
        let line = anchor.line(now(), &self.log, self.key.as_ref());
        let mut added = self.place.add(&line);
        for _ in 1..tries {
            if added.is_ok() || matches!(self.place, Place::File(_)) {
                break;
            }
            thread::sleep(PAUSE);
            added = self.place.add(&line);
        }
        added.map_err(|error| AuditError::anchor(&self.name, error))?;
        self.last = Some(anchor.head);
        Ok(())
    }
}

impl Place {
    fn add(&mut self, line: &str) -> io::Result<()> {
        match self {
            Self::File(file) => file.add(line),
            Self::Server(server) => server.add(line),
        }
    }
}

/// The lines of a log, as its last anchor counts them; the error is their number when no file of it has that anchor's
/// line. Without an anchor they are counted from the first line there is.
fn lines_of(path: &Path, last: Option<Anchor>) -> io::Result<Result<u64, u64>> {
    let mut after = 0;
    for file in files_of(&[path.to_owned()])?.iter().rev() {
        let mut reader = BufReader::new(File::open(file)?);
        let (mut line, mut lines, mut since) = (Vec::new(), 0_u64, None);
        while reader.read_until(b'\n', &mut line)? > 0 {
            if let Some(text) = line.strip_suffix(b"\n") {
                lines += 1;
                let hash = last.and_then(|_| chain::split(text)).map(|(_, hash)| hash);
                if hash.is_some() && hash == last.map(|last| last.head) {
                    since = Some(lines);
                }
            }
            line.clear();
        }
        if let (Some(since), Some(last)) = (since, last) {
            return Ok(Ok(last.lines + lines - since + after));
        }
        after += lines;
    }
    Ok(Err(after))
}
