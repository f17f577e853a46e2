//! The names in a folder: they are listed, matched, made, removed.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;

use super::locate::{FOLDER, Spot};
use super::refusal::Refusal;
use crate::capability::blocking::Work;

/// Most entries that one call looks at.
pub(super) const MAX_ENTRIES: usize = 100_000;

/// Deepest nesting of folders that one call goes into; each level holds a descriptor.
pub(super) const MAX_DEPTH: usize = 64;

/// A name in a folder, and whether it is known to be a folder itself.
pub(super) struct Name {
    pub(super) text: String,
    pub(super) is_folder: bool,
}

/// How many more entries a call may look at, in the time that its request has.
pub(super) struct Budget<'a> {
    entries: usize,
    work: &'a Work,
}

impl<'a> Budget<'a> {
    pub(super) fn new(work: &'a Work) -> Self {
        Self { entries: MAX_ENTRIES, work }
    }

    pub(super) fn spend(&mut self) -> Result<(), Refusal> {
        self.work.go_on()?;
        let left = self.entries.checked_sub(1);
        self.entries = left.ok_or_else(|| Refusal::TooMuch(format!("more than {MAX_ENTRIES} entries")))?;
        Ok(())
    }
}

/// The names in a folder, sorted. One that is not UTF-8 is left out: a script has no way to write it down.
pub(super) fn names(folder: impl AsFd, budget: &mut Budget<'_>) -> Result<Vec<Name>, Refusal> {
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let Ok(text) = entry.file_name().to_str() else { continue };
        if text == "." || text == ".." {
            continue;
        }
        budget.spend()?;
        let is_folder = match entry.file_type() {
            // Some file systems do not say.
            FileType::Unknown => {
                let stat = fs::statat(&folder, text, AtFlags::SYMLINK_NOFOLLOW);
                stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
            }
            file_type => file_type == FileType::Directory,
        };
        names.push(Name { text: text.to_owned(), is_folder });
    }
    names.sort_unstable_by(|one, other| one.text.cmp(&other.text));
    Ok(names)
}

/// Makes a folder. With `may_exist`, one that is there already will do.
pub(super) fn make(spot: &Spot, may_exist: bool) -> Result<(), Refusal> {
    match &spot.entry {
        Some(entry) if may_exist && entry.file_type() == FileType::Directory => Ok(()),
        Some(_) => Err(Refusal::Os(Errno::EXIST)),
        None => Ok(fs::mkdirat(&spot.folder, &*spot.name, Mode::from_raw_mode(0o777))?),
    }
}

/// Removes what is at the place: a link rather than where it leads, and a folder only when it is empty.
pub(super) fn remove(spot: &Spot) -> Result<(), Refusal> {
    let flags = match spot.entry()?.file_type() {
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    Ok(fs::unlinkat(&spot.folder, &*spot.name, flags)?)
}

/// Removes what is at the place and everything beneath it, on the same file system.
pub(super) fn remove_all(spot: &Spot, work: &Work) -> Result<(), Refusal> {
    let entry = spot.entry()?;
    if entry.file_type() == FileType::Directory {
        let folder = spot.open_folder()?;
        empty(&folder, entry.stat.st_dev, &mut Budget::new(work), 0)?;
    }
    remove(spot)
}

fn empty(folder: &OwnedFd, device: u64, budget: &mut Budget<'_>, depth: usize) -> Result<(), Refusal> {
    if depth == MAX_DEPTH {
        return Err(Refusal::TooMuch(format!("folders nested more than {MAX_DEPTH} deep")));
    }
    for name in raw_names(folder, budget)? {
        match fs::unlinkat(folder, &*name, AtFlags::empty()) {
            Ok(()) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
        let inner = fs::openat(folder, &*name, FOLDER, Mode::empty())?;
        if fs::fstat(&inner)?.st_dev != device {
            return Err(Refusal::TooMuch("another file system is mounted beneath it".to_owned()));
        }
        empty(&inner, device, budget, depth + 1)?;
        fs::unlinkat(folder, &*name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Every name in a folder, also those that are not UTF-8.
fn raw_names(folder: &OwnedFd, budget: &mut Budget<'_>) -> Result<Vec<std::ffi::CString>, Refusal> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            budget.spend()?;
            names.push(name);
        }
    }
    Ok(names)
}
