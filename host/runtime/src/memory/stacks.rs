//! Native stacks for guests, used again.
//!
//! A stack costs two system calls and the pages that it touches. Those that are given back wait for the next guest, of any
//! app: wasm cannot read a native stack, and compiled code writes each of its stack slots before it reads it. A stack of
//! which a recursion has touched much goes back to the system, or one script could have the host keep megabytes in each.

#![expect(unsafe_code, reason = "see the argument at each block")]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;
use wasmtime::{StackCreator, StackMemory};

/// Stacks that wait at most: as many as guests run at a time on a busy machine. One holds some dozen KiB.
const MAX_WAITING: usize = 64;

/// Bytes of a stack that waits, at most: 200 nested calls take 180 KiB.
const KEPT_BYTES: usize = 256 << 10;

/// Makes stacks, and keeps those that come back.
#[derive(Debug, Default)]
pub(crate) struct Stacks {
    waiting: Arc<Mutex<Vec<Mapped>>>,
}

// SAFETY: each stack is a mapping of its own with an inaccessible page below it, zero when it is new, and nobody else's
// until it is dropped.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        if zeroed {
            return Err(wasmtime::Error::msg("stacks that are cleared were not asked for"));
        }
        let size = size.next_multiple_of(page_size());
        let waiting = self.waiting.lock().pop();
        let mapped = match waiting.filter(|stack| stack.size == size) {
            Some(stack) => stack,
            None => Mapped::new(size)?,
        };
        Ok(Box::new(Stack { mapped: Some(mapped), home: Arc::clone(&self.waiting) }))
    }
}

/// A stack that a guest has. It goes back when it is dropped.
#[derive(Debug)]
struct Stack {
    mapped: Option<Mapped>,
    home: Arc<Mutex<Vec<Mapped>>>,
}

// SAFETY: as for `Stacks`.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.range().end)
    }

    fn range(&self) -> Range<usize> {
        self.mapped.as_ref().map_or(0..0, |stack| stack.begin..stack.begin + stack.size)
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let begin = self.range().start;
        ptr::with_exposed_provenance_mut(begin - page_size())..ptr::with_exposed_provenance_mut(begin)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(mapped) = self.mapped.take().filter(|mapped| !mapped.went_deep()) else { return };
        let mut waiting = self.home.lock();
        if waiting.len() < MAX_WAITING {
            waiting.push(mapped);
        }
    }
}

/// The mapping of a stack.
#[derive(Debug)]
struct Mapped {
    /// Lowest address, above the guard.
    begin: usize,
    size: usize,
}

impl Mapped {
    fn new(size: usize) -> io::Result<Self> {
        let (guard, none) = (page_size(), ProtFlags::empty());
        // SAFETY: a new mapping at an address that the system chooses.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), guard + size, none, MapFlags::PRIVATE)? };
        let stack = Self { begin: base.expose_provenance() + guard, size };
        // SAFETY: the upper part of the mapping that was just made.
        unsafe {
            mprotect(ptr::with_exposed_provenance_mut(stack.begin), size, MprotectFlags::READ | MprotectFlags::WRITE)?
        };
        Ok(stack)
    }

    /// Whether the stack has grown beyond what may wait. It grows downward without a gap of a page, since every call leaves
    /// a return address, so one page tells.
    fn went_deep(&self) -> bool {
        let page = page_size();
        let Some(below) = self.size.checked_sub(KEPT_BYTES + page) else { return false };
        // SAFETY: a page of the mapping, readable and aligned; nothing runs on the stack, and nobody else has it.
        let words = unsafe {
            let begin = ptr::with_exposed_provenance::<u64>(self.begin + below);
            std::slice::from_raw_parts(begin, page / size_of::<u64>())
        };
        words.iter().any(|word| *word != 0)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        let (base, length) = (self.begin - page_size(), self.size + page_size());
        // SAFETY: the mapping is this value's own, and no guest has it.
        let _ = unsafe { munmap(ptr::with_exposed_provenance_mut(base), length) };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_stack_comes_back_to_the_next_guest() {
        let stacks = Stacks::default();
        let first = stacks.new_stack(1 << 20, false).unwrap();
        let range = first.range();
        assert_eq!((range.len(), first.top().addr()), (1 << 20, range.end));
        assert_eq!(first.guard_range().end.addr(), range.start);
        drop(first);
        let second = stacks.new_stack(1 << 20, false).unwrap();
        assert_eq!(second.range(), range);
        assert_ne!(stacks.new_stack(1 << 20, false).unwrap().range(), range);
    }

    /// Writes where the stack is so many bytes deep.
    fn reach(stack: &dyn StackMemory, depth: usize) {
        let address = ptr::with_exposed_provenance_mut::<u64>(stack.top().expose_provenance() - depth);
        // SAFETY: within the stack, which is the test's own.
        unsafe { address.write(1) };
    }

    #[test]
    fn a_stack_that_went_deep_goes_back_to_the_system() {
        let stacks = Stacks::default();
        for (depth, waiting) in [(8, 1), (KEPT_BYTES, 1), (KEPT_BYTES + 8, 0), (KEPT_BYTES + page_size(), 0)] {
            let stack = stacks.new_stack(1 << 20, false).unwrap();
            reach(&*stack, depth);
            drop(stack);
            assert_eq!(stacks.waiting.lock().len(), waiting, "{depth}");
        }
        let small = stacks.new_stack(64 << 10, false).unwrap();
        reach(&*small, 64 << 10);
        drop(small);
        assert_eq!(stacks.waiting.lock().len(), 1, "a small stack waits whatever it has touched");
    }

    #[test]
    fn no_more_stacks_wait_than_guests_run() {
        let stacks = Stacks::default();
        let many: Vec<_> = (0..2 * MAX_WAITING).map(|_| stacks.new_stack(64 << 10, false).unwrap()).collect();
        drop(many);
        assert_eq!(stacks.waiting.lock().len(), MAX_WAITING);
    }
}
