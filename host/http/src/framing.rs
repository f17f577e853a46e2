//! The framing of HTTP/1: reads strictly where each message of a connection begins and ends, before any other parser does.
//!
//! Request smuggling lives on bytes that two parsers take differently: a proxy in front of this server sees one request
//! where the server sees two. hyper is lenient in places where others are not: it takes a bare LF for the end of a line,
//! and prefers Transfer-Encoding where a message has both that and Content-Length. So a [`Guard`] watches the bytes on
//! their way to hyper and refuses whatever is not framed in the one way that RFC 9112 writes down. It keeps nothing of
//! what it sees but a few counters.

mod chunks;
mod class;
mod head;
mod violation;

use self::chunks::Chunks;
use self::head::{Follows, Head};
pub use self::violation::Violation;

/// Empty lines that may precede a request: old clients send one after a body.
const MAX_EMPTY_LINES: u8 = 2;

/// A place in a message, and the place before the next byte.
#[derive(Debug)]
enum Place {
    /// Before the first byte of a message, after so many empty lines.
    Between {
        lines: u8,
        cr: bool,
    },
    Head(Head),
    /// Bytes of a body still to come.
    Body(u64),
    Chunks(Chunks),
    /// After a violation nothing is read any more.
    Refused,
}

/// Follows the bytes of one connection.
#[derive(Debug)]
pub struct Guard {
    place: Place,
    /// True if the last head said that no other message follows.
    last: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self { place: BETWEEN, last: false }
    }
}

const BETWEEN: Place = Place::Between { lines: 0, cr: false };

impl Guard {
    /// Reads on.
    ///
    /// # Errors
    /// What is wrong, and how many of `bytes` precede it. Those are fit to be read, the rest is not, and neither is
    /// anything that comes later.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), (usize, Violation)> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.step(rest) {
                Ok(read) => at += read,
                Err((read, violation)) => {
                    self.place = Place::Refused;
                    return Err((at + read, violation));
                }
            }
        }
        Ok(())
    }

    /// Returns whether the connection is between two messages.
    #[must_use]
    pub fn is_between(&self) -> bool {
        matches!(self.place, Place::Between { .. })
    }

    /// Returns whether the client has sent a whole message and said that it is the last one: `Connection: close`.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.last && self.is_between()
    }

    /// Returns whether the head of a message has begun and not ended.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        matches!(self.place, Place::Head(_))
    }

    /// Reads some of `bytes`, which are not empty, and says how many.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, (usize, Violation)> {
        match &mut self.place {
            Place::Between { lines, cr } => {
                let first = bytes.first().copied().unwrap_or_default();
                match (first, *cr) {
                    (b'\n', true) if *lines < MAX_EMPTY_LINES => (*lines, *cr) = (*lines + 1, false),
                    (b'\n', true) => return Err((0, Violation::EmptyLines)),
                    (b'\n', false) => return Err((0, Violation::BareLf)),
                    (_, true) => return Err((0, Violation::BareCr)),
                    (b'\r', false) => *cr = true,
                    (_, false) => return self.head(Head::default(), bytes),
                }
                Ok(1)
            }
            Place::Head(head) => {
                let head = std::mem::take(head);
                self.head(head, bytes)
            }
            Place::Body(left) => {
                let read = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= read as u64;
                if *left == 0 {
                    self.place = BETWEEN;
                }
                Ok(read)
            }
            Place::Chunks(chunks) => {
                let (read, over) = chunks.read(bytes)?;
                if over {
                    self.place = BETWEEN;
                }
                Ok(read)
            }
            Place::Refused => Err((0, Violation::Control)),
        }
    }

    /// Reads a head from its beginning or where it was left. Only one that has not all arrived is kept.
    fn head(&mut self, mut head: Head, bytes: &[u8]) -> Result<usize, (usize, Violation)> {
        let (read, follows) = head.read(bytes)?;
        self.last = head.is_last();
        self.place = match follows {
            None => Place::Head(head),
            Some(Follows::Nothing | Follows::Length(0)) => BETWEEN,
            Some(Follows::Length(length)) => Place::Body(length),
            Some(Follows::Chunks) => Place::Chunks(Chunks::default()),
        };
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
