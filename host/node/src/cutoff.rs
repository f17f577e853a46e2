//! The end of a request whose tenant is past its quota of CPU time.
//!
//! By default what a request took is owed afterwards: the next ones are refused, and those under way go on. A quota with
//! `past = "terminate"` ends them too. Time is counted at each turn of a guest, every 2 ms, as the CPU time of the thread that
//! runs it: a thread that waits for a core costs a tenant nothing.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use starcell_runtime::meter::thread_clock;

/// Whoever counts the CPU time of guests while they run.
pub trait CpuCut: fmt::Debug + Send + Sync + 'static {
    /// Counts time; says in how long there is more, if there is none left.
    fn charge(&self, time: Duration) -> Option<Duration>;
}

/// A future that ends when there is no CPU time left for it.
pub(crate) struct Cutoff<F> {
    future: Pin<Box<F>>,
    cut: Option<Arc<dyn CpuCut>>,
    spent: Duration,
}

/// What was cut off: the time that it ran, and in how long there is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutOff {
    pub(crate) spent: Duration,
    pub(crate) wait: Duration,
}

impl<F: Future> Cutoff<F> {
    /// Without anybody who counts, it goes on.
    pub(crate) fn new(future: F, cut: Option<Arc<dyn CpuCut>>) -> Self {
        Self { future: Box::pin(future), cut, spent: Duration::ZERO }
    }
}

impl<F: Future> Future for Cutoff<F> {
    type Output = Result<F::Output, CutOff>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { future, cut, spent } = &mut *self;
        let Some(cut) = cut else { return future.as_mut().poll(context).map(Ok) };
        let began = thread_clock();
        let poll = future.as_mut().poll(context);
        let time = Duration::from_nanos(thread_clock().saturating_sub(began));
        *spent += time;
        match (cut.charge(time), poll) {
            // What is there already is not thrown away.
            (_, Poll::Ready(output)) => Poll::Ready(Ok(output)),
            (Some(wait), Poll::Pending) => Poll::Ready(Err(CutOff { spent: *spent, wait })),
            (None, Poll::Pending) => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// Says that time is over at a charge.
    #[derive(Debug)]
    struct At(Mutex<u32>);

    impl CpuCut for At {
        fn charge(&self, _time: Duration) -> Option<Duration> {
            let mut left = self.0.lock();
            *left = left.saturating_sub(1);
            (*left == 0).then_some(Duration::from_secs(3))
        }
    }

    async fn yields(times: u32) -> &'static str {
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
        "done"
    }

    #[tokio::test]
    async fn what_is_past_the_quota_ends_at_its_next_turn() {
        let at = |charge: u32| Some(Arc::new(At(Mutex::new(charge))) as Arc<dyn CpuCut>);
        assert_eq!(Cutoff::new(yields(5), None).await, Ok("done"));
        assert_eq!(Cutoff::new(yields(5), at(7)).await, Ok("done"));
        assert_eq!(Cutoff::new(yields(0), at(1)).await, Ok("done"), "it is ready, so nothing is saved by ending it");
        let ended = Cutoff::new(yields(5), at(3)).await.map_err(|cut| cut.wait);
        assert_eq!(ended, Err(Duration::from_secs(3)));
    }
}
