//! Sizes, durations and rates as people write them.
//!
//! A number without a unit is refused: `memory = 64` could be bytes or MiB, and the one that was not meant is a limit that
//! is not there.

use std::time::Duration;

/// Units of sizes, the longest names first.
const SIZES: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];

/// An amount that may pass in a time: requests, bytes, or nanoseconds of CPU time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// How much.
    pub amount: u64,
    /// In how long.
    pub per: Duration,
}

/// A size in bytes, more than 0.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size; write it like 64MiB or 512KiB");
    let (digits, unit) = number(text).ok_or_else(wrong)?;
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let bytes = digits.checked_mul(*factor).ok_or_else(wrong)?;
    if bytes == 0 { Err("a size must be more than 0".into()) } else { Ok(bytes) }
}

/// A time, longer than 0.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("a time must be longer than 0".into()),
        Ok(time) => Ok(time),
        Err(_) => Err(format!("{text:?} is no time; write it like 250ms, 10s or 1m 30s")),
    }
}

/// A number of events in a time, such as `100/s`.
pub(crate) fn events(text: &str) -> Result<Flow, String> {
    flow(text, "100/s", |amount| match number(amount) {
        Some((amount, "")) if amount > 0 => Ok(amount),
        _ => Err(()),
    })
}

/// Bytes in a time, such as `64KiB/s`.
pub(crate) fn bytes(text: &str) -> Result<Flow, String> {
    flow(text, "64KiB/s", |amount| size(amount).map_err(|_| ()))
}

/// CPU time in a time, such as `500ms/s`.
pub(crate) fn cpu(text: &str) -> Result<Flow, String> {
    flow(text, "500ms/s", |amount| {
        let time = duration(amount).map_err(|_| ())?;
        u64::try_from(time.as_nanos()).map_err(|_| ())
    })
}

fn flow(text: &str, example: &str, amount: impl Fn(&str) -> Result<u64, ()>) -> Result<Flow, String> {
    let wrong = || format!("{text:?} is no rate; write it like {example}, with /s, /m or /h");
    let (before, unit) = text.split_once('/').ok_or_else(wrong)?;
    let per = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(wrong()),
    };
    let amount = amount(before.trim()).map_err(|()| wrong())?;
    Ok(Flow { amount, per: Duration::from_secs(per) })
}

/// The digits that a text begins with, and the rest of it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest.trim_start()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!((size("512 KiB"), size("1GiB"), size("7B")), (Ok(512 << 10), Ok(1 << 30), Ok(7)));
        for text in ["", "64", "64MB", "MiB", "-1MiB", "1.5MiB", "64mib", "99999999999GiB", "0B"] {
            size(text).unwrap_err();
        }
    }

    #[test]
    fn rates_name_their_time() {
        let flow = |amount, secs| Ok(Flow { amount, per: Duration::from_secs(secs) });
        assert_eq!((events("100/s"), events("5 / m")), (flow(100, 1), flow(5, 60)));
        assert_eq!(
            (bytes("64KiB/s"), cpu("500ms/s"), cpu("1m/h")),
            (flow(64 << 10, 1), flow(500_000_000, 1), flow(60_000_000_000, 3600))
        );
        for text in ["100", "100/", "0/s", "1.5/s", "-1/s", "/s", "100/d", "100/2s", "ten/s"] {
            assert!(events(text).unwrap_err().contains("100/s"), "{text}");
        }
        assert!(bytes("64/s").is_err() && cpu("500/s").is_err());
    }

    #[test]
    fn times_are_longer_than_nothing() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        for text in ["", "5", "0s", "fast", "-1s"] {
            duration(text).unwrap_err();
        }
    }
}
