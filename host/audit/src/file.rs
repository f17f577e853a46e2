//! The file on disk: opened with a look at how it ends, appended to in whole lines, renamed when it is full.
//!
//! Only whole lines that were acknowledged stay: a failed write is cut off again, and so is a line that a killed writer
//! left unfinished, which the next opening line tells. A file that ends in anything but a sound chain is refused: to
//! write on would make a break look like an old one. A lock keeps a second writer out.

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
    line::{self, After},
    options::Options,
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
    /// Whether bytes beyond `len` may be in the file.
    torn: bool,
    /// The length at which a new file begins; later than asked for when renaming failed.
    rotate_at: u64,
    refused: u64,
    lost: u64,
    buffer: Vec<u8>,
}

impl LogFile {
    pub(crate) fn open(options: Options, now: SystemTime) -> Result<Self, AuditError> {
        let path = &options.path;
        let file = locked(path)?;
        let tail = read_tail(path, &file)?;
        let (head, after) = match tail.last {
            Some(last) => last,
            None => previous_file(path)?.unwrap_or((Hash::ZERO, After::Nothing)),
        };
        let rotate_at = options.rotate_bytes.max(1);
        let mut log = Self {
            options,
            file,
            len: tail.len,
            head,
            torn: tail.torn_bytes > 0,
            rotate_at,
            refused: 0,
            lost: 0,
            buffer: Vec::new(),
        };
        let opening = line::open(now, head, tail.len, after, tail.torn_bytes);
        log.append(now, [opening.as_str()])?;
        Ok(log)
    }

    /// Writes lines, all or none of them.
    pub(crate) fn append<'a>(
        &mut self,
        now: SystemTime,
        bodies: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), AuditError> {
        self.mend()?;
        let mut head = self.head;
        self.buffer.clear();
        if self.refused + self.lost > 0 {
            head = chain::seal(head, &line::gap(now, self.refused, self.lost), &mut self.buffer);
        }
        for body in bodies {
            head = chain::seal(head, body, &mut self.buffer);
        }
        if let Err(error) = self.file.write_all(&self.buffer) {
            self.torn = true;
            // Tried again before the next round.
            let _ = self.mend();
            return Err(AuditError::write(&self.options.path, error));
        }
        self.head = head;
        self.len += self.buffer.len() as u64;
        (self.refused, self.lost) = (0, 0);
        self.buffer.shrink_to(KEPT_BUFFER);
        if self.len >= self.rotate_at {
            self.rotate(now);
        }
        Ok(())
    }

    /// Notes lines that were not written, to be told when writing works again.
    pub(crate) fn missed(&mut self, refused: usize, lost: usize) {
        self.refused += refused as u64;
        self.lost += lost as u64;
    }

    pub(crate) fn close(mut self, now: SystemTime) -> Result<(), AuditError> {
        // No new file for the last line.
        self.rotate_at = u64::MAX;
        self.append(now, [line::close(now).as_str()])?;
        self.file.sync_all().map_err(|error| AuditError::write(&self.options.path, error))
    }

    /// Cuts off what a failed write or a killed writer left.
    fn mend(&mut self) -> Result<(), AuditError> {
        if self.torn {
            self.file.set_len(self.len).map_err(|error| AuditError::write(&self.options.path, error))?;
            self.torn = false;
        }
        Ok(())
    }

    /// Begins a new file that goes on with the chain. Where that fails, the old one goes on for as long again.
    fn rotate(&mut self, now: SystemTime) {
        match self.begin_next(now) {
            Ok(()) => self.rotate_at = self.options.rotate_bytes.max(1),
            Err(error) => {
                self.rotate_at = self.len.saturating_add(self.options.rotate_bytes.max(1));
                tracing::error!(error = &error as &dyn std::error::Error, "the audit log cannot begin a new file");
            }
        }
    }

    fn begin_next(&mut self, now: SystemTime) -> io::Result<()> {
        let path = &self.options.path;
        let mut full = numbered(path)?;
        let number = full.last().map_or(1, |(number, _)| number + 1);
        let renamed = with_number(path, number);
        fs::rename(path, &renamed)?;
        let begun = create(path).and_then(|mut file| {
            let mut opening = Vec::new();
            let body = line::open(now, self.head, 0, After::Rotation, 0);
            let head = chain::seal(self.head, &body, &mut opening);
            file.write_all(&opening)?;
            Ok((file, opening.len() as u64, head))
        });
        match begun {
            Ok(begun) => (self.file, self.len, self.head) = begun,
            Err(error) => {
                // Over a file that may have been begun: it holds no line that anyone relies on.
                fs::rename(&renamed, path)?;
                return Err(error);
            }
        }
        full.push((number, renamed));
        let excess = full.len().saturating_sub(self.options.keep);
        full.iter().take(excess).try_for_each(|(_, path)| fs::remove_file(path))
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
    if (named.dev(), named.ino()) != (held.dev(), held.ino()) {
        return Err(AuditError::InUse { path: path.to_owned() });
    }
    Ok(file)
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
fn previous_file(path: &Path) -> Result<Option<(Hash, After)>, AuditError> {
    let full = numbered(path).map_err(|error| AuditError::open(path, error))?;
    let Some((_, newest)) = full.last() else {
        return Ok(None);
    };
    let file = File::open(newest).map_err(|error| AuditError::open(newest, error))?;
    let Tail { last, .. } = read_tail(newest, &file)?;
    Ok(last)
}

/// The files of a log, in the order they were written: those that were full and renamed, then the log itself.
pub fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    let full = numbered(path)?.into_iter().map(|(_, path)| path);
    Ok(full.chain([path.to_owned()]).collect())
}

/// The full files of a log, the oldest first.
fn numbered(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(prefix) = path.file_name().and_then(|name| name.to_str()).map(|name| format!("{name}.")) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)).and_then(|digits| digits.parse().ok());
        // Not `.01` or `.+1`, which are somebody else's.
        if let Some(number) = number.filter(|n: &u64| name.to_str() == Some(&format!("{prefix}{n}"))) {
            found.push((number, with_number(path, number)));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn with_number(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}
