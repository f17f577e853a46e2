//! `base64`: RFC 4648, both alphabets. Padding may be left out when decoding; anything else must be exact, so that one
//! value has one spelling.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, DecodeError, DecodeKind, Encoding};
use starlark::docs::DocType;
use starlark::environment::{GlobalsBuilder, Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_module;
use starlark::starlark_simple_value;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use crate::bytes::Bytes;
use crate::error::usage;
use crate::given::Given;
use crate::result::attempt;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The base64 form of `data`, which is str (as UTF-8) or bytes.
    ///
    /// ```text
    /// >>> base64.encode("hi?>")
    /// "aGk/Pg=="
    /// ```
    fn encode<'v>(data: Given<'v, Bytes<'v>>) -> starlark::Result<String> {
        Ok(BASE64.encode(data.bytes("base64.encode", "data")?))
    }

    /// The bytes of a base64 text; padding may be missing. Errors: anything that is not base64, with its offset.
    ///
    /// ```text
    /// >>> base64.decode("aGk/Pg==")
    /// b"hi?>"
    /// ```
    fn decode<'v>(s: Given<'v, Bytes<'v>>) -> starlark::Result<Vec<u8>> {
        let function = "base64.decode";
        standard(function, text(s, function)?)
    }

    /// Like `encode`, with the alphabet that is safe in URLs and file names, and without padding.
    ///
    /// ```text
    /// >>> base64.encode_url("hi?>")
    /// "aGk_Pg"
    /// ```
    fn encode_url<'v>(data: Given<'v, Bytes<'v>>) -> starlark::Result<String> {
        Ok(BASE64URL_NOPAD.encode(data.bytes("base64.encode_url", "data")?))
    }

    /// Like `decode`, with the alphabet that is safe in URLs and file names.
    ///
    /// ```text
    /// >>> base64.decode_url("aGk_Pg")
    /// b"hi?>"
    /// ```
    fn decode_url<'v>(s: Given<'v, Bytes<'v>>) -> starlark::Result<Vec<u8>> {
        let function = "base64.decode_url";
        for_urls(function, text(s, function)?)
    }

    /// The content of a str, with the methods `encode`, `decode`, `encode_url` and `decode_url`.
    ///
    /// ```text
    /// >>> base64.text("aGk=").decode()
    /// b"hi"
    /// ```
    fn text<'v>(s: Given<'v, &'v str>) -> starlark::Result<Content> {
        Ok(Content { bytes: s.get("base64.text", "s")?.as_bytes().into() })
    }

    /// Like `text`, for bytes.
    ///
    /// ```text
    /// >>> base64.bytes(b"\xff").encode_url()
    /// "_w"
    /// ```
    fn bytes<'v>(data: Given<'v, Bytes<'v>>) -> starlark::Result<Content> {
        Ok(Content { bytes: data.bytes("base64.bytes", "data")?.into() })
    }
}

/// The text to decode, as str or bytes.
pub(super) fn text<'v>(s: Given<'v, Bytes<'v>>, function: &str) -> starlark::Result<&'v [u8]> {
    s.bytes(function, "s")
}

fn standard(function: &str, text: &[u8]) -> starlark::Result<Vec<u8>> {
    decode(function, "base64", text, &BASE64, &BASE64_NOPAD)
}

fn for_urls(function: &str, text: &[u8]) -> starlark::Result<Vec<u8>> {
    decode(function, "base64 for URLs", text, &BASE64URL, &BASE64URL_NOPAD)
}

fn decode(
    function: &str,
    what: &str,
    text: &[u8],
    padded: &Encoding,
    unpadded: &Encoding,
) -> starlark::Result<Vec<u8>> {
    let encoding = if text.ends_with(b"=") { padded } else { unpadded };
    encoding.decode(text).map_err(|e| explain(function, what, text, e))
}

/// The error of a decoder, with the offset of what it could not read.
#[cold]
pub(super) fn explain(function: &str, what: &str, text: &[u8], error: DecodeError) -> starlark::Error {
    let at = error.position;
    let wrong = match error.kind {
        DecodeKind::Length => format!("{} characters cannot be the whole of it", text.len()),
        DecodeKind::Symbol => match text.get(at) {
            Some(byte) => format!("'{}' at offset {at}", byte.escape_ascii()),
            None => format!("something is wrong at offset {at}"),
        },
        DecodeKind::Trailing => format!("the last character, at offset {at}, has bits that belong to no byte"),
        DecodeKind::Padding => format!("wrong padding at offset {at}"),
    };
    usage(format!("{function}: s is not {what}: {wrong}"))
}

/// What `base64.text` and `base64.bytes` return.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
struct Content {
    bytes: Box<[u8]>,
}

starlark_simple_value!(Content);

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<base64.content of {} bytes>", self.bytes.len())
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Content>()
}

#[starlark_value(type = "base64.content")]
impl<'v> StarlarkValue<'v> for Content {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("base64.content", methods);
        Some(METHODS.methods())
    }
}

#[starlark_module]
fn methods(builder: &mut MethodsBuilder) {
    /// The content as base64.
    fn encode(this: &Content) -> starlark::Result<String> {
        Ok(BASE64.encode(&this.bytes))
    }

    /// The bytes that the content is the base64 of.
    fn decode(this: &Content) -> starlark::Result<Vec<u8>> {
        standard("base64.decode", &this.bytes)
    }

    /// Like `decode`, as a `Result`.
    fn try_decode<'v>(this: &Content, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        attempt(standard("base64.decode", &this.bytes).map(|bytes| heap.alloc(bytes)), heap)
    }

    /// The content as base64 for URLs, without padding.
    fn encode_url(this: &Content) -> starlark::Result<String> {
        Ok(BASE64URL_NOPAD.encode(&this.bytes))
    }

    /// The bytes that the content is the base64 for URLs of.
    fn decode_url(this: &Content) -> starlark::Result<Vec<u8>> {
        for_urls("base64.decode_url", &this.bytes)
    }

    /// Like `decode_url`, as a `Result`.
    fn try_decode_url<'v>(this: &Content, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        attempt(for_urls("base64.decode_url", &this.bytes).map(|bytes| heap.alloc(bytes)), heap)
    }
}
