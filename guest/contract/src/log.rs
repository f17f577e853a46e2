//! What a script says.

use crate::{Field, Level, LogFormat, Position};

/// The stream that a line goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
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
    /// How the script wants the line to be written.
    pub format: LogFormat,
    /// Where the script wants the line to go.
    pub output: LogOutput,
}
