//! Whoever calls a capability: an app, and the gate of the instance that runs its code.

use std::sync::Arc;

use starcell_telemetry::TraceContext;

use crate::bindings::starcell::guest::types::Position;
use crate::context::AppContext;
use crate::gate::{Gate, Pure};
use crate::holding::Holding;
use crate::meter::Meter;
use crate::state::{Role, State};
use crate::witness::{SetupCall, SetupCallKind};

/// An app that calls a capability, and the gate in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) app: Arc<AppContext>,
    pub(crate) gate: Gate,
    /// Who pays for what the host does.
    pub(crate) meter: Arc<Meter>,
    /// What the host holds for it.
    pub(crate) holding: Arc<Holding>,
    /// Where in its trace the request is that makes the call.
    pub(crate) trace: Option<TraceContext>,
}

impl State {
    /// Who calls; only an instance that runs a script's code has anything to call. A setup that calls has looked at the world.
    pub(crate) fn caller(&self) -> wasmtime::Result<Caller> {
        self.look();
        self.repeatable_caller()
    }

    /// Notes that a setup looks at what no digest covers.
    pub(crate) fn look(&self) {
        if let Role::Setup(app, _) = &self.role {
            app.witness.looked();
        }
    }

    /// Who makes a call that can be made again with the same result, and has to be noted as such: see [`crate::witness`].
    pub(crate) fn repeatable_caller(&self) -> wasmtime::Result<Caller> {
        let (app, request, trace) = match &self.role {
            Role::Setup(app, _) | Role::Collect(app) => (Arc::clone(app), None, None),
            Role::Request(app, id, trace) => (Arc::clone(app), Some(Arc::clone(id)), trace.clone()),
            Role::Boot | Role::Freeze(_) => {
                return Err(wasmtime::Error::msg("the guest asked for a capability while no script runs"));
            }
        };
        let gate = Gate::new(Arc::clone(&app.authority), request);
        // The guest has its copy of what the call before fetched.
        self.holding.release();
        Ok(Caller { app, gate, meter: Arc::clone(&self.meter), holding: Arc::clone(&self.holding), trace })
    }

    /// Who does what needs no permission, where that is recorded.
    pub(crate) fn recorded_caller(&self) -> Option<Caller> {
        self.look();
        self.repeatable_caller().ok().filter(|caller| caller.gate.authority().records_pure())
    }
}

impl Caller {
    /// Notes a call of a setup that can be made again.
    pub(crate) fn note_setup_call(&self, at: &Position, what: impl FnOnce() -> SetupCallKind) {
        if !self.gate.in_request() {
            let Position { file, line, column } = at.clone();
            self.app.witness.called(SetupCall { file, line, column, what: what() });
        }
    }

    /// Does what needs no permission, and records it.
    pub(crate) async fn note<T>(
        &self,
        pure: Pure,
        effect: impl Future<Output = wasmtime::Result<(T, u64)>>,
    ) -> wasmtime::Result<T> {
        self.gate.note(pure, &self.app.config.script, effect).await
    }
}
