//! `base64`: RFC 4648, both alphabets. When decoding, ASCII whitespace is skipped wherever it stands, as MIME (RFC 2045),
//! PEM and the `base64` program break lines, and padding may be left out; anything else must be exact, so that one value
//! has one spelling.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::borrow::Cow;
use std::fmt;

use allocative::Allocative;
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, DecodeError, DecodeKind, Encoding};
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{GlobalsBuilder, Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, starlark_value};

use super::files::ask;
use super::path::FilePath;
use crate::bytes::Bytes;
use crate::error::usage;

#[builtins("base64")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The base64 form of `data`, which is str (as UTF-8) or bytes. With `padding = False` it has no `=` at its end.
    ///
    /// ```text
    /// >>> base64.encode("hi?>")
    /// "aGk/Pg=="
    /// ```
    fn encode<'v>(
        data: Bytes<'v>,
        #[starlark(require = named, default = true)] padding: bool,
    ) -> starlark::Result<String> {
        Ok(STANDARD.encode(data.0, padding))
    }

    /// The bytes of a base64 text; whitespace is skipped, and padding may be missing.
    ///
    /// Errors: anything that is not base64, with its offset.
    ///
    /// ```text
    /// >>> base64.decode("aGk/\nPg==\n")
    /// b"hi?>"
    /// ```
    fn decode<'v>(s: Bytes<'v>) -> starlark::Result<Vec<u8>> {
        STANDARD.decode(s.0)
    }

    /// Like `encode`, with the alphabet that is safe in URLs and file names. Tokens are usually written without padding:
    /// `padding = False`.
    ///
    /// ```text
    /// >>> base64.encode_url("hi?>")
    /// "aGk_Pg=="
    /// >>> base64.encode_url("hi?>", padding = False)
    /// "aGk_Pg"
    /// ```
    fn encode_url<'v>(
        data: Bytes<'v>,
        #[starlark(require = named, default = true)] padding: bool,
    ) -> starlark::Result<String> {
        Ok(FOR_URLS.encode(data.0, padding))
    }

    /// Like `decode`, with the alphabet that is safe in URLs and file names.
    ///
    /// ```text
    /// >>> base64.decode_url("aGk_Pg")
    /// b"hi?>"
    /// ```
    fn decode_url<'v>(s: Bytes<'v>) -> starlark::Result<Vec<u8>> {
        FOR_URLS.decode(s.0)
    }

    /// The content of a str, with the methods `encode`, `decode`, `encode_url` and `decode_url`.
    ///
    /// ```text
    /// >>> base64.text("aGk=").decode()
    /// b"hi"
    /// ```
    fn text<'v>(s: &'v str) -> starlark::Result<Content> {
        Ok(Content { bytes: s.as_bytes().into() })
    }

    /// Like `text`, for bytes.
    ///
    /// ```text
    /// >>> base64.bytes(b"\xff").encode_url()
    /// "_w=="
    /// ```
    fn bytes<'v>(data: Bytes<'v>) -> starlark::Result<Content> {
        Ok(Content { bytes: data.0.into() })
    }

    /// Like `bytes`, for what is in a file. Needs the permission of `fs.read_bytes`.
    fn file<'v>(path: FilePath<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Content> {
        let bytes = ask(eval, |files, at| files.read_bytes(path.0, at))?;
        Ok(Content { bytes: bytes.into() })
    }
}

/// One of the two alphabets.
struct Alphabet {
    name: &'static str,
    padded: Encoding,
    unpadded: Encoding,
}

static STANDARD: Alphabet = Alphabet { name: "base64", padded: BASE64, unpadded: BASE64_NOPAD };
static FOR_URLS: Alphabet = Alphabet { name: "base64 for URLs", padded: BASE64URL, unpadded: BASE64URL_NOPAD };

impl Alphabet {
    fn encode(&self, data: &[u8], padding: bool) -> String {
        let encoding = if padding { &self.padded } else { &self.unpadded };
        encoding.encode(data)
    }

    /// Whether a byte can stand in a text.
    fn has(&self, byte: u8) -> bool {
        byte == b'=' || self.padded.specification().symbols.as_bytes().contains(&byte)
    }

    fn decode(&self, text: &[u8]) -> starlark::Result<Vec<u8>> {
        let dense = without_whitespace(text);
        let encoding = if dense.ends_with(b"=") { &self.padded } else { &self.unpadded };
        encoding.decode(&dense).map_err(|error| {
            // A text with a foreign character has a wrong length too, and the character is what there is to say.
            let foreign = dense.iter().position(|byte| !self.has(*byte));
            let error = foreign.map_or(error, |position| DecodeError { position, kind: DecodeKind::Symbol });
            let position = offset(text, error.position);
            explain(self.name, text, DecodeError { position, ..error })
        })
    }
}

fn without_whitespace(text: &[u8]) -> Cow<'_, [u8]> {
    if text.iter().any(u8::is_ascii_whitespace) {
        return Cow::Owned(text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect());
    }
    Cow::Borrowed(text)
}

/// Where the byte is that is at a position when whitespace is not counted.
fn offset(text: &[u8], position: usize) -> usize {
    let dense = text.iter().enumerate().filter(|(_, byte)| !byte.is_ascii_whitespace());
    dense.map(|(at, _)| at).nth(position).unwrap_or(text.len())
}

/// The error of a decoder, with the offset of what it could not read.
#[cold]
pub(super) fn explain(what: &str, text: &[u8], error: DecodeError) -> starlark::Error {
    let at = error.position;
    let wrong = match error.kind {
        DecodeKind::Length => {
            let characters = text.iter().filter(|byte| !byte.is_ascii_whitespace()).count();
            format!("{characters} characters cannot be the whole of it")
        }
        DecodeKind::Symbol => match text.get(at) {
            Some(byte) => format!("'{}' at offset {at}", byte.escape_ascii()),
            None => format!("something is wrong at offset {at}"),
        },
        DecodeKind::Trailing => format!("the last character, at offset {at}, has bits that belong to no byte"),
        DecodeKind::Padding => format!("wrong padding at offset {at}"),
    };
    usage(format!("s is not {what}: {wrong}"))
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

#[builtins("base64.content")]
fn methods(builder: &mut MethodsBuilder) {
    /// The content as base64.
    #[no_twin]
    fn encode(this: &Content, #[starlark(require = named, default = true)] padding: bool) -> starlark::Result<String> {
        Ok(STANDARD.encode(&this.bytes, padding))
    }

    /// The bytes that the content is the base64 of; whitespace is skipped, and padding may be missing.
    fn decode(this: &Content) -> starlark::Result<Vec<u8>> {
        STANDARD.decode(&this.bytes)
    }

    /// The content as base64 for URLs.
    #[no_twin]
    fn encode_url(
        this: &Content,
        #[starlark(require = named, default = true)] padding: bool,
    ) -> starlark::Result<String> {
        Ok(FOR_URLS.encode(&this.bytes, padding))
    }

    /// The bytes that the content is the base64 for URLs of; whitespace is skipped, and padding may be missing.
    fn decode_url(this: &Content) -> starlark::Result<Vec<u8>> {
        FOR_URLS.decode(&this.bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Whitespace means nothing wherever it is, and every other foreign byte is refused where it stands.
    #[test]
    fn whitespace_alone_is_skipped() {
        for alphabet in [&STANDARD, &FOR_URLS] {
            for data in [&b""[..], b"h", b"he", b"hello\xff\xfb"] {
                for padding in [true, false] {
                    let text = alphabet.encode(data, padding);
                    for at in 0..=text.len() {
                        let (before, after) = text.split_at(at);
                        for space in [" ", "\n", "\r\n", "\t", " \n \t"] {
                            let spaced = format!("{before}{space}{after}");
                            assert_eq!(alphabet.decode(spaced.as_bytes()).unwrap(), data, "{spaced:?}");
                        }
                        if at == text.len() || !text.is_char_boundary(at) {
                            continue;
                        }
                        for foreign in ["!", "\u{a0}", "é", ".", "\0"] {
                            let text = format!("\n {before}{foreign}{after}");
                            let error = alphabet.decode(text.as_bytes()).unwrap_err().to_string();
                            assert!(error.contains(&format!(" at offset {}", at + 2)), "{text:?}: {error}");
                        }
                    }
                }
            }
        }
    }
}
