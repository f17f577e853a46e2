//! CPU time of a guest.
//!
//! Epochs tell that time has passed, not whose. A guest that waits for a slow upstream must not be charged for it, and
//! one that computes between many short waits must be. So the future that runs a guest is timed at every poll, and the
//! epoch callback compares the sum with the deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Counts the time a guest was running.
#[derive(Debug)]
pub struct Meter {
    born: Instant,
    limit: Duration,
    /// Nanoseconds of finished polls.
    spent: AtomicU64,
    /// Nanoseconds after `born` at which the poll under way began.
    since: AtomicU64,
}

impl Meter {
    /// A meter that has counted nothing yet.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one clock that CPU time is counted by")]
    pub fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { born: Instant::now(), limit, spent: AtomicU64::new(0), since: AtomicU64::new(0) })
    }

    /// Time the guest has run, the poll under way included when called from inside it.
    pub(crate) fn running(&self) -> Duration {
        let now = self.now();
        Duration::from_nanos(self.spent.load(Ordering::Relaxed) + (now - self.since.load(Ordering::Relaxed).min(now)))
    }

    /// Forgets what was spent: the guest begins a new stretch, now.
    pub(crate) fn renew(&self) {
        self.spent.store(0, Ordering::Relaxed);
        self.since.store(self.now(), Ordering::Relaxed);
    }

    /// What it may spend.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Time the guest has run in polls that are over.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// Whether the guest has used up its time. For callbacks that run inside the guest.
    pub(crate) fn exhausted(&self) -> bool {
        self.running() >= self.limit
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A future whose polls are charged to a meter.
#[derive(Debug)]
pub struct Metered<F> {
    meter: Arc<Meter>,
    future: F,
}

impl<F> Metered<F> {
    /// Charges every poll of `future` to `meter`.
    pub fn new(meter: Arc<Meter>, future: F) -> Self {
        Self { meter, future }
    }
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.since.store(self.meter.now(), Ordering::Relaxed);
        let poll = Pin::new(&mut self.future).poll(context);
        let ended = self.meter.now();
        // `since` rather than `began`: the guest may have begun a new stretch meanwhile.
        let since = self.meter.since.load(Ordering::Relaxed);
        self.meter.spent.fetch_add(ended.saturating_sub(since), Ordering::Relaxed);
        poll
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(500);

    #[tokio::test]
    async fn waiting_is_free_and_running_is_not() {
        let meter = Meter::new(Duration::from_secs(1));
        let work = Box::pin(async {
            tokio::time::sleep(WAIT).await;
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(5) {}
        });
        Metered::new(Arc::clone(&meter), work).await;
        assert!(meter.spent() >= Duration::from_millis(5));
        assert!(meter.spent() < WAIT);
        assert!(!meter.exhausted() || meter.spent() >= Duration::from_secs(1));
    }
}
