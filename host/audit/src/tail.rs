//! The end of an existing file: its last whole lines, whether they belong together, and what is torn after them.

#![expect(clippy::disallowed_types, reason = "part of what owns the files of the audit log")]

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use crate::{
    chain::{self, Hash},
    error::AuditError,
    line::{After, MAX_LINE},
    record::{Open, Record, RecordKind},
};

/// Bytes of whole lines that are looked at: some hundred, and never fewer than three whatever their lengths.
const WINDOW: usize = 4 * MAX_LINE;

/// The start of every file.
const OPENING: &[u8] = b"{\"v\":1,\"kind\":\"open\",";

#[derive(Debug)]
pub(crate) struct Tail {
    /// Bytes of whole lines.
    pub(crate) len: u64,
    /// Bytes of an unfinished line after them.
    pub(crate) torn_bytes: u64,
    /// The hash of the last whole line and what its kind makes of a line that follows; none in an empty file.
    pub(crate) last: Option<(Hash, After)>,
}

impl Tail {
    /// The end of a file without a byte.
    pub(crate) const EMPTY: Self = Self { len: 0, torn_bytes: 0, last: None };
}

/// Reads the end of a file and checks that its lines belong together. The rest is `verify`'s to check: a start of the
/// host shall not take as long as reading all that it ever wrote.
pub(crate) fn read_tail(path: &Path, file: &File) -> Result<Tail, AuditError> {
    let open = |error| AuditError::open(path, error);
    let size = file.metadata().map_err(open)?.len();
    let len = end_of_lines(file, size).map_err(open)?;
    let torn_bytes = size - len;
    if len == 0 && !begins_a_log(&read(file, 0, size.min(OPENING.len() as u64)).map_err(open)?) {
        return Err(AuditError::BadTail { path: path.to_owned(), problem: "it is no audit log" });
    }
    let start = len.saturating_sub(WINDOW as u64);
    let window = read(file, start, len).map_err(open)?;
    let last = last_line(&window, start).map_err(|problem| AuditError::BadTail { path: path.to_owned(), problem })?;
    Ok(Tail { len, torn_bytes, last })
}

/// The hash that the first line of a file follows, and that of its last whole line; none in a file without a whole line.
/// Nothing is checked but the form of these two lines.
pub(crate) fn ends(file: &File) -> io::Result<Option<(Hash, Hash)>> {
    let bad = || io::Error::other("no audit log");
    let len = end_of_lines(file, file.metadata()?.len())?;
    if len == 0 {
        return Ok(None);
    }
    let start = read(file, 0, len.min(MAX_LINE as u64))?;
    let first = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let RecordKind::Open(Open { previous, .. }) = parse(first).map_err(|_| bad())?.kind else { return Err(bad()) };
    let end = read(file, len.saturating_sub(MAX_LINE as u64), len)?;
    let end = end.strip_suffix(b"\n").unwrap_or(&end);
    let last = end.rsplit(|byte| *byte == b'\n').next().and_then(chain::split).ok_or_else(bad)?;
    Ok(Some((previous, last.1)))
}

/// True if a file without a whole line is a log: its torn line is cut off, which no other file must suffer. A disk
/// that lost power may have kept the length of a line and none of its bytes.
fn begins_a_log(start: &[u8]) -> bool {
    OPENING.starts_with(start) || start.iter().all(|byte| *byte == 0)
}

/// The offset behind the last newline; a disk that lost power may have left any number of bytes after it.
fn end_of_lines(file: &File, size: u64) -> io::Result<u64> {
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(WINDOW as u64);
        let window = read(file, start, end)?;
        if let Some(newline) = window.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn read(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}

/// Checks whole lines, each against the one before it; the first may be a piece of one unless it starts the file.
fn last_line(window: &[u8], start: u64) -> Result<Option<(Hash, After)>, &'static str> {
    let Some(window) = window.strip_suffix(b"\n") else {
        return Ok(None);
    };
    let mut lines = window.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let (previous, mut last) = if start == 0 {
        let RecordKind::Open(Open { previous, .. }) = parse(first)?.kind else {
            return Err("it does not begin with an opening line");
        };
        (previous, first)
    } else {
        let base = lines.next().and_then(chain::split).ok_or("its last lines have no hash")?;
        (base.1, lines.next().ok_or("its last lines are too long")?)
    };
    let follow = |previous, line| chain::follow(previous, line).ok_or("a line does not follow the one before it");
    let mut hash = follow(previous, last)?;
    for line in lines {
        hash = follow(hash, line)?;
        last = line;
    }
    let after = if matches!(parse(last)?.kind, RecordKind::Close) { After::Close } else { After::Kill };
    Ok(Some((hash, after)))
}

fn parse(line: &[u8]) -> Result<Record, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "a line is not UTF-8")?;
    Record::parse(text).map_err(|_| "a line is no record of an audit log")
}
