//! Anchors that are added to a file.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this file owns the file of the anchors")]

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use crate::anchor::{Anchor, MAX_ANCHOR};

/// The file that anchors are added to.
#[derive(Debug)]
pub(crate) struct AnchorFile {
    path: PathBuf,
    file: File,
}

impl AnchorFile {
    /// Opens the file, or makes it, and reads its last anchor. Cuts off an anchor that a killed writer left unfinished.
    pub(crate) fn open(path: PathBuf) -> io::Result<(Self, Option<Anchor>)> {
        let (file, last) = opened(&path)?;
        Ok((Self { path, file }, last))
    }

    /// Adds the line of an anchor, all of it or nothing.
    pub(crate) fn add(&mut self, line: &str) -> io::Result<()> {
        self.keep_place()?;
        let len = self.file.metadata()?.len();
        self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()).inspect_err(|_| {
            // Half an anchor is none; where it stays, the next start cuts it off.
            let _ = self.file.set_len(len);
        })
    }

    /// Opens the file anew when another program moved it away.
    fn keep_place(&mut self) -> io::Result<()> {
        let held = self.file.metadata()?;
        let is_there = match fs::metadata(&self.path) {
            Ok(named) => (named.dev(), named.ino()) == (held.dev(), held.ino()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !is_there {
            let path = self.path.display();
            tracing::error!(
                "another program moved the anchors {path} of the audit log; they go on in a new file there"
            );
            (self.file, _) = opened(&self.path)?;
        }
        Ok(())
    }
}

fn opened(path: &std::path::Path) -> io::Result<(File, Option<Anchor>)> {
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
