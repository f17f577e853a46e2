//! Reading a log: its files in order, line by line, each checked against the chain.
//!
//! Records are only as good as the chain, so there is no way to read records past a break in it. A line without an
//! end is what a killed writer leaves; it is counted and not read, and only the last file may end in one.

use std::{
    collections::VecDeque,
    io::{self, BufRead, Read as _},
};

use thiserror::Error;

use crate::{
    chain::{self, Hash},
    line::{After, MAX_LINE},
    record::{Open, Record, RecordError, RecordKind},
};

/// The records of a log. Ends after the first error.
#[derive(Debug)]
pub struct Records<R> {
    files: VecDeque<(String, R)>,
    current: Option<Current<R>>,
    seen: Seen,
    line: Vec<u8>,
}

#[derive(Debug)]
struct Current<R> {
    name: String,
    source: R,
    /// Lines read, and the bytes of them.
    lines: u64,
    offset: u64,
}

/// The lines that were read so far and found sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Files begun.
    pub files: u64,
    /// Lines of all files.
    pub lines: u64,
    /// The hash that the first line follows: of the last line of a file that came before, or all zeros.
    pub start: Option<Hash>,
    /// The hash of the last line. Kept elsewhere, it shows later whether lines were cut off the end.
    pub head: Option<Hash>,
    /// Writers that ended without saying so, as those after them found.
    pub kills: u64,
    /// Files that began because another program had moved or emptied the one before them.
    pub moved: u64,
    /// Files that began after a damaged one was set aside.
    pub damaged: u64,
    /// Calls that were refused because they could not be recorded.
    pub refused: u64,
    /// Outcomes that could not be recorded.
    pub lost: u64,
    /// Bytes of unfinished lines, those that later writers cut off included.
    pub torn_bytes: u64,
    /// True if the last line read is a closing one.
    pub closed: bool,
}

/// A line that is not what a writer wrote.
#[derive(Debug, Error)]
#[error("{file}: line {line}: {problem}")]
pub struct ReadError {
    /// The name the file was given.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The fault.
    pub problem: ReadProblem,
}

/// The fault of a line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadProblem {
    /// The hash is not that of the line and the one before it.
    #[error("it does not follow the line before it: a line was changed, removed, added or moved here")]
    Broken,
    /// The hash is sound, the line is not one that this version writes.
    #[error(transparent)]
    NotARecord(#[from] RecordError),
    /// The file does not go on where the file before it ended.
    #[error("the file does not follow the file before it: one is missing, or they are not in order")]
    NotTheNext,
    /// A line is not at the place that it names, or the file does not begin as files do.
    #[error("lines before it were removed")]
    Removed,
    /// The line is longer than any that is written.
    #[error("it is longer than the lines of an audit log")]
    TooLong,
    /// A line without an end is followed by another file.
    #[error("the line is unfinished, and another file follows")]
    Unfinished,
    /// The file cannot be read.
    #[error("cannot read on: {0}")]
    Unreadable(#[from] io::Error),
}

impl<R: BufRead> Records<R> {
    /// Reads files, each with its name for messages, the oldest first.
    pub fn new(files: impl IntoIterator<Item = (String, R)>) -> Self {
        let files = files.into_iter().collect();
        Self { files, current: None, seen: Seen::default(), line: Vec::new() }
    }

    /// The lines that were read so far.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    fn read(&mut self) -> Result<Option<Record>, (String, u64, ReadProblem)> {
        loop {
            let Some(mut file) = self.current.take().or_else(|| self.open()) else {
                return Ok(None);
            };
            match self.read_from(&mut file) {
                Ok(Some(record)) => {
                    self.current = Some(file);
                    return Ok(Some(record));
                }
                Ok(None) => {}
                Err(problem) => return Err((file.name, file.lines + 1, problem)),
            }
        }
    }

    fn open(&mut self) -> Option<Current<R>> {
        let (name, source) = self.files.pop_front()?;
        self.seen.files += 1;
        Some(Current { name, source, lines: 0, offset: 0 })
    }

    fn read_from(&mut self, file: &mut Current<R>) -> Result<Option<Record>, ReadProblem> {
        self.line.clear();
        (&mut file.source).take(MAX_LINE as u64).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        let Some(line) = self.line.strip_suffix(b"\n") else {
            let torn = self.line.len() as u64 + rest_without_newline(&mut file.source)?.ok_or(ReadProblem::TooLong)?;
            if !self.files.is_empty() {
                return Err(ReadProblem::Unfinished);
            }
            self.seen.torn_bytes += torn;
            return Ok(None);
        };
        let first = file.lines == 0;
        // Only the first line of all tells what it follows; the others are held to it.
        let previous = match self.seen.head {
            Some(head) => head,
            None => opening(line).ok_or(ReadProblem::Removed)?.previous,
        };
        if first && opening(line).is_some_and(|open| open.previous != previous) {
            return Err(ReadProblem::NotTheNext);
        }
        let head = chain::follow(previous, line).ok_or(ReadProblem::Broken)?;
        let text = std::str::from_utf8(line).map_err(|_| RecordError::new("it is not UTF-8"))?;
        let record = Record::parse(text)?;
        match &record.kind {
            RecordKind::Open(open) if open.previous != previous => return Err(ReadProblem::Broken),
            RecordKind::Open(open) if open.at != file.offset => return Err(ReadProblem::Removed),
            RecordKind::Open(_) => {}
            _ if first => return Err(ReadProblem::Removed),
            _ => {}
        }
        self.seen.note(&record, previous, head);
        file.lines += 1;
        file.offset += self.line.len() as u64;
        Ok(Some(record))
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Record, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read() {
            Ok(record) => record.map(Ok),
            Err((file, line, problem)) => {
                self.files.clear();
                Some(Err(ReadError { file, line, problem }))
            }
        }
    }
}

impl Seen {
    fn note(&mut self, record: &Record, previous: Hash, head: Hash) {
        self.start.get_or_insert(previous);
        self.head = Some(head);
        self.lines += 1;
        match &record.kind {
            RecordKind::Open(open) => {
                self.kills += u64::from(open.after == After::Kill);
                self.moved += u64::from(open.after == After::Moved);
                self.damaged += u64::from(open.after == After::Damage);
                self.torn_bytes += open.torn_bytes;
            }
            RecordKind::Gap { refused, lost } => {
                self.refused += refused;
                self.lost += lost;
            }
            _ => {}
        }
        self.closed = record.kind == RecordKind::Close;
    }
}

fn opening(line: &[u8]) -> Option<Open> {
    match Record::parse(std::str::from_utf8(line).ok()?).ok()?.kind {
        RecordKind::Open(open) => Some(open),
        _ => None,
    }
}

/// The number of bytes left, none when there is a newline among them.
fn rest_without_newline(source: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut bytes = 0;
    loop {
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(Some(bytes));
        }
        if buffer.contains(&b'\n') {
            return Ok(None);
        }
        let len = buffer.len();
        bytes += len as u64;
        source.consume(len);
    }
}
