//! A point in time, and where it is shown, apart from the value that scripts have of it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// A point in time.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    pub(super) timestamp: Timestamp,
    /// Where it is shown: a fixed offset, or a zone with its rules.
    pub(super) zone: TimeZone,
}

impl Moment {
    /// Date and time of day where it is shown.
    pub(super) fn civil(&self) -> DateTime {
        self.offset().to_datetime(self.timestamp)
    }

    /// How far east of UTC it is shown.
    pub(super) fn offset(&self) -> Offset {
        self.zone.to_offset(self.timestamp)
    }

    /// What the zone is called at that time, such as `CEST`; a mere offset has no name.
    pub(super) fn abbreviation(&self) -> Option<String> {
        if self.zone.iana_name().is_some() {
            return Some(self.zone.to_offset_info(self.timestamp).abbreviation().to_owned());
        }
        self.offset().is_zero().then(|| "UTC".to_owned())
    }
}
