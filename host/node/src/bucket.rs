//! A rate: how much may pass in a time, with what one such time allows at once.
//!
//! What passes is taken when it passes, or afterwards where it is not known before, as the CPU time of a request is: then
//! the bucket can owe something, and nothing more passes until that is made up for.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use starcell_config::Flow;
use tokio::time::Instant;

/// What a sum of parts may lack to the whole: whoever comes back when it was told to is not sent away for a rounding.
const ROUNDING: f64 = 1e-6;

/// A rate, and what is left of it.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// In each second.
    rate: f64,
    /// At once.
    most: f64,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    amount: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    #[expect(clippy::cast_precision_loss, reason = "a rate of more than 2^52 is none")]
    pub(crate) fn new(flow: Flow) -> Self {
        let most = flow.amount as f64;
        let left = Mutex::new(Left { amount: most, at: Instant::now() });
        Self { rate: most / flow.per.as_secs_f64(), most, left }
    }

    /// Takes one, or says in how long there will be one.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let mut left = self.filled();
        if left.amount < 1.0 - ROUNDING {
            return Err(self.time(1.0 - left.amount));
        }
        left.amount -= 1.0;
        Ok(())
    }

    /// Takes one that will be there within `patience`, and says in how long; takes none where it would be longer, and says
    /// that.
    pub(crate) fn reserve(&self, patience: Duration) -> Result<Duration, Duration> {
        let mut left = self.filled();
        let time = self.time(1.0 - left.amount);
        if time > patience {
            return Err(time);
        }
        left.amount -= 1.0;
        Ok(time)
    }

    /// How much may pass now, and how much at most at once; less than nothing where something is owed.
    pub(crate) fn level(&self) -> (f64, f64) {
        (self.filled().amount, self.most)
    }

    /// In how long nothing will be owed any more; none if nothing is now.
    pub(crate) fn owes(&self) -> Option<Duration> {
        let left = self.filled();
        (left.amount <= 0.0).then(|| self.time(-left.amount).max(Duration::from_millis(1)))
    }

    /// Takes what has passed already.
    #[expect(clippy::cast_precision_loss, reason = "less than 2^52 nanoseconds")]
    pub(crate) fn charge(&self, amount: u64) {
        self.filled().amount -= amount as f64;
    }

    fn filled(&self) -> MutexGuard<'_, Left> {
        let now = Instant::now();
        let mut left = self.left.lock();
        let gained = now.saturating_duration_since(left.at).as_secs_f64() * self.rate;
        left.amount = (left.amount + gained).min(self.most);
        left.at = left.at.max(now);
        left
    }

    /// How long it takes for so much to come.
    fn time(&self, amount: f64) -> Duration {
        Duration::try_from_secs_f64((amount / self.rate).max(0.0)).unwrap_or(Duration::MAX)
    }
}

/// Whole seconds, from 1 on: what `Retry-After` can say.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn bucket(amount: u64, per: Duration) -> Bucket {
        Bucket::new(Flow { amount, per })
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_time_allows_passes_at_once_and_then_the_rate() {
        let bucket = bucket(10, SECOND);
        assert!((0..10).all(|_| bucket.take().is_ok()));
        assert_eq!(bucket.take().unwrap_err().as_millis(), 100);
        tokio::time::advance(SECOND / 4).await;
        assert!(bucket.take().is_ok() && bucket.take().is_ok() && bucket.take().is_err());
        tokio::time::advance(100 * SECOND).await;
        assert_eq!((0..20).filter(|_| bucket.take().is_ok()).count(), 10, "no more than one time's is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_when_it_was_told_to_passes() {
        for amount in 1..100 {
            let bucket = bucket(amount, 60 * SECOND);
            assert!((0..amount).all(|_| bucket.take().is_ok()));
            for _ in 0..3 {
                let wait = bucket.take().unwrap_err();
                tokio::time::advance(wait).await;
                assert!(bucket.take().is_ok(), "{amount} a minute, after {wait:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_reserved_comes_one_after_the_other() {
        let bucket = bucket(1, SECOND);
        let waits: Vec<_> = (0..4).map(|_| bucket.reserve(2 * SECOND).map(|wait| wait.as_millis())).collect();
        assert_eq!(waits, [Ok(0), Ok(1000), Ok(2000), Err(3 * SECOND)]);
        tokio::time::advance(SECOND).await;
        assert_eq!(bucket.reserve(2 * SECOND).unwrap().as_millis(), 2000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_debt_is_made_up_for() {
        let bucket = bucket(500, SECOND);
        assert_eq!(bucket.owes(), None);
        bucket.charge(1000);
        assert_eq!(bucket.owes().unwrap().as_millis(), 1000);
        tokio::time::advance(SECOND + SECOND / 100).await;
        assert_eq!(bucket.owes(), None);
    }
}
