//! `json.encode` and `json.decode`: ints of any size stay ints, floats stay floats, order is kept both ways.

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::values::{Heap, Value};

use super::documents::{Document, Format, Source};
use super::indent::Indent;
use super::path::FilePath;
use super::{json_decode, json_encode};
use crate::bytes::Bytes;
use crate::error::usage;

#[builtins("json")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The JSON text of a value.
    ///
    /// `indent` is a number of spaces, or the spaces and tabs to indent with. Ints of any size stay ints, floats stay
    /// floats, dicts keep their order. Errors: what JSON cannot hold, with the path to it; a key that is no str; values
    /// nested more than 500 deep; a text of more than 16 MB.
    ///
    /// ```text
    /// >>> json.encode({"b": [1, 2.0, None], "a": struct(x = True)})
    /// "{\"b\":[1,2.0,null],\"a\":{\"x\":true}}"
    /// ```
    fn encode<'v>(
        value: Value<'v>,
        #[starlark(require = named)] indent: Option<Indent<'v>>,
    ) -> starlark::Result<String> {
        let indent = indent.map(Indent::text);
        json_encode::encode(value, indent.as_deref()).map_err(usage)
    }

    /// The value of a JSON text, given as str or bytes.
    ///
    /// With `default`, that is the value of a text that is not JSON. Of a repeated key the last value counts. Errors:
    /// anything else than one JSON value in UTF-8, with line and column; values nested more than 127 deep; more than
    /// 1000000 values; an int of more than 4300 digits.
    ///
    /// ```text
    /// >>> json.decode("{\"id\": 12345678901234567890, \"rate\": 1.0}")
    /// {"id": 12345678901234567890, "rate": 1.0}
    /// >>> json.decode("nope", default = [])
    /// []
    /// ```
    fn decode<'v>(text: Bytes<'v>, default: Option<Value<'v>>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        match (json_decode::decode(text.0, heap), default) {
            (Ok(value), _) => Ok(value),
            (Err(_), Some(default)) => Ok(default),
            (Err(wrong), None) => Err(usage(wrong)),
        }
    }

    /// A file of JSON, to be read by the methods of what this returns. Making one needs no permission, reading does:
    /// `json.file("config.json").decode()`.
    fn file<'v>(path: FilePath<'v>) -> starlark::Result<Document> {
        Ok(Document::new(Format::Json, path.0))
    }

    /// A value, to be written as JSON by the methods of what this returns: `json.source(value).write_file("out.json", indent = 2)`.
    fn source<'v>(value: Value<'v>) -> starlark::Result<Source<'v>> {
        Ok(Source::new(Format::Json, value))
    }
}
