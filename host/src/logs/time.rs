//! The time of a line, in UTC with milliseconds: `2026-11-25T12:34:56.789Z`.
//!
//! Lines come in thousands a second, and all of a second share everything up to the milliseconds.

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    /// When the current second began, and its text up to the point.
    static CURRENT: RefCell<Option<(Instant, String)>> = const { RefCell::new(None) };
}

/// Adds the time, which has been read already: of the clock that counts on, so that the one of the calendar is asked but
/// once a second.
#[expect(clippy::disallowed_methods, reason = "when a line is written is part of it")]
pub(super) fn push(out: &mut String, now: Instant) {
    CURRENT.with_borrow_mut(|current| {
        let (began, text) = match current.take().filter(|(began, _)| *began <= now && now < *began + SECOND) {
            Some(current) => current,
            None => {
                let since = since_epoch(SystemTime::now());
                let mut text = String::new();
                push_second(&mut text, since.as_secs());
                let began = now.checked_sub(Duration::from_nanos(since.subsec_nanos().into()));
                (began.unwrap_or(now), text)
            }
        };
        out.push_str(&text);
        push_millis(out, (now - began).subsec_millis());
        *current = Some((began, text));
    });
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn push_second(out: &mut String, second: u64) {
    let text = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(second)).to_string();
    out.push_str(text.trim_end_matches('Z'));
}

fn push_millis(out: &mut String, millis: u32) {
    let digit = |number: u32| b'0' + (number % 10) as u8;
    let text = [b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z'];
    out.push_str(str::from_utf8(&text).unwrap_or_default());
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_crate() {
        let mut out = String::new();
        for (seconds, millis) in [(0, 0), (0, 7), (1_700_000_000, 999), (1_700_000_000, 120), (253_402_300_799, 1)] {
            let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, millis * 1_000_000 + 999_999);
            out.clear();
            push_second(&mut out, since_epoch(time).as_secs());
            push_millis(&mut out, since_epoch(time).subsec_millis());
            assert_eq!(out, humantime::format_rfc3339_millis(time).to_string());
        }
    }

    #[test]
    fn the_time_is_that_of_the_calendar() {
        let mut out = String::new();
        // Twice within a second, and once after it.
        for pause in [0, 10, 1000] {
            std::thread::sleep(Duration::from_millis(pause));
            out.clear();
            push(&mut out, Instant::now());
            let told = humantime::parse_rfc3339(&out).unwrap();
            let apart = SystemTime::now().duration_since(told).unwrap_or_else(|early| early.duration());
            assert!(apart <= Duration::from_millis(500), "{out} is {apart:?} off");
        }
    }
}
