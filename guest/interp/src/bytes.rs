//! Bytes as a script sees them and hands them over: what comes from outside is str when it is UTF-8 and bytes when not,
//! so what reads them must take both.

use starlark::typing::Ty;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::type_repr::StarlarkTypeRepr;
use starlark::values::{Heap, UnpackValue, Value, ValueLike};

use crate::error::expected;
use crate::given::argument;

/// The bytes of a str or of a bytes value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'v>(pub(crate) &'v [u8]);

impl<'v> Bytes<'v> {
    fn of(value: Value<'v>) -> Option<Self> {
        if let Some(text) = value.unpack_str() {
            return Some(Self(text.as_bytes()));
        }
        value.downcast_ref::<StarlarkBytes>().map(|bytes| Self(bytes.as_bytes()))
    }
}

argument! {
    /// The bytes of a bytes value, and of nothing else.
    Data<'v>(&'v [u8]) as &'v [u8], "bytes", |value| value.downcast_ref::<StarlarkBytes>().map(StarlarkBytes::as_bytes)
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
    type Error = starlark::Error;

    fn unpack_value_impl(value: Value<'v>) -> starlark::Result<Option<Self>> {
        Self::of(value).map(Some).ok_or_else(|| expected("str or bytes"))
    }
}
