//! How grave a line is, and how lines are written.

/// Severity of a line.
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

impl Level {
    /// The name as it is written.
    pub(crate) fn name(self) -> &'static str {
        self.padded().trim_end()
    }

    /// The name in a column of text, with the space behind it.
    pub(crate) fn padded(self) -> &'static str {
        match self {
            Self::Debug => "debug ",
            Self::Info => "info  ",
            Self::Warn => "warn  ",
            Self::Error => "error ",
        }
    }
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One line of `key=value` pairs.
    Text,
    /// One JSON object.
    Json,
}
