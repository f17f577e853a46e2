//! The budget, and what is taken from it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// How often the log tells of requests that found no memory.
const TELL: Duration = Duration::from_secs(1);

/// The bytes that a process may hold. Cheap to clone.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    used: AtomicU64,
    waiting: AtomicU32,
    freed: Notify,
    refusals: Refusals,
    /// Told when bytes are waited for; that of the whole is told of all its parts.
    wanted: Notify,
    /// What this is a part of.
    whole: Option<Arc<Self>>,
}

/// What bytes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryUse {
    /// A body on its way in, beyond its first few KiB.
    Body,
    /// A copy that the host makes for a script, beyond its first few KiB: a file, what a program wrote, a response of
    /// another server, and what the script sends to any of them.
    Fetched,
    /// An image, and what a guest takes beyond its image.
    Guest,
    /// The head of a request, beyond its first few KiB.
    Head,
    /// A response on its way out, beyond its first few KiB.
    Response,
    /// What a small request needs.
    Small,
}

/// Bytes of a body or of a response that are [`MemoryUse::Small`].
pub const SMALL: u64 = 64 << 10;

/// Bytes that are taken until this is dropped.
#[derive(Debug)]
pub struct Taken {
    shared: Arc<Shared>,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Shared::new(bytes, None)))
    }

    /// A budget that is never used up.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// A part of this budget, of so many bytes. What is taken from it is taken from this one too.
    #[must_use]
    pub fn part(&self, bytes: u64) -> Self {
        Self(Arc::new(Shared::new(bytes, Some(Arc::clone(&self.0)))))
    }

    /// Counts a request that was refused for lack of memory, here and in the budget that this is a part of. True if a line
    /// in the log is due: one a second tells of all.
    #[must_use]
    pub fn refuse(&self) -> bool {
        if let Some(whole) = &self.0.whole {
            whole.refusals.add();
        }
        self.0.refusals.add()
    }

    /// Requests that were refused for lack of memory so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refusals.count.load(Ordering::Relaxed)
    }

    /// Says that bytes are wanted, by whoever does not wait for them here.
    pub fn want(&self) {
        self.0.whole.as_ref().unwrap_or(&self.0).wanted.notify_one();
    }

    /// Ends when somebody has to wait for bytes of this budget or of a part of it, or had to since the last time. For one
    /// caller, which gives up what it can do without.
    pub async fn wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// Whether this is a part of another budget, and is itself what so many bytes do not fit into.
    #[must_use]
    pub fn is_short(&self, purpose: MemoryUse, bytes: u64) -> bool {
        self.0.whole.is_some() && !self.0.fits(purpose, bytes)
    }

    /// All of its bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// Bytes that are taken now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Takes nothing yet, to be grown.
    #[must_use]
    pub fn nothing(&self) -> Taken {
        Taken { shared: Arc::clone(&self.0), bytes: 0 }
    }

    /// Takes bytes, if they are there.
    #[must_use]
    pub fn try_take(&self, purpose: MemoryUse, bytes: u64) -> Option<Taken> {
        let mut taken = self.nothing();
        taken.try_grow(purpose, bytes).then_some(taken)
    }

    /// Takes bytes, and waits for them as long as `patience` lasts.
    pub async fn take(&self, purpose: MemoryUse, bytes: u64, patience: Duration) -> Option<Taken> {
        let mut taken = self.nothing();
        taken.grow(purpose, bytes, patience).await.then_some(taken)
    }
}

impl Taken {
    /// Bytes that are taken.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether more bytes are there.
    #[must_use]
    pub fn fits(&self, purpose: MemoryUse, bytes: u64) -> bool {
        let mut budgets = [Some(&*self.shared), self.shared.whole.as_deref()].into_iter().flatten();
        bytes == 0 || budgets.all(|shared| shared.fits(purpose, bytes))
    }

    /// Takes more bytes, if they are there. Neither waits nor allocates.
    pub fn try_grow(&mut self, purpose: MemoryUse, bytes: u64) -> bool {
        let grown = self.shared.try_add(purpose, bytes);
        if grown {
            self.bytes += bytes;
        }
        grown
    }

    /// Takes more bytes, and waits for them as long as `patience` lasts.
    pub async fn grow(&mut self, purpose: MemoryUse, bytes: u64, patience: Duration) -> bool {
        if self.try_grow(purpose, bytes) {
            return true;
        }
        let shared = Arc::clone(&self.shared);
        let whole = shared.whole.as_deref();
        whole.unwrap_or(&shared).wanted.notify_one();
        let _waiting = (Waiting::new(&shared), whole.map(Waiting::new));
        let growing = async {
            loop {
                // Registered before looking, so that bytes freed in between are not missed.
                let mut freed = std::pin::pin!(shared.freed.notified());
                let mut of_whole = std::pin::pin!(whole.unwrap_or(&shared).freed.notified());
                freed.as_mut().enable();
                of_whole.as_mut().enable();
                if self.try_grow(purpose, bytes) {
                    return;
                }
                tokio::select! {
                    () = freed => {}
                    () = of_whole => {}
                }
            }
        };
        timeout(patience, growing).await.is_ok()
    }

    /// Adds bytes that are held already, whether they fit or not: work that comes later waits for them.
    pub fn hold(&mut self, bytes: u64) {
        let all = [Some(&*self.shared), self.shared.whole.as_deref()];
        for shared in all.into_iter().flatten() {
            shared.used.fetch_add(bytes, Ordering::Relaxed);
        }
        self.bytes += bytes;
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        if let Some(freed @ 1..) = self.bytes.checked_sub(bytes) {
            self.bytes = bytes;
            self.shared.free(freed);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

impl MemoryUse {
    /// How much of a budget may be used when bytes for this are taken.
    fn share(self, limit: u64) -> u64 {
        match self {
            Self::Body => limit / 2,
            Self::Fetched => limit / 8 * 5,
            Self::Guest => limit / 8 * 7,
            Self::Head | Self::Response => limit / 4 * 3,
            Self::Small => limit,
        }
    }
}

impl Shared {
    fn new(limit: u64, whole: Option<Arc<Self>>) -> Self {
        let (used, waiting, freed, wanted) = (AtomicU64::new(0), AtomicU32::new(0), Notify::new(), Notify::new());
        Self { limit, used, waiting, freed, wanted, refusals: Refusals::default(), whole }
    }

    fn try_add(&self, purpose: MemoryUse, bytes: u64) -> bool {
        let most = purpose.share(self.limit);
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= most);
        if bytes == 0 {
            return true;
        }
        // Looked at first, so that nothing is taken here for a moment that others would have to wait for.
        if self.whole.as_ref().is_some_and(|whole| !whole.fits(purpose, bytes)) {
            return false;
        }
        if self.used.try_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_err() {
            return false;
        }
        let added = self.whole.as_ref().is_none_or(|whole| whole.try_add(purpose, bytes));
        if !added {
            // Nobody is told: whoever waits is woken by what frees the whole, and else would wake itself for ever.
            self.used.fetch_sub(bytes, Ordering::SeqCst);
        }
        added
    }

    fn fits(&self, purpose: MemoryUse, bytes: u64) -> bool {
        let sum = self.used.load(Ordering::SeqCst).checked_add(bytes);
        sum.is_some_and(|sum| sum <= purpose.share(self.limit))
    }

    fn free(&self, bytes: u64) {
        // In this order, as a waiter announces itself before it looks: either it sees these bytes or we see it.
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_waiters();
        }
        if let Some(whole) = &self.whole {
            whole.free(bytes);
        }
    }
}

/// Requests that found no memory.
#[derive(Debug, Default)]
struct Refusals {
    count: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl Refusals {
    /// Adds one; says whether the last line about them is a second old.
    fn add(&self) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.is_none_or(|told| told.elapsed() >= TELL);
        if due {
            *told = Some(Instant::now());
        }
        due
    }
}

/// Somebody who waits, until this is dropped.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn bytes_that_do_not_fit_are_waited_for_and_then_refused() {
        let budget = MemoryBudget::new(100);
        let mut first = budget.try_take(MemoryUse::Small, 80).unwrap();
        assert!(budget.try_take(MemoryUse::Small, 21).is_none());
        assert!(budget.take(MemoryUse::Small, 21, SECOND).await.is_none());
        let (second, ()) = tokio::join!(budget.take(MemoryUse::Small, 30, SECOND), async { first.shrink_to(70) });
        let second = second.unwrap();
        assert_eq!((second.bytes(), budget.used()), (30, 100));
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_is_taken_from_both() {
        let whole = MemoryBudget::new(100);
        let (one, other) = (whole.part(60), whole.part(60));
        let mut taken = one.try_take(MemoryUse::Small, 60).unwrap();
        assert_eq!((one.used(), whole.used()), (60, 60));
        assert!(one.is_short(MemoryUse::Small, 1) && !other.is_short(MemoryUse::Small, 60));
        assert!(other.try_take(MemoryUse::Small, 41).is_none(), "the whole is short");
        assert_eq!((other.used(), whole.used()), (0, 60), "what did not fit is given back");
        // Bytes that somebody else frees are seen by whoever waits for them in a part.
        let (waited, ()) = tokio::join!(other.take(MemoryUse::Small, 50, SECOND), async { taken.shrink_to(10) });
        let waited = waited.unwrap();
        assert_eq!((waited.bytes(), other.used(), whole.used()), (50, 50, 60));
        drop(waited);
        assert_eq!((other.used(), whole.used()), (0, 10));
        taken.hold(200);
        assert_eq!((one.used(), whole.used()), (210, 210));
        drop(taken);
        assert_eq!((one.used(), whole.used()), (0, 0));
        assert!(!whole.is_short(MemoryUse::Small, 1000), "it is a part of nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_can_give_up_bytes_is_told_that_they_are_wanted() {
        let whole = MemoryBudget::new(100);
        let part = whole.part(50);
        let mut held = part.try_take(MemoryUse::Small, 40).unwrap();
        assert!(timeout(SECOND, whole.wanted()).await.is_err(), "nobody waits");
        let (taken, ()) = tokio::join!(part.take(MemoryUse::Small, 20, SECOND), async {
            whole.wanted().await;
            held.shrink_to(0);
        });
        assert_eq!(taken.map(|taken| taken.bytes()), Some(20));
        // What was told while nobody listened is not lost.
        let _all = whole.try_take(MemoryUse::Small, 100).unwrap();
        assert!(whole.take(MemoryUse::Small, 1, SECOND).await.is_none());
        assert!(timeout(SECOND, whole.wanted()).await.is_ok());
    }

    #[test]
    fn each_purpose_leaves_room_for_the_next() {
        let budget = MemoryBudget::new(800);
        let mut taken = budget.nothing();
        for (purpose, most) in [
            (MemoryUse::Body, 400),
            (MemoryUse::Fetched, 500),
            (MemoryUse::Head, 600),
            (MemoryUse::Guest, 700),
            (MemoryUse::Small, 800),
        ] {
            assert!(taken.try_grow(purpose, most - taken.bytes()), "{purpose:?}");
            assert!(!taken.try_grow(purpose, 1), "{purpose:?}");
        }
        drop(taken);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_is_held_already_counts_even_where_it_does_not_fit() {
        let budget = MemoryBudget::new(100);
        let mut held = budget.nothing();
        held.hold(150);
        assert!(budget.try_take(MemoryUse::Small, 1).is_none());
        assert!(budget.try_take(MemoryUse::Small, 0).is_some());
        drop(held);
        assert!(budget.try_take(MemoryUse::Small, 100).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn one_line_a_second_tells_of_all_refusals() {
        let whole = MemoryBudget::new(100);
        let part = whole.part(50);
        assert!(part.refuse() && !part.refuse());
        assert_eq!((part.refused(), whole.refused()), (2, 2));
        tokio::time::advance(SECOND).await;
        assert!(part.refuse());
    }

    #[test]
    fn a_sum_that_overflows_does_not_fit() {
        let budget = MemoryBudget::unlimited();
        let _all = budget.try_take(MemoryUse::Small, u64::MAX).unwrap();
        assert!(budget.try_take(MemoryUse::Small, 1).is_none());
    }
}
