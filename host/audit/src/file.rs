//! The file on disk: opened with a look at how it ends, appended to in whole lines, renamed when it is full.
//!
//! Only whole lines that were acknowledged stay: a failed write is cut off again, and so is a line that a killed writer
//! left unfinished, which the next opening line tells. A file that ends in anything but a sound chain is refused, or set
//! aside where the operator says so: to write on would make a break look like an old one. A lock keeps a second writer
//! out.
//!
//! Before each call is written the path is looked up. A file that was removed, renamed or emptied in the meantime is
//! followed by a new one at the path, which goes on with the chain and says so; a file that another program put there or
//! wrote to is an error. So a record stands in a file that an operator finds, or the call that it is about is not done.
//!
//! A tool that rotates logs renames the file first and asks to go on in a new one after that. Between the two, outcomes
//! stay beside their calls in the renamed file, and the rename is told as an error only when nobody asks in time.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this file owns the files of the audit log")]

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    chain::{self, Hash},
    error::AuditError,
    files::{full_files, numbered, set_aside, with_suffix},
    line::{self, After},
    options::Options,
    reserve::Reserve,
    tail::{Tail, read_tail},
};

/// A buffer that grew beyond this for one round is given back.
const KEPT_BUFFER: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct LogFile {
    options: Options,
    file: File,
    /// Bytes of whole, acknowledged lines.
    len: u64,
    /// The hash of the last of them.
    head: Hash,
    /// Lines that this writer wrote, in all files.
    lines: u64,
    /// The reason that the first line of the file gives, until that line is written.
    unopened: Option<After>,
    /// True while bytes beyond `len` may be in the file.
    torn: bool,
    /// The length at which a new file begins; later than asked for when renaming failed.
    rotate_at: u64,
    reserve: Reserve,
    /// How often the file was renamed by another program.
    renames: u64,
    /// True if the last rename has neither been asked for nor told.
    untold: bool,
    refused: u64,
    lost: u64,
    buffer: Vec<u8>,
}

/// A log that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: LogFile,
    /// The head of the chain before the line that the new writer began with.
    pub(crate) head_before: Hash,
    /// The new name of a file that was damaged.
    pub(crate) set_aside: Option<PathBuf>,
}

/// Which file lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The file that is written, under whatever name: outcomes, whose calls are there.
    Held,
    /// The file at the path: calls, which an operator looks for there.
    Path,
}

/// What the path of the log led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// The file that is written, whole.
    There,
    /// Another one or none, and the file that was written lies elsewhere.
    Renamed,
    /// Another one or none, and nobody finds what was written; or the file without its lines.
    Moved,
}

impl LogFile {
    pub(crate) fn open(options: Options, now: SystemTime) -> Result<Opened, AuditError> {
        let path = &options.path;
        let mut aside = None;
        let (file, tail) = match locked(path).and_then(|file| read_tail(path, &file).map(|tail| (file, tail))) {
            Err(AuditError::BadTail { .. }) if options.set_aside_damaged => {
                aside = Some(set_aside(path).map_err(|error| AuditError::open(path, error))?);
                (locked(path)?, Tail::EMPTY)
            }
            opened => opened?,
        };
        let (head, after) = match tail.last {
            Some(last) => last,
            None => previous_file(&options, &mut aside)?.unwrap_or((Hash::ZERO, After::Nothing)),
        };
        let after = if aside.is_some() { After::Damage } else { after };
        let rotate_at = options.rotate_bytes.max(1);
        let mut log = Self {
            options,
            file,
            len: tail.len,
            head,
            lines: 0,
            unopened: None,
            torn: tail.torn_bytes > 0,
            rotate_at,
            reserve: Reserve::default(),
            renames: 0,
            untold: false,
            refused: 0,
            lost: 0,
            buffer: Vec::new(),
        };
        let opening = line::open(now, head, tail.len, after, tail.torn_bytes);
        log.append(now, [opening.as_str()], At::Path)?;
        Ok(Opened { file: log, head_before: head, set_aside: aside })
    }

    /// The path of the log.
    pub(crate) fn path(&self) -> &Path {
        &self.options.path
    }

    /// The hash of the last line, and the number of lines that this writer wrote.
    pub(crate) fn head(&self) -> (Hash, u64) {
        (self.head, self.lines)
    }

    /// Holds room on the disk for what is to come. False when the disk is full; there is some room left even then.
    pub(crate) fn make_room(&mut self) -> bool {
        self.reserve.renew(&self.file, self.len)
    }

    /// Writes lines, all or none of them.
    pub(crate) fn append<'a>(
        &mut self,
        now: SystemTime,
        bodies: impl IntoIterator<Item = &'a str>,
        at: At,
    ) -> Result<(), AuditError> {
        self.mend()?;
        let is_away = at == At::Held && self.is_renamed()?;
        if !is_away {
            match self.keep_place()? {
                Found::There => {}
                Found::Renamed => (self.renames, self.untold) = (self.renames + 1, true),
                Found::Moved => self.tell_moved(),
            }
        }
        let (mut head, mut lines) = (self.head, self.lines);
        self.buffer.clear();
        let mut seal = |body: &str| {
            head = chain::seal(head, body, &mut self.buffer);
            lines += 1;
        };
        if let Some(after) = self.unopened {
            seal(&line::open(now, self.head, 0, after, 0));
        }
        if self.refused + self.lost > 0 {
            seal(&line::gap(now, self.refused, self.lost));
        }
        bodies.into_iter().for_each(seal);
        if let Err(error) = self.file.write_all(&self.buffer) {
            self.torn = true;
            // Tried again before the next round.
            let _ = self.mend();
            return Err(AuditError::write(&self.options.path, error));
        }
        (self.head, self.lines) = (head, lines);
        self.len += self.buffer.len() as u64;
        (self.refused, self.lost, self.unopened) = (0, 0, None);
        self.buffer.shrink_to(KEPT_BUFFER);
        if self.len >= self.rotate_at && !is_away {
            self.rotate();
        }
        Ok(())
    }

    /// Goes on in a new file when the old one was moved away, as a tool that rotates logs does before it asks for this.
    pub(crate) fn reopen(&mut self, now: SystemTime) -> Result<(), AuditError> {
        self.untold = false;
        self.mend()?;
        match self.keep_place()? {
            Found::There => Ok(()),
            Found::Renamed | Found::Moved => self.append(now, [], At::Path),
        }
    }

    /// The number of a rename that nobody has asked for yet, and that has not been told.
    pub(crate) fn untold_rename(&self) -> Option<u64> {
        self.untold.then_some(self.renames)
    }

    /// Tells of a rename that nobody has asked for in time.
    pub(crate) fn tell_rename(&mut self, number: u64) {
        if self.untold_rename() == Some(number) {
            self.tell_moved();
        }
    }

    fn tell_moved(&mut self) {
        self.untold = false;
        let path = self.options.path.display();
        tracing::error!("another program moved or emptied the audit log {path}; it goes on in a new file there");
    }

    /// Notes lines that were not written, to be told when writing works again.
    pub(crate) fn missed(&mut self, refused: usize, lost: usize) {
        self.refused += refused as u64;
        self.lost += lost as u64;
    }

    /// Writes the closing line and brings the file to the disk. Returns the head of the chain, as [`head`](Self::head).
    pub(crate) fn close(mut self, now: SystemTime) -> Result<(Hash, u64), AuditError> {
        // No new file for the last line.
        self.rotate_at = u64::MAX;
        self.append(now, [line::close(now).as_str()], At::Path)?;
        self.tell_rename(self.renames);
        self.reserve.release(&self.file, self.len);
        self.file.sync_all().map_err(|error| AuditError::write(&self.options.path, error))?;
        Ok(self.head())
    }

    /// Cuts off what a failed write or a killed writer left.
    fn mend(&mut self) -> Result<(), AuditError> {
        if self.torn {
            self.file.set_len(self.len).map_err(|error| AuditError::write(&self.options.path, error))?;
            self.torn = false;
        }
        Ok(())
    }

    /// Returns whether the file that is written lies whole under another name. Where it lost its last name, nobody
    /// would find what is written to it.
    fn is_renamed(&self) -> Result<bool, AuditError> {
        let failed = |error| AuditError::write(&self.options.path, error);
        let held = self.file.metadata().map_err(failed)?;
        let is_at_path = match fs::metadata(&self.options.path) {
            Ok(named) => is_same(&named, &held),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        Ok(!is_at_path && held.nlink() > 0 && held.len() == self.len)
    }

    /// Sees to it that the file at the path is the one that is written.
    fn keep_place(&mut self) -> Result<Found, AuditError> {
        let path = &self.options.path;
        let failed = |error| AuditError::write(path, error);
        let held = self.file.metadata().map_err(failed)?;
        let gone = if held.nlink() > 0 { Found::Renamed } else { Found::Moved };
        match fs::metadata(path) {
            Ok(named) if is_same(&named, &held) => {
                if named.len() == self.len {
                    return Ok(Found::There);
                }
                if named.len() != 0 {
                    return Err(AuditError::Changed { path: path.clone() });
                }
                self.begin_at_the_start(None);
                return Ok(Found::Moved);
            }
            Ok(_) => match self.successor()? {
                (file, None) => self.begin_at_the_start(Some(file)),
                // A copy of all that was written: it is gone on with.
                (file, Some(len)) => (self.file, self.len, self.reserve) = (file, len, Reserve::default()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = create(path).map_err(failed)?;
                self.begin_at_the_start(Some(file));
            }
            Err(error) => return Err(failed(error)),
        }
        Ok(gone)
    }

    /// The file that another program put at the path, with its length unless it is empty.
    fn successor(&self) -> Result<(File, Option<u64>), AuditError> {
        let path = &self.options.path;
        let replaced = || AuditError::Replaced { path: path.clone() };
        let file = locked(path)?;
        match read_tail(path, &file) {
            Ok(Tail { len: 0, torn_bytes: 0, .. }) => Ok((file, None)),
            Ok(Tail { len, torn_bytes: 0, last: Some((head, _)) }) if head == self.head => Ok((file, Some(len))),
            Ok(_) | Err(AuditError::BadTail { .. }) => Err(replaced()),
            Err(error) => Err(error),
        }
    }

    fn begin_at_the_start(&mut self, file: Option<File>) {
        if let Some(file) = file {
            self.file = file;
        }
        (self.len, self.unopened, self.reserve) = (0, Some(After::Moved), Reserve::default());
        self.rotate_at = self.options.rotate_bytes.max(1);
    }

    /// Begins a new file that goes on with the chain. Where that fails, the old one goes on for as long again.
    fn rotate(&mut self) {
        if let Err(error) = self.begin_next() {
            self.rotate_at = self.len.saturating_add(self.options.rotate_bytes.max(1));
            tracing::error!(error = &error as &dyn std::error::Error, "the audit log cannot begin a new file");
        }
    }

    fn begin_next(&mut self) -> io::Result<()> {
        let path = &self.options.path;
        let last = numbered(path)?.last().map_or(0, |(number, _)| *number);
        let next = last.checked_add(1).ok_or_else(|| io::Error::other("no number is left for the full file"))?;
        let renamed = with_suffix(path, &format!(".{next}"));
        fs::rename(path, &renamed)?;
        let file = match create(path) {
            Ok(file) => file,
            Err(error) => {
                fs::rename(&renamed, path)?;
                return Err(error);
            }
        };
        self.reserve.release(&self.file, self.len);
        self.begin_at_the_start(Some(file));
        self.unopened = Some(After::Rotation);
        self.delete_old()
    }

    /// Deletes the oldest full files beyond the number that is kept.
    fn delete_old(&self) -> io::Result<()> {
        let Options { path, keep, .. } = &self.options;
        if numbered(path)?.len() <= *keep {
            return Ok(());
        }
        let full = full_files(path)?;
        let excess = full.len().saturating_sub(*keep);
        full.iter().take(excess).try_for_each(fs::remove_file)
    }
}

/// Opens the file and locks it. Another writer may rename the file in between, so it is looked up again.
fn locked(path: &Path) -> Result<File, AuditError> {
    let open = |error| AuditError::open(path, error);
    let file = options().create(true).open(path).map_err(open)?;
    let held = file.metadata().map_err(open)?;
    if !held.is_file() {
        return Err(AuditError::NotAFile { path: path.to_owned() });
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(AuditError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => return Err(open(error)),
    }
    let named = fs::metadata(path).map_err(open)?;
    if !is_same(&named, &held) {
        return Err(AuditError::InUse { path: path.to_owned() });
    }
    Ok(file)
}

fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A new file, locked; nobody else may have made it.
fn create(path: &Path) -> io::Result<File> {
    let file = options().create_new(true).open(path)?;
    file.try_lock()?;
    Ok(file)
}

/// For its owner alone: paths and addresses are nobody else's business.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).mode(0o600);
    options
}

/// The end of the newest full file, when the one in use is empty or was not made yet.
fn previous_file(options: &Options, aside: &mut Option<PathBuf>) -> Result<Option<(Hash, After)>, AuditError> {
    let path = &options.path;
    let full = full_files(path).map_err(|error| AuditError::open(path, error))?;
    let Some(newest) = full.last() else {
        return Ok(None);
    };
    let failed = |error| AuditError::open(newest, error);
    let file = File::open(newest).map_err(failed)?;
    match read_tail(newest, &file) {
        Err(AuditError::BadTail { .. }) if options.set_aside_damaged => {
            *aside = Some(set_aside(newest).map_err(failed)?);
            Ok(None)
        }
        tail => Ok(tail?.last),
    }
}
