//! The memories of guests as the machine sees them, and the handler of their page faults: the `unsafe` of parking.
//!
//! **Layout.** An [`Arena`] is one reservation of address space, cut into slots of equal size. A slot is what compiled code
//! takes for granted: as many bytes as a 32-bit address can name, then a guard. In a slot lie, from the bottom:
//! 1. the *paged* part: the image, mapped copy-on-write from its files, and a little zero memory behind it;
//! 2. the *zone*, which is zero and closed (no access) until a guest touches it, up to the size of the guest's memory;
//! 3. what the guest may not touch.
//!
//! **Faults.** A watched slot begins with its paged part read-only. A first write to a page raises `SIGSEGV`; the handler
//! notes the page as *hot* and makes it writable, and the instruction runs again. Any access to the zone opens a range that
//! doubles. It makes no difference whether wasm or the host, lowering an argument, ran into the page. (A system call that is
//! given such a page fails with `EFAULT` instead; so no system call is ever given guest memory.) Every other fault goes on
//! to the handler that was there before, which is wasmtime's.
//!
//! **Spare slots.** Mapping an image is a system call for each of its parts, some twenty, and each splits a mapping. So a slot
//! that is given up stays mapped for the next fork of its image: what was written is taken away, since a private mapping of
//! a file that nobody can change then shows the file again. Where it is known what was written, the other pages stay in the
//! page tables, and the next fork reads them without a fault: such a slot is *warm*. Few slots are spare, whatever the number
//! of images, and fewer are warm, since the system counts the pages of each as resident.
//!
//! **Putting back.** What was ever writable is the hot pages and the open part of the zone: the processor sees to that, not
//! the guest. So copying hot pages from the image and clearing the zone restores all of the memory.
//!
//! **Argument.** Addresses: all operations are on ranges inside of one slot, computed from an index below the number of
//! slots and from offsets that are clamped to the slot; so nothing outside of an arena is ever mapped over, protected or
//! written. Aliasing: bytes of a slot are read and written by its guest, and by [`Fork`], whose methods take `&mut self`
//! together with the store that the guest runs in; so they never run at once, and no reference into guest memory outlives
//! a call. Lifetime: wasmtime's memory and the fork share the [`Slot`], which is given back when both are gone, and the
//! arena lives as long as its slots. Signals: the handler uses atomics and `mprotect` alone, which POSIX and Linux allow
//! there; it takes no lock, allocates nothing, and cannot panic. It finds the watched slots in a table of fixed size, whose
//! entries point to what is never freed; an arena is taken from the table when none of its slots is in use.

#![expect(unsafe_code, reason = "see the argument above")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Once, Weak};

use parking_lot::Mutex;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType, Store};

use super::image::Image;

/// What compiled code takes for granted of a memory: wasmtime's reservation for 32-bit memories.
const RESERVATION: usize = 4 << 30;

/// And its guard behind that.
const GUARD: usize = 32 << 20;

/// Hot pages of one slot. A request that writes more is rare, and copying so many back is not worth it for the next one.
pub(crate) const MAX_HOT: usize = 128;

/// Runs of neighbouring hot pages of one slot. Each costs two of the 65,530 mappings that Linux gives a process.
const MAX_RUNS: usize = 24;

/// The least that is opened of a zone.
const OPENING: usize = 64 << 10;

/// The most of a zone that is cleared by writing zeros and stays open; more is given back to the system.
const KEEP_OPEN: usize = 128 << 10;

/// Slots of one arena that stay mapped while nobody holds them. Each keeps some forty of the 65,530 mappings that Linux gives
/// a process, and the image it was mapped from until another one takes its place.
const MAX_SPARE: usize = 32;

/// Spare slots of one arena that keep what was read in the page tables.
pub(crate) const MAX_WARM: usize = 4;

/// Arenas of one process: one for each interpreter.
const MAX_ARENAS: usize = 64;

static ARENAS: [AtomicPtr<Watched>; MAX_ARENAS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_ARENAS];

/// Who handled `SIGSEGV` before. Never freed.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// Address space for the memories of guests.
#[derive(Debug)]
pub(crate) struct Arena {
    watched: &'static Watched,
    free: Mutex<Free>,
}

/// The slots that nobody holds.
#[derive(Debug)]
struct Free {
    /// Those without a mapping.
    empty: Vec<usize>,
    /// Those that still show an image, the last one that was given up last.
    spare: VecDeque<Spare>,
}

/// A slot that nobody holds, mapped from an image and without a byte that differs from it.
#[derive(Debug)]
struct Spare {
    index: usize,
    /// Weak, so that an image is not kept by it; the place in memory is not given to another one meanwhile.
    image: Weak<Image>,
    is_warm: bool,
}

/// The slots of an arena as the handler sees them. Never freed, since the handler may look at them at any time.
#[derive(Debug)]
struct Watched {
    /// Address of the reservation; slots begin one guard behind it.
    reserved: usize,
    page: usize,
    slots: Box<[Watch]>,
}

/// A slot as the handler sees it. Written by the thread that holds the slot and by the handler that interrupts it.
#[derive(Debug)]
struct Watch {
    /// Bytes that the guest may access; 0 while nobody holds the slot.
    size: AtomicUsize,
    /// End of the paged part.
    paged: AtomicUsize,
    /// End of the open part of the zone.
    open: AtomicUsize,
    /// Where the open part of the zone ended at most.
    opened: AtomicUsize,
    /// Whether all of the paged part is writable, so that nobody knows which pages were written.
    loose: AtomicBool,
    /// How many of `pages` are set, and runs among them.
    hot: AtomicUsize,
    runs: AtomicUsize,
    pages: [AtomicU32; MAX_HOT],
}

/// One memory of an arena.
#[derive(Debug)]
pub(crate) struct Slot {
    arena: Arc<Arena>,
    index: usize,
    image: Arc<Image>,
    /// Bytes that the guest may access at first.
    size: usize,
    /// Whether every part of the image is mapped.
    is_mapped: bool,
}

/// Which pages of a new slot can be written without a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watching<'a> {
    /// All, so nobody knows afterwards what was written: for memories that are thrown away.
    Nothing,
    /// These, which count as hot; all others are watched.
    AllBut(&'a [u32]),
}

impl Watching<'_> {
    fn access(self) -> ProtFlags {
        match self {
            Watching::Nothing => ProtFlags::READ | ProtFlags::WRITE,
            Watching::AllBut(_) => ProtFlags::READ,
        }
    }
}

/// An instance and its memory.
pub(crate) struct Fork<T: 'static> {
    store: Store<T>,
    slot: Arc<Slot>,
}

impl Arena {
    /// Reserves address space for so many memories.
    pub(crate) fn new(slots: usize) -> io::Result<Arc<Self>> {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(install);
        let length = GUARD + slots * (RESERVATION + GUARD);
        let (access, flags) = (ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE);
        // SAFETY: a new mapping at an address that the system chooses.
        let reserved = unsafe { mmap_anonymous(ptr::null_mut(), length, access, flags)? }.expose_provenance();
        let watches = std::iter::repeat_with(Watch::new).take(slots).collect();
        let watched: &'static Watched = Box::leak(Box::new(Watched { reserved, page: page_size(), slots: watches }));
        let free = Free { empty: (0..slots).rev().collect(), spare: VecDeque::with_capacity(MAX_SPARE + 1) };
        let arena = Arc::new(Self { watched, free: Mutex::new(free) });
        match arena.replace_entry(ptr::null(), watched) {
            true => Ok(arena),
            false => Err(io::Error::other(format!("more than {MAX_ARENAS} interpreters in one process"))),
        }
    }

    /// A slot that nobody holds, and whether it is mapped from `image`.
    fn take(&self, image: &Arc<Image>) -> Option<(usize, bool)> {
        let mut free = self.free.lock();
        let found = free.spare.iter().rposition(|spare| ptr::eq(spare.image.as_ptr(), Arc::as_ptr(image)));
        if let Some(spare) = found.and_then(|at| free.spare.remove(at)) {
            return Some((spare.index, true));
        }
        if let Some(index) = free.empty.pop() {
            return Some((index, false));
        }
        // The oldest of another image.
        let index = free.spare.pop_front()?.index;
        drop(free);
        self.unmap(index).then_some((index, false))
    }

    /// Keeps a slot that shows its image and nothing else. What is too much is given up: the oldest, and all whose image
    /// is gone, since their mappings keep its memory.
    fn keep(&self, index: usize, image: &Arc<Image>, is_warm: bool) {
        let mut free = self.free.lock();
        free.spare.push_back(Spare { index, image: Arc::downgrade(image), is_warm });
        let over = free.spare.len().saturating_sub(MAX_SPARE);
        let (mut at, mut given_up) = (0, Vec::new());
        free.spare.retain(|spare| {
            at += 1;
            let keep = at > over && spare.image.strong_count() != 0;
            if !keep {
                given_up.push(spare.index);
            }
            keep
        });
        let is_too_warm = free.spare.iter().filter(|spare| spare.is_warm).count() > MAX_WARM;
        let oldest = free.spare.iter().position(|spare| spare.is_warm).filter(|_| is_too_warm);
        let cooling = oldest.and_then(|at| free.spare.remove(at));
        drop(free);
        for index in given_up {
            self.give_up(index);
        }
        if let Some(spare) = cooling {
            match self.cool(spare.index) {
                true => self.free.lock().spare.push_front(Spare { is_warm: false, ..spare }),
                false => self.give_up(spare.index),
            }
        }
    }

    /// Takes what was read of a spare slot out of the page tables.
    fn cool(&self, index: usize) -> bool {
        let Some(watch) = self.watched.slots.get(index) else { return false };
        let (start, paged) = (self.watched.start(index), watch.paged.load(Ordering::Relaxed));
        // SAFETY: private mappings of sealed files, in a slot that nobody holds.
        unsafe { madvise(ptr::with_exposed_provenance_mut(start), paged, Advice::LinuxDontNeed) }.is_ok()
    }

    /// Has a slot be free, without its mappings. One whose memory could not be taken back is never used again.
    fn give_up(&self, index: usize) {
        if self.unmap(index) {
            self.free.lock().empty.push(index);
        }
    }

    /// How many slots are spare.
    #[cfg(test)]
    pub(crate) fn spares(&self) -> usize {
        self.free.lock().spare.len()
    }

    /// How many of them are warm.
    #[cfg(test)]
    pub(crate) fn warm(&self) -> usize {
        self.free.lock().spare.iter().filter(|spare| spare.is_warm).count()
    }

    /// Takes the mappings of a slot away.
    fn unmap(&self, index: usize) -> bool {
        let Some(watch) = self.watched.slots.get(index) else { return false };
        let opened = watch.opened.swap(0, Ordering::Relaxed);
        let start = ptr::with_exposed_provenance_mut(self.watched.start(index));
        let (access, flags) = (ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED);
        // SAFETY: the range lies in the slot, which nobody holds: wasmtime has dropped its memory, and so has the fork.
        opened == 0 || unsafe { mmap_anonymous(start, opened, access, flags) }.is_ok()
    }

    /// Puts this arena into the handler's table, or takes it out.
    fn replace_entry(&self, old: *const Watched, new: *const Watched) -> bool {
        let (old, new) = (old.cast_mut(), new.cast_mut());
        ARENAS.iter().any(|entry| entry.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok())
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.replace_entry(self.watched, ptr::null());
        let length = GUARD + self.watched.slots.len() * (RESERVATION + GUARD);
        // SAFETY: the reservation is this arena's, and no slot of it is in use, since each keeps the arena.
        let _ = unsafe { munmap(ptr::with_exposed_provenance_mut(self.watched.reserved), length) };
    }
}

impl Watched {
    /// Address of a slot.
    fn start(&self, index: usize) -> usize {
        self.reserved + GUARD + index * (RESERVATION + GUARD)
    }

    /// Handles a fault; says whether the instruction can run again. Runs in a signal handler.
    fn fault(&self, address: usize) -> bool {
        let Some(distance) = address.checked_sub(self.start(0)) else { return false };
        let (index, offset) = (distance / (RESERVATION + GUARD), distance % (RESERVATION + GUARD));
        match self.slots.get(index) {
            Some(watch) if offset < watch.size.load(Ordering::Relaxed) => {
                watch.touch(self.start(index), offset, self.page)
            }
            _ => false,
        }
    }
}

impl Watch {
    const fn new() -> Self {
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

    /// Opens what the guest touched at `offset` of the slot at `start`. Runs in a signal handler. One thread at a time runs
    /// a guest, so that no order between the fields matters.
    fn touch(&self, start: usize, offset: usize, page: usize) -> bool {
        let paged = self.paged.load(Ordering::Relaxed);
        if offset >= paged {
            return self.open_zone(start, offset, paged);
        }
        if self.loose.load(Ordering::Relaxed) {
            return false;
        }
        let number = offset / page;
        if self.note(number) && protect(start + number * page, page, WRITABLE) {
            return true;
        }
        // Too many to keep, or the system has no mapping left for one more: all of them, which is one mapping.
        self.loose.store(true, Ordering::Relaxed);
        protect(start, paged, WRITABLE)
    }

    /// Notes a hot page, unless there are too many.
    fn note(&self, number: usize) -> bool {
        let (hot, runs) = (self.hot.load(Ordering::Relaxed), self.runs.load(Ordering::Relaxed));
        let Ok(number) = u32::try_from(number) else { return false };
        let beside = self.pages.iter().take(hot).any(|page| page.load(Ordering::Relaxed).abs_diff(number) == 1);
        let Some(page) = self.pages.get(hot).filter(|_| beside || runs < MAX_RUNS) else { return false };
        page.store(number, Ordering::Relaxed);
        self.hot.store(hot + 1, Ordering::Relaxed);
        self.runs.store(runs + usize::from(!beside), Ordering::Relaxed);
        true
    }

    /// Opens the zone up to `offset` and as much again as was open.
    fn open_zone(&self, start: usize, offset: usize, paged: usize) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        if offset < open {
            return false;
        }
        let doubled = open + (open - paged).max(OPENING);
        let end = doubled.max((offset + 1).next_multiple_of(OPENING)).min(self.size.load(Ordering::Relaxed));
        self.open.store(end, Ordering::Relaxed);
        self.opened.fetch_max(end, Ordering::Relaxed);
        protect(start + open, end - open, WRITABLE)
    }

    fn hot(&self) -> impl Iterator<Item = u32> {
        self.pages.iter().take(self.hot.load(Ordering::Relaxed)).map(|page| page.load(Ordering::Relaxed))
    }
}

const WRITABLE: MprotectFlags = MprotectFlags::READ.union(MprotectFlags::WRITE);

/// Changes what may be done to whole pages of a slot.
fn protect(address: usize, length: usize, access: MprotectFlags) -> bool {
    // SAFETY: callers pass ranges inside of a slot that they hold, or that is held by what the handler interrupted. Access
    // that a guest loses makes it fault, which is defined.
    length == 0 || unsafe { mprotect(ptr::with_exposed_provenance_mut(address), length, access) }.is_ok()
}

impl Slot {
    /// Maps an image into a slot, as a memory of `size` bytes, or as many more as the image has; none if no slot is free.
    pub(crate) fn new(
        arena: &Arc<Arena>,
        image: &Arc<Image>,
        size: usize,
        watching: Watching<'_>,
    ) -> io::Result<Option<Self>> {
        let Some((index, is_mapped)) = arena.take(image) else { return Ok(None) };
        let size = size.clamp(image.size(), RESERVATION.max(image.size()));
        let mut slot = Self { arena: Arc::clone(arena), index, image: Arc::clone(image), size, is_mapped };
        if !is_mapped {
            slot.map(watching)?;
            slot.is_mapped = true;
        }
        match watching {
            // What is writable is hot, and stays so.
            Watching::AllBut(_) if is_mapped && !slot.watch().loose.load(Ordering::Relaxed) => {}
            _ => slot.protect_image(watching)?,
        }
        slot.watch_over(watching);
        Ok(Some(slot))
    }

    /// Maps the image.
    fn map(&self, watching: Watching<'_>) -> io::Result<()> {
        let (start, image, watch) = (self.start(), &*self.image, self.watch());
        let access = watching.access();
        // Whatever becomes of this, so much is taken away when the slot is given up.
        watch.opened.store(image.paged(), Ordering::Relaxed);
        for part in image.parts() {
            let address = ptr::with_exposed_provenance_mut(start + part.address);
            let flags = MapFlags::PRIVATE | MapFlags::FIXED;
            // SAFETY: the range lies in the slot, which nobody else holds. The file cannot change: it is sealed.
            unsafe { mmap(address, part.length, access, flags, part.file, part.offset as u64)? };
        }
        Ok(())
    }

    /// Sets for the whole image what the guest may do to it.
    fn protect_image(&self, watching: Watching<'_>) -> io::Result<()> {
        let (start, paged, watch) = (self.start(), self.image.paged(), self.watch());
        let access = MprotectFlags::from_bits_retain(watching.access().bits());
        // What lies behind the image, for a new slot; all that was hot, for a spare one.
        if !protect(start, paged, access) {
            let text = "the system has no room for another mapping (vm.max_map_count)";
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
        }
        watch.hot.store(0, Ordering::Relaxed);
        watch.runs.store(0, Ordering::Relaxed);
        watch.loose.store(matches!(watching, Watching::Nothing), Ordering::Relaxed);
        Ok(())
    }

    /// Tells the handler of the slot.
    fn watch_over(&self, watching: Watching<'_>) {
        let (paged, watch) = (self.image.paged(), self.watch());
        watch.paged.store(paged, Ordering::Relaxed);
        watch.open.store(paged, Ordering::Relaxed);
        watch.opened.store(paged, Ordering::Relaxed);
        watch.size.store(self.size, Ordering::Relaxed);
        if let Watching::AllBut(hot) = watching {
            self.warm(hot);
        }
    }

    /// Makes pages hot before they are written, neighbours in one go.
    fn warm(&self, hot: &[u32]) {
        let (watch, page) = (self.watch(), self.arena.watched.page);
        let paged = watch.paged.load(Ordering::Relaxed) / page;
        let mut new = hot.to_vec();
        new.retain(|number| !watch.hot().any(|noted| noted == *number));
        for run in new.chunk_by(|one, next| one + 1 == *next) {
            let noted =
                run.iter().take_while(|number| (**number as usize) < paged && watch.note(**number as usize)).count();
            let Some(first) = run.first().filter(|_| noted != 0) else { return };
            // A page that is noted and cannot be written yet is noted again by its fault, and copied twice.
            protect(self.start() + *first as usize * page, noted * page, WRITABLE);
        }
    }

    fn start(&self) -> usize {
        self.arena.watched.start(self.index)
    }

    #[expect(clippy::indexing_slicing, reason = "the index came from the arena's list of free slots")]
    fn watch(&self) -> &Watch {
        &self.arena.watched.slots[self.index]
    }

    /// Whether it can be put back: known writes, and as large as it was.
    pub(crate) fn is_whole(&self) -> bool {
        let watch = self.watch();
        !watch.loose.load(Ordering::Relaxed) && watch.size.load(Ordering::Relaxed) == self.size
    }

    /// What it was mapped from.
    pub(crate) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// End of what a guest may have written; all behind it is zero.
    pub(crate) fn written(&self) -> usize {
        self.watch().opened.load(Ordering::Relaxed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // From here on no fault of this slot is handled.
        self.watch().size.store(0, Ordering::Relaxed);
        let is_warm = !self.watch().loose.load(Ordering::Relaxed);
        match self.is_mapped && self.empty(is_warm) {
            true => self.arena.keep(self.index, &self.image, is_warm),
            false => self.arena.give_up(self.index),
        }
    }
}

impl Slot {
    /// Takes away all that was written, so that the slot shows its image again; says whether the system did.
    fn empty(&self, is_warm: bool) -> bool {
        let (watch, paged, page) = (self.watch(), self.image.paged(), self.arena.watched.page);
        let opened = watch.opened.load(Ordering::Relaxed);
        if !is_warm {
            return self.forget(0, opened) && self.close(paged, opened);
        }
        let mut hot: Vec<usize> = watch.hot().map(|number| number as usize).collect();
        hot.sort_unstable();
        hot.dedup();
        let mut runs = hot.chunk_by(|one, next| one + 1 == *next);
        let forgotten =
            runs.all(|run| run.first().is_none_or(|first| self.forget(first * page, (first + run.len()) * page)));
        forgotten && (opened == paged || self.forget(paged, opened) && self.close(paged, opened))
    }

    /// Takes away what was written between two offsets.
    fn forget(&self, from: usize, to: usize) -> bool {
        let address = ptr::with_exposed_provenance_mut(self.start() + from);
        // SAFETY: private mappings of sealed files, and memory of no file, in a slot whose guest is gone.
        unsafe { madvise(address, to - from, Advice::LinuxDontNeed) }.is_ok()
    }

    fn close(&self, from: usize, to: usize) -> bool {
        protect(self.start() + from, to - from, MprotectFlags::empty())
    }
}

impl<T: Send + 'static> Fork<T> {
    /// Makes an instance over a slot, in a store that has none yet.
    pub(crate) async fn new<I>(
        mut store: Store<T>,
        slot: Slot,
        instantiate: impl AsyncFnOnce(&mut Store<T>) -> wasmtime::Result<I>,
    ) -> wasmtime::Result<(Self, I)> {
        let slot = Arc::new(slot);
        let instance = {
            let instantiate = std::pin::pin!(instantiate(&mut store));
            Over { slot: Some(Arc::clone(&slot)), future: instantiate }.await?
        };
        Ok((Self { store, slot }, instance))
    }

    /// Puts the memory back to its image, once a call has returned; says whether it could.
    pub(crate) fn put_back(&mut self) -> bool {
        let (slot, watch, page) = (&*self.slot, self.slot.watch(), self.slot.arena.watched.page);
        if !slot.is_whole() {
            return false;
        }
        let start = slot.start();
        for number in watch.hot() {
            let offset = number as usize * page;
            let target = ptr::with_exposed_provenance_mut::<u8>(start + offset);
            // SAFETY: the page lies in the paged part and is writable. The guest does not run: its store is borrowed.
            match slot.image.page(offset, page) {
                Some(bytes) => unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) },
                None => unsafe { target.write_bytes(0, page) },
            }
        }
        let (paged, open) = (watch.paged.load(Ordering::Relaxed), watch.open.load(Ordering::Relaxed));
        self.clear(paged, open)
    }

    /// Clears the open part of the zone, and closes it if it is large.
    fn clear(&mut self, paged: usize, open: usize) -> bool {
        let (address, length) = (self.slot.start() + paged, open - paged);
        if length == 0 {
            return true;
        }
        let target = ptr::with_exposed_provenance_mut::<u8>(address);
        if length <= KEEP_OPEN {
            // SAFETY: the open part is writable, and the guest does not run: its store is borrowed.
            unsafe { target.write_bytes(0, length) };
            return true;
        }
        // SAFETY: private memory that is not of a file: it is zero when it is touched again.
        let emptied = unsafe { madvise(target.cast(), length, Advice::LinuxDontNeed) }.is_ok();
        self.slot.watch().open.store(paged, Ordering::Relaxed);
        emptied && protect(address, length, MprotectFlags::empty())
    }

    /// Looks for a byte that is not as the image has it, in all that was ever writable; gives its address.
    pub(crate) fn difference(&mut self) -> Option<usize> {
        let (slot, watch, page) = (&*self.slot, self.slot.watch(), self.slot.arena.watched.page);
        let (start, paged, opened) = (slot.start(), watch.paged.load(Ordering::Relaxed), slot.written());
        let open = watch.open.load(Ordering::Relaxed);
        let closed = opened - open;
        // What was closed again is looked at like the rest.
        if !protect(start + open, closed, MprotectFlags::READ) {
            return Some(open);
        }
        // SAFETY: all of it is readable now, and the guest does not run: its store is borrowed.
        let memory = unsafe { std::slice::from_raw_parts(ptr::with_exposed_provenance::<u8>(start), opened) };
        let zeros = vec![0; page];
        let found = memory.chunks(page).zip((0..).step_by(page)).find_map(|(bytes, offset)| {
            let expected = slot.image.page(offset, page).filter(|_| offset < paged);
            // Compared as a whole: byte by byte, the zeros of a large memory would take longer than its data.
            let expected = expected.unwrap_or_else(|| zeros.get(..bytes.len()).unwrap_or(&zeros));
            (bytes != expected).then_some(offset)
        });
        match protect(start + open, closed, MprotectFlags::empty()) {
            true => found,
            false => Some(open),
        }
    }

    /// The store, for calls into the instance.
    pub(crate) fn store(&mut self) -> &mut Store<T> {
        &mut self.store
    }

    /// The pages that were written, in order.
    pub(crate) fn hot(&self) -> Vec<u32> {
        let mut hot: Vec<u32> = self.slot.watch().hot().collect();
        hot.sort_unstable();
        hot.dedup();
        hot
    }

    /// How many times a page became hot.
    pub(crate) fn hot_count(&self) -> usize {
        self.slot.watch().hot.load(Ordering::Relaxed)
    }

    /// Bytes of memory that are its own.
    pub(crate) fn held(&self) -> usize {
        let watch = self.slot.watch();
        let zone = watch.open.load(Ordering::Relaxed) - watch.paged.load(Ordering::Relaxed);
        self.hot_count() * self.slot.arena.watched.page + zone
    }

    /// Asks the system to take the pages of the memory away, to swap if there is any; says whether it may have done so.
    #[cfg(test)]
    pub(crate) fn page_out(&mut self) -> bool {
        let address = ptr::with_exposed_provenance_mut(self.slot.start());
        // SAFETY: what the pages hold does not change, and the range is the slot's.
        unsafe { madvise(address, self.slot.written(), Advice::LinuxPageOut) }.is_ok()
    }

    /// The memory, for what a host function has to know of it.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}

thread_local! {
    /// The slot for the memory that this thread is about to make.
    static NEXT: Cell<Option<Arc<Slot>>> = const { Cell::new(None) };
}

/// An instantiation whose memory shall be in a slot. wasmtime says nothing of the instance when it asks for its memory, so
/// the slot waits for that in the thread, for as long as the future is polled and no longer.
struct Over<F> {
    slot: Option<Arc<Slot>>,
    future: F,
}

impl<F: Future + Unpin> Future for Over<F> {
    type Output = F::Output;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<F::Output> {
        NEXT.set(self.slot.take());
        let poll = std::pin::Pin::new(&mut self.future).poll(context);
        self.slot = NEXT.take();
        poll
    }
}

/// Gives wasmtime the slots that [`Fork::new`] chose.
#[derive(Debug)]
pub(crate) struct Slots;

// SAFETY: a slot has the size, the reservation and the guard that are asked for, nothing else uses it until it is dropped,
// and its memory changes only while the guest does not run (see the argument above). It is not zero: the modules that are
// instantiated over it have no data of their own, and are made for the image that it holds.
unsafe impl MemoryCreator for Slots {
    fn new_memory(
        &self,
        _kind: MemoryType,
        minimum: usize,
        maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let slot = NEXT.take().ok_or("an instance outside of a fork asked for a memory")?;
        let size = slot.watch().size.load(Ordering::Relaxed);
        if minimum > size || maximum.is_some_and(|maximum| maximum < size) {
            return Err(format!("the image has {size} bytes, the guest asks for {minimum} to {maximum:?}"));
        }
        if reserved.is_some_and(|reserved| reserved > RESERVATION) || guard > GUARD {
            return Err(format!("a memory of {reserved:?} bytes and a guard of {guard} do not fit into a slot"));
        }
        Ok(Box::new(Memory(slot)))
    }
}

/// A slot as wasmtime sees it.
struct Memory(Arc<Slot>);

// SAFETY: as for `Slots`; the address never changes.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.0.watch().size.load(Ordering::Relaxed)
    }

    fn byte_capacity(&self) -> usize {
        RESERVATION
    }

    /// Growing is allowing: the zone opens when it is touched.
    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        match size <= RESERVATION {
            true => self.0.watch().size.store(size, Ordering::Relaxed),
            false => return Err(wasmtime::Error::msg("a memory cannot be larger than 4 GiB")),
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.0.start())
    }
}

/// Puts our handler before the one that is there. wasmtime has installed its own by now: an engine is made first.
fn install() {
    // SAFETY: both are plain data. The handler is as the argument above says, and the one before it is kept for good before
    // ours can run.
    unsafe {
        let previous = Box::into_raw(Box::new(std::mem::zeroed::<libc::sigaction>()));
        libc::sigaction(libc::SIGSEGV, ptr::null(), previous);
        PREVIOUS.store(previous, Ordering::SeqCst);
        let mut ours: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = on_fault as *const () as usize;
        // As wasmtime's: on a stack of its own, and not blocked while it runs, since a trap leaves it by returning elsewhere.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        libc::sigemptyset(&raw mut ours.sa_mask);
        libc::sigaction(libc::SIGSEGV, &raw const ours, ptr::null_mut());
    }
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    /// `SEGV_ACCERR`: mapped, but not for this access. A signal that another process sends has another code.
    const NO_ACCESS: libc::c_int = 2;
    // SAFETY: the system passes a valid structure, and what the table points to is never freed.
    unsafe {
        let address = (*info).si_addr().addr();
        let arenas = || ARENAS.iter().map(|arena| arena.load(Ordering::Acquire)).filter(|arena| !arena.is_null());
        if (*info).si_code == NO_ACCESS && arenas().any(|arena| (*arena).fault(address)) {
            return;
        }
        pass_on(signal, info, context);
    }
}

/// Has a fault handled as it would be without us.
///
/// # Safety
/// The arguments are those of a signal handler.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type WithInfo = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    // SAFETY: `install` stored it before this handler could run; what it holds came from the system.
    unsafe {
        let previous = *PREVIOUS.load(Ordering::SeqCst);
        if previous.sa_sigaction == libc::SIG_DFL || previous.sa_sigaction == libc::SIG_IGN {
            // The instruction runs again, and ends the process as any other would.
            libc::sigaction(signal, &raw const previous, ptr::null_mut());
        } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
            std::mem::transmute::<usize, WithInfo>(previous.sa_sigaction)(signal, info, context);
        } else {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(previous.sa_sigaction)(signal);
        }
    }
}
