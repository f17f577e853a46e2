//! Errors that builtins raise, and how the ones that decide an exit code keep their identity through a call chain.
//!
//! A refusal by the host travels as [`Raised`] inside a `starlark::Error`, so that it is still a refusal after any number
//! of frames, however the text around it was decorated.

use std::fmt;

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

/// A wrong use of something: the text quotes what was wrong. The name of the builtin comes from [`named`].
#[cold]
pub(crate) fn usage(text: impl Into<String>) -> starlark::Error {
    starlark::Error::new_kind(ErrorKind::Value(anyhow::Error::new(Usage { builtin: None, text: text.into() })))
}

/// What an argument must be, in words; the error of an `UnpackValue` that [`Given`](crate::given::Given) completes.
#[cold]
pub(crate) fn expected(words: &'static str) -> starlark::Error {
    starlark::Error::new_kind(ErrorKind::Value(anyhow::Error::new(Expected(words))))
}

/// Runs the body of a builtin: what it raises itself begins with the builtin's name.
///
/// An error that comes from elsewhere stays as it is: a refusal of the host's, which is a whole sentence; what a function
/// of the script's raised, which has a place in its source already; and what another builtin raised, which has a name.
#[inline]
pub(crate) fn named<T>(builtin: &'static str, run: impl FnOnce() -> starlark::Result<T>) -> starlark::Result<T> {
    run().map_err(|error| with_name(builtin, error))
}

#[cold]
fn with_name(builtin: &'static str, error: starlark::Error) -> starlark::Error {
    if error.has_diagnostic() {
        return error;
    }
    match cause(&error).and_then(|cause| cause.downcast_ref::<Usage>()) {
        Some(Usage { builtin: None, text }) => {
            let usage = Usage { builtin: Some(builtin), text: text.clone() };
            starlark::Error::new_kind(ErrorKind::Value(anyhow::Error::new(usage)))
        }
        _ => error,
    }
}

/// Says in words what an argument must be, where its type alone would not.
#[derive(Debug)]
pub(crate) struct Expected(pub(crate) &'static str);

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl std::error::Error for Expected {}

/// An error of ours, and which builtin it is about.
#[derive(Debug)]
struct Usage {
    builtin: Option<&'static str>,
    text: String,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.builtin {
            Some(builtin) => write!(f, "{builtin}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl std::error::Error for Usage {}

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
