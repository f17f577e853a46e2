//! Packing and unpacking.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

use crate::error::usage;
use crate::given::argument;
use crate::limits::MAX_TEXT_BYTES;

/// How many times larger than the gzip its content may be. Texts reach 20, logs 100; DEFLATE ends at 1032.
const MAX_RATIO: usize = 200;

/// What each member of a gzip begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Content that is fine at any ratio.
const FREE_BYTES: usize = 1 << 20;

argument! {
    /// How hard to try.
    Level<'v>(u32) as i32, "an int from 0 to 9", |value| {
        value.unpack_i32().and_then(|level| u32::try_from(level).ok()).filter(|level| *level <= 9)
    }
}

argument! {
    /// The most that may come out.
    MaxBytes<'v>(usize) as i32, "an int from 0 to 16000000", |value| {
        let most = value.unpack_i32().and_then(|most| usize::try_from(most).ok());
        most.filter(|most| *most <= MAX_TEXT_BYTES)
    }
}

/// The gzip of some bytes. The same bytes give the same gzip: no time or name is stored.
pub(in crate::modules) fn pack(data: &[u8], level: Option<Level<'_>>) -> starlark::Result<Vec<u8>> {
    let level = level.map_or(Compression::default(), |level| Compression::new(level.0));
    let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 4), level);
    let written = encoder.write_all(data).and_then(|()| encoder.finish());
    written.map_err(|error| usage(error.to_string()))
}

fn explain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the gzip ends early".to_owned(),
        _ => format!("not a gzip: {error}"),
    }
}

/// The content of a gzip of at most so many bytes that is not suspiciously much larger; the error is the sentence to show.
pub(in crate::modules) fn unpack(gzip: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let ratio = gzip.len().saturating_mul(MAX_RATIO).max(FREE_BYTES);
    let content = members(gzip, most.min(ratio))?;
    if content.len() > most {
        return Err(too_large(most));
    }
    if content.len() > ratio {
        return Err(format!("the content is more than {MAX_RATIO} times larger than its gzip"));
    }
    Ok(content)
}

/// The content of a gzip of at most so many bytes, however much larger; the error is the sentence to show.
pub(in crate::modules) fn unpack_any(gzip: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let content = members(gzip, most)?;
    if content.len() > most { Err(too_large(most)) } else { Ok(content) }
}

fn too_large(most: usize) -> String {
    format!("the content has more than {most} bytes")
}

/// The content of all members, or as much of it as shows that there are more than `most` bytes.
fn members(gzip: &[u8], most: usize) -> Result<Vec<u8>, String> {
    if gzip.is_empty() {
        return Err("the gzip ends early".to_owned());
    }
    if !gzip.starts_with(&MAGIC) {
        return Err("not a gzip: invalid gzip header".to_owned());
    }
    let room = most.saturating_add(1);
    let mut content = Vec::new();
    let mut rest = gzip;
    loop {
        let mut member = GzDecoder::new(rest);
        let left = (room - content.len()) as u64;
        member.by_ref().take(left).read_to_end(&mut content).map_err(|error| explain(&error))?;
        if content.len() >= room {
            return Ok(content);
        }
        rest = member.into_inner();
        // gzip(1), Python and Node skip the zeros that tapes and padded blocks leave behind the last member.
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(content);
        }
        if !rest.starts_with(&MAGIC) {
            return Err(format!("{} bytes follow the gzip that belong to no gzip", rest.len()));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn zeros_behind_the_last_member_are_skipped_and_nothing_else() {
        let (one, two) = (packed(b"hello "), packed(b"world"));
        let both = [one.as_slice(), &two].concat();
        assert_eq!(unpack(&both, 100).unwrap(), b"hello world");
        for zeros in [1, 3, 8, 511, 512, 100_000] {
            let padded = [both.as_slice(), &vec![0; zeros]].concat();
            assert_eq!(unpack(&padded, 100).unwrap(), b"hello world", "{zeros}");
        }
        for rest in [&b"x"[..], b"\0\0x", b"\x1f", b"PK\x03\x04"] {
            let followed = [both.as_slice(), rest].concat();
            assert!(unpack(&followed, 100).unwrap_err().contains("follow the gzip"), "{rest:?}");
        }
        for cut in [0, 1, 5, 12, one.len() - 1] {
            let error = unpack(one.get(..cut).unwrap(), 100).unwrap_err();
            assert!(error.contains("ends early") || error.contains("invalid gzip header"), "{cut}: {error}");
        }
        assert_eq!(unpack(&both, 10).unwrap_err(), "the content has more than 10 bytes");
        assert_eq!(unpack(&packed(b""), 0).unwrap(), b"");
    }
}
