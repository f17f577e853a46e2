//! The writer of anchors: one at the start, one at an interval while the log grows, one at the end.
//!
//! A thread of its own writes them, since the second place may be slower than the log and no call waits for it. An anchor
//! that cannot be written is an error line, and an error of the process at its end; calls go on, for they are recorded.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this file owns the file of the anchors")]

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use parking_lot::{Condvar, Mutex};

use crate::{
    anchor::{Anchor, MAX_ANCHOR},
    chain::{self, Hash},
    clock::now,
    error::AuditError,
    file::Opened,
    files::files_of,
    options::AnchorOptions,
};

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
    /// Anchors a log that was just opened, then follows it. Reads as much of the log as was written since the last
    /// anchor; all of it when there is none.
    pub(crate) fn start(options: AnchorOptions, log: &Opened) -> Result<Self, AuditError> {
        let path = log.file.path();
        let (mut file, last) = AnchorFile::open(options, path)?;
        let (head, written) = log.file.head();
        let before = match last {
            Some(last) if last.head == log.head_before => last.lines,
            last => lines_of(path, last)
                .map_err(|error| AuditError::open(path, error))?
                .unwrap_or_else(|lines| {
                    if last.is_some() {
                        let anchors = file.options.path.display();
                        tracing::error!("the audit log lacks the line that {anchors} anchored last: lines are missing");
                    }
                    lines
                })
                .saturating_sub(written),
        };
        let current = Anchor { lines: before + written, head };
        file.add(current)?;
        let state = Mutex::new(State { current, ended: false });
        let shared = Arc::new(Shared { state, ended: Condvar::new() });
        let following = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("audit-anchor".into())
            .spawn(move || following.follow(file))
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
    fn follow(&self, mut file: AnchorFile) -> Result<(), AuditError> {
        let mut failing = false;
        loop {
            let (current, ended) = {
                let mut state = self.state.lock();
                if !state.ended {
                    self.ended.wait_for(&mut state, file.options.every);
                }
                (state.current, state.ended)
            };
            let added = file.add(current);
            if ended {
                return added;
            }
            if let Err(error) = &added
                && !failing
            {
                tracing::error!(error = error as &dyn std::error::Error, "the audit log is not anchored any more");
            }
            failing = added.is_err();
        }
    }
}

/// The file that anchors are added to.
#[derive(Debug)]
struct AnchorFile {
    options: AnchorOptions,
    file: File,
    /// The name of the log, for whoever reads the file.
    log: String,
    last: Option<Hash>,
}

impl AnchorFile {
    /// Opens the file, or makes it, and reads its last anchor. Cuts off an anchor that a killed writer left unfinished.
    fn open(options: AnchorOptions, log: &Path) -> Result<(Self, Option<Anchor>), AuditError> {
        let path = options.path.clone();
        let failed = |error| AuditError::anchor(&path, error);
        let (file, last) = opened(&path).map_err(failed)?;
        let log = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((Self { options, file, log, last: last.map(|anchor| anchor.head) }, last))
    }

    /// Adds an anchor, unless nothing was written since the last one.
    fn add(&mut self, anchor: Anchor) -> Result<(), AuditError> {
        if self.last == Some(anchor.head) {
            return Ok(());
        }
        let added = self.keep_place().and_then(|()| {
            let line = anchor.line(now(), &self.log, self.options.key.as_ref());
            let len = self.file.metadata()?.len();
            self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()).inspect_err(|_| {
                // Half an anchor is none; where it stays, the next start cuts it off.
                let _ = self.file.set_len(len);
            })
        });
        added.map_err(|error| AuditError::anchor(&self.options.path, error))?;
        self.last = Some(anchor.head);
        Ok(())
    }

    /// Opens the file anew when another program moved it away.
    fn keep_place(&mut self) -> io::Result<()> {
        let held = self.file.metadata()?;
        let is_there = match fs::metadata(&self.options.path) {
            Ok(named) => (named.dev(), named.ino()) == (held.dev(), held.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !is_there {
            let path = self.options.path.display();
            tracing::error!(
                "another program moved the anchors {path} of the audit log; they go on in a new file there"
            );
            (self.file, _) = opened(&self.options.path)?;
        }
        Ok(())
    }
}

fn opened(path: &Path) -> io::Result<(File, Option<Anchor>)> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process writes it; give each its own")),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let (mut line, mut last, mut whole, mut number) = (String::new(), None, 0, 0);
    let mut reader = BufReader::new(&file);
    while io::Read::take(&mut reader, MAX_ANCHOR as u64).read_line(&mut line)? > 0 {
        number += 1;
        let Some(text) = line.strip_suffix('\n') else {
            match line.len() < MAX_ANCHOR && (line.starts_with('{') || line.bytes().all(|byte| byte == 0)) {
                true => break,
                false => return Err(io::Error::other(format!("line {number} is no anchor"))),
            }
        };
        let (anchor, _) =
            Anchor::parse(text, None).map_err(|problem| io::Error::other(format!("line {number}: {problem}")))?;
        last = Some(anchor);
        whole += line.len() as u64;
        line.clear();
    }
    if file.metadata()?.len() != whole {
        file.set_len(whole)?;
    }
    Ok((file, last))
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
