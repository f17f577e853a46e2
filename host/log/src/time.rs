//! The time of a line, in UTC with milliseconds: `2026-11-25T12:34:56.789Z`.
//!
//! Lines come in hundreds a millisecond when they come fast, and all of one share its text.

use std::cell::RefCell;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

thread_local! {
    /// The current millisecond, and its text.
    static CURRENT: RefCell<Option<(Range<Instant>, String)>> = const { RefCell::new(None) };
}

/// Appends the wall time for a monotonic instant. The system clock is read at most once a millisecond.
pub(super) fn push(out: &mut String, now: Instant) {
    CURRENT.with_borrow_mut(|current| match current {
        Some((millisecond, text)) if millisecond.contains(&now) => out.push_str(text),
        _ => out.push_str(&current.insert(millisecond(now)).1),
    });
}

/// The current millisecond, and its text.
#[expect(clippy::disallowed_methods, reason = "when a line is written is part of it")]
fn millisecond(now: Instant) -> (Range<Instant>, String) {
    let time = SystemTime::now();
    let nanos = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let began = now.checked_sub(Duration::from_nanos(u64::from(nanos) % 1_000_000)).unwrap_or(now);
    (began..began + Duration::from_millis(1), humantime::format_rfc3339_millis(time).to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_that_of_the_calendar() {
        let mut out = String::new();
        // Twice within a millisecond, most likely, and after it.
        for pause in [0, 0, 1, 10, 1000] {
            std::thread::sleep(Duration::from_millis(pause));
            out.clear();
            push(&mut out, Instant::now());
            let told = humantime::parse_rfc3339(&out).unwrap();
            let apart = SystemTime::now().duration_since(told).unwrap_or_else(|early| early.duration());
            assert!(apart <= Duration::from_millis(500), "{out} is {apart:?} off");
            assert_eq!(out.len(), "2026-11-25T12:34:56.789Z".len(), "{out}");
        }
    }
}
