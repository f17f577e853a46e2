//! One memory: an image mapped into a slot that somebody holds.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::arena::Arena;
use super::image::Image;
use super::raw::{Access, RESERVATION, Space};
use super::watch::Watch;

/// One memory of an arena.
#[derive(Debug)]
pub(crate) struct Slot {
    arena: Arc<Arena>,
    index: usize,
    image: Arc<Image>,
    /// Bytes that the guest may access at first.
    size: usize,
    /// Whether every part of the image is mapped.
    is_mapped: bool,
}

/// Which pages of a new slot can be written without a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Watching<'a> {
    /// All, so nobody knows afterwards what was written: for memories that are thrown away.
    Nothing,
    /// These, which count as hot; all others are watched.
    AllBut(&'a [u32]),
}

impl Watching<'_> {
    fn access(self) -> Access {
        match self {
            Watching::Nothing => Access::Write,
            Watching::AllBut(_) => Access::Read,
        }
    }
}

impl Slot {
    /// Maps an image into a slot, as a memory of `size` bytes, or as many more as the image has; none if no slot is free.
    pub(crate) fn new(
        arena: &Arc<Arena>,
        image: &Arc<Image>,
        size: usize,
        watching: Watching<'_>,
    ) -> io::Result<Option<Self>> {
        let Some((index, is_mapped)) = arena.take(image) else { return Ok(None) };
        let size = size.clamp(image.size(), RESERVATION.max(image.size()));
        let mut slot = Self { arena: Arc::clone(arena), index, image: Arc::clone(image), size, is_mapped };
        if !is_mapped {
            slot.map(watching)?;
            slot.is_mapped = true;
        }
        match watching {
            // What is writable is hot, and stays so.
            Watching::AllBut(_) if is_mapped && slot.watch().is_known() => {}
            _ => slot.protect_image(watching)?,
        }
        slot.watch_over(watching);
        Ok(Some(slot))
    }

    /// Maps the image.
    fn map(&self, watching: Watching<'_>) -> io::Result<()> {
        // Whatever becomes of this, so much is taken away when the slot is given up.
        self.watch().opened.store(self.image.paged(), Ordering::Relaxed);
        self.image.parts().try_for_each(|part| self.space().map(self.index, &part, watching.access()))
    }

    /// Sets for the whole image what the guest may do to it.
    fn protect_image(&self, watching: Watching<'_>) -> io::Result<()> {
        // What lies behind the image, for a new slot; all that was hot, for a spare one.
        if !self.space().protect(self.index, 0, self.image.paged(), watching.access()) {
            let text = "the system has no room for another mapping (vm.max_map_count)";
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
        }
        self.watch().forget(matches!(watching, Watching::Nothing));
        Ok(())
    }

    /// Tells the handler of the slot.
    fn watch_over(&self, watching: Watching<'_>) {
        self.watch().begin(self.size, self.image.paged());
        if let Watching::AllBut(hot) = watching {
            self.warm(hot);
        }
    }

    /// Makes pages hot before they are written, neighbours in one go.
    fn warm(&self, hot: &[u32]) {
        let (watch, page) = (self.watch(), self.space().page());
        let paged = watch.paged.load(Ordering::Relaxed) / page;
        let mut new = hot.to_vec();
        new.retain(|number| !watch.hot().any(|noted| noted == *number));
        for run in new.chunk_by(|one, next| one + 1 == *next) {
            let noted =
                run.iter().take_while(|number| (**number as usize) < paged && watch.note(**number as usize)).count();
            let Some(first) = run.first().filter(|_| noted != 0) else { return };
            // A page that is noted and cannot be written yet is noted again by its fault, and copied twice.
            self.space().protect(self.index, *first as usize * page, noted * page, Access::Write);
        }
    }

    /// Where it lies: the space, and which of its slots.
    pub(super) fn space(&self) -> &'static Space {
        self.arena.space()
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn watch(&self) -> &'static Watch {
        self.space().watch(self.index)
    }

    /// Whether it can be put back: known writes, and as large as it was.
    pub(crate) fn is_whole(&self) -> bool {
        let watch = self.watch();
        watch.is_known() && watch.size.load(Ordering::Relaxed) == self.size
    }

    /// What it was mapped from.
    pub(crate) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// End of what a guest may have written; all behind it is zero.
    pub(crate) fn written(&self) -> usize {
        self.watch().opened.load(Ordering::Relaxed)
    }

    /// Takes away all that was written, so that the slot shows its image again; says whether the system did.
    fn empty(&self, is_warm: bool) -> bool {
        let (watch, paged, page) = (self.watch(), self.image.paged(), self.space().page());
        let opened = watch.opened.load(Ordering::Relaxed);
        if !is_warm {
            return self.forget(0, opened) && self.close(paged, opened);
        }
        let hot = watch.hot_in_order();
        let mut runs = hot.chunk_by(|one, next| one + 1 == *next);
        let forgotten = runs.all(|run| {
            let first = run.first().map_or(0, |first| *first as usize);
            self.forget(first * page, (first + run.len()) * page)
        });
        forgotten && (opened == paged || self.forget(paged, opened) && self.close(paged, opened))
    }

    /// Takes away what was written between two offsets.
    fn forget(&self, from: usize, to: usize) -> bool {
        self.space().forget(self.index, from, to - from)
    }

    fn close(&self, from: usize, to: usize) -> bool {
        self.space().protect(self.index, from, to - from, Access::None)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // From here on no fault of this slot is handled.
        self.watch().size.store(0, Ordering::Relaxed);
        let is_warm = self.watch().is_known();
        match self.is_mapped && self.empty(is_warm) {
            true => self.arena.keep(self.index, &self.image, is_warm),
            false => self.arena.give_up(self.index),
        }
    }
}
