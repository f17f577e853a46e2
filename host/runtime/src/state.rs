//! What one instance may reach: the data of its store. Made by the host for each instance; the guest has no way to
//! change any of it but to spend it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::Extensions;
use starcell_budget::MemoryBudget;
use starcell_telemetry::TraceContext;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::context::AppContext;
use crate::failure::{Failure, Limit, ScriptFailureKind};
use crate::holding::Holding;
use crate::limits::{Limits, MemoryLimiter};
use crate::memory::image::Image;
use crate::memory::slot::Slot;
use crate::meter::Meter;

/// What an instance is there for; decides what its host calls mean.
pub(crate) enum Role {
    /// Makes the base image; belongs to no app.
    Boot,
    /// Runs the top level of a script.
    Setup(Arc<AppContext>, Arc<dyn ForkTaker>),
    /// Evaluates a test file and makes the image that its tests start from.
    Collect(Arc<AppContext>),
    /// Turns a fork of a suspended script into a serving image.
    Freeze(Arc<AppContext>),
    /// Answers one request, whose id this is, or runs one test, whose name this is. With it comes where in its trace the
    /// request is.
    Request(Arc<AppContext>, Arc<str>, Option<TraceContext>),
}

/// Takes the memory that the top level of a script hands over to be served.
pub(crate) trait ForkTaker: Send + Sync {
    /// Serves a bound server from forks of it; the error is why not.
    fn take(&self, server: u32, image: Image) -> BoxFuture<'_, Result<(), Failure>>;
}

/// Data of one store.
pub(crate) struct State {
    pub(crate) role: Role,
    pub(crate) memory: MemoryLimiter,
    pub(crate) meter: Arc<Meter>,
    /// What it makes the host hold.
    pub(crate) holding: Arc<Holding>,
    /// The image of the memory that the guest handed over, in the roles where that is the result.
    pub(crate) captured: Option<Image>,
    /// The memory of the instance, once there is one.
    pub(crate) slot: Option<Arc<Slot>>,
    /// What the interpreter said when it panicked.
    pub(crate) panic: Option<String>,
    /// What capabilities keep for the instance, each in a type of its own: see [`State::kept`].
    kept: Extensions,
    /// Bytes that it has logged.
    logged: u64,
}

impl State {
    /// A state in which nothing was done yet.
    pub(crate) fn new(role: Role, limits: &Limits, meter: Arc<Meter>) -> Self {
        let budget = match &role {
            Role::Boot => MemoryBudget::unlimited(),
            Role::Setup(app, _) | Role::Collect(app) | Role::Freeze(app) | Role::Request(app, ..) => {
                app.config.memory.clone()
            }
        };
        Self {
            role,
            memory: MemoryLimiter::new(limits.memory(), &budget),
            meter,
            holding: Arc::new(Holding::new(budget)),
            captured: None,
            slot: None,
            panic: None,
            kept: Extensions::new(),
            logged: 0,
        }
    }

    /// The app this instance belongs to.
    pub(crate) fn app(&self) -> wasmtime::Result<&Arc<AppContext>> {
        match &self.role {
            Role::Boot => Err(wasmtime::Error::msg("the guest called the host while it booted")),
            Role::Setup(app, _) | Role::Collect(app) | Role::Freeze(app) | Role::Request(app, ..) => Ok(app),
        }
    }

    /// The request this instance answers.
    pub(crate) fn request(&self) -> Option<Arc<str>> {
        match &self.role {
            Role::Request(_, id, _) => Some(Arc::clone(id)),
            Role::Boot | Role::Setup(..) | Role::Collect(_) | Role::Freeze(_) => None,
        }
    }

    /// Returns whether this instance answers a request, or runs a test.
    pub(crate) fn is_request(&self) -> bool {
        matches!(self.role, Role::Request(..))
    }

    /// What a capability keeps for this instance, in a type that is the capability's own. It is made when it is first
    /// asked for, and the next request on the same fork finds none of it.
    pub(crate) fn kept<T: Clone + Default + Send + Sync + 'static>(&mut self) -> &mut T {
        self.kept.get_or_insert_default()
    }

    /// Counts bytes that a request logs.
    pub(crate) fn count_logged(&mut self, bytes: usize, most: Option<u64>) -> Room {
        let Some(most) = most.filter(|_| matches!(self.role, Role::Request(..))) else { return Room::Left };
        let before = self.logged;
        self.logged = before.saturating_add(bytes as u64);
        match (before > most, self.logged > most) {
            (_, false) => Room::Left,
            (false, true) => Room::JustOver,
            (true, true) => Room::Over,
        }
    }

    /// Why a call of the guest failed.
    pub(crate) fn failure(&self, error: &wasmtime::Error, limits: &Limits) -> Failure {
        if self.memory.full {
            return Failure::Limit(Limit::Budget);
        }
        let panic = self.panic.as_deref().unwrap_or_default();
        // Sizes that no memory could hold are refused before they are asked for.
        let absurd = panic.contains("capacity overflow") || panic.contains("Layout::from_size_align failed");
        let hit = self.memory.hit || absurd;
        match Failure::from_call(error, limits, hit) {
            Failure::Trap(_) if !panic.is_empty() => Failure::Trap(format!("the interpreter panicked: {panic}")),
            failure => failure,
        }
    }

    /// A failure of the script, told apart from others if it is that of a call which found no memory.
    pub(crate) fn judged(&self, mut failure: Failure) -> Failure {
        if let Failure::Script(script) = &mut failure
            && script.kind == ScriptFailureKind::Raised
            && self.holding.is_short(&script.message)
        {
            script.kind = ScriptFailureKind::NoMemory;
        }
        failure
    }
}

/// Whether there is room for what a request logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is.
    Left,
    /// There is none, for the first time.
    JustOver,
    /// There is none.
    Over,
}

/// A store with every limit in force.
pub(crate) fn store(engine: &Engine, role: Role, limits: &Limits, meter: Arc<Meter>) -> Store<State> {
    let mut store = Store::new(engine, State::new(role, limits, meter));
    allow(&mut store, limits);
    store.limiter(|state| &mut state.memory);
    store.epoch_deadline_callback(|store| {
        let meter = &store.data().meter;
        match meter.exhausted() {
            true => Err(Limit::Cpu(meter.limit()).into()),
            false => Ok(UpdateDeadline::Yield(1)),
        }
    });
    store
}

/// Gives a store whose fork was put back a state in which nothing was done yet: of the one before it nothing is left.
pub(crate) fn renew(store: &mut Store<State>, role: Role, limits: &Limits, meter: Arc<Meter>) {
    *store.data_mut() = State::new(role, limits, meter);
    allow(store, limits);
}

/// Gives a store what its role may use.
fn allow(store: &mut Store<State>, limits: &Limits) {
    // A script that forks hands over its whole memory, in place.
    let crossing = match store.data().role {
        Role::Request(..) => limits.crossing_bytes,
        Role::Boot | Role::Setup(..) | Role::Collect(_) | Role::Freeze(_) => {
            limits.crossing_bytes.max(limits.memory() + (1 << 20))
        }
    };
    store.set_hostcall_fuel(crossing);
    // One tick: at each the guest yields its worker, and ends if its time is used up.
    store.set_epoch_deadline(1);
}
