//! `yaml`: YAML 1.2 with its core schema, which is also what JSON is a part of.
//!
//! saphyr-parser turns the text into events, and values are made of those without a tree in between. What is a known
//! surprise or a known attack in YAML is decided here: `no` and `on` are texts, as 1.2 says; a tag the core schema
//! lacks is an error, never a guess; a key twice is an error; an alias is a copy of its own, and all copies together
//! count towards the limit of values, so that nine lists of nine aliases are an error and not a billion values.

mod decode;
pub(super) mod encode;
pub(super) mod read;
mod scalar;

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::values::list::ListRef;
use starlark::values::{Heap, Value};

use super::documents::{Document, Format, Source};
use super::path::FilePath;
use super::text::document;
use crate::bytes::Bytes;
use crate::error::usage;

#[builtins("yaml")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The value of a YAML document, given as str or bytes.
    ///
    /// Maps keep their order, `<<` merges, anchors and aliases work; dates are texts. Errors: what is not YAML, with
    /// line and column; a key that is given twice or is no scalar; an unknown tag; more than one document; more than
    /// 127 levels or 200000 values, aliases counted in full; a text or flow collection of more than 200000 words and
    /// signs.
    ///
    /// ```text
    /// >>> yaml.decode("name: app\nports: [80, 443]\nenabled: true")
    /// {"name": "app", "ports": [80, 443], "enabled": True}
    /// ```
    fn decode<'v>(text: Bytes<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        read::one(document(text)?, heap)
    }

    /// The values of all documents of a YAML text, as a list.
    ///
    /// ```text
    /// >>> yaml.decode_all("a: 1\n---\n- b\n")
    /// [{"a": 1}, ["b"]]
    /// ```
    fn decode_all<'v>(text: Bytes<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        read::all(document(text)?, heap)
    }

    /// The YAML text of a value.
    ///
    /// Texts that another reader might take for something else (`no`, `1.0`, `12:30`) are quoted. Errors: what YAML
    /// cannot hold, with the path to it; values nested more than 127 deep; a text of more than 16 MB.
    ///
    /// ```text
    /// >>> yaml.encode({"name": "app", "ports": [80, 443], "country": "no"})
    /// "name: app\nports:\n  - 80\n  - 443\ncountry: \"no\"\n"
    /// ```
    fn encode<'v>(value: Value<'v>) -> starlark::Result<String> {
        encode::encode(&[value]).map_err(usage)
    }

    /// One YAML text with a document for each value of a list.
    ///
    /// ```text
    /// >>> yaml.encode_all([{"a": 1}, ["b"]])
    /// "a: 1\n---\n- b\n"
    /// ```
    fn encode_all<'v>(values: &'v ListRef<'v>) -> starlark::Result<String> {
        encode::encode(values.content()).map_err(usage)
    }

    /// A file of YAML, to be read by the methods of what this returns. Making one needs no permission, reading does:
    /// `yaml.file("app.yaml").decode()`.
    fn file<'v>(path: FilePath<'v>) -> starlark::Result<Document> {
        Ok(Document::new(Format::Yaml, path.0))
    }

    /// A value, to be written as YAML by the methods of what this returns: `yaml.source(value).write_file("out.yaml")`.
    fn source<'v>(value: Value<'v>) -> starlark::Result<Source<'v>> {
        Ok(Source::new(Format::Yaml, value))
    }
}
