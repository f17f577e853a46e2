//! `hex`: bytes as hexadecimal digits.

use data_encoding::{DecodeError, DecodeKind, HEXLOWER, HEXLOWER_PERMISSIVE};
use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;

use super::base64::explain;
use crate::bytes::Bytes;

#[builtins("hex")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The bytes of `data` (str as UTF-8, or bytes) as lower-case hexadecimal digits.
    ///
    /// ```text
    /// >>> hex.encode("hi")
    /// "6869"
    /// ```
    fn encode<'v>(data: Bytes<'v>) -> starlark::Result<String> {
        Ok(HEXLOWER.encode(data.0))
    }

    /// The bytes written as hexadecimal digits of either case. Errors: an odd number of digits, or anything else in it.
    ///
    /// ```text
    /// >>> hex.decode("00FF")
    /// b"\x00\xff"
    /// ```
    fn decode<'v>(s: Bytes<'v>) -> starlark::Result<Vec<u8>> {
        HEXLOWER_PERMISSIVE.decode(s.0).map_err(|error| {
            let foreign = s.0.iter().position(|byte| !byte.is_ascii_hexdigit());
            let error = foreign.map_or(error, |position| DecodeError { position, kind: DecodeKind::Symbol });
            explain("hexadecimal", s.0, error)
        })
    }
}
