//! Numbers as people read them.

use std::time::{Duration, SystemTime};

/// Bytes, with a unit.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10).min(4);
    let unit = UNITS.get(power as usize - 1).copied().unwrap_or("TiB");
    // One digit behind the point.
    let tenths = u128::from(bytes) * 10 / (1_u128 << (10 * power));
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A whole number, its digits in groups of three.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A time, in the unit that leaves few digits.
pub(super) fn time(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        1_000_000..60_000_000 => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
        _ => whole(time),
    }
}

/// Milliseconds as a time.
pub(super) fn millis(millis: u64) -> String {
    time(Duration::from_millis(millis))
}

/// A bound in seconds as a time.
pub(super) fn seconds(seconds: f64) -> String {
    let micros = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    match micros.as_micros() {
        0..1_000 => format!("{} µs", micros.as_micros()),
        1_000..1_000_000 => format!("{} ms", micros.as_millis()),
        _ => format!("{} s", micros.as_secs()),
    }
}

/// How long ago a moment was.
pub(super) fn ago(then: SystemTime) -> String {
    match now().duration_since(then) {
        Ok(age) if age.as_secs() > 0 => format!("{} ago", whole(age)),
        _ => "just now".to_owned(),
    }
}

/// The largest unit of a time and the one below it.
fn whole(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[expect(clippy::disallowed_methods, reason = "says how long ago something was")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits() {
        let shown = [0, 1023, 1024, 1536, 10 << 20, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10.0 MiB", "16777215.9 TiB"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let shown = [0, 1, 250, 1_500, 61_000, 3_700_000, 90_000_000].map(millis);
        assert_eq!(shown, ["0 µs", "1.0 ms", "250.0 ms", "1.5 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        assert_eq!([0.0001, 0.003, 30.0].map(seconds), ["100 µs", "3 ms", "30 s"]);
        assert_eq!(ago(now() - Duration::from_secs(65)), "1 min 5 s ago");
        assert_eq!(ago(now() + Duration::from_secs(65)), "just now");
    }
}
