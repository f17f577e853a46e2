//! Files of SQLite.
//!
//! A statement runs on a thread that may block, is charged to its request, and ends with it: SQLite asks every thousand
//! steps whether it may go on, and while it waits for a lock. A script's statement never begins or ends a transaction; the
//! host does. Reading and writing are told apart by SQLite, not by looking at the text: a statement that only reads is one
//! that SQLite says cannot write, and the guard refuses whatever would.
//!
//! - `engine`: how SQLite opens files, and the memory of a statement
//! - `guard`: what statements may ask for
//! - `owner`: one process at a time uses a file
//! - `settings`: the bounds of a connection
//! - `statement`: one statement, its parameters and rows
//! - `sentence`: errors for a script

mod engine;
mod guard;
mod owner;
mod sentence;
mod settings;
mod statement;

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, Error, OpenFlags};
use rustix::fs::AtFlags;
use tokio::time::Instant;

use self::guard::{Guard, Speaker};
use self::sentence::sentence;
use super::value::{MAX_TEXT, SqlRows, SqlText};
use crate::os_words::os_words;
use crate::slow::on_blocking_thread;

pub(crate) use self::engine::used;
pub(crate) use self::owner::{FileIdentity, FileOwner};

/// Connections of one app that wait for the next call.
const MAX_WAITING: usize = 8;

/// How long a file stays open without a call. Until then no other process can use it.
const IDLE: Duration = Duration::from_secs(2);

/// Steps of SQLite between two questions whether it may go on: some tens of microseconds.
const STEPS: i32 = 1000;

/// How long a call waits for others that use the file, in pauses.
const PAUSE: Duration = Duration::from_millis(2);
const PAUSES: i32 = 2500;

/// Bytes of a file, and of the log beside it.
const MAX_FILE: u64 = 1 << 30;

/// The files of one app.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<Vec<(OpenFile, Instant)>>);

/// Which file: its judged path, and device and inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Which {
    pub(crate) path: String,
    pub(crate) identity: FileIdentity,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// None only while it is dropped.
    connection: Option<Connection>,
    guard: Guard,
    which: Which,
    /// The name of the file in its folder.
    name: String,
    /// Whether its journal was set up for writing.
    writes: bool,
    /// Whether it is in a transaction that only reads.
    only_reads: bool,
    /// These outlive the connection: its paths begin with the folder, and without the owner another process may write.
    folder: Arc<OwnedFd>,
    owner: FileOwner,
}

/// Whether a statement may go on, and why not.
pub(crate) type GoOn = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Takes memory for rows of so many bytes.
pub(crate) type TakeRows = Box<dyn FnMut(usize) -> Result<(), String>>;

/// The bounds of a statement.
pub(crate) struct Bounds {
    /// Asked every thousand steps: an error when the request has ended, or has used up its time or memory.
    pub(crate) go_on: GoOn,
    /// Bytes of all rows.
    pub(crate) limit: usize,
    /// Memory for rows.
    pub(crate) take: TakeRows,
}

impl Files {
    /// An open file that waits for the next call, if it is this one.
    pub(crate) fn waiting(&self, which: &Which) -> Option<OpenFile> {
        let mut waiting = self.0.lock();
        let at = waiting.iter().position(|(open, _)| open.which == *which)?;
        Some(waiting.swap_remove(at).0)
    }

    /// Keeps a file open for the next call, unless something is left of a transaction.
    pub(crate) fn keep(&self, open: OpenFile) {
        if !open.connection.as_ref().is_some_and(Connection::is_autocommit) {
            return;
        }
        let mut waiting = self.0.lock();
        waiting.push((open, Instant::now()));
        let oldest = (waiting.len() > MAX_WAITING).then(|| waiting.remove(0));
        drop(waiting);
        drop(oldest);
    }

    /// Closes files that have not been used for a while.
    pub(crate) fn end_idle(&self) {
        let Some(moment) = Instant::now().checked_sub(IDLE) else { return };
        let mut waiting = self.0.lock();
        let ended: Vec<_> = waiting.extract_if(.., |(_, since)| *since < moment).collect();
        drop(waiting);
        drop(ended);
    }

    /// Returns whether any file waits for the next call.
    pub(crate) fn has_any(&self) -> bool {
        !self.0.lock().is_empty()
    }
}

/// Closing undoes an open transaction and writes the log back into the file, which blocks.
impl Drop for OpenFile {
    fn drop(&mut self) {
        let kept = (Arc::clone(&self.folder), self.owner.clone());
        let Some(connection) = self.connection.take() else { return };
        let close = move || {
            drop(connection);
            drop(kept);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(handle) => drop(handle.spawn(on_blocking_thread(close))),
            Err(_) => close(),
        }
    }
}

impl OpenFile {
    /// Opens the file of this name in an open folder. It is there, and this process owns it.
    pub(crate) fn new(folder: OwnedFd, name: &str, which: Which, owner: FileOwner) -> Result<Self, String> {
        if !engine::set_up() {
            return Err("this build of SQLite cannot be used".to_owned());
        }
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE;
        let path = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd());
        let failed = |error: Error| sentence(&error, "");
        let mut connection = Connection::open_with_flags_and_vfs(path, flags, engine::LAYER).map_err(failed)?;
        if connection.is_readonly("main").map_err(failed)? {
            // Its index would be a mapped file: see `engine`.
            return Err("the host may not write the file, and SQLite cannot use it then".to_owned());
        }
        let guard = settings::prepare(&mut connection).map_err(failed)?;
        let (connection, folder, name) = (Some(connection), Arc::new(folder), name.to_owned());
        Ok(Self { connection, guard, which, name, writes: false, only_reads: false, folder, owner })
    }

    /// Begins a transaction.
    pub(crate) fn begin(&mut self, read_only: bool, bounds: &Bounds) -> Result<(), String> {
        self.bounded(bounds, |open| {
            if !read_only {
                open.set_up_writing()?;
            }
            open.own(if read_only { "BEGIN" } else { "BEGIN IMMEDIATE" })?;
            open.only_reads = read_only;
            Ok(())
        })
    }

    /// Ends a transaction.
    pub(crate) fn end(&mut self, keep: bool, bounds: &Bounds) -> Result<(), String> {
        self.only_reads = false;
        self.bounded(bounds, |open| match open.sqlite()?.is_autocommit() {
            true if keep => Err("the transaction was rolled back by a statement in it".to_owned()),
            true => Ok(()),
            false => open.own(if keep { "COMMIT" } else { "ROLLBACK" }),
        })
    }

    /// Runs a statement, once for each list of parameters.
    pub(crate) fn run(&mut self, text: &SqlText, mut bounds: Bounds) -> Result<(SqlRows, u64), String> {
        if text.text.len() > MAX_TEXT {
            return Err(format!("the statement is longer than {} MiB", MAX_TEXT >> 20));
        }
        if self.only_reads && !text.reads {
            return Err("the transaction only reads".to_owned());
        }
        let mut take = std::mem::replace(&mut bounds.take, Box::new(|_| Ok(())));
        self.bounded(&bounds, |open| {
            if text.reads {
                return open.all(text, Speaker::Reader, (bounds.limit, &mut *take));
            }
            open.set_up_writing()?;
            // One statement is whole by itself; several lists of parameters are made whole here.
            let (begin, keep, undo) = match (text.more.is_empty(), open.sqlite()?.is_autocommit()) {
                (true, _) => ("", "", ""),
                (false, true) => ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"),
                (false, false) => ("SAVEPOINT many", "RELEASE many", "ROLLBACK TO many; RELEASE many"),
            };
            open.own(begin)?;
            match open.all(text, Speaker::Writer, (bounds.limit, &mut *take)) {
                Ok(rows) => open.own(keep).map(|()| rows),
                Err(error) => {
                    // What was wrong with the statement says more than an undoing that fails.
                    let _ = open.own(undo);
                    Err(error)
                }
            }
        })
    }

    fn sqlite(&self) -> Result<&Connection, String> {
        self.connection.as_ref().ok_or_else(|| "the file is closed".to_owned())
    }

    /// Runs a statement of the host's.
    fn own(&self, text: &str) -> Result<(), String> {
        self.guard.set(Speaker::Host);
        self.sqlite()?.execute_batch(text).map_err(|error| sentence(&error, text))
    }

    fn set_up_writing(&mut self) -> Result<(), String> {
        let log = rustix::fs::statat(&self.folder, &*format!("{}-wal", self.name), AtFlags::SYMLINK_NOFOLLOW);
        if log.is_ok_and(|stat| u64::try_from(stat.st_size).unwrap_or(u64::MAX) > MAX_FILE) {
            return Err("the log beside the database is full; end transactions that read for long".to_owned());
        }
        if !self.writes {
            settings::for_writing(self.sqlite()?, MAX_FILE).map_err(|error| sentence(&error, ""))?;
            self.writes = true;
        }
        Ok(())
    }

    fn all(
        &self,
        text: &SqlText,
        speaker: Speaker,
        rows: (usize, &mut dyn FnMut(usize) -> Result<(), String>),
    ) -> Result<(SqlRows, u64), String> {
        // For as long as it runs: when others change the schema meanwhile, SQLite compiles the statement again.
        self.guard.set(speaker);
        let done = statement::all(self.sqlite()?, text, rows);
        self.guard.set(Speaker::Host);
        done
    }

    /// Does something that ends when its request does.
    fn bounded<T>(&mut self, bounds: &Bounds, run: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        let stopped: Arc<Mutex<Option<String>>> = Arc::default();
        let (go_on, note) = (Arc::clone(&bounds.go_on), Arc::clone(&stopped));
        // Returns whether to stop.
        let ask = move || match go_on() {
            Ok(()) => false,
            Err(reason) => {
                note.lock().get_or_insert(reason);
                true
            }
        };
        let wait = ask.clone();
        let failed = |error: Error| sentence(&error, "");
        let connection = self.connection.as_mut().ok_or("the file is closed")?;
        connection.progress_handler(STEPS, Some(ask)).map_err(failed)?;
        connection.busy_handler(Some(move |pauses| waits_on(pauses) && !wait())).map_err(failed)?;
        let counted = engine::Counted::begin();
        let done = run(self);
        drop(counted);
        self.guard.set(Speaker::Host);
        if let Some(connection) = &mut self.connection {
            // The request that was asked is asked no more: the connection waits for another one.
            let _ = connection.progress_handler(0, None::<fn() -> bool>);
            let _ = connection.busy_handler(None::<fn(i32) -> bool>);
        }
        match stopped.lock().take() {
            Some(reason) => Err(format!("the statement was ended: {reason}")),
            None => done,
        }
    }
}

/// Asks again and again for the right to use a file, until another process gives it up, the request ends or the time for
/// waiting is over.
pub(crate) fn own(file: &Arc<OwnedFd>, identity: FileIdentity, go_on: &GoOn) -> Result<FileOwner, String> {
    for pauses in 0.. {
        match FileOwner::take(file, identity) {
            Ok(Some(owner)) => return Ok(owner),
            Ok(None) if waits_on(pauses) => go_on()?,
            Ok(None) => break,
            Err(error) => return Err(os_words(&std::io::Error::from(error))),
        }
    }
    Err("another process uses the database; it has it for itself until it has made no call for some seconds".to_owned())
}

/// Waits a little for others; false when that was long enough.
#[expect(clippy::disallowed_methods, reason = "on a thread that may block, whose request is asked each time")]
fn waits_on(pauses: i32) -> bool {
    std::thread::sleep(PAUSE);
    pauses < PAUSES
}

#[cfg(test)]
mod tests;
