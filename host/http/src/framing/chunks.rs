//! A chunked body: sizes, data, trailers.

use super::head::Head;
use super::violation::Violation;

/// Characters of one line with a chunk's size, its extensions included. Nobody sends extensions but attackers.
const MAX_LINE: u16 = 256;

/// Hexadecimal digits of a size: more than any body has, and no overflow.
const MAX_DIGITS: u8 = 12;

/// A place in a chunked body.
#[derive(Debug)]
enum At {
    Size { digits: u8 },
    Extension,
    SizeCr,
    Data,
    DataEnd { cr: bool },
    Trailers(Box<Head>),
}

/// A chunked body.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    /// Bytes of this chunk still to come.
    left: u64,
    line: u16,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { at: At::Size { digits: 0 }, left: 0, line: 0 }
    }
}

impl Chunks {
    /// Reads some of `bytes`, which are not empty. Says how many, and whether the body is over.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), (usize, Violation)> {
        if let At::Trailers(head) = &mut self.at {
            let (read, end) = head.read(bytes)?;
            return Ok((read, end.is_some()));
        }
        if matches!(self.at, At::Data) {
            let read = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= read as u64;
            if self.left == 0 {
                self.at = At::DataEnd { cr: false };
            }
            return Ok((read, false));
        }
        let byte = bytes.first().copied().unwrap_or_default();
        self.step(byte).map(|()| (1, false)).map_err(|violation| (0, violation))
    }

    fn step(&mut self, byte: u8) -> Result<(), Violation> {
        self.line = self.line.saturating_add(1);
        self.at = match (&self.at, byte) {
            (_, _) if self.line > MAX_LINE => return Err(Violation::Chunk),
            (At::Size { digits }, byte) if byte.is_ascii_hexdigit() && *digits < MAX_DIGITS => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self.left * 16 + u64::from(digit);
                At::Size { digits: digits + 1 }
            }
            (At::Size { digits: 1.. }, b';') => At::Extension,
            (At::Extension, b' '..=b'~' | b'\t') => At::Extension,
            (At::Size { digits: 1.. } | At::Extension, b'\r') => At::SizeCr,
            (At::SizeCr, b'\n') => {
                self.line = 0;
                match self.left {
                    0 => At::Trailers(Box::new(Head::trailers())),
                    _ => At::Data,
                }
            }
            (At::DataEnd { cr: false }, b'\r') => At::DataEnd { cr: true },
            (At::DataEnd { cr: true }, b'\n') => {
                self.line = 0;
                At::Size { digits: 0 }
            }
            _ => return Err(Violation::Chunk),
        };
        Ok(())
    }
}
