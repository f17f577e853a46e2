//! What a builtin can reach: the host, and whether this is setup or a request.
//!
//! It lives on the native stack and hangs in the evaluator's `extra`, never in the heap, so nothing of it is captured by
//! freezing a module.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::cell::Cell;

use starlark::environment::{FrozenModule, Module};
use starlark::eval::Evaluator;
use starlark::values::ProvidesStaticType;

use crate::error;
use crate::host::{Host, Position};

/// Which half of a script's life this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The top level runs; servers can be made and started.
    Setup,
    /// A handler runs over a frozen module.
    Request,
}

/// The surroundings of one evaluation.
#[derive(ProvidesStaticType)]
pub(crate) struct Session<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) phase: Phase,
    /// The module of the script whose handler runs; none while it is still being filled.
    pub(crate) script: Option<&'h FrozenModule>,
    servers: Cell<u32>,
    /// Whether the files that the script loads are still being evaluated.
    loading: Cell<bool>,
}

impl<'h> Session<'h> {
    /// The surroundings of a top level.
    pub(crate) fn setup(host: &'h dyn Host) -> Self {
        Self { host, phase: Phase::Setup, script: None, servers: Cell::new(0), loading: Cell::new(true) }
    }

    /// The surroundings of a handler.
    pub(crate) fn request(host: &'h dyn Host, script: &'h FrozenModule) -> Self {
        Self { host, phase: Phase::Request, script: Some(script), servers: Cell::new(0), loading: Cell::new(false) }
    }

    /// The number of the next server; servers count from 0 in order of creation.
    pub(crate) fn next_server(&self) -> u32 {
        let number = self.servers.get();
        self.servers.set(number.saturating_add(1));
        number
    }

    /// The files that the script loads are evaluated; the script itself comes now.
    pub(crate) fn loaded(&self) {
        self.loading.set(false);
    }

    /// Whether the code that runs belongs to a file that the script loads.
    pub(crate) fn is_loading(&self) -> bool {
        self.loading.get()
    }

    /// The session of a running evaluation.
    pub(crate) fn of<'a, 'e>(eval: &Evaluator<'_, 'a, 'e>) -> starlark::Result<&'a Session<'e>> {
        eval.extra
            .and_then(|extra| extra.downcast_ref::<Session<'e>>())
            .ok_or_else(|| error::usage("this function needs a running script"))
    }
}

/// An evaluator over `module` with the limits and surroundings of `session`.
pub(crate) fn evaluator<'v, 'a, 'e>(
    module: &'a Module<'v>,
    session: &'a Session<'e>,
) -> starlark::Result<Evaluator<'v, 'a, 'e>> {
    let mut eval = Evaluator::new(module);
    eval.extra = Some(session);
    eval.set_max_callstack_size(crate::MAX_CALL_DEPTH)?;
    Ok(eval)
}

/// Where the running builtin was called.
pub(crate) fn position(eval: &Evaluator<'_, '_, '_>) -> Position {
    eval.call_stack_top_location().map(|span| Position::of(&span)).unwrap_or_default()
}
