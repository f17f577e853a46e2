//! CPU time of a guest.
//!
//! Epochs tell that time has passed, not whose. A guest that waits for a slow upstream must not be charged for it, and
//! one that computes between many short waits must be. So the future that runs a guest is timed at every poll, by the
//! CPU clock of the thread that polls it: a guest that is not running, because it waits or because the machine is busy
//! elsewhere, spends nothing. The epoch callback compares the sum with the deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Counts the time a guest was running.
#[derive(Debug)]
pub struct Meter {
    limit: Duration,
    /// Nanoseconds of finished polls.
    spent: AtomicU64,
    /// When the poll under way began, by the clock of its thread.
    since: AtomicU64,
}

impl Meter {
    /// A meter that has counted nothing yet.
    #[must_use]
    pub fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self { limit, spent: AtomicU64::new(0), since: AtomicU64::new(0) })
    }

    /// Time the guest has run, the poll under way included when called from inside it.
    pub(crate) fn running(&self) -> Duration {
        let under_way = now().saturating_sub(self.since.load(Ordering::Relaxed));
        Duration::from_nanos(self.spent.load(Ordering::Relaxed) + under_way)
    }

    /// Forgets what was spent: the guest begins a new stretch, now.
    pub(crate) fn renew(&self) {
        self.spent.store(0, Ordering::Relaxed);
        self.since.store(now(), Ordering::Relaxed);
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
}

/// A poll that took less than this by the clock on the wall is charged with that: what the thread may have waited in it is
/// less still. Most requests are one such poll, and the clock of the thread is a system call.
const SHORT: Duration = Duration::from_micros(500);

/// Nanoseconds that this thread has run.
fn now() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
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

    #[expect(clippy::disallowed_methods, reason = "tells a short poll from a long one, for one system call less")]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let (since, began) = (now(), Instant::now());
        self.meter.since.store(since, Ordering::Relaxed);
        let poll = Pin::new(&mut self.future).poll(context);
        let elapsed = began.elapsed();
        // Another value than before: the guest has begun a new stretch meanwhile.
        let stretch = self.meter.since.load(Ordering::Relaxed);
        let spent = match stretch == since && elapsed < SHORT {
            true => u64::try_from(elapsed.as_nanos()).unwrap_or(0),
            false => now().saturating_sub(stretch),
        };
        self.meter.spent.fetch_add(spent, Ordering::Relaxed);
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(200);
    const WORK: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn waiting_is_free_and_running_is_not() {
        let meter = Meter::new(WORK);
        let running = Arc::clone(&meter);
        let work = Box::pin(async move {
            tokio::time::sleep(WAIT).await;
            assert!(!running.exhausted());
            while !running.exhausted() {}
            running.renew();
            assert!(!running.exhausted());
        });
        Metered::new(Arc::clone(&meter), work).await;
        assert!(meter.spent() < WORK);
    }
}
