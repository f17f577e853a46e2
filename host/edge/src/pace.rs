//! How fast bytes must move, in either direction.
//!
//! The rule: in each span of the stall time as many bytes move as the least rate gives for it. A client that was fast
//! for a while earns nothing by it, so a body or a response that stalls ends after the stall time whatever came before.

use std::time::Duration;

use tokio::time::Instant;

/// How fast bytes must move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// One span.
    pub(crate) stall: Duration,
    /// Bytes a second.
    pub(crate) min_rate: u32,
}

/// How far a transfer has come in its current span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// Bytes of one span.
    fn share(self) -> f64 {
        self.stall.as_secs_f64() * f64::from(self.min_rate)
    }
}

impl Progress {
    /// A transfer that begins.
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, bytes: 0 }
    }

    /// So many bytes have moved.
    #[expect(clippy::cast_precision_loss, reason = "bytes of one span are far below 2^52")]
    pub(crate) fn moved(&mut self, now: Instant, bytes: u64, pace: Pace) {
        self.bytes += bytes;
        if self.bytes as f64 >= pace.share() {
            *self = Self::new(now);
        }
    }

    /// When the transfer is over unless more bytes move.
    pub(crate) fn deadline(&self, pace: Pace) -> Instant {
        self.since + pace.stall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { stall: Duration::from_secs(2), min_rate: 100 };

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_over_each_span() {
        let began = Instant::now();
        let mut progress = Progress::new(began);
        let second = Duration::from_secs(1);
        progress.moved(began + second, 199, PACE);
        assert_eq!(progress.deadline(PACE), began + 2 * second, "a byte less than the share of a span");
        progress.moved(began + second, 1, PACE);
        assert_eq!(progress.deadline(PACE), began + 3 * second);
        progress.moved(began + second, 10_000_000, PACE);
        assert_eq!(progress.deadline(PACE), began + 3 * second, "what came fast buys no time");
    }
}
