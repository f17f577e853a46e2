//! Points in time in the five fields of cron: minute, hour, day of the month, month, day of the week. In UTC.
//!
//! As in cron(5), a day matches one of its two fields where both are given. A time that never comes, such as the 30th of
//! February, is refused when it is read and not when it is waited for.

/// Days that are looked through: every date that exists comes within eight years, leap years of centuries included.
const DAYS: i64 = 8 * 366;

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// When something shall happen, again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// One bit for each minute, hour, day, month (from bit 1), weekday (Sunday is bit 0).
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// True if the two fields of days are both restricted, so that one of them suffices.
    either: bool,
}

impl Cron {
    /// Reads five fields, or `@hourly`, `@daily`, `@weekly` and `@monthly`.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let spelled = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            other => other,
        };
        let fields: Vec<&str> = spelled.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "{text:?} has {} fields; cron has five: minute, hour, day of the month, month, day of the week",
                fields.len()
            ));
        };
        let weekdays = field("day of the week", weekday, (0, 7), &WEEKDAYS, 0)?;
        let cron = Self {
            minutes: field("minute", minute, (0, 59), &[], 0)?,
            hours: field("hour", hour, (0, 23), &[], 0)?,
            days: field("day of the month", day, (1, 31), &[], 0)?,
            months: field("month", month, (1, 12), &MONTHS, 1)?,
            // Sunday has two numbers.
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match cron.next_after(0) {
            Some(_) => Ok(cron),
            None => Err(format!("{text:?} never comes: no month that it names has such a day")),
        }
    }

    /// The first point behind one, both in seconds since the Unix epoch.
    #[must_use]
    pub fn next_after(&self, seconds: i64) -> Option<i64> {
        let start = (seconds.div_euclid(MINUTE) + 1) * MINUTE;
        let first = start.div_euclid(DAY);
        for day in first..=first + DAYS {
            if !self.is_on(day) {
                continue;
            }
            let from = if day == first { start.rem_euclid(DAY) } else { 0 };
            let of_day = (from / MINUTE..DAY / MINUTE)
                .find(|minute| has(self.hours, minute / 60) && has(self.minutes, minute % 60));
            if let Some(minute) = of_day {
                return Some(day * DAY + minute * MINUTE);
            }
        }
        None
    }

    fn is_on(&self, day: i64) -> bool {
        let (month, of_month) = date(day);
        // The first of January 1970 was a Thursday.
        let (by_date, by_week) = (has(self.days, of_month), has(self.weekdays, (day + 4).rem_euclid(7)));
        has(self.months, month) && if self.either { by_date || by_week } else { by_date && by_week }
    }
}

fn has(bits: u64, number: i64) -> bool {
    bits >> number & 1 == 1
}

/// Month and day of the month of a day since the Unix epoch, by the Gregorian calendar. Years begin in March here, so that
/// the leap day is the last of one.
fn date(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    (if month < 10 { month + 3 } else { month - 9 }, of_month)
}

/// The bits of a field: a list of numbers, names, ranges and `*`, each with a step if it has one.
fn field(what: &str, text: &str, range: (u32, u32), names: &[&str], first: u32) -> Result<u64, String> {
    let wrong =
        || format!("{text:?} is no {what}; it has numbers from {} to {}, `*`, ranges and steps", range.0, range.1);
    let number = |text: &str| {
        let name = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let number = match name {
            Some(at) => u32::try_from(at).ok()? + first,
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
            None => return None,
        };
        (range.0..=range.1).contains(&number).then_some(number)
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, Some(step.parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(wrong)?)),
            None => (part, None),
        };
        let (from, to) = match span.split_once('-') {
            _ if span == "*" => range,
            Some((from, to)) => (number(from).ok_or_else(wrong)?, number(to).ok_or_else(wrong)?),
            None => {
                let from = number(span).ok_or_else(wrong)?;
                (from, if step.is_some() { range.1 } else { from })
            }
        };
        if from > to {
            return Err(wrong());
        }
        for number in (from..=to).step_by(step.unwrap_or(1) as usize) {
            bits |= 1 << number;
        }
    }
    Ok(bits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// 2026-11-29 22:15:35, a Sunday.
    const NOW: i64 = 1_795_990_535;

    fn next(text: &str) -> i64 {
        Cron::parse(text).unwrap().next_after(NOW).unwrap()
    }

    #[test]
    fn the_next_point_is_found() {
        let midnight = NOW / DAY * DAY + DAY;
        assert_eq!(next("* * * * *"), NOW / 60 * 60 + 60);
        assert_eq!(next("0 3 * * *"), midnight + 3 * 3600);
        assert_eq!(next("*/10 * * * *"), NOW / 600 * 600 + 600);
        assert_eq!(next("15,45 22-23 * * sun"), NOW / 3600 * 3600 + 45 * 60);
        assert_eq!(next("0 0 * * 1"), midnight);
        assert_eq!(next("0 0 * * 7"), next("0 0 * * 0"));
        // The first of December is a Tuesday, two days on.
        assert_eq!(next("@monthly"), midnight + DAY);
        assert_eq!(next("0 0 1 dec *"), midnight + DAY);
        // Either of two fields of days suffices: Monday comes before the first.
        assert_eq!(next("0 0 1 * mon"), midnight);
        // The leap day of 2028.
        assert_eq!(next("0 0 29 2 *"), 1_835_395_200);
        assert_eq!(Cron::parse("@hourly").unwrap().next_after(NOW / 3600 * 3600).unwrap(), NOW / 3600 * 3600 + 3600);
    }

    #[test]
    fn what_is_none_is_named() {
        for (text, told) in [
            ("", "0 fields"),
            ("* * * *", "4 fields"),
            ("* * * * * *", "6 fields"),
            ("60 * * * *", "is no minute"),
            ("* 24 * * *", "is no hour"),
            ("* * 0 * *", "is no day of the month"),
            ("* * * 13 *", "is no month"),
            ("* * * foo *", "is no month"),
            ("* * * * 8", "is no day of the week"),
            ("5-1 * * * *", "is no minute"),
            ("*/0 * * * *", "is no minute"),
            ("1,,2 * * * *", "is no minute"),
            ("-1 * * * *", "is no minute"),
            ("@yearly", "1 fields"),
            ("0 0 30 2 *", "never comes"),
            ("0 0 31 4,6,9,11 *", "never comes"),
        ] {
            let error = Cron::parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
