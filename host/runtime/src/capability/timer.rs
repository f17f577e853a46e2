//! `starcell:guest/timer`: waiting. Needs no permission; the wall time of a request or a setup bounds it.

use std::time::Duration;

use crate::bindings::starcell::guest::timer::Host;
use crate::state::State;

impl Host for State {
    async fn sleep(&mut self, nanoseconds: u64) -> wasmtime::Result<()> {
        tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
        Ok(())
    }
}
