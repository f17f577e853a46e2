//! The hash chain that runs through the lines of a log.
//!
//! Each line ends in the SHA-256 of the hash before it and of the line's own text. Whoever changes, removes, adds or
//! reorders lines breaks it at that line, and cannot mend it without writing every later line anew; the end of a log is
//! only as safe as its last hash, which `verify` prints so that it can be kept elsewhere. Hashes are compared as the
//! exact bytes that were written, so that no second spelling of a line is sound.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

const START: &[u8] = b",\"hash\":\"";
const HEX: usize = 64;
const END: &[u8] = b"\"}";

/// Bytes that sealing adds to a line, without its newline.
const SEAL: usize = START.len() + HEX + END.len();

/// Bytes that a body takes in the file beyond its own: its seal and its newline.
pub(crate) const SEALED: usize = SEAL + 1;

/// One link of the chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The hash that the first line of the first file follows.
    pub const ZERO: Self = Self([0; 32]);

    fn of(previous: Self, body: &[u8]) -> Self {
        Self(Sha256::new().chain_update(previous.0).chain_update(body).finalize().into())
    }

    fn hex(self) -> [u8; HEX] {
        let mut hex = [0; HEX];
        HEXLOWER.encode_mut(&self.0, &mut hex);
        hex
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hex().iter().try_for_each(|digit| fmt::Write::write_char(f, char::from(*digit)))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// Reads 64 lower-case hexadecimal digits.
impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| NotAHash)?;
        bytes.try_into().map(Self).map_err(|_| NotAHash)
    }
}

/// A text that is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lower-case hexadecimal digits")]
pub struct NotAHash;

/// Adds a line to the output: the body, which is a JSON object without its closing brace, and the seal.
pub(crate) fn seal(previous: Hash, body: &str, out: &mut Vec<u8>) -> Hash {
    let hash = Hash::of(previous, body.as_bytes());
    out.reserve(body.len() + SEAL + 1);
    out.extend_from_slice(body.as_bytes());
    out.extend_from_slice(START);
    out.extend_from_slice(&hash.hex());
    out.extend_from_slice(END);
    out.push(b'\n');
    hash
}

/// A line, without its newline, as its body and the hash written in it.
pub(crate) fn split(line: &[u8]) -> Option<(&[u8], Hash)> {
    let (body, seal) = line.split_at_checked(line.len().checked_sub(SEAL)?)?;
    let hex = seal.strip_prefix(START)?.strip_suffix(END)?;
    Some((body, std::str::from_utf8(hex).ok()?.parse().ok()?))
}

/// The hash of a line that follows `previous`; none when it does not.
pub(crate) fn follow(previous: Hash, line: &[u8]) -> Option<Hash> {
    let (body, written) = split(line)?;
    (Hash::of(previous, body) == written).then_some(written)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_sealed_line_follows_only_its_own_past() {
        let mut out = Vec::new();
        let first = seal(Hash::ZERO, "{\"a\":1", &mut out);
        let line = out.strip_suffix(b"\n").unwrap();
        assert_eq!(follow(Hash::ZERO, line), Some(first));
        assert_eq!(follow(first, line), None);
        assert_eq!(split(line).unwrap(), (b"{\"a\":1".as_slice(), first));
        let upper =
            String::from_utf8(line.to_vec()).unwrap().replace(&first.to_string(), &first.to_string().to_uppercase());
        assert_eq!(follow(Hash::ZERO, upper.as_bytes()), None, "one spelling only");
        assert_eq!(split(b"{}"), None);
    }

    #[test]
    fn hashes_read_back() {
        let hash = Hash::of(Hash::ZERO, b"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("0".repeat(64).parse(), Ok(Hash::ZERO));
        for text in ["", "0", &"g".repeat(64), &"A".repeat(64), &"0".repeat(65)] {
            assert_eq!(text.parse::<Hash>(), Err(NotAHash), "{text}");
        }
    }
}
