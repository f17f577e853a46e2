//! Bytes as a script sees them and hands them over: what comes from outside is str when it is UTF-8 and bytes when not,
//! so what reads them must take both.

use std::convert::Infallible;

use starlark::typing::Ty;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::none::NoneOr;
use starlark::values::type_repr::StarlarkTypeRepr;
use starlark::values::{Heap, UnpackValue, Value, ValueLike};

use crate::given::Given;

/// What an error says is accepted.
const EXPECTED: &str = "str or bytes";

/// The bytes of a str or of a bytes value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'v>(pub(crate) &'v [u8]);

impl<'v> Given<'v, Bytes<'v>> {
    /// The bytes; the error names the function and the argument.
    pub(crate) fn bytes(self, function: &str, name: &str) -> starlark::Result<&'v [u8]> {
        match Bytes::of(self.0) {
            Some(bytes) => Ok(bytes.0),
            None => Err(self.wrong(function, name, EXPECTED)),
        }
    }
}

impl<'v> Given<'v, NoneOr<Bytes<'v>>> {
    /// The bytes, or `None`; the error names the function and the argument.
    pub(crate) fn bytes_or_none(self, function: &str, name: &str) -> starlark::Result<Option<&'v [u8]>> {
        match Bytes::of(self.0) {
            None if !self.0.is_none() => Err(self.wrong(function, name, EXPECTED)),
            bytes => Ok(bytes.map(|bytes| bytes.0)),
        }
    }
}

impl<'v> Bytes<'v> {
    fn of(value: Value<'v>) -> Option<Self> {
        if let Some(text) = value.unpack_str() {
            return Some(Self(text.as_bytes()));
        }
        value.downcast_ref::<StarlarkBytes>().map(|bytes| Self(bytes.as_bytes()))
    }
}

/// Bytes from outside: a str when they are UTF-8, else bytes.
pub(crate) fn text_or_bytes<'v>(bytes: &[u8], heap: Heap<'v>) -> Value<'v> {
    match std::str::from_utf8(bytes) {
        Ok(text) => heap.alloc(text),
        Err(_) => heap.alloc(bytes),
    }
}

impl StarlarkTypeRepr for Bytes<'_> {
    type Canonical = Self;

    fn starlark_type_repr() -> Ty {
        Ty::union2(<&str>::starlark_type_repr(), <&[u8]>::starlark_type_repr())
    }
}

impl<'v> UnpackValue<'v> for Bytes<'v> {
    type Error = Infallible;

    fn unpack_value_impl(value: Value<'v>) -> Result<Option<Self>, Self::Error> {
        Ok(Self::of(value))
    }
}
