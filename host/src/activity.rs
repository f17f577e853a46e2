//! What goes on in one connection: requests under way, responses on their way out, requests given up.
//!
//! A connection cannot be judged by its bytes alone. Over HTTP/2 a client can keep it busy with pings, or hold a response
//! back for ever by never opening its window, or make the server start work and cancel it (CVE-2023-44487); so deadlines
//! look at requests, not at traffic.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Requests that a client may give up before it looks like an attack, unless it also finishes as many.
const MAX_GIVEN_UP: u32 = 100;

/// Bytes of a response that are handed over at once where several are on their way. What was handed over waits for the
/// client out of our sight.
const PIECE: usize = 64 << 10;

/// What goes on in one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// Requests whose response is not out yet.
    busy: AtomicU32,
    /// When the last of them ended, in microseconds since the beginning.
    idle_since: AtomicU64,
    finished: AtomicU32,
    given_up: AtomicU32,
    /// Told when the client gives up more than it should.
    wasteful: Notify,
    /// Responses on their way out, where the connection carries several at once.
    sending: Mutex<Vec<Weak<Sending>>>,
}

/// A response on its way out.
#[derive(Debug)]
struct Sending {
    since: Instant,
    bytes: u64,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            busy: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            finished: AtomicU32::new(0),
            given_up: AtomicU32::new(0),
            wasteful: Notify::new(),
            sending: Mutex::default(),
        })
    }

    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Active {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Active { activity: Arc::clone(self), answered: false }
    }

    /// Whether a request is under way.
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }

    /// Whether no request has come yet.
    pub(crate) fn is_fresh(&self) -> bool {
        !self.is_busy() && self.idle_since.load(Ordering::Relaxed) == 0
    }

    /// When the connection was made, or became idle after its last request.
    pub(crate) fn idle_since(&self) -> Instant {
        self.began + Duration::from_micros(self.idle_since.load(Ordering::Relaxed))
    }

    /// Ends when the client gives up more requests than it waits for, as an attack does.
    pub(crate) async fn wasteful(&self) {
        self.wasteful.notified().await;
    }

    fn is_wasteful(&self) -> bool {
        let given_up = self.given_up.load(Ordering::Relaxed);
        given_up > MAX_GIVEN_UP && given_up > self.finished.load(Ordering::Relaxed)
    }

    /// Whether a response is on its way out for longer than `allowed` says for its bytes.
    pub(crate) fn is_stalled(&self, allowed: impl Fn(u64) -> Duration) -> bool {
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.retain(|response| response.strong_count() > 0);
        sending.iter().filter_map(Weak::upgrade).any(|response| response.since.elapsed() > allowed(response.bytes))
    }
}

/// A request under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Active {
    activity: Arc<Activity>,
    answered: bool,
}

impl Active {
    /// The client has not let its request be read. A response to that is no sign of patience.
    pub(crate) fn respond_to_nobody(self, body: Bytes) -> Outgoing {
        Outgoing { body, _active: self, sending: None }
    }

    /// The response is there; it takes the request with it on its way out. Responses of connections that carry several
    /// at once are `tracked`.
    pub(crate) fn respond(mut self, body: Bytes, tracked: bool) -> Outgoing {
        self.answered = true;
        let sending = tracked.then(|| {
            let sending = Arc::new(Sending { since: Instant::now(), bytes: body.len() as u64 });
            let mut all = self.activity.sending.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|response| response.strong_count() > 0);
            all.push(Arc::downgrade(&sending));
            sending
        });
        Outgoing { body, _active: self, sending }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let activity = &self.activity;
        let counter = if self.answered { &activity.finished } else { &activity.given_up };
        counter.fetch_add(1, Ordering::Relaxed);
        if !self.answered && activity.is_wasteful() {
            activity.wasteful.notify_one();
        }
        let since = u64::try_from(activity.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        // 0 stands for a connection that had no request.
        activity.idle_since.store(since.max(1), Ordering::Relaxed);
        activity.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a response; dropped when the last byte was handed to the connection.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Bytes,
    _active: Active,
    sending: Option<Arc<Sending>>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = match self.sending {
            Some(_) => PIECE.min(self.body.len()),
            None => self.body.len(),
        };
        Poll::Ready((piece > 0).then(|| Ok(Frame::data(self.body.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_busy_until_the_response_is_out() {
        let activity = Activity::new();
        assert!(activity.is_fresh());
        let active = activity.begin();
        tokio::time::advance(Duration::from_secs(5)).await;
        let outgoing = active.respond("x".into(), true);
        assert!(activity.is_busy());
        let allowed = |_| Duration::from_secs(1);
        assert!(!activity.is_stalled(allowed));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(activity.is_stalled(allowed));
        drop(outgoing);
        assert!(!activity.is_busy() && !activity.is_fresh() && !activity.is_stalled(allowed));
        assert_eq!(activity.idle_since() - activity.began, Duration::from_secs(7));
    }

    #[tokio::test]
    async fn a_client_that_gives_up_most_requests_is_wasteful() {
        let activity = Activity::new();
        for _ in 0..MAX_GIVEN_UP {
            drop(activity.begin());
        }
        assert!(!activity.is_wasteful());
        drop(activity.begin());
        assert!(activity.is_wasteful());
        for _ in 0..=MAX_GIVEN_UP {
            drop(activity.begin().respond(Bytes::new(), false));
        }
        assert!(!activity.is_wasteful(), "one that finishes as many is a client with little patience");
    }
}
