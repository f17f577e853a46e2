//! Layouts: names for the usual ones, and patterns of `strftime` for the rest.

use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::Offset;

use super::instant::Instant;

/// Longest pattern. A directive may ask for a width of its own.
const MAX_PATTERN_BYTES: usize = 256;

/// Longest text to parse.
const MAX_TEXT_BYTES: usize = 1024;

const KNOWN: &str = "rfc3339, rfc3339nano, rfc1123, rfc822, http, kitchen, datetime, date, time, stamp";

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
                let given = crate::diagnostic::shorten(given.to_owned(), 80);
                Err(format!(
                    "layout must be one of {KNOWN}, or a strftime pattern of at most {MAX_PATTERN_BYTES} bytes, \
                     got {given:?}"
                ))
            }
        }
    }
}

/// A time as text; the error is the sentence to show.
pub(super) fn format(layout: &str, time: &Instant) -> Result<String, String> {
    let Layout { pattern, zone } = Layout::of(layout)?;
    let offset = if zone == Zone::Gmt { Offset::UTC } else { time.offset };
    let suffix = match zone {
        Zone::Within => "",
        Zone::Rfc3339 if offset.is_zero() => "Z",
        Zone::Rfc3339 => "%:z",
        Zone::Named if offset.is_zero() => " UTC",
        Zone::Named => " %z",
        Zone::Gmt => " GMT",
    };
    let zoned = time.timestamp.to_zoned_datetime(offset.to_time_zone());
    let broken_down = BrokenDownTime::from(&zoned);
    broken_down.to_string(format!("{pattern}{suffix}")).map_err(|e| format!("layout {layout:?}: {}", sentence(&e)))
}

/// The time that a text tells; the error is the sentence to show.
pub(super) fn parse(layout: &str, text: &str) -> Result<Instant, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("value is longer than {MAX_TEXT_BYTES} bytes"));
    }
    read(layout, text).map_err(|wrong| format!("value {text:?} does not match the layout {layout:?}: {wrong}"))?
}

type Read = Result<Instant, String>;

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
    if let Some(zone) = told.iana_time_zone() {
        return Err(format!("time zones such as {zone:?} are not known here, only offsets"));
    }
    if let Some(timestamp) = told.timestamp() {
        return Ok(Ok(Instant { timestamp, offset: told.offset().unwrap_or(Offset::UTC) }));
    }
    let offset = outer.or(told.offset()).unwrap_or(Offset::UTC);
    let civil = civil(&mut told).map_err(|e| sentence(&e))?;
    let timestamp = offset.to_timestamp(civil).map_err(|e| sentence(&e))?;
    Ok(Ok(Instant { timestamp, offset }))
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
