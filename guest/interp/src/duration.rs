//! Durations as Go writes them: `1m30s`, `250ms`, `1.5h`.
//!
//! A number without a unit is refused: whoever writes `read_timeout="30"` has a unit in mind, and guessing it wrong is a
//! server that drops every client or none.

const NANOSECONDS: u64 = 1;
const MICROSECONDS: u64 = 1_000;
const MILLISECONDS: u64 = 1_000_000;
const SECONDS: u64 = 1_000_000_000;
const MINUTES: u64 = 60 * SECONDS;
const HOURS: u64 = 60 * MINUTES;

/// What an error says is accepted.
pub(crate) const EXPECTED: &str = "a duration such as \"30s\", \"250ms\" or \"1m30s\" (units: ns, us, ms, s, m, h)";

/// Nanoseconds of a duration text; `None` when it is not one, is negative, or does not fit.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total: u64 = 0;
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (nanoseconds, after) = component(rest)?;
        total = total.checked_add(nanoseconds)?;
        rest = after;
    }
    Some(total)
}

fn component(text: &str) -> Option<(u64, &str)> {
    let (whole, text) = digits(text);
    let (fraction, text) = match text.strip_prefix('.') {
        Some(text) => digits(text),
        None => ("", text),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (unit, text) = unit(text)?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanoseconds = whole.checked_mul(unit)?;
    Some((nanoseconds.checked_add(part(fraction, unit))?, text))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn unit(text: &str) -> Option<(u64, &str)> {
    const UNITS: [(&str, u64); 8] = [
        ("ns", NANOSECONDS),
        ("us", MICROSECONDS),
        ("\u{b5}s", MICROSECONDS),
        ("\u{3bc}s", MICROSECONDS),
        ("ms", MILLISECONDS),
        ("s", SECONDS),
        ("m", MINUTES),
        ("h", HOURS),
    ];
    UNITS.iter().find_map(|(name, size)| Some((*size, text.strip_prefix(name)?)))
}

/// The fraction `0.digits` of a unit, rounded down; digits below a nanosecond of an hour change nothing.
fn part(fraction: &str, unit: u64) -> u64 {
    let mut scale = 1u128;
    let mut value = 0u128;
    for digit in fraction.bytes().take(18) {
        scale *= 10;
        value = value * 10 + u128::from(digit - b'0');
    }
    u64::try_from(value * u128::from(unit) / scale).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_go_accepts() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("0s", 0),
            ("5ns", 5),
            ("5us", 5_000),
            ("5\u{b5}s", 5_000),
            ("5\u{3bc}s", 5_000),
            ("250ms", 250_000_000),
            ("30s", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1h1m1s1ms1us1ns", 3_661_001_001_001),
        ] {
            assert_eq!(parse(text), Some(nanoseconds), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in ["", "30", "s", ".s", "-1s", "+1s", "1 s", " 1s", "1d", "1s2", "1S", "9999999999h", "\u{661}s"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
