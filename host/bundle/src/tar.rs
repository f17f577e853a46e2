//! The entries of an archive, one after another, from a reader that may unpack them as it goes.
//!
//! The decision: an entry is a file or a folder, or a header of POSIX with nothing in it that changes an entry (times and
//! attributes, which `git archive`, Python and BSD write). Whatever else tar can say is refused by its kind.
//!
//! The attack it answers: a size that a header claims is compared with its bounds before anything is read, and memory grows
//! with the bytes that come, so that neither a claim nor a stream without an end takes more than a bundle may have.

use std::collections::BTreeMap;
use std::io::Read;

use crate::bounds::{MAX_ENTRIES, MAX_FILE, MAX_UNPACKED};
use crate::error::BundleError;
use crate::header::{BLOCK, Header};
use crate::name::{check_file, check_folder, shown};

/// Bytes of a header of POSIX.
const MAX_EXTENDED: u64 = 64 << 10;

/// Blocks of zeros behind the end: programs fill records of up to a MiB.
const MAX_PADDING: usize = 2048;

/// Keys of a header of POSIX that change the entry behind it.
const CHANGING: [&str; 3] = ["linkpath", "path", "size"];
const SPARSE: &str = "GNU.sparse.";

/// Reads all files, to the end of the source.
pub(crate) fn files(source: &mut impl Read) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let mut files = BTreeMap::new();
    let mut room = MAX_UNPACKED;
    for number in 1..=MAX_ENTRIES + 1 {
        let block = block(source)?.ok_or(BundleError::CutShort)?;
        if is_zero(&block) {
            return end(source).map(|()| files);
        }
        if number > MAX_ENTRIES {
            break;
        }
        let header = Header::read(&block).ok_or(BundleError::BadHeader(number))?;
        let name = String::from_utf8(header.name)
            .map_err(|raw| BundleError::BadName(shown(&String::from_utf8_lossy(raw.as_bytes()))))?;
        // `tar -C apps -c .` begins each name so.
        let name = name.strip_prefix("./").unwrap_or(&name);
        match header.kind {
            b'0' | 0 => {
                check_file(name)?;
                if files.contains_key(name) {
                    return Err(BundleError::Duplicate(shown(name)));
                }
                let size = usize::try_from(header.size).unwrap_or(usize::MAX);
                if size > MAX_FILE {
                    return Err(BundleError::LargeFile(shown(name)));
                }
                room = room.checked_sub(size).ok_or(BundleError::LargeUnpacked)?;
                files.insert(name.to_owned(), content(source, header.size)?);
            }
            b'5' => {
                let name = name.strip_suffix('/').unwrap_or(name);
                if !name.is_empty() && name != "." {
                    check_folder(name)?;
                }
                if header.size != 0 {
                    return Err(BundleError::BadHeader(number));
                }
            }
            b'g' | b'x' => extended(source, header.size, number, name)?,
            b'1' => return Err(BundleError::Special(shown(name), "a second name of another file")),
            b'2' => return Err(BundleError::Special(shown(name), "a symbolic link")),
            b'3' | b'4' => return Err(BundleError::Special(shown(name), "a device")),
            b'6' => return Err(BundleError::Special(shown(name), "a named pipe")),
            b'K' | b'L' => return Err(BundleError::Unportable(shown(name), "a name of more than 255 bytes")),
            b'S' => return Err(BundleError::Unportable(shown(name), "a file with holes")),
            _ => return Err(BundleError::Special(shown(name), "an entry of an unknown kind")),
        }
    }
    Err(BundleError::TooMany)
}

/// What comes behind the first block of zeros: more of them.
fn end(source: &mut impl Read) -> Result<(), BundleError> {
    for number in 0..MAX_PADDING {
        match block(source)? {
            Some(block) if is_zero(&block) => {}
            Some(_) => return Err(BundleError::Behind),
            None if number == 0 => return Err(BundleError::CutShort),
            None => return Ok(()),
        }
    }
    Err(BundleError::Behind)
}

/// Reads a header of POSIX, and refuses what changes other entries.
fn extended(source: &mut impl Read, size: u64, number: usize, name: &str) -> Result<(), BundleError> {
    if size > MAX_EXTENDED {
        return Err(BundleError::Unportable(shown(name), "a header of more than 64 KiB"));
    }
    let records = content(source, size)?;
    let mut rest = records.as_slice();
    while !rest.is_empty() {
        // Each record is `LENGTH KEY=VALUE` and a line feed, and the length counts all of it.
        let record = record(rest).ok_or(BundleError::BadHeader(number))?;
        let (length, key) = record;
        if CHANGING.contains(&key) || key.starts_with(SPARSE) {
            return Err(BundleError::Unportable(shown(name), "a header that changes a name or a size"));
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// The length and the key of the first record.
fn record(rest: &[u8]) -> Option<(usize, &str)> {
    let digits = rest.split(|byte| *byte == b' ').next()?;
    let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let text = rest.get(..length)?.strip_suffix(b"\n")?.get(digits.len() + 1..)?;
    let key = text.split(|byte| *byte == b'=').next()?;
    Some((length, std::str::from_utf8(key).ok()?))
}

/// Reads the content of an entry with its padding.
fn content(source: &mut impl Read, size: u64) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    take(source, size, &mut bytes)?;
    let padding = size.next_multiple_of(BLOCK as u64) - size;
    take(source, padding, &mut Vec::new())?;
    Ok(bytes)
}

fn take(source: &mut impl Read, size: u64, bytes: &mut Vec<u8>) -> Result<(), BundleError> {
    let read = source.by_ref().take(size).read_to_end(bytes).map_err(|_| BundleError::Compression)?;
    if read as u64 == size { Ok(()) } else { Err(BundleError::CutShort) }
}

/// The next block; none at the end of the source.
fn block(source: &mut impl Read) -> Result<Option<[u8; BLOCK]>, BundleError> {
    let mut block = [0; BLOCK];
    let mut bytes = Vec::with_capacity(BLOCK);
    source.by_ref().take(BLOCK as u64).read_to_end(&mut bytes).map_err(|_| BundleError::Compression)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() < BLOCK {
        return Err(BundleError::CutShort);
    }
    block.copy_from_slice(&bytes);
    Ok(Some(block))
}

fn is_zero(block: &[u8; BLOCK]) -> bool {
    block.iter().all(|byte| *byte == 0)
}
