//! The guest's allocator: built for memories that are copied and thrown away.
//!
//! What a request costs is, more than anything, the pages it writes: each is copied when it is first written and copied
//! back when the fork is dropped. So fresh memory is handed out from one end, in order, and a freed block is the next of
//! its size to be used again; nothing is merged, sorted or written for bookkeeping but the link in a freed block. The
//! memory a request will need is grown before the image is made, since growing is a system call on the host.
//!
//! Finding the written pages takes the host time that is linear in the memory's size, and a page each for small blocks
//! that lie apart. So before the serving image is made the holes that boot and setup left are given up, and where the
//! suspended frames had their evaluator a request finds all it needs, in one place: its first blocks, its own evaluator
//! behind them, and more blocks behind that.

#![expect(unsafe_code, reason = "a global allocator; see the argument at each block")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::{mem, ptr};

/// Smallest block and its alignment, which is that of the widest type Rust allocates by default on wasm.
const GRAIN: usize = 16;

/// Largest size with classes one grain apart.
const SMALL: usize = 1024;

/// Above that, classes for each doubling: a block is at most an eighth larger than asked for.
const STEPS: usize = 8;

/// Classes: 64 small ones, then eight for each doubling up to 4 GiB.
const CLASSES: usize = SMALL / GRAIN + STEPS * 22 + 1;

const WASM_PAGE: usize = 65536;

/// Bytes that the host copies back where one of them was written.
pub(crate) const HOST_PAGE: usize = 4096;

/// What an evaluator of starlark allocates for its frames, and hardly anything else does: its `Alloca`.
const FRAMES: Layout = match Layout::from_size_align(1_000_000, 8) {
    Ok(layout) => layout,
    Err(_) => panic!("a valid layout"),
};

/// Bytes for the first blocks of a request. Most need less; the evaluator's first frames share the last of these pages.
const FIRST: usize = 2 * HOST_PAGE - 256;

/// The allocator. All of it is zero at first, so that it lies with the other statics that a request writes.
#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(State {
    region: NO_REGION,
    others: [NO_REGION; 2],
    left: 0,
    settled: false,
    evaluators: 0,
    frames: 0,
    spare: 0,
    free: [0; CLASSES],
}));

struct Heap(UnsafeCell<State>);

struct State {
    /// Where fresh memory comes from; all zero before the first allocation.
    region: Region,
    /// Where it comes from afterwards: the first `left`, from the last to the first. Only the very last can grow.
    others: [Region; 2],
    left: usize,
    /// Whether the serving image is made. Until then freed memory is wiped, so that what boot, parsing and evaluation left
    /// behind is zero and takes no place in it. A request's fork has no image to keep small.
    settled: bool,
    /// Blocks like [`FRAMES`] that are in use.
    evaluators: usize,
    /// The address of the one that was handed out last.
    frames: usize,
    /// The address of one for the next evaluator, or 0. It may have exactly as many bytes as that asks for, so it is none
    /// of its class.
    spare: usize,
    /// For each class the address of a free block, whose first word is the address of the next one.
    free: [usize; CLASSES],
}

/// Memory that was never handed out.
#[derive(Clone, Copy)]
struct Region {
    next: usize,
    /// The first address past it.
    end: usize,
}

const NO_REGION: Region = Region { next: 0, end: 0 };

// SAFETY: a guest has one thread.
unsafe impl Sync for Heap {}

/// Readies the heap for requests, in a fork that will not resume the frames it was forked from: takes back the memory
/// of their evaluator, gives up every other hole, and makes sure that a request finds `bytes` and room for an evaluator.
/// From here on freed memory is left as it is.
pub(crate) fn settle(bytes: usize) {
    // SAFETY: one thread, and no reference to the state outlives a call.
    let state = unsafe { &mut *HEAP.0.get() };
    state.free = [0; CLASSES];
    state.settled = true;
    // The evaluator of the frames has its block. If there is but one such block, that is the one.
    let (frames, found) = (class(FRAMES.size()).1, state.evaluators == 1);
    // Without room now there is less later: the request that needs it grows the memory or hits its limit.
    let _ = state.ensure(if found { bytes } else { bytes + frames });
    if found {
        state.divide(state.frames, frames);
    }
}

// SAFETY: blocks come from memory past `__heap_base`, which nothing else uses: either never handed out before, or freed
// and of a class at least as large. They are aligned to GRAIN, or more where that was asked for. No call unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread; the reference ends with the call.
        let state = unsafe { &mut *self.0.get() };
        if layout.align() > GRAIN {
            return state.fresh(layout.size(), layout.align());
        }
        if layout == FRAMES {
            return state.evaluator();
        }
        let (class, size) = class(layout.size());
        match state.free.get_mut(class) {
            Some(head) if *head != 0 => {
                let block = ptr::with_exposed_provenance_mut::<usize>(*head);
                // SAFETY: a block on a free list was handed out by `fresh` and freed; its first word is the link.
                *head = unsafe { block.read() };
                block.cast()
            }
            _ => state.fresh(size, GRAIN),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        let state = unsafe { &mut *self.0.get() };
        if layout.align() > GRAIN {
            // Rare, and not worth a list of its own.
            return;
        }
        let (class, size) = class(layout.size());
        let address = block.expose_provenance();
        if !state.settled {
            // SAFETY: the block is the caller's to give back, with all of its class's size.
            unsafe { block.write_bytes(0, size) };
        }
        if layout == FRAMES {
            // A second one is seldom needed, and not worth a list.
            (state.evaluators, state.spare) = (state.evaluators.saturating_sub(1), address);
        } else if address + size == state.region.next {
            state.region.next = address;
        } else if let Some(head) = state.free.get_mut(class) {
            // SAFETY: the block is the caller's to give back, and at least GRAIN bytes long.
            unsafe { block.cast::<usize>().write(*head) };
            *head = address;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= GRAIN && layout != FRAMES {
            let (old, new) = (class(layout.size()).1, class(new_size).1);
            if old == new {
                return block;
            }
            // SAFETY: as above.
            let state = unsafe { &mut *self.0.get() };
            let address = block.expose_provenance();
            if address + old == state.region.next && (new <= old || state.ensure(new - old)) {
                state.region.next = address + new;
                return block;
            }
        }
        // SAFETY: the caller's contract; the new layout has the old alignment and a size that is not 0.
        unsafe {
            let target = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !target.is_null() {
                ptr::copy_nonoverlapping(block, target, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            target
        }
    }
}

impl State {
    /// Memory that was never handed out; null when there is none left. Never inlined: it would be at every place that
    /// allocates.
    #[inline(never)]
    fn fresh(&mut self, size: usize, align: usize) -> *mut u8 {
        self.start();
        loop {
            let begin = self.region.next.next_multiple_of(align);
            let Some(needed) = size.checked_add(begin - self.region.next) else { return ptr::null_mut() };
            if self.ensure(needed) {
                self.region.next += needed;
                return ptr::with_exposed_provenance_mut(begin);
            }
            // What is left of the region is given up.
            let Some(left) = self.left.checked_sub(1) else { return ptr::null_mut() };
            self.left = left;
            self.region = self.others.get(left).copied().unwrap_or(NO_REGION);
        }
    }

    /// A block for the frames of an evaluator.
    #[cold]
    fn evaluator(&mut self) -> *mut u8 {
        let spare = mem::replace(&mut self.spare, 0);
        let block = match spare {
            0 => self.fresh(class(FRAMES.size()).1, GRAIN),
            spare => ptr::with_exposed_provenance_mut(spare),
        };
        (self.evaluators, self.frames) = (self.evaluators + 1, block.expose_provenance());
        block
    }

    /// Makes of a block that nothing reads any more what a request needs: its first blocks, an evaluator's frames from
    /// the same page on, and what is left; after that comes the rest of the memory.
    fn divide(&mut self, block: usize, size: usize) {
        // SAFETY: the block was handed out with that size, and nothing in this instance ever reads it again.
        unsafe { ptr::with_exposed_provenance_mut::<u8>(block).write_bytes(0, size) };
        let begin = block.next_multiple_of(HOST_PAGE);
        let first = Region { next: begin, end: begin + FIRST };
        let more = Region { next: first.end + FRAMES.size(), end: block + size };
        self.others = [self.region, more];
        (self.region, self.left, self.spare, self.evaluators) = (first, 2, first.end, 0);
    }

    /// Whether the region has `bytes` more. The last one grows for that.
    fn ensure(&mut self, bytes: usize) -> bool {
        self.start();
        let missing = bytes.saturating_sub(self.region.end - self.region.next);
        missing == 0 || (self.left == 0 && self.grow(missing))
    }

    /// Grows the memory.
    #[cold]
    fn grow(&mut self, missing: usize) -> bool {
        // A little more than asked for, as each growth is a call to the host.
        let pages = missing.div_ceil(WASM_PAGE).max(4);
        if core::arch::wasm32::memory_grow(0, pages) == usize::MAX
            && core::arch::wasm32::memory_grow(0, missing.div_ceil(WASM_PAGE)) == usize::MAX
        {
            return false;
        }
        self.region.end = core::arch::wasm32::memory_size(0) * WASM_PAGE;
        true
    }

    fn start(&mut self) {
        unsafe extern "C" {
            /// Defined by the linker: the first address that no static uses. Its address is the value.
            static __heap_base: u8;
        }
        if self.region.next == 0 {
            let next = (&raw const __heap_base).expose_provenance().next_multiple_of(GRAIN);
            self.region = Region { next, end: core::arch::wasm32::memory_size(0) * WASM_PAGE };
        }
    }
}

// What a block of the class of `FRAMES` is divided into fits into it, wherever it begins.
const _: () = assert!(HOST_PAGE + FIRST + FRAMES.size() <= class(FRAMES.size()).1);
const _: () = assert!(FIRST.is_multiple_of(GRAIN) && FRAMES.size().is_multiple_of(GRAIN));

/// The class of a size, and the size of its blocks.
const fn class(size: usize) -> (usize, usize) {
    if size <= SMALL {
        let class = if size == 0 { 1 } else { size.div_ceil(GRAIN) };
        return (class, class * GRAIN);
    }
    let doubling = (size - 1).ilog2() as usize;
    let step = (1 << doubling) / STEPS;
    let steps = (size - (1 << doubling)).div_ceil(step);
    let class = SMALL / GRAIN + (doubling - SMALL.ilog2() as usize) * STEPS + steps;
    (class, (1_usize << doubling).saturating_add(steps * step))
}
