//! How a script's lines of the log are written: from which level on, in which format, to which stream.
//!
//! The decision: the functions of `log` have settings that the script may change, and a logger of `log.logger` has its own.
//! They belong to one evaluation: a handler begins with those that the setup left, and what it changes ends with it. The
//! operator's choice, which comes with the [`Conditions`], stands above both, here and once more in the host.

use crate::host::{Conditions, Level, LogFormat, LogOutput};

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// The least severe lines that are written.
    pub(crate) level: Level,
    pub(crate) format: LogFormat,
    pub(crate) output: LogOutput,
}

impl LogSettings {
    /// The settings that count where the operator has made a choice.
    pub(crate) fn under(self, conditions: &Conditions) -> Self {
        Self {
            level: conditions.log_level.unwrap_or(self.level),
            format: conditions.log_format.unwrap_or(self.format),
            output: self.output,
        }
    }

    /// The names of level, format and output.
    pub(crate) fn names(self) -> [&'static str; 3] {
        [level_name(self.level), format_name(self.format), output_name(self.output)]
    }

    /// The settings with these names.
    pub(crate) fn of_names([level, format, output]: [&str; 3]) -> Option<Self> {
        Some(Self { level: self::level(level)?, format: self::format(format)?, output: self::output(output)? })
    }
}

/// The level of a name. Starkite's scripts write names in capitals too, and `warning`.
pub(crate) fn level(name: &str) -> Option<Level> {
    Some(match name.to_ascii_lowercase().as_str() {
        "debug" => Level::Debug,
        "info" => Level::Info,
        "warn" | "warning" => Level::Warn,
        "error" => Level::Error,
        _ => return None,
    })
}

/// The format of a name.
pub(crate) fn format(name: &str) -> Option<LogFormat> {
    Some(match name.to_ascii_lowercase().as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => return None,
    })
}

/// The stream of a name.
pub(crate) fn output(name: &str) -> Option<LogOutput> {
    Some(match name.to_ascii_lowercase().as_str() {
        "stderr" => LogOutput::Stderr,
        "stdout" => LogOutput::Stdout,
        _ => return None,
    })
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn format_name(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    }
}

fn output_name(output: LogOutput) -> &'static str {
    match output {
        LogOutput::Stderr => "stderr",
        LogOutput::Stdout => "stdout",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_from_their_names() {
        for level in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
            for format in [LogFormat::Text, LogFormat::Json] {
                for output in [LogOutput::Stderr, LogOutput::Stdout] {
                    let settings = LogSettings { level, format, output };
                    assert_eq!(LogSettings::of_names(settings.names()), Some(settings));
                }
            }
        }
        assert_eq!(
            (level("WARNING"), level("trace"), format("xml"), output("a.log")),
            (Some(Level::Warn), None, None, None)
        );
    }

    #[test]
    fn the_operators_choice_comes_first() {
        let script = LogSettings { level: Level::Debug, format: LogFormat::Json, output: LogOutput::Stdout };
        assert_eq!(script.under(&Conditions::default()), script);
        let (log_level, log_format) = (Some(Level::Error), Some(LogFormat::Text));
        let operator = Conditions { log_level, log_format, ..Conditions::default() };
        let expected = LogSettings { level: Level::Error, format: LogFormat::Text, output: LogOutput::Stdout };
        assert_eq!(script.under(&operator), expected);
    }
}
