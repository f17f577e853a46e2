//! One fork of a serving image, ready for a call of `handle` or `handle-miss`.
//!
//! **Argument: what an instance holds, and why nothing of it reaches the next request.**
//! - *Memory*: put back by the host, and compared now and then (see [`crate::memory`]). One that grew is dropped.
//! - *Stack pointer*, the one global that changes: a function of the guest puts it back when it returns, and only a call that
//!   returned is followed by another. A trap or a limit leaves it anywhere, and drops the fork.
//! - *Tables, dropped segments, other globals*: the build refuses a guest with an instruction that changes any of these
//!   (`starcell_image::split`). What wasmtime fills in there lazily are references to the guest's own functions.
//! - *Resources*: `wit/` has none; the build refuses a guest that imports or exports one.
//! - *The store*: its data is replaced as a whole, so role, meter, counters, random, clocks and the memory limit are new; fuel
//!   and deadline are set again.
//! - *The native stack*: compiled code writes a stack slot before it reads it, and wasm cannot address the stack.
//! - *Calls under way*: none; a future that is dropped within a call drops the fork with it.

use std::sync::Arc;

use starcell_budget::Taken;
use wasmtime::component::{ComponentExportIndex, Instance, TypedFunc};

use crate::bindings::starcell::guest::types::Failure as GuestFailure;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::memory::fork::Fork;
use crate::meter::Meter;
use crate::parking::FORK_BYTES;
use crate::state::{Role, State, renew};
use crate::{Miss, Request, Response};

type Handle = TypedFunc<(u32, Request), (Result<Response, GuestFailure>,)>;
type HandleMiss = TypedFunc<(Miss, Request), (Result<Response, GuestFailure>,)>;

/// What answers a request.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The middleware of the server, around the host's own response: no route serves the request.
    Miss(Miss),
    /// The handler of a route, by its number.
    Route(u32),
}

/// A fork that can answer a request.
pub(crate) struct Parked {
    fork: Fork<State>,
    instance: Instance,
    handle: Handle,
    /// How many of its pages were hot when it was last looked at.
    hot: usize,
    /// What it holds of the memory of the process while it waits.
    taken: Option<Taken>,
}

/// What became of the memory of a fork after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reset {
    /// It is as its image has it. More pages are hot than before if so.
    Done {
        /// Whether pages became hot.
        learned: bool,
    },
    /// It cannot be put back: it grew, or too much was written.
    Spoiled,
}

impl std::fmt::Debug for Parked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parked").field("hot", &self.hot).finish_non_exhaustive()
    }
}

impl Parked {
    /// Looks up the export in a new fork.
    pub(crate) fn new(
        mut fork: Fork<State>,
        instance: &Instance,
        handle: &ComponentExportIndex,
    ) -> Result<Self, Failure> {
        let handle = instance.get_typed_func(fork.store(), handle).map_err(Failure::host)?;
        let hot = fork.hot_count();
        Ok(Self { fork, instance: *instance, handle, hot, taken: None })
    }

    /// Gives it to another request.
    pub(crate) fn renew(&mut self, role: Role, limits: &Limits, meter: Arc<Meter>) {
        self.taken = None;
        renew(self.fork.store(), role, limits, meter);
    }

    /// Has it hold bytes of the process while it waits.
    pub(crate) fn hold(&mut self, taken: Taken) {
        self.taken = Some(taken);
    }

    /// Answers a request. After an error it must not be used again. `handle_miss` is the export for a miss, which is
    /// looked up when it is needed: most forks never see one.
    pub(crate) async fn answer(
        &mut self,
        destination: Destination,
        request: Request,
        limits: &Limits,
        handle_miss: &ComponentExportIndex,
    ) -> Result<Response, Failure> {
        let result = match destination {
            Destination::Route(route) => self.handle.call_async(self.fork.store(), (route, request)).await,
            Destination::Miss(miss) => {
                let handle: HandleMiss =
                    self.instance.get_typed_func(self.fork.store(), handle_miss).map_err(Failure::host)?;
                handle.call_async(self.fork.store(), (miss, request)).await
            }
        };
        let result = result.map_err(|error| self.fork.store().data().failure(&error, limits))?.0;
        result.map_err(|failure| self.fork.store().data().judged(failure.into()))
    }

    /// Puts its memory back.
    pub(crate) fn put_back(&mut self) -> Reset {
        self.fork.store().data().holding.release();
        if !self.fork.put_back() {
            return Reset::Spoiled;
        }
        let before = std::mem::replace(&mut self.hot, self.fork.hot_count());
        Reset::Done { learned: self.hot > before }
    }

    /// What putting it back would say, for one that is thrown away.
    pub(crate) fn wear(&self) -> Reset {
        match self.fork.slot().is_whole() {
            true => Reset::Done { learned: self.fork.hot_count() > self.hot },
            false => Reset::Spoiled,
        }
    }

    /// The address of a byte that is not as the image has it.
    pub(crate) fn difference(&mut self) -> Option<usize> {
        self.fork.difference()
    }

    /// The pages that were written, in order.
    pub(crate) fn hot(&self) -> Vec<u32> {
        self.fork.hot()
    }

    /// Bytes that it holds while it is parked, about.
    pub(crate) fn bytes(&self) -> usize {
        FORK_BYTES + self.fork.held()
    }
}
