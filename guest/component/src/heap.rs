//! The guest's allocator: built for memories that are copied and thrown away.
//!
//! What a request costs is, more than anything, the pages it writes: each is copied when it is first written and copied
//! back when the fork is dropped. So fresh memory is handed out from one end, in order, and a freed block is the next of
//! its size to be used again; nothing is merged, sorted or written for bookkeeping but the link in a freed block. The
//! memory a request will need is grown before the image is made, since growing is a system call on the host.
//!
//! Finding the written pages takes the host time that is linear in the memory's size, and a page each for small blocks
//! that lie apart. So what only the suspended frames still use is taken back before the serving image is made, and the
//! holes that boot and setup left are given up: a request writes to one place.

#![expect(unsafe_code, reason = "a global allocator; see the argument at each block")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr;

/// Smallest block and its alignment, which is that of the widest type Rust allocates by default on wasm.
const GRAIN: usize = 16;

/// Largest size with classes one grain apart.
const SMALL: usize = 1024;

/// Above that, classes for each doubling: a block is at most an eighth larger than asked for.
const STEPS: usize = 8;

/// Classes: 64 small ones, then eight for each doubling up to 4 GiB.
const CLASSES: usize = SMALL / GRAIN + STEPS * 22 + 1;

const WASM_PAGE: usize = 65536;

/// What an evaluator of starlark allocates for its frames, and nothing else does: its `Alloca`.
const FRAMES: Layout = match Layout::from_size_align(1_000_000, 8) {
    Ok(layout) => layout,
    Err(_) => panic!("a valid layout"),
};

/// The allocator.
#[global_allocator]
static HEAP: Heap =
    Heap(UnsafeCell::new(State { next: 0, end: 0, wipes: true, evaluators: 0, frames: 0, free: [0; CLASSES] }));

struct Heap(UnsafeCell<State>);

struct State {
    /// First address that was never handed out; 0 before the first allocation.
    next: usize,
    /// First address past the memory.
    end: usize,
    /// Whether freed memory is wiped: until the serving image is made, so that what boot, parsing and evaluation left
    /// behind is zero and takes no place in it. A request's fork has no image to keep small.
    wipes: bool,
    /// Blocks like [`FRAMES`] that are in use.
    evaluators: usize,
    /// The address of the one that was handed out last.
    frames: usize,
    /// For each class the address of a free block, whose first word is the address of the next one.
    free: [usize; CLASSES],
}

// SAFETY: a guest has one thread.
unsafe impl Sync for Heap {}

/// Readies the heap for requests, in a fork that will not resume the frames it was forked from: takes back the memory
/// of their evaluator, gives up every other hole, and makes sure that a request finds `bytes` and room for an evaluator.
/// From here on freed memory is left as it is.
pub(crate) fn settle(bytes: usize) {
    // SAFETY: one thread, and no reference to the state outlives a call.
    let state = unsafe { &mut *HEAP.0.get() };
    state.free = [0; CLASSES];
    let (class, size) = class(FRAMES.size());
    // The evaluator of the frames has its block. If there is but one such block, that is the one.
    if state.evaluators == 1
        && let Some(head) = state.free.get_mut(class)
    {
        let block = ptr::with_exposed_provenance_mut::<u8>(state.frames);
        // SAFETY: nothing in this instance ever reads the block again; it is as long as its class says, and zero is
        // how a list ends.
        unsafe { block.write_bytes(0, size) };
        *head = state.frames;
        state.evaluators = 0;
    }
    state.wipes = false;
    let room = if state.free.get(class).is_some_and(|head| *head != 0) { bytes } else { bytes + size };
    // Without room now there is less later: the request that needs it grows the memory or hits its limit.
    let _ = state.ensure(room);
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
        let (class, size) = class(layout.size());
        let block = match state.free.get_mut(class) {
            Some(head) if *head != 0 => {
                let block = ptr::with_exposed_provenance_mut::<usize>(*head);
                // SAFETY: a block on a free list was handed out by `fresh` and freed; its first word is the link.
                *head = unsafe { block.read() };
                block.cast()
            }
            _ => state.fresh(size, GRAIN),
        };
        if layout == FRAMES {
            (state.evaluators, state.frames) = (state.evaluators + 1, block.expose_provenance());
        }
        block
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
        if layout == FRAMES {
            state.evaluators = state.evaluators.saturating_sub(1);
        }
        if state.wipes {
            // SAFETY: the block is the caller's to give back, with all of its class's size.
            unsafe { block.write_bytes(0, size) };
        }
        if address + size == state.next {
            state.next = address;
        } else if let Some(head) = state.free.get_mut(class) {
            // SAFETY: the block is the caller's to give back, and at least GRAIN bytes long.
            unsafe { block.cast::<usize>().write(*head) };
            *head = address;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if layout.align() <= GRAIN {
            let (old, new) = (class(layout.size()).1, class(new_size).1);
            if old == new {
                return block;
            }
            // SAFETY: as above.
            let state = unsafe { &mut *self.0.get() };
            let address = block.expose_provenance();
            if address + old == state.next && (new <= old || state.ensure(new - old)) {
                state.next = address + new;
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
    /// Memory that was never handed out; null when there is none left.
    fn fresh(&mut self, size: usize, align: usize) -> *mut u8 {
        self.start();
        let begin = self.next.next_multiple_of(align);
        let Some(needed) = size.checked_add(begin - self.next) else { return ptr::null_mut() };
        if !self.ensure(needed) {
            return ptr::null_mut();
        }
        self.next += needed;
        ptr::with_exposed_provenance_mut(begin)
    }

    /// Makes the memory large enough for `bytes` more.
    fn ensure(&mut self, bytes: usize) -> bool {
        self.start();
        let missing = bytes.saturating_sub(self.end - self.next);
        if missing == 0 {
            return true;
        }
        // A little more than asked for, as each growth is a call to the host.
        let pages = missing.div_ceil(WASM_PAGE).max(4);
        if core::arch::wasm32::memory_grow(0, pages) == usize::MAX
            && core::arch::wasm32::memory_grow(0, missing.div_ceil(WASM_PAGE)) == usize::MAX
        {
            return false;
        }
        self.end = core::arch::wasm32::memory_size(0) * WASM_PAGE;
        true
    }

    fn start(&mut self) {
        unsafe extern "C" {
            /// Defined by the linker: the first address that no static uses. Its address is the value.
            static __heap_base: u8;
        }
        if self.next == 0 {
            self.next = (&raw const __heap_base).expose_provenance().next_multiple_of(GRAIN);
            self.end = core::arch::wasm32::memory_size(0) * WASM_PAGE;
        }
    }
}

/// The class of a size, and the size of its blocks.
fn class(size: usize) -> (usize, usize) {
    if size <= SMALL {
        let class = size.max(1).div_ceil(GRAIN);
        return (class, class * GRAIN);
    }
    let doubling = (size - 1).ilog2() as usize;
    let step = (1 << doubling) / STEPS;
    let steps = (size - (1 << doubling)).div_ceil(step);
    let class = SMALL / GRAIN + (doubling - SMALL.ilog2() as usize) * STEPS + steps;
    (class, (1_usize << doubling).saturating_add(steps * step))
}
