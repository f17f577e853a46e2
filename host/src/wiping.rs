//! Memory of the host is wiped when it is given back.
//!
//! What the host copies of a request (head, body, response, arguments of calls) is dropped with it, but an allocator keeps
//! the bytes where they were until somebody writes over them. Anything that reads memory later, a core dump, a swap file,
//! a bug that sends too much, would find the data of other tenants. Wiping every block as it is freed leaves nothing to be
//! found, whichever library held it, at the cost of writing each block once more while it is in the cache.
//!
//! Not wiped here: memories of guests, which are put back to their image or unmapped, and buffers of the kernel.

#![expect(unsafe_code, reason = "an allocator is an unsafe trait; see the argument at each block")]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;

/// An allocator that wipes what is given back to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wiping<A>(pub A);

// SAFETY: every block comes from the inner allocator and goes back to it under the layout that it was asked for with, so
// what the inner allocator promises of its blocks holds. Wiping writes only the bytes of a block that its owner gives up.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the inner one's.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the inner one's.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller gives up a block of this layout, so its bytes are ours to write, and it goes back once. The
        // inner allocator is a foreign function to the compiler, which therefore cannot leave the writing out.
        unsafe {
            ptr::write_bytes(block, 0, layout.size());
            self.0.dealloc(block, layout);
        }
    }

    /// Moves every block: one that grew or shrank in place of another allocator could leave its old bytes behind.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, does not overflow `isize`. The new
        // block has room for the bytes that are copied, no block overlaps another, and the old one is given up after.
        unsafe {
            let new_layout = Layout::from_size_align_unchecked(new_size, layout.align());
            let new_block = self.alloc(new_layout);
            if !new_block.is_null() {
                ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new_block
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::alloc::System;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Looks at each block that comes back to it.
    #[derive(Default)]
    struct Looking {
        wiped: AtomicUsize,
        dirty: AtomicUsize,
    }

    // SAFETY: all is the system's.
    unsafe impl GlobalAlloc for Looking {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: the caller's contract is the system's.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the block was written whole before it came here, and is given up.
            unsafe {
                let bytes = std::slice::from_raw_parts(block, layout.size());
                let count = if bytes.iter().all(|byte| *byte == 0) { &self.wiped } else { &self.dirty };
                count.fetch_add(1, Ordering::Relaxed);
                System.dealloc(block, layout);
            }
        }
    }

    #[test]
    fn a_block_comes_back_wiped_however_it_is_given_up() {
        let allocator = Wiping(Looking::default());
        let layout = Layout::from_size_align(300, 16).unwrap();
        // SAFETY: each block is written within its size, and given up once under its layout.
        unsafe {
            let block = allocator.alloc(layout);
            ptr::write_bytes(block, 0xa5, 300);
            let grown = allocator.realloc(block, layout, 5000);
            assert!(std::slice::from_raw_parts(grown, 300).iter().all(|byte| *byte == 0xa5), "it keeps its bytes");
            ptr::write_bytes(grown, 0x5a, 5000);
            let large = Layout::from_size_align(5000, 16).unwrap();
            let shrunk = allocator.realloc(grown, large, 10);
            assert!(std::slice::from_raw_parts(shrunk, 10).iter().all(|byte| *byte == 0x5a));
            assert_eq!(shrunk.addr() % 16, 0);
            allocator.dealloc(shrunk, Layout::from_size_align(10, 16).unwrap());
        }
        let Looking { wiped, dirty } = &allocator.0;
        assert_eq!((wiped.load(Ordering::Relaxed), dirty.load(Ordering::Relaxed)), (3, 0));
    }
}
