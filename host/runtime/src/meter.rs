//! CPU time of a guest.
//!
//! Epochs tell that time has passed, not whose. A guest that waits for a slow upstream must not be charged for it, and
//! one that computes between many short waits must be. So the future that runs a guest is timed at every poll; a guest
//! that is not running, because it waits or because the machine is busy elsewhere, spends nothing. The epoch callback
//! compares the sum with the deadline.
//!
//! The CPU clock of a thread is a system call, and most polls are over before one would have been worth it. Neither the
//! time on the wall since a poll began nor what the thread has run since its clock was last read can be less than what the
//! guest spent in that poll. So the lesser of the two is charged: a guest gets nothing for free, and only the first long
//! poll of a thread, before there is a reading to go by, may be charged for a moment when the thread did not run.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::ticker::Demand;

/// A poll that took less than this by the clock on the wall is charged with that: what the thread may have waited in it is
/// less still. Most requests are one such poll.
const SHORT: u64 = 500_000;

/// Counts the time a guest was running. All numbers are nanoseconds.
#[derive(Debug)]
pub struct Meter {
    limit: Duration,
    /// The clock that interrupts the guest.
    clock: Arc<Demand>,
    made: Instant,
    /// Of finished polls.
    spent: AtomicU64,
    /// When the poll under way began, since the meter was made.
    since: AtomicU64,
}

impl Meter {
    /// A meter that has counted nothing yet.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "measures the guest, which has its own clock")]
    pub(crate) fn new(limit: Duration, clock: Arc<Demand>) -> Arc<Self> {
        Arc::new(Self { limit, clock, made: Instant::now(), spent: AtomicU64::new(0), since: AtomicU64::new(0) })
    }

    /// Time the guest has run, the poll under way included when called from inside it.
    pub(crate) fn running(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed) + self.under_way(thread_clock()))
    }

    /// Forgets what was spent: the guest begins a new stretch, now.
    pub(crate) fn renew(&self) {
        read_clock();
        self.spent.store(0, Ordering::Relaxed);
        self.since.store(self.wall(), Ordering::Relaxed);
    }

    /// What it may spend.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Time the guest has run in polls that are over, and the host worked for it elsewhere.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// Returns whether the guest has used up its time. For callbacks that run inside the guest.
    pub(crate) fn exhausted(&self) -> bool {
        self.running() >= self.limit
    }

    /// Adds what the host did for the guest on another thread.
    pub(crate) fn charge(&self, nanoseconds: u64) {
        self.spent.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Returns whether what has been charged so far is more than the guest may spend. For work on other threads, which
    /// have clocks of their own.
    pub(crate) fn is_overspent(&self) -> bool {
        self.spent() >= self.limit
    }

    /// A poll begins.
    fn begin(&self) {
        self.clock.guest_runs();
        self.since.store(self.wall(), Ordering::Relaxed);
    }

    /// A poll ends.
    fn end(&self) {
        let elapsed = self.wall().saturating_sub(self.since.load(Ordering::Relaxed));
        let spent = if elapsed < SHORT {
            elapsed
        } else {
            let reading = thread_clock();
            let spent = self.under_way(reading);
            LAST_READING.set(reading);
            spent
        };
        self.spent.fetch_add(spent, Ordering::Relaxed);
    }

    /// The most that the poll under way can have spent, by a reading of its thread's clock.
    fn under_way(&self, reading: u64) -> u64 {
        let elapsed = self.wall().saturating_sub(self.since.load(Ordering::Relaxed));
        elapsed.min(reading.saturating_sub(LAST_READING.get()))
    }

    fn wall(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

thread_local! {
    /// What this thread had run when its clock was last read outside of a poll.
    static LAST_READING: Cell<u64> = const { Cell::new(0) };
}

/// Reads the clock of this thread, so that its first poll is charged for what it runs and no more.
pub(crate) fn read_clock() {
    LAST_READING.set(thread_clock());
}

/// Nanoseconds that this thread has run.
#[must_use]
pub fn thread_clock() -> u64 {
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

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.begin();
        let poll = Pin::new(&mut self.future).poll(context);
        self.meter.end();
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
        let meter = Meter::new(WORK, Arc::default());
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

    #[tokio::test]
    async fn many_short_polls_add_up() {
        let meter = Meter::new(WORK, Arc::default());
        let running = Arc::clone(&meter);
        let work = Box::pin(async move {
            while !running.exhausted() {
                tokio::task::yield_now().await;
            }
        });
        Metered::new(Arc::clone(&meter), work).await;
        assert!(meter.spent() >= WORK - Duration::from_nanos(SHORT));
    }

    #[tokio::test]
    #[expect(
        clippy::disallowed_methods,
        reason = "stands for a machine that is busy elsewhere: the thread does not run"
    )]
    async fn a_thread_that_does_not_run_costs_nothing_once_its_clock_was_read() {
        let busy = Meter::new(WORK, Arc::default());
        let running = Arc::clone(&busy);
        Metered::new(busy, Box::pin(async move { while !running.exhausted() {} })).await;

        let meter = Meter::new(WAIT, Arc::default());
        Metered::new(Arc::clone(&meter), Box::pin(async { std::thread::sleep(WAIT) })).await;
        assert!(meter.spent() < WAIT / 2, "{:?}", meter.spent());
    }
}
