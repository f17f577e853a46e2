//! Errors that builtins raise, and how the ones that decide an exit code keep their identity through a call chain.
//!
//! A refusal by the host travels as [`Raised`] inside a `starlark::Error`, so that it is still a refusal after any number
//! of frames, however the text around it was decorated.

use starlark::ErrorKind;

use crate::host::{FailureKind, HostError};

/// An error whose kind matters outside the script.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Raised {
    /// The script's grants do not cover a call.
    #[error("{0}")]
    Denied(String),
    /// A test ended itself, for this reason; `try_` forms pass it on.
    #[error("skipped: {0}")]
    Skipped(String),
    /// The host ends the script; `try_` forms pass it on.
    #[error("stopped by the host")]
    Stopped,
}

/// A wrong use of a builtin: the text names the builtin and quotes what it got.
#[cold]
pub(crate) fn usage(text: impl Into<String>) -> starlark::Error {
    starlark::Error::new_kind(ErrorKind::Value(anyhow::Error::msg(text.into())))
}

/// A call to the host that did not work out. The host's text is the whole message.
#[cold]
pub(crate) fn from_host(error: HostError) -> starlark::Error {
    let cause = match error {
        HostError::Denied(text) => anyhow::Error::new(Raised::Denied(text)),
        HostError::Failed(text) => anyhow::Error::msg(text),
        HostError::Stopped => anyhow::Error::new(Raised::Stopped),
    };
    starlark::Error::new_kind(ErrorKind::Native(cause))
}

/// A test ends itself.
#[cold]
pub(crate) fn skip(reason: &str) -> starlark::Error {
    starlark::Error::new_kind(ErrorKind::Native(anyhow::Error::new(Raised::Skipped(reason.to_owned()))))
}

/// Why a test ended itself, if that is what this error says.
pub(crate) fn skipped(error: &starlark::Error) -> Option<&str> {
    match cause(error)?.downcast_ref()? {
        Raised::Skipped(reason) => Some(reason),
        Raised::Denied(_) | Raised::Stopped => None,
    }
}

/// Whether this error must end the script or the test.
pub(crate) fn is_stopped(error: &starlark::Error) -> bool {
    matches!(cause(error).and_then(|e| e.downcast_ref()), Some(Raised::Skipped(_) | Raised::Stopped))
}

/// The kind that [`Failure`](crate::Failure) reports.
pub(crate) fn failure_kind(error: &starlark::Error) -> FailureKind {
    if let Some(raised) = cause(error).and_then(|e| e.downcast_ref()) {
        return match raised {
            Raised::Denied(_) => FailureKind::Denied,
            Raised::Skipped(_) => FailureKind::Script,
            Raised::Stopped => FailureKind::Stopped,
        };
    }
    match error.kind() {
        // A builtin that reads a text may raise a parser's error, too: then something was running, and has frames.
        ErrorKind::Parser(_) | ErrorKind::Scope(_) if error.call_stack().is_empty() => FailureKind::Syntax,
        _ => FailureKind::Script,
    }
}

/// The error under starlark's classification.
pub(crate) fn cause(error: &starlark::Error) -> Option<&anyhow::Error> {
    match error.kind() {
        ErrorKind::Fail(e)
        | ErrorKind::StackOverflow(e)
        | ErrorKind::Value(e)
        | ErrorKind::Function(e)
        | ErrorKind::Scope(e)
        | ErrorKind::Parser(e)
        | ErrorKind::Freeze(e)
        | ErrorKind::Internal(e)
        | ErrorKind::Native(e)
        | ErrorKind::Other(e) => Some(e),
        _ => None,
    }
}
