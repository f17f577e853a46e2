//! The flags about the log of a run.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};
use starcell_log::{Format, Level, LogChoice, LogRate};

/// Kibibytes a second that a script may log when no flag says otherwise.
const DEFAULT_KIB: u32 = 1024;

/// The rate at which a script may log when no flag says otherwise.
pub const DEFAULT_LOG_RATE: LogRate = match NonZeroU32::new(DEFAULT_KIB << 10) {
    Some(bytes_per_second) => LogRate { bytes_per_second },
    None => LogRate { bytes_per_second: NonZeroU32::MIN },
};

/// The operator's choice about the log.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Log")]
pub struct LogFlags {
    /// Writes log lines in this format, whatever the script sets with log.set_format. Without this flag the script's
    /// format is used, or text.
    #[arg(long = "log-format", value_name = "FORMAT", value_enum)]
    pub format: Option<LogFormat>,

    /// Writes log lines of this level and above, whatever the script sets with log.set_level. Without this flag the
    /// script's level is used, or info. Lines of print are always written.
    #[arg(long = "log-level", value_name = "LEVEL", value_enum)]
    pub level: Option<LogLevel>,
}

impl LogFlags {
    /// The choices of the flags; a flag that was not given leaves its choice open.
    #[must_use]
    pub fn choice(self) -> LogChoice {
        LogChoice { format: self.format.map(Into::into), least: self.level.map(Into::into) }
    }
}

/// The rate at which a script may log.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Log")]
pub struct LogRateFlags {
    /// KiB a second that the script may log and print on average, with bursts of 16 seconds' worth. Lines over that are
    /// dropped and counted.
    #[arg(long = "log-rate", value_name = "KIB", default_value_t = DEFAULT_KIB, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub kib_per_second: u32,
}

impl LogRateFlags {
    /// The rate at which the script may log.
    #[must_use]
    pub fn rate(self) -> LogRate {
        let bytes = NonZeroU32::new(self.kib_per_second.saturating_mul(1 << 10));
        bytes.map_or(DEFAULT_LOG_RATE, |bytes_per_second| LogRate { bytes_per_second })
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of `key=value` pairs.
    Text,
    /// One JSON object.
    Json,
}

impl From<LogFormat> for Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

/// The severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Detail for whoever debugs the script.
    Debug,
    /// The normal course of events, each request included.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
        }
    }
}
