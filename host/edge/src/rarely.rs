//! A future that hardly ever has anything to say, beside one that is polled all the time.
//!
//! Each connection waits for its server to stop, and for the client to have been silent for too long, and is polled for
//! every request meanwhile. Asking a token whether it is cancelled takes locks, asking a timer is not free either. So they
//! are asked again only when they have called.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Polls a future only when that has woken its task, however often the task is polled for other reasons.
#[derive(Debug)]
pub(crate) struct Rarely<F> {
    future: F,
    calls: Option<Arc<Calls>>,
}

/// Wakes a task for the future, and remembers that.
#[derive(Debug)]
struct Calls {
    task: Waker,
    called: AtomicBool,
}

impl<F: Future + Unpin> Rarely<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future, calls: None }
    }

    pub(crate) fn get(&self) -> &F {
        &self.future
    }

    /// For a change, after which it is polled again.
    pub(crate) fn get_mut(&mut self) -> &mut F {
        self.calls = None;
        &mut self.future
    }
}

impl<F: Future + Unpin> Future for Rarely<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let calls = match self.calls.take().filter(|calls| calls.task.will_wake(context.waker())) {
            Some(calls) => calls,
            // At first, and when the task is woken another way than before.
            None => Arc::new(Calls { task: context.waker().clone(), called: AtomicBool::new(true) }),
        };
        // Set back before it is polled: it may call again meanwhile.
        let called = calls.called.load(Ordering::Relaxed) && calls.called.swap(false, Ordering::AcqRel);
        let polled = match called {
            true => Pin::new(&mut self.future).poll(&mut Context::from_waker(&Waker::from(Arc::clone(&calls)))),
            false => Poll::Pending,
        };
        self.calls = Some(calls);
        polled
    }
}

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.called.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_polled_when_it_calls_and_not_otherwise() {
        let token = CancellationToken::new();
        let mut polls = 0;
        let mut cancelled = std::pin::pin!(token.cancelled());
        let mut rarely = Rarely::new(std::future::poll_fn(|context| {
            polls += 1;
            cancelled.as_mut().poll(context)
        }));
        for _ in 0..10 {
            let waiting = tokio::time::timeout(Duration::from_secs(1), &mut rarely).await;
            assert!(waiting.is_err(), "nobody has cancelled it");
        }
        let cancelling = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            token.cancel();
        };
        tokio::join!(&mut rarely, cancelling);
        assert!((2..=3).contains(&polls), "{polls} polls for one call");
    }

    #[tokio::test]
    async fn another_task_is_called_as_well() {
        let token = CancellationToken::new();
        let mut rarely = Rarely::new(Box::pin(token.clone().cancelled_owned()));
        assert!(Pin::new(&mut rarely).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        token.cancel();
        rarely.await;
    }
}
