//! What the allocator keeps: where fresh memory comes from, and which blocks are free.

#![expect(unsafe_code, reason = "an allocator makes blocks of addresses; see the argument at each block")]

use std::alloc::Layout;
use std::{mem, ptr};

use crate::class::{CLASSES, GRAIN, class};
use crate::memory::{Memory, WASM_PAGE};

/// Bytes that the host copies back where one of them was written.
pub const HOST_PAGE: usize = 4096;

/// The layout of starlark's `Alloca`, which an evaluator allocates for its frames and hardly anything else does.
pub const FRAMES: Layout = match Layout::from_size_align(1_000_000, 8) {
    Ok(layout) => layout,
    Err(_) => panic!("a valid layout"),
};

/// Bytes for the first blocks of a request. Most requests need less, and the evaluator's first frames share the last of
/// these pages.
const FIRST: usize = 2 * HOST_PAGE - 256;

/// Fewest pages by which a memory grows: each growth is a call to the host.
const LEAST_GROWTH: usize = 4;

/// Memory that was never handed out.
#[derive(Clone, Copy)]
struct Region {
    next: usize,
    /// The first address past it.
    end: usize,
}

const NO_REGION: Region = Region { next: 0, end: 0 };

/// The allocator without its memory.
pub(crate) struct State {
    /// Where fresh memory comes from; all zero before the first allocation.
    region: Region,
    /// Where fresh memory comes from when the region is used up: the first `left` of these, from the last to the first.
    /// Only the very last region can grow.
    others: [Region; 2],
    left: usize,
    /// Whether the serving image is made. Until then freed memory is wiped, so that what boot, parsing and evaluation
    /// left behind is zero and takes no place in the image. The fork of a request has no image to keep small.
    settled: bool,
    /// Number of blocks like [`FRAMES`] that are in use.
    evaluators: usize,
    /// The address of the block like [`FRAMES`] that was handed out last.
    frames: usize,
    /// The address of a block kept for the next evaluator's frames, or 0. Its size is exact, so it is on no list of a
    /// class.
    spare: usize,
    /// For each class the address of a free block, whose first word is the address of the next one.
    free: [usize; CLASSES],
}

impl State {
    /// Nothing is handed out, and all of it is zero.
    pub(crate) const NEW: Self = Self {
        region: NO_REGION,
        others: [NO_REGION; 2],
        left: 0,
        settled: false,
        evaluators: 0,
        frames: 0,
        spare: 0,
        free: [0; CLASSES],
    };

    /// See [`crate::Heap::settle`], whose contract this has.
    pub(crate) unsafe fn settle(&mut self, memory: &impl Memory, bytes: usize) {
        self.free = [0; CLASSES];
        self.settled = true;
        // The evaluator of the suspended frames has its block. If there is but one such block, that is the one.
        let (frames, found) = (class(FRAMES.size()).1, self.evaluators == 1);
        // Without room now there is less later: the request that needs it grows the memory or hits its limit.
        let _ = self.ensure(memory, if found { bytes } else { bytes + frames });
        if found {
            // SAFETY: the block was handed out for an evaluator last. It is the one that is in use, which the caller gives
            // up, or it was given back, and then only `spare` may name it, which is replaced.
            unsafe { self.divide(self.frames, frames) };
        }
    }

    /// A block for the layout, or null.
    pub(crate) fn alloc(&mut self, memory: &impl Memory, layout: Layout) -> *mut u8 {
        if layout.align() > GRAIN {
            return self.fresh(memory, layout.size(), layout.align());
        }
        if layout == FRAMES {
            return self.evaluator(memory);
        }
        let (class, size) = class(layout.size());
        match self.free.get_mut(class) {
            Some(head) if *head != 0 => {
                let block = ptr::with_exposed_provenance_mut::<usize>(*head);
                // SAFETY: a block on a free list was handed out by `fresh` and freed; its first word is the link.
                *head = unsafe { block.read() };
                block.cast()
            }
            _ => self.fresh(memory, size, GRAIN),
        }
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// This heap handed the block out for the layout, and the caller gives it up.
    pub(crate) unsafe fn dealloc(&mut self, block: *mut u8, layout: Layout) {
        if layout.align() > GRAIN {
            // Such blocks are rare, and not worth a list of their own.
            return;
        }
        let (class, size) = class(layout.size());
        let address = block.expose_provenance();
        if !self.settled {
            // Only `divide` makes a block that is shorter than its class, and that is after settling.
            // SAFETY: the block is the caller's to give back, with all of its class's size.
            unsafe { block.write_bytes(0, size) };
        }
        if layout == FRAMES {
            // A second one is seldom needed, and not worth a list.
            (self.evaluators, self.spare) = (self.evaluators.saturating_sub(1), address);
        } else if address + size == self.region.next {
            self.region.next = address;
        } else if let Some(head) = self.free.get_mut(class) {
            // SAFETY: the block is the caller's to give back, and at least GRAIN bytes long.
            unsafe { block.cast::<usize>().write(*head) };
            *head = address;
        }
    }

    /// The block with another size: the same block, or another one with its content, or null, and then the block is as
    /// it was.
    ///
    /// # Safety
    /// This heap handed the block out for the layout, and the caller gives it up unless the result is null. The new
    /// size is not 0, and valid with the layout's alignment.
    pub(crate) unsafe fn realloc(
        &mut self,
        memory: &impl Memory,
        block: *mut u8,
        layout: Layout,
        new_size: usize,
    ) -> *mut u8 {
        // SAFETY: the caller's contract.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if layout.align() <= GRAIN && layout != FRAMES && new_layout != FRAMES {
            let (old, new) = (class(layout.size()).1, class(new_size).1);
            if old == new {
                return block;
            }
            let address = block.expose_provenance();
            if address + old == self.region.next && (new <= old || self.ensure(memory, new - old)) {
                self.region.next = address + new;
                return block;
            }
        }
        let target = self.alloc(memory, new_layout);
        if !target.is_null() {
            // SAFETY: both blocks hold as many bytes, and `target` is another one: the caller still has `block`.
            unsafe { ptr::copy_nonoverlapping(block, target, layout.size().min(new_size)) };
            // SAFETY: the caller's contract.
            unsafe { self.dealloc(block, layout) };
        }
        target
    }

    /// Memory that was never handed out; null when there is none left. Never inlined: the code would stand at every
    /// place that allocates.
    #[inline(never)]
    fn fresh(&mut self, memory: &impl Memory, size: usize, align: usize) -> *mut u8 {
        self.start(memory);
        loop {
            let needed = self
                .region
                .next
                .checked_next_multiple_of(align)
                .and_then(|begin| Some((begin, size.checked_add(begin - self.region.next)?)));
            let Some((begin, needed)) = needed else { return ptr::null_mut() };
            if self.ensure(memory, needed) {
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
    fn evaluator(&mut self, memory: &impl Memory) -> *mut u8 {
        let spare = mem::replace(&mut self.spare, 0);
        let block = match spare {
            0 => self.fresh(memory, class(FRAMES.size()).1, GRAIN),
            spare => ptr::with_exposed_provenance_mut(spare),
        };
        if !block.is_null() {
            (self.evaluators, self.frames) = (self.evaluators + 1, block.expose_provenance());
        }
        block
    }

    /// Divides a block into what a request needs: its first blocks, an evaluator's frames from the same page on, and
    /// the rest of the block. Behind these comes the memory that was never handed out.
    ///
    /// # Safety
    /// The block was handed out with that size, and nobody uses it any more.
    unsafe fn divide(&mut self, block: usize, size: usize) {
        // SAFETY: the caller's contract.
        unsafe { ptr::with_exposed_provenance_mut::<u8>(block).write_bytes(0, size) };
        let begin = block.next_multiple_of(HOST_PAGE);
        let first = Region { next: begin, end: begin + FIRST };
        let more = Region { next: first.end + FRAMES.size(), end: block + size };
        self.others = [self.region, more];
        (self.region, self.left, self.spare, self.evaluators) = (first, 2, first.end, 0);
    }

    /// Whether the region has `bytes` more. The last region grows for that.
    fn ensure(&mut self, memory: &impl Memory, bytes: usize) -> bool {
        self.start(memory);
        let missing = bytes.saturating_sub(self.region.end - self.region.next);
        missing == 0 || (self.left == 0 && self.grow(memory, missing))
    }

    /// Grows the memory, by a little more than is missing if that can be had.
    #[cold]
    fn grow(&mut self, memory: &impl Memory, missing: usize) -> bool {
        let pages = missing.div_ceil(WASM_PAGE);
        let grown = memory.grow(pages.max(LEAST_GROWTH)) || memory.grow(pages);
        if grown {
            self.region.end = memory.end();
        }
        grown
    }

    fn start(&mut self, memory: &impl Memory) {
        if self.region.next == 0 {
            self.region = Region { next: memory.base().next_multiple_of(GRAIN), end: memory.end() };
        }
    }
}

// What a block of the class of `FRAMES` is divided into fits into it, wherever it begins.
const _: () = assert!(HOST_PAGE + FIRST + FRAMES.size() <= class(FRAMES.size()).1);
const _: () = assert!(FIRST.is_multiple_of(GRAIN) && FRAMES.size().is_multiple_of(GRAIN));
