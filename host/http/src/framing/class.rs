//! Which bytes may stand where in a head, and how many in a row do.
//!
//! A client may send what it likes, so a long run is judged eight bytes at a time, or by one look into a table for each.

/// Characters of a header name: RFC 9110, 5.6.2.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// [`is_token`] of each byte: one look instead of a dozen comparisons.
#[expect(clippy::indexing_slicing, reason = "in a constant, where the compiler checks it")]
const TOKEN: [bool; 256] = {
    let (mut table, mut byte) = ([false; 256], 0);
    while byte < table.len() {
        table[byte] = is_token(byte as u8);
        byte += 1;
    }
    table
};

/// What a line may contain besides its end: no control character but the tab. Bytes above 127 are left to hyper.
pub(super) const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// What a request line may contain.
const fn is_target(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'#'
}

/// A class of bytes: whether one is of it, and where in eight of them the first one is that is not, as the lowest bit that
/// is set.
#[derive(Clone, Copy)]
pub(super) struct Class {
    has: fn(u8) -> bool,
    ends: fn(u64) -> u64,
}

/// [`is_text`]; a tab ends it too, being so rare that it is judged by itself.
pub(super) const TEXT: Class = Class { has: is_text, ends: |bytes| below(bytes, b' ') | equal(bytes, 0x7f) };

/// [`is_target`].
pub(super) const TARGET: Class = Class {
    has: is_target,
    ends: |bytes| below(bytes, b' ') | equal(bytes, b'#') | equal(bytes, 0x7f) | bytes & each(0x80),
};

/// A byte eight times.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of the bytes below `limit`, which is at most 128: `hasless` of Anderson's "Bit Twiddling Hacks". The
/// lowest one that is set is right; borrowing may set others above it.
const fn below(bytes: u64, limit: u8) -> u64 {
    bytes.wrapping_sub(each(limit)) & !bytes & each(0x80)
}

/// The same for those that equal `byte`.
const fn equal(bytes: u64, byte: u8) -> u64 {
    below(bytes ^ each(byte), 1)
}

/// How many bytes at the start are of a class. Eight are judged at a time.
#[inline(always)]
pub(super) fn passing(bytes: &[u8], class: Class) -> usize {
    let (groups, rest) = bytes.as_chunks::<8>();
    for (place, group) in groups.iter().enumerate() {
        let ends = (class.ends)(u64::from_le_bytes(*group));
        if ends != 0 {
            return place * 8 + ends.trailing_zeros() as usize / 8;
        }
    }
    bytes.len() - rest.len() + rest.iter().position(|&byte| !(class.has)(byte)).unwrap_or(rest.len())
}

/// The characters of a header name that begin some bytes.
pub(super) fn token(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| TOKEN.get(usize::from(byte)) != Some(&true));
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bytes_are_judged_as_each_of_them() {
        for class in [TEXT, TARGET] {
            for (byte, place) in (0..=255).flat_map(|byte| (0..8).map(move |place| (byte, place))) {
                for (before, after) in [(b' ', b'~'), (b'~', 0), (b'!', 0xff)] {
                    let mut bytes = [after; 8];
                    bytes.iter_mut().take(place).for_each(|place| *place = before);
                    bytes.iter_mut().skip(place).take(1).for_each(|place| *place = byte);
                    let one_by_one = bytes.iter().position(|&byte| !(class.has)(byte)).unwrap_or(8);
                    let expected = bytes.iter().position(|&byte| byte == b'\t').unwrap_or(8).min(one_by_one);
                    assert_eq!(passing(&bytes, class), expected, "{bytes:?}");
                }
            }
        }
    }
}
