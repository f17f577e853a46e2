//! The head of a message, line by line.

use super::class::Class;
use super::violation::Violation;

/// How a message goes on after its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    Nothing,
    Length(u64),
    Chunks,
}

/// A place in the head.
#[derive(Debug, Default)]
enum At {
    #[default]
    RequestLine,
    LineStart,
    Name,
    Value,
    /// After the CR of a line; of the empty line that ends the head, if `last`.
    Cr {
        last: bool,
    },
}

/// The two headers that say how long a message is, and the one that says whether another one follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    #[default]
    Other,
    Length,
    Encoding,
    Connection,
}

impl Field {
    fn of(name: &[u8]) -> Self {
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => Self::Connection,
            14 if name.eq_ignore_ascii_case(b"content-length") => Self::Length,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => Self::Encoding,
            _ => Self::Other,
        }
    }
}

/// The head of one message, or its trailer section.
#[derive(Debug, Default)]
pub(super) struct Head {
    at: At,
    name: Word<17>,
    field: Field,
    value: Word<20>,
    length: Option<u64>,
    chunked: bool,
    last: bool,
}

impl Head {
    /// The trailer section of a chunked message: header lines alone.
    pub(super) fn trailers() -> Self {
        Self { at: At::LineStart, ..Self::default() }
    }

    /// True for an explicit `Connection: close`. Other things end a connection too.
    pub(super) fn is_last(&self) -> bool {
        self.last
    }

    /// Reads until the end of the head, or of `bytes`. Says how many were read and, at the end, what follows.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, Option<Follows>), (usize, Violation)> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += self.pass(rest);
            let rest = bytes.get(at..).unwrap_or_default();
            // Most lines end as they should, the last one with the head.
            match rest.strip_prefix(b"\r\n").filter(|_| matches!(self.at, At::RequestLine | At::Value)) {
                Some(rest) => {
                    self.end_of_line().map_err(|violation| (at, violation))?;
                    (self.at, at) = (At::LineStart, at + 2);
                    if rest.starts_with(b"\r\n") {
                        return Ok((at + 2, Some(self.follows())));
                    }
                }
                None => match rest.first().map(|&byte| self.step(byte)) {
                    None => {}
                    Some(Ok(None)) => at += 1,
                    Some(Ok(Some(follows))) => return Ok((at + 1, Some(follows))),
                    Some(Err(violation)) => return Err((at, violation)),
                },
            }
        }
        Ok((at, None))
    }

    /// Reads what begins `bytes` and is as it should be, in large pieces; says how much.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        match self.at {
            At::RequestLine => Class::Target.start(bytes).len(),
            At::LineStart => {
                let name = Class::Token.start(bytes);
                if bytes.get(name.len()) == Some(&b':') {
                    self.begin_value(Field::of(name));
                    let begun = name.len() + 1;
                    return begun + self.pass_value(bytes.get(begun..).unwrap_or_default());
                }
                // One that comes in pieces is put together.
                if !name.is_empty() {
                    (self.at, self.name) = (At::Name, Word::default());
                    self.name.extend(name);
                }
                name.len()
            }
            At::Name => {
                let name = Class::Token.start(bytes);
                self.name.extend(name);
                name.len()
            }
            At::Value => self.pass_value(bytes),
            At::Cr { .. } => 0,
        }
    }

    fn pass_value(&mut self, bytes: &[u8]) -> usize {
        let value = Class::Text.start(bytes);
        // Of other fields the value is not looked at.
        if self.field != Field::Other {
            self.value.extend(value);
        }
        value.len()
    }

    /// Reads a byte that ends what [`Self::pass`] reads.
    fn step(&mut self, byte: u8) -> Result<Option<Follows>, Violation> {
        match (&self.at, byte) {
            (At::Cr { last: false }, b'\n') => self.at = At::LineStart,
            (At::Cr { last: true }, b'\n') => return Ok(Some(self.follows())),
            (At::Cr { .. }, _) => return Err(Violation::BareCr),
            (_, b'\n') => return Err(Violation::BareLf),
            (At::LineStart, b'\r') => self.at = At::Cr { last: true },
            (At::Name, b'\r') => return Err(Violation::Name),
            (At::RequestLine, b'\r') => self.at = At::Cr { last: false },
            (At::Value, b'\r') => {
                self.end_of_line()?;
                self.at = At::Cr { last: false };
            }
            (_, byte) if !Class::Text.has(byte) => return Err(Violation::Control),
            (At::RequestLine, _) => return Err(Violation::Target),
            (At::LineStart, b' ' | b'\t') => return Err(Violation::Folded),
            (At::Name, b':') => self.begin_value(self.name.get().map_or(Field::Other, Field::of)),
            (At::LineStart | At::Name, _) => return Err(Violation::Name),
            (At::Value, byte) => self.value.push(byte),
        }
        Ok(None)
    }

    fn begin_value(&mut self, field: Field) {
        self.field = field;
        if field != Field::Other {
            self.value = Word::default();
        }
        self.at = At::Value;
    }

    /// Judges a line that is complete but for its end.
    fn end_of_line(&mut self) -> Result<(), Violation> {
        let value = self.value.get().map(<[u8]>::trim_ascii);
        match self.field {
            Field::Other => return Ok(()),
            Field::Length => {
                let digits = value.filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
                let text = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(Violation::Length)?;
                let length = text.parse().map_err(|_| Violation::Length)?;
                if self.length.replace(length).is_some() {
                    return Err(Violation::TwoLengths);
                }
            }
            Field::Encoding => {
                if self.chunked || !value.is_some_and(|value| value.eq_ignore_ascii_case(b"chunked")) {
                    return Err(Violation::Encoding);
                }
                self.chunked = true;
            }
            Field::Connection => self.last = value.is_some_and(|value| value.eq_ignore_ascii_case(b"close")),
        }
        match self.chunked && self.length.is_some() {
            true => Err(Violation::LengthAndEncoding),
            false => Ok(()),
        }
    }

    fn follows(&self) -> Follows {
        match (self.chunked, self.length) {
            (true, _) => Follows::Chunks,
            (false, Some(length)) => Follows::Length(length),
            (false, None) => Follows::Nothing,
        }
    }
}

/// At most so many bytes; a longer word is known to be none that matters.
#[derive(Debug)]
struct Word<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Default for Word<N> {
    fn default() -> Self {
        Self { bytes: [0; N], length: 0 }
    }
}

impl<const N: usize> Word<N> {
    /// Appends a byte. Leading spaces are left out, so that only those inside and behind count.
    fn push(&mut self, byte: u8) {
        if self.length == 0 && matches!(byte, b' ' | b'\t') {
            return;
        }
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
        }
        self.length = self.length.saturating_add(1);
    }

    /// Appends bytes, of a long word no more than it takes to see that it is one.
    fn extend(&mut self, bytes: &[u8]) {
        let bytes = if self.length == 0 { bytes.trim_ascii_start() } else { bytes };
        bytes.iter().take(N + 1).for_each(|&byte| self.push(byte));
    }

    /// The word, unless it is too long. Trailing spaces beyond the end are not forgiven.
    fn get(&self) -> Option<&[u8]> {
        self.bytes.get(..self.length)
    }
}
