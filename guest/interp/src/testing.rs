//! What tests, benches and fuzzers use, here and in other packages: the host in memory, and fixtures.

mod fixture;

use crate::host::Failure;
use crate::phase::Phase;
use crate::{diagnostic, load, source};

pub use crate::native::{
    AddRoute, Called, NativeClient, NativeCluster, NativeFiles, NativeHost, NativeKv, NativePrograms, NativeSql,
    NativeTool, SqlCalled,
};
pub use fixture::{Example, Fixture};

/// Checks and parses a script of one file, and evaluates nothing of it.
///
/// # Errors
///
/// The source does not parse, or its `load()`s cannot be followed: there are no files beside it.
pub fn parse(file: &str, source: &[u8]) -> Result<(), Failure> {
    let parsed = source::text(file, source).and_then(|source| load::resolve(&NativeHost::new(), file, source));
    parsed.map(drop).map_err(|error| diagnostic::failure(error, Phase::Setup))
}
