//! An instance and its memory, which is put back to its image for the next request.
//!
//! **Putting back.** What was ever writable is the hot pages and the open part of the zone: the processor sees to that, not
//! the guest. So copying hot pages from the image and clearing the zone restores all of the memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wasmtime::Store;

use super::creator::Over;
use super::raw::Access;
use super::slot::Slot;

/// The most of a zone that is cleared by writing zeros and stays open; more is given back to the system.
const KEEP_OPEN: usize = 128 << 10;

/// An instance and its memory.
pub(crate) struct Fork<T: 'static> {
    store: Store<T>,
    slot: Arc<Slot>,
}

impl<T: Send + 'static> Fork<T> {
    /// Makes an instance over a slot, in a store that has none yet.
    pub(crate) async fn new<I>(
        mut store: Store<T>,
        slot: Slot,
        instantiate: impl AsyncFnOnce(&mut Store<T>) -> wasmtime::Result<I>,
    ) -> wasmtime::Result<(Self, I)> {
        let slot = Arc::new(slot);
        let instance = {
            let instantiate = std::pin::pin!(instantiate(&mut store));
            Over::new(&slot, instantiate).await?
        };
        Ok((Self { store, slot }, instance))
    }

    /// Puts the memory back to its image, once a call has returned; says whether it could.
    pub(crate) fn put_back(&mut self) -> bool {
        let slot = &*self.slot;
        if !slot.is_whole() {
            return false;
        }
        let (space, page) = (slot.space(), slot.space().page());
        let restored = slot.watch().hot().all(|number| {
            let offset = number as usize * page;
            match slot.image().page(offset, page) {
                Some(bytes) => space.write(slot.index(), offset, bytes),
                None => space.clear(slot.index(), offset, page),
            }
        });
        restored && self.clear_zone()
    }

    /// Clears the open part of the zone, and closes it if it is large.
    fn clear_zone(&mut self) -> bool {
        let (space, index, watch) = (self.slot.space(), self.slot.index(), self.slot.watch());
        let (paged, open) = (watch.paged.load(Ordering::Relaxed), watch.open.load(Ordering::Relaxed));
        let length = open - paged;
        if length <= KEEP_OPEN {
            return length == 0 || space.clear(index, paged, length);
        }
        let emptied = space.forget(index, paged, length);
        watch.open.store(paged, Ordering::Relaxed);
        emptied && space.protect(index, paged, length, Access::None)
    }

    /// Looks for a byte that is not as the image has it, in all that was ever writable; gives its address.
    pub(crate) fn difference(&mut self) -> Option<usize> {
        let (slot, space, watch) = (&*self.slot, self.slot.space(), self.slot.watch());
        let (page, paged, opened) = (space.page(), watch.paged.load(Ordering::Relaxed), slot.written());
        let open = watch.open.load(Ordering::Relaxed);
        let closed = opened - open;
        // What was closed again is looked at like the rest.
        if !space.protect(slot.index(), open, closed, Access::Read) {
            return Some(open);
        }
        let zeros = vec![0; page];
        let found = space.look(slot.index(), opened, |memory| {
            memory.chunks(page).zip((0..).step_by(page)).find_map(|(bytes, offset)| {
                let expected = slot.image().page(offset, page).filter(|_| offset < paged);
                // Compared as a whole: byte by byte, the zeros of a large memory would take longer than its data.
                let expected = expected.unwrap_or_else(|| zeros.get(..bytes.len()).unwrap_or(&zeros));
                (bytes != expected).then_some(offset)
            })
        });
        match space.protect(slot.index(), open, closed, Access::None) {
            true => found.unwrap_or(Some(open)),
            false => Some(open),
        }
    }

    /// The store, for calls into the instance.
    pub(crate) fn store(&mut self) -> &mut Store<T> {
        &mut self.store
    }

    /// The pages that were written, in order.
    pub(crate) fn hot(&self) -> Vec<u32> {
        self.slot.watch().hot_in_order()
    }

    /// How many times a page became hot.
    pub(crate) fn hot_count(&self) -> usize {
        self.slot.watch().hot_count()
    }

    /// Bytes of memory that are its own.
    pub(crate) fn held(&self) -> usize {
        let watch = self.slot.watch();
        let zone = watch.open.load(Ordering::Relaxed) - watch.paged.load(Ordering::Relaxed);
        self.hot_count() * self.slot.space().page() + zone
    }

    /// Asks the system to take the pages of the memory away, to swap if there is any; says whether it may have done so.
    #[cfg(test)]
    pub(crate) fn page_out(&mut self) -> bool {
        self.slot.space().page_out(self.slot.index(), self.slot.written())
    }

    /// The memory, for what a host function has to know of it.
    pub(crate) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
}
