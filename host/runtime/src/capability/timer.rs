//! `starcell:guest/timer`: waiting. Needs no permission; the wall time of a request or a setup bounds it.

use std::time::Duration;

use super::pure::noted;
use crate::bindings::starcell::guest::timer::Host;
use crate::gate::Pure;
use crate::state::State;

impl Host for State {
    async fn sleep(&mut self, nanoseconds: u64) -> wasmtime::Result<()> {
        let sleep = async {
            tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
            Ok(((), 0))
        };
        noted(self.recorded_caller(), Pure::Sleep, sleep).await
    }
}
