//! `gzip`: compression in memory, with flate2 over miniz_oxide, which is Rust throughout.
//!
//! A megabyte of gzip can be a gigabyte of zeros. So what comes out is limited in size, and, beyond what any small text
//! may be, in how much larger it is than what came in; both are checked while it comes out.

mod content;
pub(super) mod pack;

use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;

use super::documents::{Document, Format};
use super::path::FilePath;
use crate::bytes::Bytes;
use crate::error::usage;
use crate::limits::MAX_TEXT_BYTES;
use content::Content;
use pack::{Level, MaxBytes, pack, unpack};

/// The type of the values that `text` and `bytes` return.
pub(super) fn types() -> [(&'static str, DocType); 1] {
    [("gzip.content", content::documented())]
}

#[builtins("gzip")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The gzip of a str or of bytes.
    ///
    /// `level` is from 0 (store) to 9 (smallest). The same data gives the same bytes: no time or name is stored.
    ///
    /// ```text
    /// >>> gzip.decompress(gzip.compress("hello"))
    /// b"hello"
    /// ```
    fn compress<'v>(data: Bytes<'v>, level: Option<Level<'v>>) -> starlark::Result<Vec<u8>> {
        pack(data.0, level)
    }

    /// The content of a gzip, as bytes; several gzips in a row are one content, and zeros after the last
    /// one are skipped.
    ///
    /// `max_bytes` is the most that may come out (16 MB unless given, and at most that). Errors: what is not a whole,
    /// intact gzip, and what follows one; content of more than `max_bytes`; content of more than 1 MiB that is more than 200 times larger
    /// than its gzip.
    ///
    /// ```text
    /// >>> gzip.decompress(gzip.compress("0" * 1000), max_bytes = 999)
    /// error: gzip.decompress: the content has more than 999 bytes
    /// ```
    fn decompress<'v>(data: Bytes<'v>, max_bytes: Option<MaxBytes<'v>>) -> starlark::Result<Vec<u8>> {
        let most = max_bytes.map_or(MAX_TEXT_BYTES, |most| most.0);
        unpack(data.0, most).map_err(usage)
    }

    /// The content of a str, with the methods `compress` and `decompress`.
    ///
    /// ```text
    /// >>> gzip.bytes(gzip.text("hello").compress()).decompress()
    /// b"hello"
    /// ```
    fn text<'v>(s: &'v str) -> starlark::Result<Content> {
        Ok(Content::new(s.as_bytes()))
    }

    /// Like `text`, for bytes.
    ///
    /// ```text
    /// >>> gzip.bytes(b"\xff").data
    /// b"\xff"
    /// ```
    fn bytes<'v>(data: Bytes<'v>) -> starlark::Result<Content> {
        Ok(Content::new(data.0))
    }

    /// A file, to be packed or unpacked by the methods of what this returns: `gzip.file("log.gz").decompress()`. Making
    /// one needs no permission, reading does.
    fn file<'v>(path: FilePath<'v>) -> starlark::Result<Document> {
        Ok(Document::new(Format::Gzip, path.0))
    }
}
