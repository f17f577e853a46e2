//! The time of a line, in UTC with milliseconds: `2026-11-25T12:34:56.789Z`.
//!
//! Lines come in thousands a second, and all of a second share everything up to the milliseconds.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

thread_local! {
    /// A second since 1970, and its text up to the point.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

/// Adds a time.
pub(super) fn push(out: &mut String, time: SystemTime) {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != since.as_secs() {
            let start = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
            *text = humantime::format_rfc3339_seconds(start).to_string();
            text.truncate(text.trim_end_matches('Z').len());
            *second = since.as_secs();
        }
        out.push_str(text);
    });
    let millis = since.subsec_millis();
    out.push('.');
    for digit in [millis / 100, millis / 10 % 10, millis % 10] {
        out.extend(char::from_digit(digit, 10));
    }
    out.push('Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_crate() {
        let mut out = String::new();
        for (seconds, millis) in [(0, 0), (0, 7), (1_700_000_000, 999), (1_700_000_000, 120), (253_402_300_799, 1)] {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, millis * 1_000_000 + 999_999);
            out.clear();
            push(&mut out, time);
            assert_eq!(out, humantime::format_rfc3339_millis(time).to_string());
        }
    }
}
