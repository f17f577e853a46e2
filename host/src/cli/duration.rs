//! Times on the command line.

use std::time::Duration;

/// A time as people write it, longer than 0.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than 0".into()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write it like 250ms, 10s or 1m 30s")),
    }
}
