//! `time`: the host's wall clock, read at every call. A clock kept in memory would be copied by a fork and stand still.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;

use crate::session::Session;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Whole seconds since the Unix epoch.
    fn unix(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<u64> {
        Ok(Session::of(eval)?.host.now() / NANOSECONDS_PER_SECOND)
    }

    /// Nanoseconds since the Unix epoch.
    fn unix_nano(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<u64> {
        Ok(Session::of(eval)?.host.now())
    }
}
