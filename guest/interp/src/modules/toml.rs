//! `toml`: configuration texts. The toml crate reads and writes; it stops at 80 levels by itself.
//!
//! Dates and times become texts as they were written (RFC 3339), since the language has no value for them; going out, a
//! text stays a text.

pub(super) mod read;
pub(super) mod write;

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::values::{Heap, Value};

use super::documents::{Document, Format, Source};
use super::path::FilePath;
use super::text::document;
use crate::bytes::Bytes;
use crate::error::usage;

#[builtins("toml")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The dict of a TOML document, given as str or bytes.
    ///
    /// Tables keep their order; dates and times become texts. Errors: what is not TOML, with line and column; a
    /// document of more than 512 KiB or 80 levels.
    ///
    /// ```text
    /// >>> toml.decode("name = 'app'\n[server]\nports = [80, 443]\n")
    /// {"name": "app", "server": {"ports": [80, 443]}}
    /// ```
    fn decode<'v>(text: Bytes<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let text = document(text)?;
        read::document(text, heap).map_err(usage)
    }

    /// The TOML document of a dict or struct.
    ///
    /// Errors: what TOML cannot hold, with the path to it: `None`, ints of more than 64 bits, keys that are no str,
    /// more than 80 levels.
    ///
    /// ```text
    /// >>> toml.encode({"name": "app", "server": {"ports": [80, 443]}})
    /// "name = \"app\"\n\n[server]\nports = [80, 443]\n"
    /// ```
    fn encode<'v>(value: Value<'v>) -> starlark::Result<String> {
        write::document(value).map_err(|wrong| usage(wrong.into_text()))
    }

    /// A file of TOML, to be read by the methods of what this returns. Making one needs no permission, reading does:
    /// `toml.file("app.toml").decode()`.
    fn file<'v>(path: FilePath<'v>) -> starlark::Result<Document> {
        Ok(Document::new(Format::Toml, path.0))
    }

    /// A value, to be written as TOML by the methods of what this returns: `toml.source(value).write_file("out.toml")`.
    fn source<'v>(value: Value<'v>) -> starlark::Result<Source<'v>> {
        Ok(Source::new(Format::Toml, value))
    }
}
