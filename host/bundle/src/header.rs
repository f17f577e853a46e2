//! A header of tar: the 512 bytes before the content of an entry, in the format `ustar` (POSIX.1-1988) that every tar reads.
//!
//! The decision: numbers are octal and in bounds, the checksum holds, and the magic is there. What other formats put into
//! the same bytes (sizes in base 256, the older format without a magic) is refused, since readers of tar differ about it.

/// Bytes of a header, and of what contents are padded to.
pub(crate) const BLOCK: usize = 512;

/// The places of the fields.
const NAME: (usize, usize) = (0, 100);
const MODE: usize = 100;
const OWNER: usize = 108;
const GROUP: usize = 116;
const SIZE: (usize, usize) = (124, 12);
const MODIFIED: usize = 136;
const CHECKSUM: (usize, usize) = (148, 8);
const KIND: usize = 156;
const MAGIC: (usize, usize) = (257, 8);
const PREFIX: (usize, usize) = (345, 155);

const USTAR: &[u8] = b"ustar\x0000";
const GNU: &[u8] = b"ustar  \0";

/// A header that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// The name as it is written.
    pub(crate) name: Vec<u8>,
    /// Bytes of the content.
    pub(crate) size: u64,
    /// The kind of the entry.
    pub(crate) kind: u8,
}

impl Header {
    /// Reads a header; none where it is not sound.
    pub(crate) fn read(block: &[u8; BLOCK]) -> Option<Self> {
        let magic = field(block, MAGIC)?;
        if octal(field(block, CHECKSUM)?)? != u64::from(checksum(block)) || (magic != USTAR && magic != GNU) {
            return None;
        }
        let (name, prefix) = (text(field(block, NAME)?), text(field(block, PREFIX)?));
        // GNU keeps times there.
        let name = match prefix.is_empty() || magic == GNU {
            true => name.to_vec(),
            false => [prefix, b"/", name].concat(),
        };
        Some(Self { name, size: octal(field(block, SIZE)?)?, kind: *block.get(KIND)? })
    }

    /// The header of a file; none for a name that no header has room for.
    pub(crate) fn of_file(name: &str, size: usize) -> Option<[u8; BLOCK]> {
        let (prefix, name) = split(name)?;
        let mut block = [0; BLOCK];
        put(&mut block, NAME.0, name.as_bytes());
        put(&mut block, PREFIX.0, prefix.as_bytes());
        put(&mut block, MODE, b"0000644\0");
        // No owner and no time: both would differ from one machine to the next.
        for id in [OWNER, GROUP] {
            put(&mut block, id, b"0000000\0");
        }
        put(&mut block, SIZE.0, format!("{size:011o}\0").as_bytes());
        put(&mut block, MODIFIED, b"00000000000\0");
        put(&mut block, KIND, b"0");
        put(&mut block, MAGIC.0, USTAR);
        let sum = checksum(&block);
        put(&mut block, CHECKSUM.0, format!("{sum:06o}\0 ").as_bytes());
        Some(block)
    }
}

/// Returns whether a header has room for a name.
pub(crate) fn has_room(name: &str) -> bool {
    split(name).is_some()
}

/// A name in the two fields that there are for it.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME.1 {
        return Some(("", name));
    }
    let ends = name.match_indices('/').map(|(end, _)| end);
    let mut cuts = ends.filter_map(|end| Some((name.get(..end)?, name.get(end + 1..)?)));
    cuts.find(|(prefix, rest)| prefix.len() <= PREFIX.1 && rest.len() <= NAME.1)
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    for (place, byte) in block.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

fn field(block: &[u8; BLOCK], (at, length): (usize, usize)) -> Option<&[u8]> {
    block.get(at..at + length)
}

/// The bytes before the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The sum of all bytes, with spaces in the place of the sum itself.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let (at, length) = CHECKSUM;
    let own = at..at + length;
    block.iter().enumerate().map(|(n, byte)| if own.contains(&n) { u32::from(b' ') } else { u32::from(*byte) }).sum()
}

/// A number in octal digits, with spaces before it and spaces or zeros behind it.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_start_matches(' ').trim_end_matches([' ', '\0']);
    let all = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    if all { u64::from_str_radix(text, 8).ok() } else { None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back() {
        let long = format!("a/{}/{}", "b".repeat(150), "c".repeat(100));
        for (name, size) in [("a/main.star", 0), ("a/x", 8 << 20), (long.as_str(), 7)] {
            let block = Header::of_file(name, size).unwrap();
            let read = Header::read(&block).unwrap();
            assert_eq!(read, Header { name: name.as_bytes().to_vec(), size: size as u64, kind: b'0' });
        }
        let none = format!("a/{}", "b".repeat(101));
        assert_eq!(Header::of_file(&none, 0), None);
    }

    #[test]
    fn a_header_that_is_not_sound_is_none() {
        let sound = Header::of_file("a/main.star", 5).unwrap();
        for at in [0, SIZE.0, KIND, MAGIC.0, PREFIX.0, CHECKSUM.0] {
            let mut block = sound;
            block[at] ^= 1;
            assert_eq!(Header::read(&block), None, "{at}");
        }
        assert_eq!((octal(b"0000017\0"), octal(b"  17 \0")), (Some(15), Some(15)));
        for field in [&b"\x80\0\0\0\x05"[..], b"", b"   ", b"18", b"1 7", b"-1", b"777777777777777777777777"] {
            assert_eq!(octal(field), None, "{field:?}");
        }
    }
}
