//! Calls on files of SQLite.
//!
//! A file is walked to as the files of `fs` are: never through a link that was not judged by itself, and never to a file of
//! the host's. What SQLite keeps beside it is looked at as well, since a script may have put anything there.

use std::os::fd::OwnedFd;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat};
use starcell_budget::Taken;
use starcell_policy::{CanonicalPath, Permit, SqlSource};

use super::calling::Calling;
use crate::call_error::HostCallError;
use crate::caller::Caller;
use crate::capability::blocking::{Work, WorkError, blocking};
use crate::capability::fs::locate::{Last, Place, Spot, Walk, locate};
use crate::capability::fs::{MAX_LINKS, Refusal};
use crate::holding::Holding;
use crate::host_files::HostFiles;
use crate::sql::sqlite::{self, Bounds, FileOwner, GoOn, OpenFile, TakeRows, Which};
use crate::sql::value::{SqlRows, SqlText};
use crate::sql::{Databases, Transaction};

/// What SQLite keeps beside a file.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Bytes of a statement's memory that are taken from the budget of the process at once.
const PIECE: usize = 1 << 20;

/// The end of a walk to a file.
enum Reached<T> {
    Done(T),
    Hosts,
    Link(CanonicalPath),
}

/// A file that is open, or the reason why it is not opened.
enum Opened {
    File(Box<OpenFile>),
    Hosts,
}

impl Place for SqlSource {
    fn path(&self) -> &CanonicalPath {
        // Only files are walked to; a server would be sought at a path that is none of a file.
        static ROOT: LazyLock<CanonicalPath> = LazyLock::new(CanonicalPath::root);
        self.file().unwrap_or(&ROOT)
    }
}

impl Calling<'_> {
    /// Runs a statement by itself.
    pub(super) async fn run_on_file(&self, path: CanonicalPath, text: SqlText) -> Result<SqlRows, HostCallError> {
        let (limit, create) = (self.caller.app.config.limits.io_bytes, !text.reads);
        let run = move |open: &mut OpenFile, bounds: Bounds| open.run(&text, Bounds { limit, ..bounds });
        let (rows, open) = self.on_file(path, create, run).await?;
        keep(&self.caller.app.config.state.sql, *open);
        Ok(rows)
    }

    /// Begins a transaction.
    pub(super) async fn begin_on_file(&self, path: CanonicalPath, reads: bool) -> Result<Transaction, HostCallError> {
        let begin = move |open: &mut OpenFile, bounds: Bounds| open.begin(reads, &bounds).map(|()| ((), 0));
        let ((), open) = self.on_file(path, !reads, begin).await?;
        Ok(Transaction::Sqlite(open))
    }

    /// Runs a statement in a transaction.
    pub(super) async fn run_in(
        &self,
        mut open: Box<OpenFile>,
        text: SqlText,
    ) -> Result<(Result<(SqlRows, u64), String>, Box<OpenFile>), HostCallError> {
        let (limit, holding) = (self.caller.app.config.limits.io_bytes, Arc::clone(&self.caller.holding));
        let run = move |work: &Work| {
            let done = open.run(&text, Bounds { limit, ..bounds(work, &holding) });
            Ok::<_, WorkError>((done, open))
        };
        blocking(&self.caller, run).await.map_err(|error| self.failed(error))
    }

    /// Walks to a file, each link of which is judged by itself, opens it and does something with it.
    async fn on_file<T: Send + 'static>(
        &self,
        mut path: CanonicalPath,
        create: bool,
        act: impl FnOnce(&mut OpenFile, Bounds) -> Result<(T, u64), String> + Clone + Send + 'static,
    ) -> Result<(T, Box<OpenFile>), HostCallError> {
        for _ in 0..MAX_LINKS {
            let app = &self.caller.app;
            // Before there is a record that it was granted.
            if app.config.host_files.has_path(&path, false) || (create && app.is_source(&path, false)) {
                return Err(self.caller.gate.hosts(self.function, &path, self.at).await);
            }
            let (act, judged) = (act.clone(), path.clone());
            let effect = |permit: Permit<SqlSource>| async move {
                let (databases, hosts) = (app.config.state.sql.clone(), app.config.host_files.clone());
                let holding = Arc::clone(&self.caller.holding);
                let work = move |work: &Work| {
                    let spot = match locate(&permit, Last::Follow, (&hosts, false)) {
                        Ok(Walk::Arrived(spot)) => spot,
                        Ok(Walk::Link(next)) => return Ok((Reached::Link(next), 0)),
                        Err(Refusal::Hosts) => return Ok((Reached::Hosts, 0)),
                        Err(refusal) => return Err(WorkError(refusal.to_string())),
                    };
                    let bounds = bounds(work, &holding);
                    let mut open = match opened(&databases, spot, create, (&hosts, &bounds.go_on)).map_err(WorkError)? {
                        Opened::File(open) => open,
                        Opened::Hosts => return Ok((Reached::Hosts, 0)),
                    };
                    match act(&mut open, bounds) {
                        Ok((value, bytes)) => Ok((Reached::Done((value, open)), bytes)),
                        Err(text) => {
                            keep(&databases, *open);
                            Err(WorkError(text))
                        }
                    }
                };
                match blocking(&self.caller, work).await {
                    Ok((Reached::Hosts, _)) => Err(self.caller.gate.hosts(self.function, &judged, self.at).await),
                    Ok(reached) => Ok(reached),
                    Err(error) => Err(self.failed(error)),
                }
            };
            match self.caller.gate.pass(self.at, self.function, SqlSource::Sqlite(path), effect).await? {
                Reached::Done(done) => return Ok(done),
                Reached::Link(next) => path = next,
                Reached::Hosts => return Err(self.failed(Refusal::Hosts)),
            }
        }
        Err(self.failed(Refusal::Links(MAX_LINKS)))
    }
}

/// Ends a transaction, and keeps its file open for the next call.
pub(super) async fn end(caller: &Caller, mut open: OpenFile, keeps: bool) -> Result<(), String> {
    let (holding, databases) = (Arc::clone(&caller.holding), caller.app.config.state.sql.clone());
    let end = move |work: &Work| {
        let ended = open.end(keeps, &bounds(work, &holding));
        keep(&databases, open);
        ended.map_err(WorkError)
    };
    blocking(caller, end).await.map_err(|error| error.0)
}

fn keep(databases: &Databases, open: OpenFile) {
    databases.files().keep(open);
    databases.tidy();
}

/// Opens what a walk arrived at, unless a connection to it waits.
fn opened(
    databases: &Databases,
    spot: Spot,
    create: bool,
    (hosts, go_on): (&HostFiles, &GoOn),
) -> Result<Opened, String> {
    if has_hosts_beside(&spot, hosts)? {
        return Ok(Opened::Hosts);
    }
    let path = spot.path.to_string();
    let stat = spot.entry.as_ref().map(|entry| &entry.stat);
    let which = |identity| Which { path: path.clone(), identity };
    let known = stat.map(|stat| (stat.st_dev, stat.st_ino));
    if stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile) {
        return Err("it is no regular file".to_owned());
    }
    if let Some(open) = known.and_then(|identity| databases.files().waiting(&which(identity))) {
        return Ok(Opened::File(Box::new(open)));
    }
    if known.is_none() && !create {
        return Err("there is no such file; the first exec makes it".to_owned());
    }
    let (identity, owner) = match known.and_then(|identity| Some((identity, FileOwner::known(identity)?))) {
        Some(owned) => owned,
        None => {
            let (file, stat) = description(&spot, known.is_none()).map_err(|refusal| refusal.to_string())?;
            if hosts.has(&stat, false) {
                return Ok(Opened::Hosts);
            }
            let identity = (stat.st_dev, stat.st_ino);
            (identity, sqlite::own(&Arc::new(file), identity, go_on)?)
        }
    };
    OpenFile::new(spot.folder, &spot.name, which(identity), owner).map(|open| Opened::File(Box::new(open)))
}

/// The file at this place, which is made if there was none when the walk arrived.
fn description(spot: &Spot, create: bool) -> Result<(OwnedFd, rustix::fs::Stat), Refusal> {
    if !create {
        return spot.open_file(OFlags::RDWR);
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(&spot.folder, &*spot.name, flags, Mode::from_raw_mode(0o666))?;
    let stat = fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((file, stat)),
        _ => Err(Refusal::Special),
    }
}

/// Returns whether one of the files that SQLite keeps beside a database is the host's. One that is no regular file is an
/// error.
fn has_hosts_beside(spot: &Spot, hosts: &HostFiles) -> Result<bool, String> {
    for ending in BESIDE {
        let name = format!("{}{ending}", spot.name);
        if CanonicalPath::absolute(&format!("{}{ending}", spot.path)).is_ok_and(|path| hosts.has_path(&path, false)) {
            return Ok(true);
        }
        let Ok(stat) = statat(&spot.folder, &*name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if hosts.has(&stat, false) {
            return Ok(true);
        }
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(format!("{name} is no regular file, so SQLite cannot keep its journal there"));
        }
    }
    Ok(false)
}

/// The bounds of a statement of this work. What it allocates is taken from the budget of the process as it grows.
fn bounds(work: &Work, holding: &Arc<Holding>) -> Bounds {
    let (watch, own) = (work.watch(), Arc::clone(holding));
    let taken: Mutex<Vec<Taken>> = Mutex::default();
    let go_on = move || {
        watch.go_on().map_err(|stopped| stopped.to_string())?;
        let mut taken = taken.lock();
        while sqlite::used() > (taken.len() + 1) * PIECE {
            taken.push(own.take_blocking(PIECE)?);
        }
        Ok(())
    };
    let rows = Arc::clone(holding);
    let take: TakeRows = Box::new(move |bytes| rows.take_blocking(bytes).map(|taken| rows.keep(taken)));
    Bounds { go_on: Arc::new(go_on), limit: 0, take }
}
