//! The budget of an app's log: bytes of lines in time.
//!
//! Whatever a script causes to be written is taken from the budget of its app: `log`, `print`, and the reports of
//! handlers that fail. A line over the budget is dropped and counted, so that a script can neither fill a disk nor push
//! the lines of others out. A line about a request is never dropped for it: it is short and the host's own.

use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Seconds of the rate that may be written at once.
const BURST_SECONDS: f64 = 16.0;

/// The rate at which an app may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRate {
    /// Bytes a second, on average.
    pub bytes_per_second: NonZeroU32,
}

/// The bytes that several apps may cause together. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogShare(pub(crate) Arc<Budget>);

impl LogShare {
    /// A full burst to begin with.
    #[must_use]
    pub fn new(rate: LogRate) -> Self {
        Self(Arc::new(Budget::new(rate)))
    }
}

/// The bytes that one app may still cause.
#[derive(Debug)]
pub(crate) struct Budget {
    rate: f64,
    /// Bytes that are left, and when that was.
    left: Mutex<(f64, Instant)>,
}

impl Budget {
    /// A full burst to begin with.
    pub(crate) fn new(rate: LogRate) -> Self {
        let rate = f64::from(rate.bytes_per_second.get());
        Self { rate, left: Mutex::new((rate * BURST_SECONDS, Instant::now())) }
    }

    /// Takes so many bytes, or none.
    #[expect(clippy::cast_precision_loss, reason = "a line is far shorter than 2^52 bytes")]
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let now = Instant::now();
        let mut left = self.left.lock();
        let (before, at) = *left;
        let there = (before + (now - at).as_secs_f64() * self.rate).min(self.rate * BURST_SECONDS);
        let taken = there >= bytes as f64;
        *left = (if taken { there - bytes as f64 } else { there }, now);
        taken
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_the_rate() {
        let budget = Budget::new(LogRate { bytes_per_second: NonZeroU32::new(1000).unwrap() });
        assert!((0..16).all(|_| budget.take(1000)));
        assert!(!budget.take(1));
        tokio::time::advance(Duration::from_millis(100)).await;
        assert!(!budget.take(101), "a line that does not fit takes nothing");
        assert!(budget.take(100) && !budget.take(1));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!((0..16).all(|_| budget.take(1000)) && !budget.take(1), "no more than a burst is kept");
    }
}
