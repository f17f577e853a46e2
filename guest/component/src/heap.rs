//! The allocator of the guest.

use starcell_heap::{Heap, Linear};

#[global_allocator]
pub(crate) static HEAP: Heap<Linear> = Heap::new(Linear);
