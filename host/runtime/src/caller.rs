//! Whoever calls a capability: an app, and the gate of the instance that runs its code.

use std::sync::Arc;

use crate::context::AppContext;
use crate::gate::{Gate, Pure};
use crate::holding::Holding;
use crate::meter::Meter;
use crate::state::{Role, State};

/// An app that calls a capability, and the gate in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) app: Arc<AppContext>,
    pub(crate) gate: Gate,
    /// Who pays for what the host does.
    pub(crate) meter: Arc<Meter>,
    /// What the host holds for it.
    pub(crate) holding: Arc<Holding>,
}

impl State {
    /// Who calls; only an instance that runs a script's code has anything to call.
    pub(crate) fn caller(&self) -> wasmtime::Result<Caller> {
        let (app, request) = match &self.role {
            Role::Setup(app, _) | Role::Collect(app) => (Arc::clone(app), None),
            Role::Request(app, id) => (Arc::clone(app), Some(Arc::clone(id))),
            Role::Boot | Role::Freeze(_) => {
                return Err(wasmtime::Error::msg("the guest asked for a capability while no script runs"));
            }
        };
        let gate = Gate::new(Arc::clone(&app.authority), request);
        // The guest has its copy of what the call before fetched.
        self.holding.release();
        Ok(Caller { app, gate, meter: Arc::clone(&self.meter), holding: Arc::clone(&self.holding) })
    }

    /// Who does what needs no permission, where that is recorded.
    pub(crate) fn recorded_caller(&self) -> Option<Caller> {
        self.caller().ok().filter(|caller| caller.gate.authority().records_pure())
    }
}

impl Caller {
    /// Does what needs no permission, and records it.
    pub(crate) async fn note<T>(
        &self,
        pure: Pure,
        effect: impl Future<Output = wasmtime::Result<(T, u64)>>,
    ) -> wasmtime::Result<T> {
        self.gate.note(pure, &self.app.config.script, effect).await
    }
}
