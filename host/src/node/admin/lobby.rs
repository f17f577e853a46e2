//! The connections of the admin address: a place for each, and who gives way when there is none.
//!
//! The decision: a connection works while the node answers a request of it, and waits else: before its first request, in the
//! middle of one, between two. When all places are taken, a new connection gets the place of the one that has waited longest,
//! and that one is closed. A connection that works keeps its place.
//!
//! What is refused: more connections than places, since each holds a descriptor and some memory.
//!
//! The attack it answers: a process of the machine that has no token opens connections and says nothing, so that no operator
//! is heard for as long as the head of a request may take.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The places of an address.
#[derive(Debug)]
pub(super) struct Lobby {
    most: usize,
    guests: Mutex<Guests>,
    /// Told when a place is free, or a connection begins to wait.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Guests {
    /// Counts what happens, so that it is known who waits longest.
    now: u64,
    by_number: BTreeMap<u64, Guest>,
}

/// A connection that has a place.
#[derive(Debug)]
struct Guest {
    /// Requests of it that are being answered.
    works: u32,
    /// When it began to wait.
    since: u64,
    gives_way: CancellationToken,
}

/// A place, until this is dropped. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct LobbyPlace(Arc<Held>);

#[derive(Debug)]
struct Held {
    lobby: Arc<Lobby>,
    number: u64,
    gives_way: CancellationToken,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Answering(LobbyPlace);

impl Lobby {
    /// A lobby with so many places.
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, guests: Mutex::default(), changed: Notify::new() })
    }

    /// Gets a place for a new connection: a free one, or that of the connection that has waited longest. Waits while all
    /// others work.
    pub(super) async fn enter(self: &Arc<Self>) -> LobbyPlace {
        loop {
            // Registered before looking, so that a place that comes free in between is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(place) = self.try_enter() {
                return place;
            }
            changed.await;
        }
    }

    fn try_enter(self: &Arc<Self>) -> Option<LobbyPlace> {
        let mut guests = self.guests.lock();
        if guests.by_number.len() >= self.most {
            let waiting = guests.by_number.iter().filter(|(_, guest)| guest.works == 0);
            let longest = *waiting.min_by_key(|(_, guest)| guest.since)?.0;
            if let Some(guest) = guests.by_number.remove(&longest) {
                guest.gives_way.cancel();
            }
        }
        guests.now += 1;
        let (number, gives_way) = (guests.now, CancellationToken::new());
        guests.by_number.insert(number, Guest { works: 0, since: number, gives_way: gives_way.clone() });
        Some(LobbyPlace(Arc::new(Held { lobby: Arc::clone(self), number, gives_way })))
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Guest, u64)) {
        let mut guests = self.guests.lock();
        guests.now += 1;
        let now = guests.now;
        // It may have given way.
        if let Some(guest) = guests.by_number.get_mut(&number) {
            change(guest, now);
        }
    }
}

impl LobbyPlace {
    /// Ends when the place is another connection's.
    pub(super) async fn gives_way(&self) {
        self.0.gives_way.cancelled().await;
    }

    /// Keeps the place while a request is answered.
    pub(super) fn work(&self) -> Answering {
        self.0.lobby.change(self.0.number, |guest, _| guest.works += 1);
        Answering(self.clone())
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let held = &self.0.0;
        held.lobby.change(held.number, |guest, now| {
            guest.works = guest.works.saturating_sub(1);
            guest.since = now;
        });
        held.lobby.changed.notify_one();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.lobby.guests.lock().by_number.remove(&self.number);
        self.lobby.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn gave_way(place: &LobbyPlace) -> bool {
        place.0.gives_way.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_longest_gives_way_and_who_works_does_not() {
        let lobby = Lobby::new(3);
        let (first, second, third) = (lobby.enter().await, lobby.enter().await, lobby.enter().await);
        let work = first.work();
        let fourth = lobby.enter().await;
        assert_eq!([&first, &second, &third, &fourth].map(gave_way), [false, true, false, false]);
        second.gives_way().await;
        // It waits from the end of its request on.
        drop(work);
        let fifth = lobby.enter().await;
        assert_eq!([&first, &third, &fourth, &fifth].map(gave_way), [false, true, false, false]);
        // A place that was given up is not missed by whoever has it now.
        drop((second, third));
        let works = [first.work(), fourth.work(), fifth.work()];
        assert!(timeout(Duration::from_secs(9), lobby.enter()).await.is_err(), "all of them work");
        let entering = async { timeout(Duration::from_secs(9), lobby.enter()).await.is_ok() };
        let leaving = async {
            tokio::task::yield_now().await;
            drop(works);
        };
        let (entered, ()) = tokio::join!(entering, leaving);
        assert!(entered && gave_way(&first));
        drop((fourth, fifth));
        assert!(timeout(Duration::from_secs(9), lobby.enter()).await.is_ok());
    }
}
