//! Forks that were put back to their image, and wait for the next request of the same revision.
//!
//! **The decision.** Each revision has a [`Lot`]; the last fork that came is the first to go, so that few are warm. How many
//! wait follows use: once a second half of those that nobody took since the last time are dropped, so an idle revision
//! parks none after a while. All lots share one budget of bytes.
//!
//! **What it refuses.** Nothing is parked of an app that wants fresh forks, nothing when the budget is used up, and nothing
//! any more once a comparison found a byte that was not put back.
//!
//! **The attack it answers.** A fork that keeps something of a request. It is never seen by another revision; memory is put
//! back by the host and compared; everything else that an instance holds is in the argument of [`crate::serving`].

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

/// Forks that one process parks at most. Each holds a slot, some thirty mappings and a native stack.
pub(crate) const MAX_PARKED: usize = 256;

/// Bytes that parked forks of one process may hold.
const BUDGET: usize = 64 << 20;

/// What a parked fork holds besides its hot pages: its native stack, the table of functions, wasmtime's own state.
pub const FORK_BYTES: usize = 192 << 10;

/// Time after which forks that nobody took are half as many.
const PERIOD: Duration = Duration::from_secs(1);

/// Resets between two comparisons of the whole memory with its image: a comparison takes some 100 us.
const COMPARE_EVERY: u64 = 1000;

/// How the forks of an app are kept between requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forks {
    /// Each request has a new one.
    Fresh,
    /// They are parked. The first reset of a revision, and one in so many after it, is followed by a comparison of the whole
    /// memory.
    Parked {
        /// At least 1.
        compare_every: u64,
    },
}

impl Default for Forks {
    fn default() -> Self {
        Self::Parked { compare_every: COMPARE_EVERY }
    }
}

/// What became of forks so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForkCounts {
    /// Instances that were made.
    pub made: u64,
    /// Requests that a parked fork answered.
    pub reused: u64,
    /// Forks that were dropped after a request because too much of their memory was written, or because it grew.
    pub spoiled: u64,
    /// Forks that were parked and dropped, since nobody took them for a while or there was no room.
    pub evicted: u64,
    /// Resets after which the whole memory was compared with its image.
    pub compared: u64,
    /// Comparisons that found a difference. One is one too many: parking is off since.
    pub differences: u64,
    /// Forks that are parked now.
    pub parked: usize,
    /// The bytes that those hold, as far as they are counted.
    pub parked_bytes: usize,
}

/// What all lots of a process share.
#[derive(Debug)]
pub(crate) struct Parking<P: Send + 'static> {
    off: AtomicBool,
    pub(crate) made: AtomicU64,
    pub(crate) reused: AtomicU64,
    pub(crate) spoiled: AtomicU64,
    evicted: AtomicU64,
    pub(crate) compared: AtomicU64,
    differences: AtomicU64,
    parked: AtomicUsize,
    bytes: AtomicUsize,
    lots: Mutex<Vec<Weak<Lot<P>>>>,
    stop: Arc<AtomicBool>,
    sweeper: OnceLock<thread::Thread>,
    /// Whether the sweeper sleeps until it is woken.
    asleep: AtomicBool,
}

/// The parked forks of one revision.
#[derive(Debug)]
pub(crate) struct Lot<P: Send + 'static> {
    parking: Arc<Parking<P>>,
    places: Mutex<Places<P>>,
}

#[derive(Debug)]
struct Places<P> {
    /// Forks and the bytes that each holds, the last one to come last.
    parked: Vec<(P, usize)>,
    /// The fewest that waited at any moment since the last sweep: so many were not needed.
    unused: usize,
}

/// The thread that drops what is not needed; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Sweeper {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl<P: Send + 'static> Parking<P> {
    /// Without a thread, so that nothing is dropped but by [`Parking::sweep`].
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            off: AtomicBool::new(false),
            made: AtomicU64::new(0),
            reused: AtomicU64::new(0),
            spoiled: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            compared: AtomicU64::new(0),
            differences: AtomicU64::new(0),
            parked: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            lots: Mutex::default(),
            stop: Arc::default(),
            sweeper: OnceLock::new(),
            asleep: AtomicBool::new(false),
        })
    }

    /// Starts the thread that sweeps. It sleeps while nothing is parked.
    #[expect(clippy::disallowed_methods, reason = "owns this thread, and joins it when dropped")]
    pub(crate) fn start(self: &Arc<Self>) -> io::Result<Sweeper> {
        let parking = Arc::clone(self);
        let thread = thread::Builder::new().name("parking".into()).spawn(move || parking.sweep_until_stopped())?;
        // Set once, here.
        let _ = self.sweeper.set(thread.thread().clone());
        Ok(Sweeper { thread: Some(thread), stop: Arc::clone(&self.stop) })
    }

    fn sweep_until_stopped(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            // Set before the count is looked at: whoever parks a fork after that finds it set, and wakes this.
            self.asleep.store(true, Ordering::SeqCst);
            match self.parked.load(Ordering::SeqCst) {
                0 => thread::park(),
                _ => {
                    self.asleep.store(false, Ordering::SeqCst);
                    thread::park_timeout(PERIOD);
                    self.sweep();
                }
            }
        }
    }

    /// Drops half of the forks that nobody has taken since the last time.
    pub(crate) fn sweep(&self) {
        let lots: Vec<_> = {
            let mut lots = self.lots.lock();
            lots.retain(|lot| lot.strong_count() != 0);
            lots.iter().filter_map(Weak::upgrade).collect()
        };
        lots.iter().for_each(|lot| lot.sweep());
    }

    /// A place for the forks of one revision.
    pub(crate) fn lot(self: &Arc<Self>) -> Arc<Lot<P>> {
        let places = Mutex::new(Places { parked: Vec::new(), unused: 0 });
        let lot = Arc::new(Lot { parking: Arc::clone(self), places });
        self.lots.lock().push(Arc::downgrade(&lot));
        lot
    }

    /// Whether forks are parked at all.
    pub(crate) fn is_on(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    /// Turns parking off for good: a memory was not what its image is.
    pub(crate) fn differs(&self) {
        self.differences.fetch_add(1, Ordering::Relaxed);
        self.off.store(true, Ordering::SeqCst);
        let lots: Vec<_> = self.lots.lock().iter().filter_map(Weak::upgrade).collect();
        lots.iter().for_each(|lot| lot.clear());
    }

    /// What became of forks so far.
    pub(crate) fn counts(&self) -> ForkCounts {
        ForkCounts {
            made: self.made.load(Ordering::Relaxed),
            reused: self.reused.load(Ordering::Relaxed),
            spoiled: self.spoiled.load(Ordering::Relaxed),
            evicted: self.evicted.load(Ordering::Relaxed),
            compared: self.compared.load(Ordering::Relaxed),
            differences: self.differences.load(Ordering::Relaxed),
            parked: self.parked.load(Ordering::Relaxed),
            parked_bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// Takes so many bytes of the budget, if they are there.
    fn reserve(&self, bytes: usize) -> bool {
        if self.bytes.fetch_add(bytes, Ordering::SeqCst) + bytes > BUDGET {
            self.bytes.fetch_sub(bytes, Ordering::SeqCst);
            return false;
        }
        let before = self.parked.fetch_add(1, Ordering::SeqCst);
        if before >= MAX_PARKED {
            self.release(bytes);
            return false;
        }
        // Once in each sleep: requests that come one after the other park the first fork again and again.
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(sweeper) = self.sweeper.get()
        {
            sweeper.unpark();
        }
        true
    }

    fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.parked.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<P: Send + 'static> Lot<P> {
    /// The fork that came last, if one is parked.
    pub(crate) fn take(&self) -> Option<P> {
        let mut places = self.places.lock();
        let (fork, bytes) = places.parked.pop()?;
        places.unused = places.unused.min(places.parked.len());
        drop(places);
        self.parking.release(bytes);
        Some(fork)
    }

    /// Parks a fork that holds so many bytes, or drops it.
    pub(crate) fn put(&self, fork: P, bytes: usize) {
        if self.parking.is_on() {
            if !self.parking.reserve(bytes) {
                self.parking.evicted.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.places.lock().parked.push((fork, bytes));
            // Another thread may have turned parking off between the two lines above.
            if !self.parking.is_on() {
                self.clear();
            }
        }
    }

    fn sweep(&self) {
        let mut places = self.places.lock();
        let surplus = places.unused.div_ceil(2).min(places.parked.len());
        let dropped: Vec<_> = places.parked.drain(..surplus).collect();
        places.unused = places.parked.len();
        // Dropping takes some ten microseconds each, which no request shall wait for.
        drop(places);
        self.parking.evicted.fetch_add(dropped.len() as u64, Ordering::Relaxed);
        dropped.iter().for_each(|(_, bytes)| self.parking.release(*bytes));
    }

    fn clear(&self) {
        let dropped = std::mem::take(&mut self.places.lock().parked);
        self.parking.evicted.fetch_add(dropped.len() as u64, Ordering::Relaxed);
        dropped.iter().for_each(|(_, bytes)| self.parking.release(*bytes));
    }
}

impl<P: Send + 'static> Drop for Lot<P> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread cannot panic; a join error would have nothing to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(parking: &Parking<u32>) -> usize {
        parking.counts().parked
    }

    #[test]
    fn the_last_fork_that_came_is_the_first_to_go() {
        let parking = Parking::new();
        let lot = parking.lot();
        (1..=3).for_each(|fork| lot.put(fork, 10));
        assert_eq!((parked(&parking), parking.counts().parked_bytes), (3, 30));
        assert_eq!((lot.take(), lot.take(), lot.take(), lot.take()), (Some(3), Some(2), Some(1), None));
        assert_eq!((parked(&parking), parking.counts().parked_bytes), (0, 0));
    }

    #[test]
    fn what_is_used_stays_and_an_idle_revision_parks_none_after_a_while() {
        let parking = Parking::new();
        let lot = parking.lot();
        (0..8).for_each(|fork| lot.put(fork, 1));
        parking.sweep();
        // Five at a time are in use, so three of them were not needed.
        for _ in 0..3 {
            let taken: Vec<_> = (0..5).map(|_| lot.take().unwrap_or_default()).collect();
            taken.into_iter().for_each(|fork| lot.put(fork, 1));
            parking.sweep();
        }
        assert_eq!(parked(&parking), 5);
        for _ in 0..5 {
            parking.sweep();
        }
        assert_eq!(parked(&parking), 0);
    }

    #[test]
    fn the_budget_is_of_all_lots_together() {
        let parking = Parking::new();
        let (one, other) = (parking.lot(), parking.lot());
        one.put(1, BUDGET / 2);
        other.put(2, BUDGET / 2);
        one.put(3, 1);
        assert_eq!((parked(&parking), one.take(), one.take()), (2, Some(1), None));
        other.put(4, BUDGET / 2);
        drop(other);
        assert_eq!((parked(&parking), parking.counts().parked_bytes), (0, 0));
        (0..2 * MAX_PARKED).for_each(|_| one.put(0, 0));
        assert_eq!(parked(&parking), MAX_PARKED);
    }

    #[test]
    fn a_difference_turns_parking_off_for_good() {
        let parking = Parking::new();
        let lot = parking.lot();
        lot.put(1, 1);
        parking.differs();
        lot.put(2, 1);
        assert_eq!((lot.take(), parking.is_on(), parking.counts().differences), (None, false, 1));
    }

    #[test]
    fn the_sweeper_is_woken_once_by_forks_that_come_and_go() {
        let parking = Parking::new();
        let lot = parking.lot();
        parking.asleep.store(true, Ordering::SeqCst);
        lot.put(1, 1);
        assert!(!parking.asleep.load(Ordering::SeqCst), "the first one wakes it");
        assert_eq!((lot.take(), parked(&parking)), (Some(1), 0));
        lot.put(1, 1);
        assert!(!parking.asleep.load(Ordering::SeqCst));
    }

    #[test]
    fn the_sweeper_sleeps_until_something_is_parked_and_ends_when_dropped() {
        let parking = Parking::new();
        let sweeper = parking.start();
        parking.lot().put(1, 1);
        drop(sweeper);
        assert!(parking.stop.load(Ordering::SeqCst));
    }
}
