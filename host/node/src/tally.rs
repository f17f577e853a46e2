//! What the requests of an app, or of one of its revisions, came to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;

/// Counts requests that were answered.
#[derive(Debug, Default)]
pub struct Tally {
    /// By the first digit of their statuses, from 1 on.
    classes: [AtomicU64; 5],
    nanos: AtomicU64,
    cpu_nanos: AtomicU64,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Requests that were answered.
    pub requests: u64,
    /// Those whose status was from 400 to 499.
    pub refused: u64,
    /// Those whose status was from 500 on.
    pub failed: u64,
    /// The time that they took together.
    pub time: Duration,
    /// The CPU time of their guests together.
    pub cpu: Duration,
}

impl Tally {
    pub(crate) fn add(&self, status: StatusCode, time: Duration, cpu: Option<Duration>) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(self.classes.len() - 1);
        if let Some(counter) = self.classes.get(class) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.nanos.fetch_add(nanos(time), Ordering::Relaxed);
        if let Some(cpu) = cpu {
            self.cpu_nanos.fetch_add(nanos(cpu), Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let [one, two, three, refused, failed] = self.classes.each_ref().map(|class| class.load(Ordering::Relaxed));
        Counted {
            requests: one + two + three + refused + failed,
            refused,
            failed,
            time: Duration::from_nanos(self.nanos.load(Ordering::Relaxed)),
            cpu: Duration::from_nanos(self.cpu_nanos.load(Ordering::Relaxed)),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_what_they_came_to() {
        let tally = Tally::default();
        for status in [StatusCode::OK, StatusCode::FOUND, StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
            tally.add(status, Duration::from_millis(2), Some(Duration::from_millis(1)));
        }
        tally.add(StatusCode::TOO_MANY_REQUESTS, Duration::ZERO, None);
        let counted = tally.counted();
        assert_eq!((counted.requests, counted.refused, counted.failed), (5, 2, 1));
        assert_eq!((counted.time.as_millis(), counted.cpu.as_millis()), (8, 4));
    }
}
