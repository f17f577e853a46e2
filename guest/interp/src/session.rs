//! What a builtin can reach: the host, and whether this is setup or a request.
//!
//! It lives on the native stack and hangs in the evaluator's `extra`, never in the heap, so nothing of it is captured by
//! freezing a module.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::cell::{Cell, OnceCell};

use starlark::environment::{FrozenModule, Globals};
use starlark::eval::Evaluator;
use starlark::values::ProvidesStaticType;

use crate::host::{Host, Miss, Position};
use crate::logging::LogSettings;
use crate::phase::Phase;
use crate::{diagnostic, error};

/// The surroundings of one evaluation.
#[derive(ProvidesStaticType)]
pub(crate) struct Session<'h> {
    pub(crate) host: &'h dyn Host,
    pub(crate) phase: Phase,
    /// The module of the script whose handler runs; none while it is still being filled.
    pub(crate) script: Option<&'h FrozenModule>,
    /// What the host would answer, where the request that is handled has no route.
    pub(crate) miss: Option<&'h Miss>,
    /// How the functions of `log` write, as the script set it last.
    pub(crate) log: Cell<LogSettings>,
    /// The predeclared names, where they are not those that every script has.
    pub(crate) globals: OnceCell<Globals>,
    servers: Cell<u32>,
    /// Whether the files that the script loads are still being evaluated.
    loading: Cell<bool>,
    /// Whether the code that runs is that of a test file.
    tests: bool,
}

impl<'h> Session<'h> {
    /// The surroundings of a top level.
    pub(crate) fn setup(host: &'h dyn Host) -> Self {
        let (servers, loading, log) = (Cell::new(0), Cell::new(true), Cell::default());
        let globals = OnceCell::new();
        Self { host, phase: Phase::Setup, script: None, miss: None, log, globals, servers, loading, tests: false }
    }

    /// The surroundings of a handler; its log lines are written as the setup left it.
    pub(crate) fn request(host: &'h dyn Host, script: &'h FrozenModule, log: LogSettings) -> Self {
        let (loading, log) = (Cell::new(false), Cell::new(log));
        Self { phase: Phase::Request, script: Some(script), loading, log, ..Self::setup(host) }
    }

    /// The surroundings of middleware that runs for a request without a route.
    pub(crate) fn missed(host: &'h dyn Host, script: &'h FrozenModule, log: LogSettings, miss: &'h Miss) -> Self {
        Self { miss: Some(miss), ..Self::request(host, script, log) }
    }

    /// The surroundings of the top level of a test file.
    pub(crate) fn collect(host: &'h dyn Host) -> Self {
        Self { tests: true, ..Self::setup(host) }
    }

    /// The surroundings of a test.
    pub(crate) fn test(host: &'h dyn Host, file: &'h FrozenModule, log: LogSettings) -> Self {
        Self { phase: Phase::Test, tests: true, ..Self::request(host, file, log) }
    }

    /// Whether the code that runs is that of a test file.
    pub(crate) fn is_test_file(&self) -> bool {
        self.tests
    }

    /// The number of the next server; servers count from 0 in order of creation.
    pub(crate) fn next_server(&self) -> u32 {
        let number = self.servers.get();
        self.servers.set(number.saturating_add(1));
        number
    }

    /// The files that the script loads come now.
    pub(crate) fn loads(&self) {
        self.loading.set(true);
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

/// Gives an evaluator the limits and surroundings of `session`. It is made by the caller, in its place: one that were
/// returned would be on the stack twice.
///
/// Every Starlark call also takes native stack, and in the guest the native stack is the small one: the limit of nested
/// calls makes an endless recursion an error with a traceback instead of a trap.
pub(crate) fn surround<'a, 'e>(eval: &mut Evaluator<'_, 'a, 'e>, session: &'a Session<'e>) -> starlark::Result<()> {
    eval.extra = Some(session);
    eval.set_max_callstack_size(session.host.conditions().call_depth as usize)?;
    Ok(())
}

/// Where the running builtin was called.
///
/// A call by another builtin has no place in a source, for instance that of `f` by its twin `try_f`: the nearest call
/// outwards that has one counts.
pub(crate) fn position(eval: &Evaluator<'_, '_, '_>) -> Position {
    let place = (0..eval.call_stack_count()).find_map(|depth| eval.call_stack_nth_location(depth));
    place.map(|span| diagnostic::position(&span)).unwrap_or_default()
}
