//! Exit codes: what a caller can tell from the number alone.

use std::process::ExitCode;

use starcell_runtime::Failure;
use starcell_runtime::failure::ScriptFailureKind;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The script ended, or was stopped and drained.
    Ok = 0,
    /// The script raised.
    Raised = 1,
    /// The command line is wrong, or names a file that cannot be read. Also clap's own code.
    Usage = 2,
    /// The script does not parse.
    Syntax = 3,
    /// A profile or a rule is wrong.
    Configuration = 4,
    /// A privileged call was refused, or would have been.
    Denied = 5,
    /// The script hit a limit while it set up.
    Limit = 6,
    /// An address could not be bound.
    Bind = 7,
    /// An audit log is not as it was written.
    Unsound = 8,
    /// The host failed; nothing the caller did.
    Host = 70,
    /// SIGINT, when nothing was served or for the second time.
    Interrupted = 130,
    /// SIGTERM, when nothing was served or for the second time.
    Terminated = 143,
}

impl Exit {
    /// The code of a script that failed.
    #[must_use]
    pub fn of(failure: &Failure) -> Self {
        match failure {
            Failure::Script(failure) => match failure.kind {
                ScriptFailureKind::Raised => Self::Raised,
                ScriptFailureKind::Syntax => Self::Syntax,
                ScriptFailureKind::Denied => Self::Denied,
                ScriptFailureKind::NoMemory => Self::Limit,
                ScriptFailureKind::Stopped => Self::Host,
                ScriptFailureKind::Unbound => Self::Bind,
            },
            Failure::Limit(_) => Self::Limit,
            _ => Self::Host,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
