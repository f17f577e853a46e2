//! The guest's allocator: built for memories that are copied, and put back to an image afterwards.
//!
//! **The decision.** A request costs, more than anything, the pages it writes: each page is copied when it is first
//! written, and copied back when the request is over. So fresh memory is handed out from one end, in order, and a freed
//! block is the next of its size to be used again. Nothing is merged or sorted, and a freed block holds no bookkeeping
//! but the link to the next one. The memory that a request will need is grown before the image is made, because
//! growing is a call to the host.
//!
//! **Settling.** Small blocks that lie apart cost a page each. So before the serving image is made, [`Heap::settle`]
//! gives up the holes that boot and setup left, and takes the block of the suspended frames' evaluator: there a
//! request finds all it needs in one place, its first blocks, then its own evaluator, then more blocks.
//!
//! **What it refuses.** It never gives memory back to anybody and never merges blocks, so a program that runs for long
//! would waste memory. A guest runs for one setup or one request.
//!
//! **Its state** is part of the memory like everything else: whoever puts the memory back puts the allocator back. The
//! tests keep a [`Heap`] inside of the very memory it hands out for that reason.

mod class;
#[cfg(target_arch = "wasm32")]
mod linear;
mod memory;
mod state;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::fmt;

#[cfg(target_arch = "wasm32")]
pub use linear::Linear;
pub use memory::{Memory, WASM_PAGE};
pub use state::{FRAMES, HOST_PAGE};

use state::State;

/// An allocator over one [`Memory`].
pub struct Heap<M> {
    memory: M,
    state: UnsafeCell<State>,
}

impl<M: Memory> Heap<M> {
    /// An allocator that has handed out nothing. All of its state is zero, so that a static one lies with the other
    /// statics that start as zero and that a request writes.
    #[must_use]
    pub const fn new(memory: M) -> Self {
        Self { memory, state: UnsafeCell::new(State::NEW) }
    }

    /// The memory that this heap hands out.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// Readies the heap for requests: gives up every hole, makes sure that a request finds `bytes` and room for one
    /// evaluator, and takes the block of a suspended evaluator for that if exactly one block like [`FRAMES`] is in use.
    /// From here on freed memory is not wiped.
    ///
    /// # Safety
    /// If one block like [`FRAMES`] is in use, nobody may read, write or free that block after this call.
    #[expect(unsafe_code, reason = "the caller gives up a block that is in use")]
    pub unsafe fn settle(&self, bytes: usize) {
        // SAFETY: one thread (see `Sync` below), and no reference to the state outlives a call. The rest is the
        // caller's contract.
        unsafe { (*self.state.get()).settle(&self.memory, bytes) };
    }
}

impl<M> fmt::Debug for Heap<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap").finish_non_exhaustive()
    }
}

// SAFETY: a `Memory` promises that one thread uses the heap over it.
#[expect(unsafe_code, reason = "a global allocator is a static, and statics are Sync")]
unsafe impl<M: Memory> Sync for Heap<M> {}

// SAFETY: blocks come from the memory alone, which nobody else uses: a block was either never handed out before, or was
// freed and is of a class at least as large. Blocks are aligned to 16 bytes, or more where more was asked for. No call
// unwinds. References to the state end with the call that made them, and one thread makes all calls.
#[expect(unsafe_code, reason = "a global allocator; the argument stands above")]
unsafe impl<M: Memory> GlobalAlloc for Heap<M> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        unsafe { (*self.state.get()).alloc(&self.memory, layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: see above; the block is the caller's to give back.
        unsafe { (*self.state.get()).dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: see above; the block is the caller's to give back.
        unsafe { (*self.state.get()).realloc(&self.memory, block, layout, new_size) }
    }
}
