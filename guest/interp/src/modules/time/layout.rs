//! Layouts: names for the usual ones, patterns of `strftime`, and Go's reference layouts, told apart by what is in them.

use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};

use super::moment::Moment;
use super::{golayout, zone};

/// Longest pattern. A directive may ask for a width of its own.
const MAX_PATTERN_BYTES: usize = 256;

/// Longest text to parse.
const MAX_TEXT_BYTES: usize = 1024;

/// The layouts that have a name.
const NAMES: [&str; 10] =
    ["rfc3339", "rfc3339nano", "rfc1123", "rfc822", "http", "kitchen", "datetime", "date", "time", "stamp"];

/// A layout, taken apart.
#[derive(Clone, Copy, Debug)]
struct Layout<'a> {
    pattern: &'a str,
    zone: Zone,
}

/// What follows the pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    /// Nothing, or something within the pattern.
    Within,
    /// `Z`, or an offset with a colon.
    Rfc3339,
    /// A space, and `UTC` or an offset.
    Named,
    /// A space and `GMT`.
    Gmt,
}

impl<'a> Layout<'a> {
    fn of(given: &'a str) -> Result<Self, String> {
        let layout = |pattern, zone| Ok(Self { pattern, zone });
        if given.contains('%') && given.len() <= MAX_PATTERN_BYTES {
            return layout(given, Zone::Within);
        }
        match given.to_ascii_lowercase().as_str() {
            "rfc3339" => layout("%Y-%m-%dT%H:%M:%S", Zone::Rfc3339),
            "rfc3339nano" => layout("%Y-%m-%dT%H:%M:%S%.f", Zone::Rfc3339),
            "rfc1123" => layout("%a, %d %b %Y %H:%M:%S", Zone::Named),
            "rfc822" => layout("%d %b %y %H:%M", Zone::Named),
            "http" => layout("%a, %d %b %Y %H:%M:%S", Zone::Gmt),
            "kitchen" => layout("%-I:%M%p", Zone::Within),
            "datetime" => layout("%Y-%m-%d %H:%M:%S", Zone::Within),
            "date" => layout("%Y-%m-%d", Zone::Within),
            "time" => layout("%H:%M:%S", Zone::Within),
            "stamp" => layout("%b %e %H:%M:%S", Zone::Within),
            _ => {
                let given = crate::shorten::shorten(given.to_owned(), 80);
                Err(format!(
                    "layout must be one of {}, a strftime pattern such as \"%Y-%m-%d\" or a layout as Go writes it, such as \
                     \"2006-01-02\", of at most {MAX_PATTERN_BYTES} bytes; got {given:?}",
                    NAMES.join(", ")
                ))
            }
        }
    }
}

/// A time as text; the error is the sentence to show.
pub(super) fn format(layout: &str, time: &Moment) -> Result<String, String> {
    if is_go(layout) {
        return Ok(golayout::format(layout, time));
    }
    let Layout { pattern, zone } = Layout::of(layout)?;
    let shown = if zone == Zone::Gmt { TimeZone::UTC } else { time.zone.clone() };
    let offset = shown.to_offset(time.timestamp);
    let suffix = match zone {
        Zone::Within => "",
        Zone::Rfc3339 if offset.is_zero() => "Z",
        Zone::Rfc3339 => "%:z",
        Zone::Named if offset.is_zero() => " UTC",
        Zone::Named => " %z",
        Zone::Gmt => " GMT",
    };
    let zoned = time.timestamp.to_zoned_datetime(shown);
    let broken_down = BrokenDownTime::from(&zoned);
    broken_down.to_string(format!("{pattern}{suffix}")).map_err(|e| format!("layout {layout:?}: {}", sentence(&e)))
}

/// Whether a layout is one of Go's: it is no name, no pattern of `strftime`, and has a token in it.
fn is_go(layout: &str) -> bool {
    let named = || NAMES.iter().any(|name| name.eq_ignore_ascii_case(layout));
    layout.len() <= MAX_PATTERN_BYTES && !layout.contains('%') && !named() && golayout::is_layout(layout)
}

/// The time that a text tells; the error is the sentence to show. `now` decides which century two digits of a year mean.
pub(super) fn parse(layout: &str, text: &str, now: Timestamp) -> Result<Moment, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("value is longer than {MAX_TEXT_BYTES} bytes"));
    }
    let mismatch = |wrong: String| format!("value {text:?} does not match the layout {layout:?}: {wrong}");
    if is_go(layout) {
        return golayout::parse(layout, text).map_err(mismatch);
    }
    if layout.eq_ignore_ascii_case("http")
        && let Some(obsolete) = obsolete(text, now)
    {
        return read("%Y-%m-%d %H:%M:%S", &obsolete).map_err(mismatch)?;
    }
    read(layout, text).map_err(|wrong| format!("value {text:?} does not match the layout {layout:?}: {wrong}"))?
}

/// A date in one of the two forms that HTTP has given up and every recipient must take (RFC 9110, section 5.6.7), as
/// `2006-01-02 15:04:05`: that of RFC 850, `Sunday, 06-Nov-94 08:49:37 GMT`, and that of C, `Sun Nov  6 08:49:37 1994`.
fn obsolete(text: &str, now: Timestamp) -> Option<String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (day, month, year, time) = match *words.as_slice() {
        [weekday, date, time, "GMT"] => {
            if !golayout::is_weekday(weekday.strip_suffix(',')?) {
                return None;
            }
            let (day, rest) = date.split_once('-')?;
            let (month, year) = rest.split_once('-')?;
            let two_digits = year.len() == 2 && year.bytes().all(|byte| byte.is_ascii_digit());
            (day, month, full_year(year.parse().ok().filter(|_| two_digits)?, now), time)
        }
        [_, month, day, time, year] if year.len() == 4 => (day, month, year.parse().ok()?, time),
        _ => return None,
    };
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = months.iter().position(|name| name.eq_ignore_ascii_case(month))? + 1;
    let day: u8 = day.parse().ok()?;
    Some(format!("{year:04}-{month:02}-{day:02} {time}"))
}

/// The year that two digits mean: one that appears to be more than 50 years in the future is in the past.
fn full_year(two_digits: i16, now: Timestamp) -> i16 {
    let present = Offset::UTC.to_datetime(now).year();
    let year = present - present.rem_euclid(100) + two_digits;
    if year > present + 50 { year - 100 } else { year }
}

type Read = Result<Moment, String>;

/// The outer error is the text's, the inner one the layout's.
fn read(layout: &str, text: &str) -> Result<Read, String> {
    let Layout { pattern, zone } = match Layout::of(layout) {
        Ok(layout) => layout,
        Err(wrong) => return Ok(Err(wrong)),
    };
    // Fractions of a second are always welcome where a standard allows them.
    let pattern = if zone == Zone::Rfc3339 { "%Y-%m-%dT%H:%M:%S%.f" } else { pattern };
    let upper;
    let (text, outer) = match zone {
        Zone::Within => (text, None),
        Zone::Rfc3339 => {
            upper = text.to_ascii_uppercase();
            split_rfc3339(&upper)?
        }
        Zone::Named | Zone::Gmt => split_named(text, zone)?,
    };
    let mut told = BrokenDownTime::parse(pattern, text).map_err(|e| sentence(&e))?;
    let zone = match told.iana_time_zone().map(str::to_owned) {
        Some(name) => zone::named(&name)?,
        None => TimeZone::fixed(outer.or(told.offset()).unwrap_or(Offset::UTC)),
    };
    if let Some(timestamp) = told.timestamp() {
        return Ok(Ok(Moment { timestamp, zone }));
    }
    let civil = civil(&mut told).map_err(|e| sentence(&e))?;
    let timestamp = zone.to_timestamp(civil).map_err(|e| sentence(&e))?;
    Ok(Ok(Moment { timestamp, zone }))
}

/// Date and time of day, as in Go with what was not told filled in.
fn civil(told: &mut BrokenDownTime) -> Result<DateTime, jiff::Error> {
    let by_week = told.iso_week().is_some() || told.sunday_based_week().is_some() || told.monday_based_week().is_some();
    if !by_week {
        if told.year().is_none() {
            told.set_year(Some(0))?;
        }
        if told.month().is_none() && told.day_of_year().is_none() {
            told.set_month(Some(1))?;
        }
        if told.day().is_none() && told.day_of_year().is_none() {
            told.set_day(Some(1))?;
        }
    }
    let untold = told.hour().is_none() && told.minute().is_none() && told.second().is_none();
    let time = if untold { Time::midnight() } else { told.to_time()? };
    Ok(told.to_date()?.to_datetime(time))
}

/// A text of RFC 3339 without its offset, and that.
fn split_rfc3339(text: &str) -> Result<(&str, Option<Offset>), String> {
    let at = match text.strip_suffix('Z') {
        Some(local) => local.len(),
        None => text.len().saturating_sub("+00:00".len()),
    };
    let (local, zone) = text.split_at_checked(at).ok_or("it is not ASCII")?;
    // The shorter spellings that `offset` reads are not of RFC 3339.
    let offset = offset(zone).filter(|_| zone.len() == 1 || zone.contains(':'));
    Ok((local, Some(offset.ok_or("it does not end with Z or an offset such as +02:00")?)))
}

/// A text without its zone, and that.
fn split_named(text: &str, zone: Zone) -> Result<(&str, Option<Offset>), String> {
    let (local, name) = text.rsplit_once(' ').ok_or("it has no zone")?;
    let known = if zone == Zone::Gmt { name == "GMT" } else { matches!(name, "UTC" | "GMT" | "UT") };
    match offset(name) {
        _ if known => Ok((local, Some(Offset::UTC))),
        Some(offset) if zone == Zone::Named => Ok((local, Some(offset))),
        _ if zone == Zone::Gmt => Err("it does not end with GMT".to_owned()),
        _ => Err("its zone is neither UTC, GMT nor an offset such as +0200".to_owned()),
    }
}

/// An offset such as `Z`, `+02:00` or `-0530`.
pub(super) fn offset(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = digits.split_once(':').or_else(|| digits.split_at_checked(2))?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = (hours * 60 + minutes) * 60;
    if hours > 23 || minutes > 59 {
        return None;
    }
    Offset::from_seconds(if negative { -seconds } else { seconds }).ok()
}

/// jiff's error in one line.
fn sentence(error: &jiff::Error) -> String {
    error.to_string().replace('\n', " ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn unix(text: &str, year: i16) -> Option<i64> {
        let now = jiff::civil::date(year, 6, 1).at(0, 0, 0, 0);
        let now = Offset::UTC.to_timestamp(now).unwrap();
        parse("http", text, now).ok().map(|time| time.timestamp.as_second())
    }

    /// The three forms of one time, from RFC 9110.
    #[test]
    fn http_has_three_forms_of_a_date() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(unix(text, 2026), Some(784_111_777), "{text}");
        }
        let century = |text: &str, now| unix(text, now).map(|at| Timestamp::from_second(at).unwrap().to_string());
        // 2076 is 50 years ahead of 2026, 2077 is more.
        assert_eq!(century("Sunday, 06-Nov-76 00:00:00 GMT", 2026).unwrap(), "2076-11-06T00:00:00Z");
        assert_eq!(century("Sunday, 06-Nov-77 00:00:00 GMT", 2026).unwrap(), "1977-11-06T00:00:00Z");
        for wrong in
            ["Someday, 06-Nov-94 08:49:37 GMT", "Sunday, 31-Feb-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT"]
        {
            assert_eq!(unix(wrong, 2026), None, "{wrong}");
        }
    }

    #[test]
    fn zones_have_summer_time() {
        let zone = zone::named("America/New_York").unwrap();
        let shown = |seconds| {
            let time = Moment { timestamp: Timestamp::from_second(seconds).unwrap(), zone: zone.clone() };
            (format("rfc3339", &time).unwrap(), format("15:04 MST", &time).unwrap())
        };
        assert_eq!(shown(1_736_951_400), ("2025-01-15T09:30:00-05:00".to_owned(), "09:30 EST".to_owned()));
        assert_eq!(shown(1_752_586_200), ("2025-07-15T09:30:00-04:00".to_owned(), "09:30 EDT".to_owned()));
        assert!(zone::named("Mars/Olympus").is_err());
    }
}
