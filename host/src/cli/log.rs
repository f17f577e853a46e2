//! What is logged of a run, and how.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};
use starcell_log::{Format, Level, LogRate};

/// Kibibytes a second that a script may log when no flag says otherwise.
const DEFAULT_KIB: u32 = 1024;

/// How fast a script may log when no flag says otherwise.
pub const DEFAULT_LOG_RATE: LogRate = match NonZeroU32::new(DEFAULT_KIB << 10) {
    Some(bytes_per_second) => LogRate { bytes_per_second },
    None => LogRate { bytes_per_second: NonZeroU32::MIN },
};

/// The log of a run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Log")]
pub struct LogFlags {
    /// How log lines are written to standard error.
    #[arg(long = "log-format", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,

    /// The least severe lines that are written. What the script prints is always written.
    #[arg(long = "log-level", value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub level: LogLevel,

    /// KiB a second that the script may log and print on average, with bursts of 16 seconds' worth. Lines over that are
    /// dropped and counted.
    #[arg(long = "log-rate", value_name = "KIB", default_value_t = DEFAULT_KIB, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub kib_per_second: u32,
}

impl LogFlags {
    /// How fast the script may log.
    #[must_use]
    pub fn rate(&self) -> LogRate {
        let bytes = NonZeroU32::new(self.kib_per_second.saturating_mul(1 << 10));
        bytes.map_or(DEFAULT_LOG_RATE, |bytes_per_second| LogRate { bytes_per_second })
    }
}

/// How log lines look.
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

/// How severe a line is.
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
