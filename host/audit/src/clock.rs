//! The clock of records.

use std::time::SystemTime;

/// The wall time, and never one before 1970: the format of records has no earlier time, and a clock may be wrong.
#[expect(clippy::disallowed_methods, reason = "the time of a call is part of its record")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now().max(SystemTime::UNIX_EPOCH)
}
