//! The severity of a line, and the formats of lines.

/// Severity of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Detail for whoever debugs the script.
    Debug,
    /// Normal course of events.
    #[default]
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

/// The format of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One line of `key=value` pairs.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// One of the two streams of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// The operator's choice about the log. A part that is none is a script's to choose for its own lines, and the default
/// for those of the host: from `info` on, as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogChoice {
    /// How lines look.
    pub format: Option<Format>,
    /// The least severe lines that are written.
    pub least: Option<Level>,
}
