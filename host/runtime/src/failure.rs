//! How an evaluation ends when it does not end well.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use wasmtime::Trap;

use crate::Position;
use crate::bindings::starcell::guest::types::{Failure as GuestFailure, FailureKind};

/// Why an evaluation ended without a value. The text is for the operator; a client never sees it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The guest broke a rule of the contract, or the host could not do its part.
    #[error("{0}")]
    Host(String),
    /// A limit was reached.
    #[error("{0}")]
    Limit(Limit),
    /// The script failed by its own doing.
    #[error("{0}")]
    Script(ScriptFailure),
    /// The host ended the evaluation.
    #[error("stopped by the host")]
    Stopped,
    /// The guest trapped, with what is known of why.
    #[error("the guest trapped: {0}")]
    Trap(String),
}

/// Which limit was reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// The bytes that the process may hold.
    #[error("the host has no memory left for this: see --memory-budget")]
    Budget,
    /// CPU time.
    #[error("CPU time limit of {} reached", Seconds(.0))]
    Cpu(Duration),
    /// Linear memory.
    #[error("memory limit of {} MiB reached", .0 >> 20)]
    Memory(usize),
    /// Data handed to the host in one call.
    #[error("more than {} MiB handed to the host in one call", .0 >> 20)]
    Crossing(usize),
    /// The native stack.
    #[error("stack limit reached: too many nested calls or too deeply nested values")]
    Stack,
    /// Wall time.
    #[error("time limit of {} reached", Seconds(.0))]
    Wall(Duration),
    /// No memory is free for another instance.
    #[error("all {0} instances are in use")]
    Instances(u32),
}

impl Limit {
    /// Stable label for logs and metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Cpu(_) => "cpu",
            Self::Crossing(_) => "crossing",
            Self::Instances(_) => "instances",
            Self::Memory(_) => "memory",
            Self::Stack => "stack",
            Self::Wall(_) => "wall",
        }
    }
}

/// What kind of failure the interpreter reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptFailureKind {
    /// The script raised.
    Raised,
    /// The source does not parse, or names something undefined.
    Syntax,
    /// A privileged call was refused and not caught.
    Denied,
    /// The process had no memory for a call, which was not caught.
    NoMemory,
    /// The host stopped the script.
    Stopped,
    /// The address of a server could not be bound, and the script did not catch that.
    Unbound,
}

/// A failure with its place in the script.
#[derive(Clone, Debug)]
pub struct ScriptFailure {
    /// What kind of failure.
    pub kind: ScriptFailureKind,
    /// The error alone.
    pub message: String,
    /// Traceback, place, source excerpt and message.
    pub report: String,
    /// Advice on what to do about it, in the first failure of a revision that has any.
    pub hint: Option<String>,
    /// Where it was raised.
    pub at: Position,
}

impl fmt::Display for ScriptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { file, line, column } = &self.at;
        match line {
            0 => write!(f, "{}", self.message),
            _ => write!(f, "{file}:{line}:{column}: {}", self.message),
        }
    }
}

impl From<GuestFailure> for Failure {
    fn from(failure: GuestFailure) -> Self {
        let kind = match failure.kind {
            FailureKind::Script => ScriptFailureKind::Raised,
            FailureKind::Syntax => ScriptFailureKind::Syntax,
            FailureKind::Denied => ScriptFailureKind::Denied,
            FailureKind::Stopped => ScriptFailureKind::Stopped,
        };
        let GuestFailure { message, report, hint, at, .. } = failure;
        Self::Script(ScriptFailure { kind, message, report, hint, at })
    }
}

impl Failure {
    /// Whether it failed only because the process lacks memory now: the same may succeed later.
    #[must_use]
    pub fn is_for_memory(&self) -> bool {
        match self {
            Self::Limit(Limit::Instances(_) | Limit::Budget) => true,
            Self::Script(script) => script.kind == ScriptFailureKind::NoMemory,
            _ => false,
        }
    }

    /// All there is to say: a script's failure with its traceback and its hint, anything else in its one line.
    #[must_use]
    pub fn report(&self) -> Cow<'_, str> {
        match self {
            Self::Script(ScriptFailure { report, hint: Some(hint), .. }) => {
                format!("{}\nhint: {hint}", report.trim_end()).into()
            }
            Self::Script(failure) => failure.report.trim_end().into(),
            other => other.to_string().into(),
        }
    }

    /// What the engine could not do for the host.
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(crate) fn host(error: wasmtime::Error) -> Self {
        Self::Host(format!("{error:#}"))
    }

    /// Sorts what wasmtime reports. `memory_hit` tells a refused allocation from any other `unreachable`.
    pub(crate) fn from_call(error: &wasmtime::Error, limits: &crate::Limits, memory_hit: bool) -> Self {
        if let Some(limit) = error.downcast_ref::<Limit>() {
            return Self::Limit(limit.clone());
        }
        // The machine had no memory for the stack of a guest.
        if error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(has_no_memory) {
            return Self::Limit(Limit::Budget);
        }
        if memory_hit {
            return Self::Limit(Limit::Memory(limits.memory()));
        }
        match error.downcast_ref::<Trap>() {
            // The guest's own stack lies at the bottom of its memory, so running out of it is an access below 0.
            Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => Self::Limit(Limit::Stack),
            Some(trap) => Self::Trap(trap.to_string()),
            None if format!("{error:?}").contains("fuel allocated for hostcalls") => {
                Self::Limit(Limit::Crossing(limits.crossing_bytes))
            }
            None => Self::Host(format!("{error:#}")),
        }
    }
}

/// Whether the machine had no memory, or the process no mapping, for something.
pub(crate) fn has_no_memory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

struct Seconds<'a>(&'a Duration);

impl fmt::Display for Seconds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}
