//! The streams of an HTTP/2 connection, and whose turn their requests take.
//!
//! A stream that can be answered at once is, in the connection's own turn, so that the responses to all requests that
//! came together leave together: in one TLS record and one write. What needs a guest, or a client that reads, gets a
//! task of its own, so that requests of one connection run side by side and none holds up another.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::Executor;
use parking_lot::Mutex;

use crate::group::{Grouped, Turn};

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Streams that were opened and not polled yet. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Streams(Arc<Mutex<VecDeque<Stream>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.lock().push_back(Box::pin(stream));
    }
}

impl Streams {
    /// Polls each once; one that is not over then goes on by itself, in the group that its connection has by then.
    #[expect(
        clippy::disallowed_methods,
        reason = "a stream ends with its connection, or with the answer to its request"
    )]
    pub(crate) fn run(&self, context: &mut Context<'_>, connection: &Turn) {
        while let Some(mut stream) = self.next() {
            if stream.as_mut().poll(context).is_pending() {
                tokio::spawn(Grouped::beside(connection, stream));
            }
        }
    }

    fn next(&self) -> Option<Stream> {
        self.0.lock().pop_front()
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

/// Work that is not for the connection's own turn: pending when it is polled first, after which its stream is given a task
/// that polls it again.
#[derive(Debug)]
pub(crate) struct Apart<F> {
    work: F,
    begun: bool,
}

impl<F> Apart<F> {
    pub(crate) fn new(work: F) -> Self {
        Self { work, begun: false }
    }
}

impl<F: Future + Unpin> Future for Apart<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if mem::replace(&mut self.begun, true) { Pin::new(&mut self.work).poll(context) } else { Poll::Pending }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    fn turn() -> Arc<Turn> {
        Turn::new(None)
    }

    #[tokio::test]
    async fn what_can_be_answered_at_once_takes_no_task() {
        let (streams, done) = (Streams::default(), Arc::new(AtomicBool::new(false)));
        let doing = Arc::clone(&done);
        streams.execute(async move { doing.store(true, Ordering::Relaxed) });
        assert!(!done.load(Ordering::Relaxed), "its turn is the connection's next one");
        streams.run(&mut Context::from_waker(std::task::Waker::noop()), &turn());
        assert!(done.load(Ordering::Relaxed) && streams.next().is_none());
    }

    #[tokio::test]
    async fn what_has_to_wait_goes_on_by_itself() {
        let (streams, (sender, receiver)) = (Streams::default(), oneshot::channel());
        let work = Box::pin(async move { sender.send(tokio::task::id()).unwrap() });
        streams.execute(Apart::new(work));
        streams.run(&mut Context::from_waker(std::task::Waker::noop()), &turn());
        assert_ne!(Some(receiver.await.unwrap()), tokio::task::try_id());
    }
}
