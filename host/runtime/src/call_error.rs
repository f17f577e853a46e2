//! Why a call of a capability came to no value, until the guest is told.
//!
//! An error keeps its parts on its way: the denial, the failure of the audit log, the reason of the file system. The
//! sentence that a script reads is made once, where the error crosses the border (`capability/types.rs`), so no code
//! reads the text of an error to tell what it is.

use std::borrow::Cow;
use std::fmt;

use starcell_audit::AuditError;
use starcell_policy::{CanonicalPath, Capability, Denial};

/// Why a call came to no value.
#[derive(Debug)]
pub(crate) enum HostCallError {
    /// The guest broke the contract, so its instance ends.
    Broken(wasmtime::Error),
    /// The grants do not cover the call.
    Denied(Denial),
    /// The call was allowed and failed, or nobody could judge it.
    Failed(FailedCall),
    /// The call is about a file of the host, which no grant covers.
    HostFile(Capability, CanonicalPath),
    /// The intent could not be written, so the call had no effect.
    Unrecorded(AuditError),
}

/// A reason, with its type until the sentence is made.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A call that failed.
#[derive(Debug)]
pub(crate) struct FailedCall {
    /// The function as scripts know it; empty where the interpreter names it.
    function: Cow<'static, str>,
    /// The start of what the call was about.
    subject: Option<String>,
    /// Why it failed.
    pub(crate) cause: Cause,
}

impl HostCallError {
    /// A failure of a function that the interpreter names.
    pub(crate) fn failed(cause: impl Into<Cause>) -> Self {
        Self::Failed(FailedCall { function: "".into(), subject: None, cause: cause.into() })
    }

    /// A failure of a function.
    pub(crate) fn of(function: impl Into<Cow<'static, str>>, cause: impl Into<Cause>) -> Self {
        Self::Failed(FailedCall { function: function.into(), subject: None, cause: cause.into() })
    }

    /// A failure of a function with this argument, which may have any length.
    pub(crate) fn about(function: impl Into<Cow<'static, str>>, subject: &str, cause: impl Into<Cause>) -> Self {
        let subject = Some(shown(subject).into_owned());
        Self::Failed(FailedCall { function: function.into(), subject, cause: cause.into() })
    }
}

impl From<wasmtime::Error> for HostCallError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Broken(error)
    }
}

impl fmt::Display for HostCallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => write!(f, "{error:#}"),
            Self::Denied(denial) => write!(f, "{denial}"),
            Self::Failed(failed) => write!(f, "{failed}"),
            Self::HostFile(capability, path) => write!(
                f,
                "permission denied: {capability}({:?}): the file is the host's, so no rule grants it",
                path.to_string()
            ),
            Self::Unrecorded(error) => {
                write!(f, "the audit log cannot be written, so the call was not made: {error}")
            }
        }
    }
}

impl fmt::Display for FailedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { function, subject, cause } = self;
        match subject {
            Some(subject) => write!(f, "{function}({subject:?}): {cause}"),
            None if function.is_empty() => write!(f, "{cause}"),
            None => write!(f, "{function}: {cause}"),
        }
    }
}

/// Characters of a script's text that errors and records of a refused call repeat. Such a text may have any length.
pub(crate) const MAX_SHOWN: usize = 200;

/// The start of a text that may be too long to be repeated.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_its_function_and_the_start_of_its_subject() {
        assert_eq!(HostCallError::failed("no").to_string(), "no");
        assert_eq!(HostCallError::of("k8s.get", "no").to_string(), "k8s.get: no");
        assert_eq!(HostCallError::about("kv.get", "a\"b", "no").to_string(), "kv.get(\"a\\\"b\"): no");
        let long = HostCallError::about("kv.get", &"x".repeat(1_000_000), "no").to_string();
        assert_eq!(long.chars().count(), MAX_SHOWN + "kv.get(\"…\"): no".chars().count());
    }
}
