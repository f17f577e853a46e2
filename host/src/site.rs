//! A server as its clients meet it: routes, what answers them, and what a client may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use starcell_http::router::Routes;
use starcell_runtime::{ServerOptions, Serving};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::logs::Line;
use crate::servers::Operator;

/// A server as its clients meet it.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) routes: Arc<Routes>,
    pub(crate) serving: Serving,
    pub(crate) limits: SiteLimits,
    pub(crate) queue: Queue,
    /// Requests that are not answered yet.
    present: AtomicU32,
    operator: Arc<Operator>,
}

/// What a client may use of a server: what the script says, within what the operator allows.
#[derive(Clone, Debug)]
pub(crate) struct SiteLimits {
    /// For reading a whole request, if the script bounds it.
    pub(crate) read: Option<Duration>,
    /// Between two requests, if the script bounds it.
    pub(crate) idle: Option<Duration>,
    /// For sending a response, if the script bounds it.
    pub(crate) send: Option<Duration>,
    pub(crate) header_bytes: usize,
    pub(crate) body_bytes: usize,
}

impl Site {
    /// A server that is about to be served.
    pub(crate) fn new(
        routes: Arc<Routes>,
        serving: Serving,
        options: &ServerOptions,
        operator: &Arc<Operator>,
    ) -> Arc<Self> {
        let edge = &operator.edge;
        let size = |asked: Option<u64>, allowed: u32| {
            let size = asked.map_or(u64::from(allowed), |asked| asked.min(allowed.into()));
            usize::try_from(size).unwrap_or(usize::MAX)
        };
        let limits = SiteLimits {
            read: options.read_timeout,
            idle: options.idle_timeout,
            send: options.write_timeout,
            header_bytes: size(options.max_header_bytes, edge.max_header_bytes),
            body_bytes: size(options.max_body_bytes, edge.max_body_bytes),
        };
        let answer = options.write_timeout.map_or(operator.request_time, |time| time.min(operator.request_time));
        let queue = Queue::new(edge.max_requests, edge.max_queue);
        let (serving, present, operator) = (serving.within(answer), AtomicU32::new(0), Arc::clone(operator));
        Arc::new(Self { routes, serving, limits, queue, present, operator })
    }

    /// Counts a request until what this returns is dropped.
    pub(crate) fn enter(&self) -> Counted<'_> {
        Counted::new(&self.present)
    }

    /// Notes that requests were cut when a drain took too long.
    pub(crate) async fn note_cut(&self, grace: Duration) {
        let (count, operator) = (self.present.load(Ordering::Relaxed), &self.operator);
        let text = format!("shutdown_timeout of {} s is over: cut {count} requests in flight", grace.as_secs_f64());
        operator.logs.write(Line::warn(&text).with("script", &operator.script)).await;
    }
}

/// The requests of a server that are in a guest, and those that wait. Guests that compute share the cores anyway; this
/// bounds their memory, and leaves instances for other servers.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Semaphore,
    waiting: AtomicU32,
    max_waiting: u32,
}

impl Queue {
    fn new(max_places: u16, max_waiting: u32) -> Self {
        Self { places: Semaphore::new(max_places.into()), waiting: AtomicU32::new(0), max_waiting }
    }

    /// A place, at once or within `patience`; none if too many wait for one.
    pub(crate) async fn enter(&self, patience: Duration) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let _waiting = Counted::new(&self.waiting);
        if self.waiting.load(Ordering::Relaxed) > self.max_waiting {
            return None;
        }
        // The semaphore is never closed.
        timeout(patience, self.places.acquire()).await.ok()?.ok()
    }
}

/// One more, until this is dropped.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn more_than_the_queue_holds_are_refused_at_once() {
        let queue = Queue::new(1, 1);
        let place = queue.enter(PATIENCE).await.unwrap();
        let began = tokio::time::Instant::now();
        let (waits, refused) = tokio::join!(queue.enter(PATIENCE), async {
            let refused = queue.enter(PATIENCE).await;
            (refused.is_none(), began.elapsed())
        });
        assert!(waits.is_none(), "nobody left");
        assert_eq!(refused, (true, Duration::ZERO));
        drop(place);
        assert!(queue.enter(PATIENCE).await.is_some(), "those that gave up do not count");
    }
}
