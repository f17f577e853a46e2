//! `hex`: bytes as hexadecimal digits.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use starlark::environment::GlobalsBuilder;
use starlark::starlark_module;

use super::base64::{explain, text};
use crate::bytes::Bytes;
use crate::given::Given;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The bytes of `data` (str as UTF-8, or bytes) as lower-case hexadecimal digits.
    ///
    /// ```text
    /// >>> hex.encode("hi")
    /// "6869"
    /// ```
    fn encode<'v>(data: Given<'v, Bytes<'v>>) -> starlark::Result<String> {
        Ok(HEXLOWER.encode(data.bytes("hex.encode", "data")?))
    }

    /// The bytes written as hexadecimal digits of either case. Errors: an odd number of digits, or anything else in it.
    ///
    /// ```text
    /// >>> hex.decode("00FF")
    /// b"\x00\xff"
    /// ```
    fn decode<'v>(s: Given<'v, Bytes<'v>>) -> starlark::Result<Vec<u8>> {
        let text = text(s, "hex.decode")?;
        HEXLOWER_PERMISSIVE.decode(text).map_err(|e| explain("hex.decode", "hexadecimal", text, e))
    }
}
