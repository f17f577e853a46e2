//! `hash`: digests of str or bytes, in lower-case hexadecimal.
//!
//! They tell whether content is the same. Whether a message is authentic is what [`hmac`](super::hmac) tells, and no
//! digest here is slow enough for passwords.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use data_encoding::HEXLOWER;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{GlobalsBuilder, Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, starlark_value};

use super::files::ask;
use super::path::FilePath;
use crate::bytes::Bytes;

#[builtins("hash")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The MD5 digest of `data`, which is str (as UTF-8) or bytes. Broken: only for what still asks for it.
    ///
    /// ```text
    /// >>> hash.md5("hello")
    /// "5d41402abc4b2a76b9719d911017c592"
    /// ```
    fn md5<'v>(data: Bytes<'v>) -> starlark::Result<String> {
        Ok(digest::<Md5>(data.0))
    }

    /// The SHA-1 digest of `data`, which is str (as UTF-8) or bytes. Broken: only for what still asks for it.
    ///
    /// ```text
    /// >>> hash.sha1("hello")
    /// "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
    /// ```
    fn sha1<'v>(data: Bytes<'v>) -> starlark::Result<String> {
        Ok(digest::<Sha1>(data.0))
    }

    /// The SHA-256 digest of `data`, which is str (as UTF-8) or bytes.
    ///
    /// ```text
    /// >>> hash.sha256("hello")
    /// "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    /// ```
    fn sha256<'v>(data: Bytes<'v>) -> starlark::Result<String> {
        Ok(digest::<Sha256>(data.0))
    }

    /// The SHA-384 digest of `data`, which is str (as UTF-8) or bytes.
    ///
    /// ```text
    /// >>> hash.sha384("hello")[:16]
    /// "59e1748777448c69"
    /// ```
    fn sha384<'v>(data: Bytes<'v>) -> starlark::Result<String> {
        Ok(digest::<Sha384>(data.0))
    }

    /// The SHA-512 digest of `data`, which is str (as UTF-8) or bytes.
    ///
    /// ```text
    /// >>> hash.sha512("hello")[:16]
    /// "9b71d224bd62f378"
    /// ```
    fn sha512<'v>(data: Bytes<'v>) -> starlark::Result<String> {
        Ok(digest::<Sha512>(data.0))
    }

    /// The CRC-32 checksum (as in zip and gzip) of `data`, which is str (as UTF-8) or bytes: eight digits.
    ///
    /// ```text
    /// >>> hash.crc32("hello")
    /// "3610a686"
    /// ```
    fn crc32<'v>(data: Bytes<'v>) -> starlark::Result<String> {
        Ok(checksum(data.0))
    }

    /// The content of a str, to be hashed by the method of that name: `md5`, `sha1`, `sha256`, `sha384`, `sha512`, `crc32`.
    ///
    /// ```text
    /// >>> hash.text("hello").md5()
    /// "5d41402abc4b2a76b9719d911017c592"
    /// ```
    fn text<'v>(s: &'v str) -> starlark::Result<Content> {
        Ok(Content { bytes: s.as_bytes().into() })
    }

    /// Like `text`, for bytes.
    ///
    /// ```text
    /// >>> hash.bytes(b"hello").crc32()
    /// "3610a686"
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

fn digest<D: Digest>(data: &[u8]) -> String {
    HEXLOWER.encode(&D::digest(data))
}

fn checksum(data: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(data))
}

/// What `hash.text` and `hash.bytes` return.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
struct Content {
    bytes: Box<[u8]>,
}

starlark_simple_value!(Content);

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<hash.content of {} bytes>", self.bytes.len())
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Content>()
}

#[starlark_value(type = "hash.content")]
impl<'v> StarlarkValue<'v> for Content {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("hash.content", methods);
        Some(METHODS.methods())
    }
}

#[builtins("hash.content")]
fn methods(builder: &mut MethodsBuilder) {
    /// The MD5 digest.
    fn md5(this: &Content) -> String {
        digest::<Md5>(&this.bytes)
    }

    /// The SHA-1 digest.
    fn sha1(this: &Content) -> String {
        digest::<Sha1>(&this.bytes)
    }

    /// The SHA-256 digest.
    fn sha256(this: &Content) -> String {
        digest::<Sha256>(&this.bytes)
    }

    /// The SHA-384 digest.
    fn sha384(this: &Content) -> String {
        digest::<Sha384>(&this.bytes)
    }

    /// The SHA-512 digest.
    fn sha512(this: &Content) -> String {
        digest::<Sha512>(&this.bytes)
    }

    /// The CRC-32 checksum.
    fn crc32(this: &Content) -> String {
        checksum(&this.bytes)
    }
}
