//! Zones by name, from the tz database that is compiled in: the guest has no files, and a fork that asked the host for the
//! rules of a zone would have the answers of the day it was set up.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of a name; the error is the sentence to show.
pub(super) fn named(name: &str) -> Result<TimeZone, String> {
    if matches!(name, "" | "UTC") {
        return Ok(TimeZone::UTC);
    }
    ZONES.get(name).map_err(|_| {
        let name = crate::shorten::shorten(name.to_owned(), 80);
        format!("there is no time zone {name:?}; a name is one of the tz database, such as \"Europe/Berlin\"")
    })
}
