//! The guest's linear memory past its statics.

#![expect(unsafe_code, reason = "names the linker's symbol and implements an unsafe trait; see the argument below")]

use core::arch::wasm32::{memory_grow, memory_size};

use crate::memory::{Memory, WASM_PAGE};

/// The linear memory of this instance, from the end of its statics.
#[derive(Debug)]
pub struct Linear;

unsafe extern "C" {
    /// Defined by the linker: the first address that no static uses. Its address is the value.
    static __heap_base: u8;
}

// SAFETY: the linker leaves everything past `__heap_base` to the allocator, the stack lies below the statics, and a
// guest has one thread. Nothing else in the guest grows the memory: an instance has one global allocator.
unsafe impl Memory for Linear {
    fn base(&self) -> usize {
        (&raw const __heap_base).expose_provenance()
    }

    fn end(&self) -> usize {
        memory_size(0) * WASM_PAGE
    }

    fn grow(&self, pages: usize) -> bool {
        memory_grow(0, pages) != usize::MAX
    }
}
