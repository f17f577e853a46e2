//! The rate at which an app may cause records.
//!
//! A record is never left out and a call is never refused for the rate: the call waits before its record is written, in
//! the time of its own request, so that a flood of calls slows down the app that makes it and nobody else.

use parking_lot::Mutex;
use tokio::time::{Duration, Instant, sleep};

use crate::options::Rate;

/// The bytes that one app may still cause. Shared by all revisions of the app.
#[derive(Debug)]
pub(crate) struct Allowance(Option<Bounded>);

#[derive(Debug)]
struct Bounded {
    rate: Rate,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Bytes that may be written at once; below 0 while calls wait.
    left: f64,
    at: Instant,
}

impl Allowance {
    /// A full burst to begin with; without a rate there is no bound.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self(rate.map(|rate| {
            let state = State { left: f64::from(rate.burst_bytes), at: Instant::now() };
            Bounded { rate, state: Mutex::new(state) }
        }))
    }

    /// Takes bytes, and waits until they are there. A caller that stops waiting gives them back.
    pub(crate) async fn take(&self, bytes: usize) {
        let Some(bounded) = &self.0 else { return };
        let wait = bounded.take(bytes);
        if wait > Duration::ZERO {
            let mut debt = Debt { bounded, bytes };
            sleep(wait).await;
            debt.bytes = 0;
        }
    }

    /// Takes bytes that cannot wait; later callers wait for them.
    pub(crate) fn take_now(&self, bytes: usize) {
        if let Some(bounded) = &self.0 {
            let _later = bounded.take(bytes);
        }
    }
}

impl Bounded {
    /// Takes bytes and returns the time until they are there.
    #[expect(clippy::cast_precision_loss, reason = "bytes of records are far below 2^52")]
    fn take(&self, bytes: usize) -> Duration {
        let per_second = f64::from(self.rate.bytes_per_second.max(1));
        let mut state = self.state.lock();
        let now = Instant::now();
        let gained = now.duration_since(state.at).as_secs_f64() * per_second;
        state.left = (state.left + gained).min(f64::from(self.rate.burst_bytes)) - bytes as f64;
        state.at = now;
        Duration::try_from_secs_f64((-state.left / per_second).max(0.0)).unwrap_or(Duration::MAX)
    }
}

/// Bytes that were taken and are not there yet.
struct Debt<'a> {
    bounded: &'a Bounded,
    bytes: usize,
}

impl Drop for Debt<'_> {
    #[expect(clippy::cast_precision_loss, reason = "bytes of records are far below 2^52")]
    fn drop(&mut self) {
        self.bounded.state.lock().left += self.bytes as f64;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const RATE: Rate = Rate { bytes_per_second: 1000, burst_bytes: 4000 };

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_what_follows_comes_at_the_rate() {
        let (allowance, began) = (Allowance::new(Some(RATE)), Instant::now());
        for _ in 0..40 {
            allowance.take(100).await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..20 {
            allowance.take(100).await;
        }
        let took = began.elapsed().as_secs_f64();
        assert!((1.9..2.2).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_are_paid_by_later_calls_and_silence_fills_up_to_one_burst() {
        let allowance = Allowance::new(Some(RATE));
        allowance.take_now(5000);
        let began = Instant::now();
        allowance.take(1000).await;
        assert!((1.9..2.2).contains(&began.elapsed().as_secs_f64()));
        sleep(Duration::from_secs(3600)).await;
        let began = Instant::now();
        allowance.take(4000).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        allowance.take(1000).await;
        assert!(began.elapsed() >= Duration::from_millis(900));
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_stops_waiting_gives_back() {
        let allowance = Allowance::new(Some(RATE));
        allowance.take(4000).await;
        for _ in 0..100 {
            assert!(timeout(Duration::from_millis(1), allowance.take(1000)).await.is_err());
        }
        let began = Instant::now();
        allowance.take(1000).await;
        assert!(began.elapsed() < Duration::from_millis(1100), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let (allowance, began) = (Allowance::new(None), Instant::now());
        allowance.take(usize::MAX).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
