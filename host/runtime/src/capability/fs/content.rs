//! The content of a file: it is read, replaced, added to, copied.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::{self, Errno};

use super::locate::Spot;
use super::refusal::Refusal;

/// Largest file that append_text lets grow: nothing else bounds what many small calls add up to.
const MAX_APPENDED: u64 = 1 << 30;

/// Permission bits that a file keeps when a script replaces it: never those to execute. Whoever may write files and run
/// programs beneath one folder could otherwise run what it wrote.
const KEPT_BITS: u32 = 0o666;

/// The whole content, if it is not more than `limit` bytes. `take` takes memory for so many bytes more, before they are
/// allocated.
pub(super) fn read(
    spot: &Spot,
    limit: usize,
    mut take: impl FnMut(usize) -> Result<(), Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let (file, stat) = spot.open_file(OFlags::RDONLY)?;
    let size = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if size > limit {
        return Err(too_large(limit));
    }
    // One byte more than allowed tells a file that grew meanwhile.
    let first = (size + 1).min(limit + 1);
    take(first)?;
    let mut content = vec![0; first];
    let mut filled = 0;
    loop {
        let count = match io::read(&file, content.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        filled += count;
        if filled > limit {
            return Err(too_large(limit));
        }
        if filled == content.len() {
            let more = (content.len() * 2).min(limit + 1) - content.len();
            take(more)?;
            content.resize(content.len() + more, 0);
        }
    }
    content.truncate(filled);
    Ok(content)
}

fn too_large(limit: usize) -> Refusal {
    Refusal::TooMuch(format!("larger than {} MiB", limit >> 20))
}

/// Puts a file with this content in the place: written beside it and renamed over it.
pub(super) fn replace(spot: &Spot, content: &[u8], limit: usize) -> Result<(), Refusal> {
    if content.len() > limit {
        return Err(too_large(limit));
    }
    let kept = match &spot.entry {
        Some(entry) => {
            super::locate::regular(entry.file_type())?;
            Some(Mode::from_raw_mode(entry.stat.st_mode & KEPT_BITS))
        }
        None => None,
    };
    let (file, beside) = create_beside(spot)?;
    let written =
        fill(&file, content, kept).and_then(|()| Ok(fs::renameat(&spot.folder, &*beside, &spot.folder, &*spot.name)?));
    if written.is_err() {
        // What went wrong is worth more than that the leftover could not be removed.
        let _ = fs::unlinkat(&spot.folder, &*beside, AtFlags::empty());
    }
    written
}

fn fill(file: &OwnedFd, content: &[u8], kept: Option<Mode>) -> Result<(), Refusal> {
    write_all(file, content)?;
    if let Some(mode) = kept {
        fs::fchmod(file, mode)?;
    }
    Ok(())
}

/// A new file in the same folder. Its name says whose leftover it is, should the host be killed in between.
fn create_beside(spot: &Spot) -> Result<(OwnedFd, String), Refusal> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let process = rustix::process::getpid().as_raw_nonzero();
    for _ in 0..100 {
        let name = format!(".starcell-{process}-{}.partial", NEXT.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&spot.folder, &*name, flags, Mode::from_raw_mode(KEPT_BITS)) {
            Ok(file) => return Ok((file, name)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Refusal::Os(Errno::EXIST))
}

/// Adds to the end of the file, or makes it. `take` takes memory for so many bytes.
pub(super) fn append<T>(
    spot: &Spot,
    content: &[u8],
    limit: usize,
    take: impl FnMut(usize) -> Result<T, Refusal>,
) -> Result<(), Refusal> {
    if content.len() > limit {
        return Err(too_large(limit));
    }
    let file = if spot.entry.is_some() {
        let (file, stat) = spot.open_file(OFlags::WRONLY | OFlags::APPEND)?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size.saturating_add(content.len() as u64) > MAX_APPENDED {
            return Err(Refusal::TooMuch(format!("it would grow over {} MiB", MAX_APPENDED >> 20)));
        }
        if stat.st_mode & !KEPT_BITS & 0o7777 != 0 {
            drop(file);
            return append_to_copy(spot, content, limit, take);
        }
        file
    } else {
        let flags =
            OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&spot.folder, &*spot.name, flags, Mode::from_raw_mode(KEPT_BITS)) {
            Err(Errno::EXIST) => return Err(Refusal::Changed),
            other => other?,
        }
    };
    write_all(&file, content)
}

/// Puts a copy with more at its end in the place of a file that may be executed. Such a file may be running: a shell reads
/// its script as it goes, so what is added to the very file would be run.
fn append_to_copy<T>(
    spot: &Spot,
    content: &[u8],
    limit: usize,
    mut take: impl FnMut(usize) -> Result<T, Refusal>,
) -> Result<(), Refusal> {
    let mut taken = vec![take(content.len())?];
    let mut whole = read(spot, limit, |bytes| {
        taken.push(take(bytes)?);
        Ok(())
    })?;
    whole.extend_from_slice(content);
    replace(spot, &whole, limit)
}

fn write_all(file: &OwnedFd, mut content: &[u8]) -> Result<(), Refusal> {
    while !content.is_empty() {
        match io::write(file, content) {
            Ok(count) => content = content.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
