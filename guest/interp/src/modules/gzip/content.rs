//! What `gzip.text` and `gzip.bytes` return: bytes, with the functions of the module as methods.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_simple_value;
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, starlark_value};

use super::pack::{Level, MaxBytes, pack, unpack};
use crate::error::usage;
use crate::limits::MAX_TEXT_BYTES;

/// Bytes to be packed or unpacked.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Content(Box<[u8]>);

starlark_simple_value!(Content);

impl Content {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<gzip.content of {} bytes>", self.0.len())
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Content>()
}

#[starlark_value(type = "gzip.content")]
impl<'v> StarlarkValue<'v> for Content {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("gzip.content", methods);
        Some(METHODS.methods())
    }
}

#[builtins("gzip.content")]
fn methods(builder: &mut MethodsBuilder) {
    /// The bytes.
    #[starlark(attribute)]
    fn data(this: &Content) -> starlark::Result<Vec<u8>> {
        Ok(this.0.to_vec())
    }

    /// The gzip of the content; see `gzip.compress`.
    fn compress<'v>(this: &Content, level: Option<Level<'v>>) -> starlark::Result<Vec<u8>> {
        pack(&this.0, level)
    }

    /// What the content is the gzip of, as bytes; see `gzip.decompress`.
    fn decompress<'v>(this: &Content, max_bytes: Option<MaxBytes<'v>>) -> starlark::Result<Vec<u8>> {
        let most = max_bytes.map_or(MAX_TEXT_BYTES, |most| most.0);
        unpack(&this.0, most).map_err(usage)
    }
}
