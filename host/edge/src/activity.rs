//! What goes on in one connection: requests under way, responses on their way out, requests given up.
//!
//! A connection cannot be judged by its bytes alone. Over HTTP/2 a client can keep it busy with pings, or hold a response
//! back for ever by never opening its window, or make the server start work and cancel it (CVE-2023-44487); so deadlines
//! look at requests, not at traffic.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, SizeHint};
use parking_lot::{Mutex, MutexGuard};
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::pace::{Pace, Progress};
use crate::responder::Held;

/// Requests that a client may give up before it looks like an attack, unless it also finishes as many.
const MAX_GIVEN_UP: u32 = 100;

/// Bytes of a response that are handed over at once where several are on their way. What was handed over waits for the
/// client out of our sight.
const PIECE_BYTES: usize = 16 << 10;

/// What goes on in one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// How fast responses must be taken.
    pace: Pace,
    /// Requests whose response is not out yet.
    busy: AtomicU32,
    /// When the last of them ended, in microseconds since the beginning.
    idle_since: AtomicU64,
    /// Requests that were answered, where the connection carries several at once. Elsewhere giving one up ends it.
    finished: AtomicU32,
    given_up: AtomicU32,
    /// Told when the client gives up more than it should.
    wasteful: Notify,
    /// Responses on their way out, where the connection carries several at once.
    sending: Mutex<Slab<Sending>>,
}

/// A response on its way out.
#[derive(Debug)]
struct Sending {
    began: Instant,
    progress: Progress,
}

impl Activity {
    pub(crate) fn new(pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            pace,
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
        Active { activity: Arc::clone(self), answered: None, sending: None }
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

    /// Whether a response is on its way out that its client does not take at its pace, or not within `whole`.
    pub(crate) fn is_stalled(&self, whole: Option<Duration>) -> bool {
        let now = Instant::now();
        self.sending().iter().any(|(_, response)| {
            now >= response.progress.deadline(self.pace) || whole.is_some_and(|whole| now >= response.began + whole)
        })
    }

    /// The client makes room for so many bytes of a response.
    fn handed_over(&self, place: usize, bytes: usize) {
        if let Some(response) = self.sending().get_mut(place) {
            response.progress.moved(Instant::now(), bytes as u64, self.pace);
        }
    }

    /// A request was answered at once, on a connection that carries one at a time: it was never busy.
    pub(crate) fn answer_at_once(&self, now: Instant, body: Bytes) -> Outgoing {
        self.idle_from(now);
        Outgoing { body, active: None, held: Held::default() }
    }

    /// The connection is idle from now on: what it was busy with after its last request is over.
    pub(crate) fn rest(&self) {
        self.idle_from(Instant::now());
    }

    fn idle_from(&self, time: Instant) {
        let since = u64::try_from((time - self.began).as_micros()).unwrap_or(u64::MAX);
        // 0 stands for a connection that had no request.
        self.idle_since.store(since.max(1), Ordering::Relaxed);
    }

    fn sending(&self) -> MutexGuard<'_, Slab<Sending>> {
        self.sending.lock()
    }
}

/// A request under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Active {
    activity: Arc<Activity>,
    /// When its response was there.
    answered: Option<Instant>,
    /// The place of that in [`Activity::sending`], if it is tracked.
    sending: Option<usize>,
}

impl Active {
    /// The request was never fully read, so sending this response does not restart the idle clock.
    pub(crate) fn respond_to_nobody(self, body: Bytes, held: Held) -> Outgoing {
        Outgoing { body, active: Some(self), held }
    }

    /// The response is there `now`; it takes the request with it on its way out. Responses of connections that carry
    /// several at once are `tracked`.
    pub(crate) fn respond(mut self, now: Instant, body: Bytes, held: Held, tracked: bool) -> Outgoing {
        self.answered = Some(now);
        self.sending =
            tracked.then(|| self.activity.sending().insert(Sending { began: now, progress: Progress::new(now) }));
        Outgoing { body, active: Some(self), held }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let activity = &self.activity;
        if self.answered.is_none() {
            activity.given_up.fetch_add(1, Ordering::Relaxed);
            if activity.is_wasteful() {
                activity.wasteful.notify_one();
            }
        } else if let Some(place) = self.sending {
            activity.finished.fetch_add(1, Ordering::Relaxed);
            activity.sending().try_remove(place);
        }
        // Where a connection carries one response at a time it is handed over as soon as it is there. When the client is
        // slow to take it, the transport tells when that is over.
        activity.idle_from(self.answered.filter(|_| self.sending.is_none()).unwrap_or_else(Instant::now));
        activity.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of a response; dropped when the last byte was handed to the connection.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Bytes,
    active: Option<Active>,
    held: Held,
}

/// Bytes of a response, which hold what the response does until they were written.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Bytes,
    _held: Held,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.bytes.copy_to_bytes(length)
    }
}

impl Body for Outgoing {
    type Data = Piece;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Self::Error>>> {
        let piece = match self.active.as_ref().and_then(|active| Some((&active.activity, active.sending?))) {
            Some((activity, place)) => {
                let piece = PIECE_BYTES.min(self.body.len());
                activity.handed_over(place, piece);
                piece
            }
            None => self.body.len(),
        };
        let held = self.held.clone();
        Poll::Ready((piece > 0).then(|| Ok(Frame::data(Piece { bytes: self.body.split_to(piece), _held: held }))))
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

    const PACE: Pace = Pace { stall: Duration::from_secs(1), min_rate: 8192 };

    #[tokio::test(start_paused = true)]
    async fn a_response_that_was_taken_fast_may_not_stall() {
        let activity = Activity::new(PACE);
        let mut outgoing =
            activity.begin().respond(Instant::now(), Bytes::from(vec![0; 10 << 20]), Held::default(), true);
        for _ in 0..100 {
            let _ = Pin::new(&mut outgoing).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        }
        assert!(!activity.is_stalled(None));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(activity.is_stalled(None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_busy_until_the_response_is_out() {
        let activity = Activity::new(PACE);
        assert!(activity.is_fresh());
        let active = activity.begin();
        tokio::time::advance(Duration::from_secs(5)).await;
        let outgoing = active.respond(Instant::now(), "x".into(), Held::default(), true);
        assert!(activity.is_busy());
        assert!(!activity.is_stalled(None));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(activity.is_stalled(None));
        drop(outgoing);
        assert!(!activity.is_busy() && !activity.is_fresh() && !activity.is_stalled(None));
        assert_eq!(activity.idle_since() - activity.began, Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_at_once_leaves_the_connection_idle() {
        let activity = Activity::new(PACE);
        tokio::time::advance(Duration::from_secs(5)).await;
        let outgoing = activity.answer_at_once(Instant::now(), "x".into());
        assert!(!activity.is_busy() && !activity.is_fresh());
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(outgoing);
        assert_eq!(activity.idle_since() - activity.began, Duration::from_secs(5));
        activity.rest();
        assert_eq!(activity.idle_since() - activity.began, Duration::from_secs(7));
    }

    #[tokio::test]
    async fn a_client_that_gives_up_most_requests_is_wasteful() {
        let activity = Activity::new(PACE);
        for _ in 0..MAX_GIVEN_UP {
            drop(activity.begin());
        }
        assert!(!activity.is_wasteful());
        drop(activity.begin());
        assert!(activity.is_wasteful());
        for _ in 0..=MAX_GIVEN_UP {
            drop(activity.begin().respond(Instant::now(), Bytes::new(), Held::default(), true));
        }
        assert!(!activity.is_wasteful(), "one that finishes as many is a client with little patience");
    }
}
