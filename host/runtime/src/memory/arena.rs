//! The slots of a [`Space`] and who holds them.
//!
//! **Spare slots.** Mapping an image is a system call for each of its parts, some twenty, and each splits a mapping. So a slot
//! that is given up stays mapped for the next fork of its image: what was written is taken away, since a private mapping of
//! a file that nobody can change then shows the file again. Where it is known what was written, the other pages stay in the
//! page tables, and the next fork reads them without a fault: such a slot is *warm*. Few slots are spare, whatever the number
//! of images, and fewer are warm, since the system counts the pages of each as resident.

use std::collections::VecDeque;
use std::io;
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::image::Image;
use super::raw::Space;

/// Slots of one arena that stay mapped while nobody holds them. Each keeps some forty of the 65,530 mappings that Linux gives
/// a process, and the image it was mapped from until another one takes its place.
const MAX_SPARE: usize = 32;

/// Spare slots of one arena that keep what was read in the page tables.
pub(crate) const MAX_WARM: usize = 4;

/// The memories of guests that one interpreter runs.
#[derive(Debug)]
pub(crate) struct Arena {
    space: &'static Space,
    free: Mutex<Free>,
}

/// The slots that nobody holds.
#[derive(Debug)]
struct Free {
    /// Those without a mapping.
    empty: Vec<usize>,
    /// Those that still show an image, the last one that was given up last.
    spare: VecDeque<Spare>,
}

/// A slot that nobody holds, mapped from an image and without a byte that differs from it.
#[derive(Debug)]
struct Spare {
    index: usize,
    /// Weak, so that an image is not kept by it; the place in memory is not given to another one meanwhile.
    image: Weak<Image>,
    is_warm: bool,
}

impl Arena {
    /// Reserves address space for so many memories, or for as many as there is room for.
    pub(crate) fn new(slots: usize) -> io::Result<Arc<Self>> {
        let space = Space::reserve(slots)?;
        let free = Free { empty: (0..space.slots()).rev().collect(), spare: VecDeque::with_capacity(MAX_SPARE + 1) };
        Ok(Arc::new(Self { space, free: Mutex::new(free) }))
    }

    /// How many memories there can be at once.
    pub(crate) fn slots(&self) -> usize {
        self.space.slots()
    }

    /// Where the slots are.
    pub(super) fn space(&self) -> &'static Space {
        self.space
    }

    /// A slot that nobody holds, and whether it is mapped from `image`.
    pub(super) fn take(&self, image: &Arc<Image>) -> Option<(usize, bool)> {
        let mut free = self.free.lock();
        let found = free.spare.iter().rposition(|spare| ptr::eq(spare.image.as_ptr(), Arc::as_ptr(image)));
        if let Some(spare) = found.and_then(|at| free.spare.remove(at)) {
            return Some((spare.index, true));
        }
        if let Some(index) = free.empty.pop() {
            return Some((index, false));
        }
        // The oldest of another image.
        let index = free.spare.pop_front()?.index;
        drop(free);
        self.unmap(index).then_some((index, false))
    }

    /// Keeps a slot that shows its image and nothing else. What is too much is given up: the oldest, and all whose image
    /// is gone, since their mappings keep its memory.
    pub(super) fn keep(&self, index: usize, image: &Arc<Image>, is_warm: bool) {
        let mut free = self.free.lock();
        free.spare.push_back(Spare { index, image: Arc::downgrade(image), is_warm });
        let over = free.spare.len().saturating_sub(MAX_SPARE);
        let (mut at, mut given_up) = (0, Vec::new());
        free.spare.retain(|spare| {
            at += 1;
            let keep = at > over && spare.image.strong_count() != 0;
            if !keep {
                given_up.push(spare.index);
            }
            keep
        });
        let is_too_warm = free.spare.iter().filter(|spare| spare.is_warm).count() > MAX_WARM;
        let oldest = free.spare.iter().position(|spare| spare.is_warm).filter(|_| is_too_warm);
        let cooling = oldest.and_then(|at| free.spare.remove(at));
        drop(free);
        for index in given_up {
            self.give_up(index);
        }
        if let Some(spare) = cooling {
            match self.cool(spare.index) {
                true => self.free.lock().spare.push_front(Spare { is_warm: false, ..spare }),
                false => self.give_up(spare.index),
            }
        }
    }

    /// Takes what was read of a spare slot out of the page tables.
    fn cool(&self, index: usize) -> bool {
        let paged = self.space.watch(index).paged.load(Ordering::Relaxed);
        self.space.forget(index, 0, paged)
    }

    /// Has a slot be free, without its mappings. One whose memory could not be taken back is never used again.
    pub(super) fn give_up(&self, index: usize) {
        if self.unmap(index) {
            self.free.lock().empty.push(index);
        }
    }

    /// Takes the mappings of a slot away.
    fn unmap(&self, index: usize) -> bool {
        let opened = self.space.watch(index).opened.swap(0, Ordering::Relaxed);
        self.space.unmap(index, opened)
    }

    /// How many slots are spare.
    #[cfg(test)]
    pub(crate) fn spares(&self) -> usize {
        self.free.lock().spare.len()
    }

    /// How many of them are warm.
    #[cfg(test)]
    pub(crate) fn warm(&self) -> usize {
        self.free.lock().spare.iter().filter(|spare| spare.is_warm).count()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.space.give_back();
    }
}
