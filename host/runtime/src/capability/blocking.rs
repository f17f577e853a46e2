//! Work that blocks its thread, on threads that are there for it.
//!
//! One app has only so many of those threads. A place belongs to the work, not to whoever waits for it: a client that
//! leaves does not make room for more work while the old goes on. The work is charged to the CPU time of its request and
//! is told to stop when that is used up or nobody waits any more.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::caller::Caller;
use crate::meter::{Meter, thread_clock};
use crate::slow::on_blocking_thread;

/// CPU time, in nanoseconds, after which work under way is charged.
const CHARGED_EVERY: u64 = 1_000_000;

/// Steps between two looks at the clock, which is a system call.
const STEPS: u32 = 64;

/// Why work was not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stopped {
    /// Nobody waits for it.
    #[error("nobody waits for it any more")]
    Abandoned,
    /// The CPU time of its request is used up.
    #[error("the CPU time of the request is used up")]
    Exhausted,
}

/// Why work has no result, in words: it failed, or its thread did.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct WorkError(pub(super) String);

impl From<tokio::task::JoinError> for WorkError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self(format!("the host failed: {error}"))
    }
}

/// Work under way, for which somebody waits and pays.
#[derive(Debug)]
pub(super) struct Work {
    charge: Arc<Charge>,
    steps: Cell<u32>,
}

/// A look at work under way, for a library that the work is in. To be used by the thread of the work alone.
#[derive(Clone, Debug)]
pub(super) struct WorkWatch(Arc<Charge>);

/// Who pays for work.
#[derive(Debug)]
struct Charge {
    meter: Arc<Meter>,
    abandoned: Arc<AtomicBool>,
    /// The clock of the thread up to which the work is paid.
    paid: AtomicU64,
}

impl Work {
    fn new(meter: Arc<Meter>, abandoned: Arc<AtomicBool>) -> Self {
        let charge = Charge { meter, abandoned, paid: AtomicU64::new(thread_clock()) };
        Self { charge: Arc::new(charge), steps: Cell::new(0) }
    }

    /// Returns whether the work may go on. To be asked at every step of work whose length a script chooses.
    pub(super) fn go_on(&self) -> Result<(), Stopped> {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(STEPS) {
            self.charge.pay(CHARGED_EVERY);
        }
        self.charge.is_left()
    }

    /// The same question, for somebody who asks after many steps at once and cannot hold this.
    pub(super) fn watch(&self) -> WorkWatch {
        WorkWatch(Arc::clone(&self.charge))
    }
}

impl WorkWatch {
    /// Returns whether the work may go on, and charges what it has taken up to now.
    pub(super) fn go_on(&self) -> Result<(), Stopped> {
        self.0.pay(CHARGED_EVERY);
        self.0.is_left()
    }
}

impl Charge {
    fn is_left(&self) -> Result<(), Stopped> {
        match (self.abandoned.load(Ordering::Relaxed), self.meter.is_overspent()) {
            (true, _) => Err(Stopped::Abandoned),
            (false, true) => Err(Stopped::Exhausted),
            (false, false) => Ok(()),
        }
    }

    /// Charges what was not charged yet, if it is at least so much.
    fn pay(&self, at_least: u64) {
        let now = thread_clock();
        let owed = now.saturating_sub(self.paid.load(Ordering::Relaxed));
        if owed >= at_least {
            self.meter.charge(owed);
            self.paid.store(now, Ordering::Relaxed);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.charge.pay(0);
    }
}

/// Tells the work that nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on a thread that may block, once the app has a place for it.
pub(super) async fn blocking<T, E>(
    caller: &Caller,
    work: impl FnOnce(&Work) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<tokio::task::JoinError> + Send + 'static,
{
    // The semaphore is never closed; without a permit the work would only be less bounded.
    let place = Arc::clone(&caller.app.blocking).acquire_owned().await.ok();
    let (meter, waiting) = (Arc::clone(&caller.meter), Waiting(Arc::default()));
    let abandoned = Arc::clone(&waiting.0);
    let run = move || {
        let done = work(&Work::new(meter, abandoned));
        // Not before the work is over, whoever waits for it.
        drop(place);
        done
    };
    let done = on_blocking_thread(run).await?;
    drop(waiting);
    done
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn work(limit: Duration) -> (Work, Arc<Meter>, Arc<AtomicBool>) {
        let (meter, abandoned) = (Meter::new(limit, Arc::default()), Arc::new(AtomicBool::new(false)));
        (Work::new(Arc::clone(&meter), Arc::clone(&abandoned)), meter, abandoned)
    }

    #[test]
    fn work_is_charged_and_ends_with_the_time_of_its_request() {
        let (work, meter, _) = work(Duration::from_millis(20));
        let end = std::iter::repeat_with(|| work.go_on()).find(Result::is_err);
        assert_eq!(end, Some(Err(Stopped::Exhausted)));
        drop(work);
        assert!(meter.spent() >= meter.limit() && meter.spent() < meter.limit() * 10, "{:?}", meter.spent());
    }

    #[test]
    fn work_ends_when_nobody_waits() {
        let (work, meter, abandoned) = work(Duration::from_secs(60));
        assert_eq!(work.go_on(), Ok(()));
        drop(Waiting(abandoned));
        assert_eq!(work.go_on(), Err(Stopped::Abandoned));
        assert!(meter.spent() < meter.limit());
    }
}
