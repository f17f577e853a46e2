//! `gzip`: compression in memory, with flate2 over miniz_oxide, which is Rust throughout.
//!
//! A megabyte of gzip can be a gigabyte of zeros. So what comes out is limited in size, and, beyond what any small text
//! may be, in how much larger it is than what came in; both are checked while it comes out.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use starlark::environment::GlobalsBuilder;
use starlark::starlark_module;

use crate::bytes::Bytes;
use crate::error::usage;
use crate::given::{Given, optional};
use crate::limits::MAX_TEXT_BYTES;

/// How many times larger than the gzip its content may be. Texts reach 20, logs 100; DEFLATE ends at 1032.
const MAX_RATIO: usize = 200;

/// Content that is fine at any ratio.
const FREE_BYTES: usize = 1 << 20;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The gzip of a str or of bytes.
    ///
    /// `level` is from 0 (store) to 9 (smallest). The same data gives the same bytes: no time or name is stored.
    ///
    /// ```text
    /// >>> gzip.decompress(gzip.compress("hello"))
    /// b"hello"
    /// ```
    fn compress<'v>(data: Given<'v, Bytes<'v>>, level: Option<Given<'v, i32>>) -> starlark::Result<Vec<u8>> {
        let function = "gzip.compress";
        let data = data.bytes(function, "data")?;
        let level = match level {
            None => Compression::default(),
            Some(given) => match u32::try_from(optional(Some(given), function, "level", 6)?) {
                Ok(level @ 0..=9) => Compression::new(level),
                _ => return Err(given.wrong(function, "level", "an int from 0 to 9")),
            },
        };
        let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 4), level);
        let written = encoder.write_all(data).and_then(|()| encoder.finish());
        written.map_err(|error| usage(format!("{function}: {error}")))
    }

    /// The content of a gzip, as bytes; several gzips in a row are one content.
    ///
    /// `max_bytes` is the most that may come out (16 MB unless given, and at most that). Errors: what is not a whole,
    /// intact gzip; content of more than `max_bytes`; content of more than 1 MiB that is more than 200 times larger
    /// than its gzip.
    ///
    /// ```text
    /// >>> gzip.decompress(gzip.compress("0" * 1000), max_bytes = 999)
    /// error: gzip.decompress: the content has more than 999 bytes
    /// ```
    fn decompress<'v>(data: Given<'v, Bytes<'v>>, max_bytes: Option<Given<'v, i32>>) -> starlark::Result<Vec<u8>> {
        let function = "gzip.decompress";
        let data = data.bytes(function, "data")?;
        let most = match max_bytes {
            None => MAX_TEXT_BYTES,
            Some(given) => {
                match usize::try_from(optional(Some(given), function, "max_bytes", MAX_TEXT_BYTES as i32)?) {
                    Ok(most) if most <= MAX_TEXT_BYTES => most,
                    _ => return Err(given.wrong(function, "max_bytes", &format!("an int from 0 to {MAX_TEXT_BYTES}"))),
                }
            }
        };
        decompressed(data, most).map_err(|sentence| usage(format!("{function}: {sentence}")))
    }
}

fn decompressed(gzip: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let ratio = gzip.len().saturating_mul(MAX_RATIO).max(FREE_BYTES);
    if !gzip.is_empty() && !gzip.starts_with(&[0x1f, 0x8b]) {
        return Err("not a gzip: invalid gzip header".to_owned());
    }
    // One more than allowed tells too much from just enough.
    let room = most.min(ratio).saturating_add(1);
    let mut content = Vec::new();
    let mut decoder = MultiGzDecoder::new(gzip).take(room as u64);
    decoder.read_to_end(&mut content).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the gzip ends early".to_owned(),
        _ => format!("not a gzip: {error}"),
    })?;
    if content.len() > most {
        return Err(format!("the content has more than {most} bytes"));
    }
    if content.len() > ratio {
        return Err(format!("the content is more than {MAX_RATIO} times larger than its gzip"));
    }
    Ok(content)
}
