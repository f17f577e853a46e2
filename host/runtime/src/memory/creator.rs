//! How wasmtime comes by the memories of guests.
//!
//! It says nothing of the instance when it asks for its memory, so the slot waits for that in the thread, for as long as the
//! future of an instantiation is polled and no longer.

#![expect(unsafe_code, reason = "wasmtime relies on what these two promise; see the argument at each")]

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::raw::{GUARD, RESERVATION};
use super::slot::Slot;

thread_local! {
    /// The slot for the memory that this thread is about to make.
    static NEXT: Cell<Option<Arc<Slot>>> = const { Cell::new(None) };
}

/// An instantiation whose memory shall be in a slot.
pub(super) struct Over<F> {
    slot: Option<Arc<Slot>>,
    future: F,
}

impl<F> Over<F> {
    pub(super) fn new(slot: &Arc<Slot>, future: F) -> Self {
        Self { slot: Some(Arc::clone(slot)), future }
    }
}

impl<F: Future + Unpin> Future for Over<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        NEXT.set(self.slot.take());
        let poll = Pin::new(&mut self.future).poll(context);
        self.slot = NEXT.take();
        poll
    }
}

/// Gives wasmtime the slots that [`Fork::new`](super::fork::Fork::new) chose.
#[derive(Debug)]
pub(crate) struct Slots;

// SAFETY: a slot has the size, the reservation and the guard that are asked for, nothing else uses it until it is dropped,
// and its memory changes only while the guest does not run (see the argument in `raw`). It is not zero: the modules that are
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
        self.0.space().start(self.0.index())
    }
}
