//! What is known of one slot while a guest runs in it: its size, which of its pages can be written, how far its zone is open.
//!
//! Written by the thread that holds the slot and by the handler of faults that interrupts it. One thread at a time runs a
//! guest, so no order between the fields matters. All of it can run in a signal handler: atomics alone, no lock, no
//! allocation, no panic. What the system is asked to do, callers hand in as `open`.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// Hot pages of one slot. A request that writes more is rare, and copying so many back is not worth it for the next one.
pub(crate) const MAX_HOT: usize = 128;

/// Runs of neighbouring hot pages of one slot. Each costs two of the 65,530 mappings that Linux gives a process.
const MAX_RUNS: usize = 24;

/// The least that is opened of a zone.
const OPENING: usize = 64 << 10;

/// A slot as the handler sees it.
#[derive(Debug)]
pub(super) struct Watch {
    /// Bytes that the guest may access; 0 while nobody holds the slot.
    pub(super) size: AtomicUsize,
    /// End of the paged part.
    pub(super) paged: AtomicUsize,
    /// End of the open part of the zone.
    pub(super) open: AtomicUsize,
    /// Where the open part of the zone ended at most.
    pub(super) opened: AtomicUsize,
    /// Whether all of the paged part is writable, so that nobody knows which pages were written.
    pub(super) loose: AtomicBool,
    /// How many of `pages` are set, and runs among them.
    hot: AtomicUsize,
    runs: AtomicUsize,
    pages: [AtomicU32; MAX_HOT],
}

impl Watch {
    pub(super) const fn new() -> Self {
        Self {
            size: AtomicUsize::new(0),
            paged: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            opened: AtomicUsize::new(0),
            loose: AtomicBool::new(false),
            hot: AtomicUsize::new(0),
            runs: AtomicUsize::new(0),
            pages: [const { AtomicU32::new(0) }; MAX_HOT],
        }
    }

    /// Opens what the guest touched at `offset`; says whether the instruction can run again. `open` makes a range, from an
    /// offset and of a length, writable.
    pub(super) fn touch(&self, offset: usize, page: usize, open: impl Fn(usize, usize) -> bool) -> bool {
        if offset >= self.size.load(Relaxed) {
            return false;
        }
        let paged = self.paged.load(Relaxed);
        if offset >= paged {
            return self.open_zone(offset, paged, open);
        }
        if self.loose.load(Relaxed) {
            return false;
        }
        let number = offset / page;
        if self.note(number) && open(number * page, page) {
            return true;
        }
        // Too many to keep, or the system has no mapping left for one more: all of them, which is one mapping.
        self.loose.store(true, Relaxed);
        open(0, paged)
    }

    /// Notes a hot page, unless there are too many.
    pub(super) fn note(&self, number: usize) -> bool {
        let (hot, runs) = (self.hot.load(Relaxed), self.runs.load(Relaxed));
        let Ok(number) = u32::try_from(number) else { return false };
        let beside = self.pages.iter().take(hot).any(|page| page.load(Relaxed).abs_diff(number) == 1);
        let Some(page) = self.pages.get(hot).filter(|_| beside || runs < MAX_RUNS) else { return false };
        page.store(number, Relaxed);
        self.hot.store(hot + 1, Relaxed);
        self.runs.store(runs + usize::from(!beside), Relaxed);
        true
    }

    /// Opens the zone up to `offset` and as much again as was open.
    fn open_zone(&self, offset: usize, paged: usize, make_writable: impl Fn(usize, usize) -> bool) -> bool {
        let open = self.open.load(Relaxed);
        if offset < open {
            return false;
        }
        let doubled = open + (open - paged).max(OPENING);
        let end = doubled.max((offset + 1).next_multiple_of(OPENING)).min(self.size.load(Relaxed));
        self.open.store(end, Relaxed);
        self.opened.fetch_max(end, Relaxed);
        make_writable(open, end - open)
    }

    /// Begins with a guest whose memory has `size` bytes, of which an image takes the first `paged`.
    pub(super) fn begin(&self, size: usize, paged: usize) {
        self.paged.store(paged, Relaxed);
        self.open.store(paged, Relaxed);
        self.opened.store(paged, Relaxed);
        self.size.store(size, Relaxed);
    }

    /// Forgets which pages are hot; with `loose`, all can be written from now on.
    pub(super) fn forget(&self, loose: bool) {
        self.hot.store(0, Relaxed);
        self.runs.store(0, Relaxed);
        self.loose.store(loose, Relaxed);
    }

    /// The hot pages, as they became so; one may be there twice.
    pub(super) fn hot(&self) -> impl Iterator<Item = u32> {
        self.pages.iter().take(self.hot.load(Relaxed)).map(|page| page.load(Relaxed))
    }

    /// The hot pages, in order and once each.
    pub(super) fn hot_in_order(&self) -> Vec<u32> {
        let mut hot: Vec<u32> = self.hot().collect();
        hot.sort_unstable();
        hot.dedup();
        hot
    }

    /// How many times a page became hot.
    pub(super) fn hot_count(&self) -> usize {
        self.hot.load(Relaxed)
    }

    /// Whether the writes are known, all of them.
    pub(super) fn is_known(&self) -> bool {
        !self.loose.load(Relaxed)
    }
}
