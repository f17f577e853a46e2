//! Places for the requests of a server that are in a guest, and a bounded number that waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The requests of a server that are in a guest, and those that wait. Guests that compute share the cores anyway; this
/// bounds their memory, and leaves instances for other servers.
#[derive(Debug)]
pub(crate) struct Queue {
    places: Arc<Semaphore>,
    waiting: AtomicU32,
    max_waiting: u32,
}

impl Queue {
    pub(crate) fn new(max_places: u16, max_waiting: u32) -> Self {
        Self { places: Arc::new(Semaphore::new(max_places.into())), waiting: AtomicU32::new(0), max_waiting }
    }

    /// A place, at once or within `patience`; none if too many wait for one.
    pub(crate) async fn enter(&self, patience: Duration) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Some(place);
        }
        let _waiting = Waiting::new(&self.waiting);
        if self.waiting.load(Ordering::Relaxed) > self.max_waiting {
            return None;
        }
        // The semaphore is never closed.
        timeout(patience, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }
}

/// A request that waits, until this is dropped.
#[derive(Debug)]
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(counter: &'a AtomicU32) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Waiting<'_> {
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
