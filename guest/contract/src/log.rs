//! What a script says.

use crate::{Field, Position};

/// Severity of a log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Detail for whoever debugs the script.
    Debug,
    /// Normal course of events.
    Info,
    /// Something to look at, nothing failed.
    Warn,
    /// Something failed.
    Error,
}

/// One call of `log.debug` and its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Severity.
    pub level: Level,
    /// The message, as the script gave it.
    pub message: String,
    /// Attributes in the script's order; each value is one JSON text.
    pub attributes: Vec<Field>,
    /// Where the script logged.
    pub at: Position,
}
