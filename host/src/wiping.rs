//! Memory of the host is wiped when it is given back, and large blocks go back to the kernel at once.
//!
//! What the host copies of a request (head, body, response, arguments of calls) is dropped with it, but an allocator keeps
//! the bytes where they were until somebody writes over them. Anything that reads memory later, a core dump, a swap file,
//! a bug that sends too much, would find the data of other tenants. Wiping every block as it is freed leaves nothing to be
//! found, whichever library held it, at the cost of writing each block once more while it is in the cache.
//!
//! A block of [`OWN_PAGES`] or more has pages of its own, which the kernel takes back and wipes itself. An allocator would
//! keep such a block for later, or could not give it back because something small lies behind it, so that the process
//! holds what no budget counts any more; and a block that grows moves without being copied.
//!
//! Not wiped here: memories of guests, which are put back to their image or unmapped, and buffers of the kernel.

#![expect(unsafe_code, reason = "an allocator is an unsafe trait; see the argument at each block")]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;

// Linked for the option that is set below.
use mimalloc as _;
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

/// Bytes from which a block has pages of its own. Taking and returning pages costs some 0.2 us for each 4 KiB, which is
/// little beside what is done with so many bytes; below this size an allocator's cache is worth more.
const OWN_PAGES: usize = 512 << 10;

/// The smallest page: what a block with pages of its own is aligned to.
const PAGE: usize = 4096;

/// An allocator that wipes what is given back to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wiping<A>(pub A);

// SAFETY: every block comes from the inner allocator and goes back to it under the layout that it was asked for with, so
// what the inner allocator promises of its blocks holds. Wiping writes only the bytes of a block that its owner gives up.
// A block with pages of its own is a mapping that nothing else knows of: its layout tells it from the others both times.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if has_own_pages(layout) {
            return pages(layout.size());
        }
        // SAFETY: the caller keeps the contract of `alloc`, which is the inner one's.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if has_own_pages(layout) {
            return pages(layout.size());
        }
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the inner one's.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if has_own_pages(layout) {
            // SAFETY: the block is a mapping of this size, and its owner gives it up. It fails for no mapping that there is.
            let _ = unsafe { munmap(block.cast(), layout.size()) };
            return;
        }
        // SAFETY: the caller gives up a block of this layout, so its bytes are ours to write, and it goes back once. The
        // inner allocator is a foreign function to the compiler, which therefore cannot leave the writing out.
        unsafe {
            ptr::write_bytes(block, 0, layout.size());
            self.0.dealloc(block, layout);
        }
    }

    /// Moves every block but those with pages of their own: one that grew or shrank in place of another allocator could
    /// leave its old bytes behind.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, does not overflow `isize`. The new
        // block has room for the bytes that are copied, no block overlaps another, and the old one is given up after.
        unsafe {
            let new_layout = Layout::from_size_align_unchecked(new_size, layout.align());
            if has_own_pages(layout) && has_own_pages(new_layout) {
                let moved = mremap(block.cast(), layout.size(), new_size, MremapFlags::MAYMOVE);
                return moved.map_or(ptr::null_mut(), <*mut _>::cast);
            }
            let new_block = self.alloc(new_layout);
            if !new_block.is_null() {
                ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            new_block
        }
    }
}

const fn has_own_pages(layout: Layout) -> bool {
    layout.size() >= OWN_PAGES && layout.align() <= PAGE
}

/// New pages, which are zero; null when there are none, as the contract of an allocator has it.
fn pages(size: usize) -> *mut u8 {
    // SAFETY: the kernel chooses the place, so nothing that is there is replaced.
    let mapped =
        unsafe { mmap_anonymous(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
    mapped.map_or(ptr::null_mut(), <*mut _>::cast)
}

/// Has the allocator give memory back to the system as soon as a page of it is free, and the kernel hand out small pages
/// alone.
///
/// What is given back counts no longer as held, so it must not stay with the process either: mimalloc keeps free pages for a
/// second otherwise. And a page of 2 MiB, which the kernel makes of a heap where it can, is held as a whole for a few bytes of
/// it. Both made the process hold twice what it had counted.
pub fn hold_no_more_than_is_used() {
    // SAFETY: sets a number that the allocator reads when it frees a page. Neither pointers nor blocks are involved, and the
    // option is one that the linked version has: the name and the number are those of its header.
    unsafe { mi_option_set(PURGE_DELAY, 0) };
    // SAFETY: the call takes numbers and changes how the kernel maps pages that are touched later. A kernel without large
    // pages refuses it, and has nothing to turn off.
    let _ = unsafe { prctl(PR_SET_THP_DISABLE, 1_u64, 0_u64, 0_u64, 0_u64) };
}

/// `mi_option_purge_delay` of mimalloc 3: milliseconds that free pages stay with the process.
const PURGE_DELAY: i32 = 15;

/// Has all memory of this process in small pages: `linux/prctl.h`.
const PR_SET_THP_DISABLE: i32 = 41;

unsafe extern "C" {
    fn prctl(option: i32, ...) -> i32;
    fn mi_option_set(option: i32, value: std::ffi::c_long);
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

    #[test]
    fn a_large_block_keeps_its_bytes_and_asks_no_allocator() {
        let allocator = Wiping(Looking::default());
        let large = Layout::from_size_align(OWN_PAGES + 5, 16).unwrap();
        let (grown, small) = (4 * OWN_PAGES + 1, 1000);
        // SAFETY: as above.
        unsafe {
            let block = allocator.alloc_zeroed(large);
            assert!(std::slice::from_raw_parts(block, large.size()).iter().all(|byte| *byte == 0));
            ptr::write_bytes(block, 0xa5, large.size());
            let block = allocator.realloc(block, large, grown);
            assert!(std::slice::from_raw_parts(block, large.size()).iter().all(|byte| *byte == 0xa5));
            assert!(std::slice::from_raw_parts(block.add(grown - PAGE), PAGE).iter().all(|byte| *byte == 0));
            let block = allocator.realloc(block, Layout::from_size_align(grown, 16).unwrap(), small);
            assert!(std::slice::from_raw_parts(block, small).iter().all(|byte| *byte == 0xa5));
            let block = allocator.realloc(block, Layout::from_size_align(small, 16).unwrap(), OWN_PAGES);
            assert!(std::slice::from_raw_parts(block, small).iter().all(|byte| *byte == 0xa5));
            allocator.dealloc(block, Layout::from_size_align(OWN_PAGES, 16).unwrap());
        }
        // Only the small one went through the inner allocator.
        let Looking { wiped, dirty } = &allocator.0;
        assert_eq!((wiped.load(Ordering::Relaxed), dirty.load(Ordering::Relaxed)), (1, 0));
    }

    #[test]
    fn an_alignment_above_a_page_is_the_inner_allocators() {
        let allocator = Wiping(Looking::default());
        let layout = Layout::from_size_align(OWN_PAGES, 64 << 10).unwrap();
        // SAFETY: the block is written within its size, and given up once.
        unsafe {
            let block = allocator.alloc(layout);
            assert_eq!(block.addr() % (64 << 10), 0);
            ptr::write_bytes(block, 1, OWN_PAGES);
            allocator.dealloc(block, layout);
        }
        assert_eq!(allocator.0.wiped.load(Ordering::Relaxed), 1);
    }
}
