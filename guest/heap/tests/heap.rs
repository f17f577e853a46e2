//! The allocator against a model, over memory that is put back like a guest's.

#![expect(unsafe_code, reason = "calls an allocator and looks at the memory under it")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::alloc::{GlobalAlloc as _, Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr;

use proptest::prelude::*;
use starcell_heap::{FRAMES, HOST_PAGE, Heap, Memory, WASM_PAGE};

/// Bytes of a guest's memory at most.
const LIMIT: usize = 24 << 20;
/// Bytes that a request finds after settling.
const REQUEST: usize = 128 << 10;

/// The memory behind the allocator that lies at its start.
struct Arena {
    base: usize,
    end: Cell<usize>,
    limit: usize,
}

// SAFETY: a `Guest` owns the addresses, zeroed and exposed, gives them to nobody else, and lives on one thread.
unsafe impl Memory for Arena {
    fn base(&self) -> usize {
        self.base
    }

    fn end(&self) -> usize {
        self.end.get()
    }

    fn grow(&self, pages: usize) -> bool {
        let end = self.end.get() + pages * WASM_PAGE;
        if end <= self.limit {
            self.end.set(end);
        }
        end <= self.limit
    }
}

/// A guest: one range of bytes with the allocator in it, as a static of the guest lies in the guest's memory.
struct Guest {
    start: *mut u8,
    /// The live blocks by address, with their layout and the byte that fills them.
    blocks: BTreeMap<usize, (Layout, u8)>,
    filler: u8,
}

const WHOLE: Layout = match Layout::from_size_align(LIMIT, WASM_PAGE) {
    Ok(layout) => layout,
    Err(_) => panic!("a valid layout"),
};

impl Guest {
    fn new() -> Self {
        // SAFETY: the size is not 0.
        let start = unsafe { alloc_zeroed(WHOLE) };
        assert!(!start.is_null());
        let address = start.expose_provenance();
        let arena = Arena {
            base: address + size_of::<Heap<Arena>>(),
            end: Cell::new(address + WASM_PAGE),
            limit: address + LIMIT,
        };
        // SAFETY: the range is aligned, and long enough for the allocator.
        unsafe { start.cast::<Heap<Arena>>().write(Heap::new(arena)) };
        Self { start, blocks: BTreeMap::new(), filler: 0 }
    }

    fn heap(&self) -> &Heap<Arena> {
        // SAFETY: `new` wrote one there, and nobody holds a reference while `put_back` writes it.
        unsafe { &*self.start.cast() }
    }

    /// All bytes of the memory.
    fn bytes(&self) -> &[u8] {
        // SAFETY: they are initialised, and nothing writes while the slice is looked at.
        unsafe { std::slice::from_raw_parts(self.start, LIMIT) }
    }

    fn put_back(&mut self, image: &[u8], blocks: &BTreeMap<usize, (Layout, u8)>) {
        // SAFETY: both have LIMIT bytes, and no reference to either range is alive.
        unsafe { ptr::copy_nonoverlapping(image.as_ptr(), self.start, LIMIT) };
        self.blocks.clone_from(blocks);
    }

    fn alloc(&mut self, layout: Layout) -> Option<usize> {
        // SAFETY: the size is not 0.
        let block = unsafe { self.heap().alloc(layout) };
        self.take(block, layout)
    }

    /// Notes a new block and fills it, after checking that it is one.
    fn take(&mut self, block: *mut u8, layout: Layout) -> Option<usize> {
        let (begin, address) = (self.start.addr(), block.expose_provenance());
        if block.is_null() {
            // The largest class wastes an eighth, and memory grows by whole pages.
            let room = begin + LIMIT - self.end();
            assert!(layout.size() * 9 / 8 + layout.align() + WASM_PAGE > room, "{layout:?} would have fit into {room}");
            return None;
        }
        assert!(address.is_multiple_of(layout.align().max(8)), "{layout:?} at {address:#x}");
        assert!(address >= begin + size_of::<Heap<Arena>>() && address + layout.size() <= self.end(), "{layout:?}");
        if let Some((before, (other, _))) = self.blocks.range(..=address).next_back() {
            assert!(before + other.size() <= address, "{layout:?} at {address:#x} lies over {other:?} at {before:#x}");
        }
        if let Some((after, (other, _))) = self.blocks.range(address..).next() {
            assert!(address + layout.size() <= *after, "{layout:?} at {address:#x} lies over {other:?} at {after:#x}");
        }
        self.filler = self.filler.wrapping_add(1).max(1);
        // SAFETY: the block is ours, with that many bytes.
        unsafe { block.write_bytes(self.filler, layout.size()) };
        self.blocks.insert(address, (layout, self.filler));
        Some(address)
    }

    fn free(&mut self, address: usize) {
        self.holds(address, usize::MAX);
        let (layout, _) = self.blocks.remove(&address).unwrap();
        // SAFETY: the block is live and has that layout.
        unsafe { self.heap().dealloc(ptr::with_exposed_provenance_mut(address), layout) };
    }

    fn realloc(&mut self, address: usize, size: usize) -> Option<usize> {
        let (layout, filler) = self.blocks.remove(&address).unwrap();
        // SAFETY: the block is live and has that layout; the size is not 0 and small.
        let block = unsafe { self.heap().realloc(ptr::with_exposed_provenance_mut(address), layout, size) };
        if block.is_null() {
            self.blocks.insert(address, (layout, filler));
            self.holds(address, usize::MAX);
            return None;
        }
        let kept = layout.size().min(size);
        // SAFETY: the block is ours, and its first bytes were written.
        let content = unsafe { std::slice::from_raw_parts(block, kept) };
        assert!(content.iter().all(|byte| *byte == filler), "{layout:?} lost its content on the way to {size}");
        self.take(block, Layout::from_size_align(size, layout.align()).unwrap())
    }

    /// Asserts that a live block still has what was written into its first bytes.
    fn holds(&self, address: usize, first: usize) {
        let (layout, filler) = self.blocks[&address];
        let offset = address - self.start.addr();
        let content = &self.bytes()[offset..offset + layout.size().min(first)];
        assert!(content.iter().all(|byte| *byte == filler), "{layout:?} at {address:#x} was overwritten");
    }

    fn settle(&mut self) {
        let frames: Vec<usize> =
            self.blocks.iter().filter(|(_, (layout, _))| *layout == FRAMES).map(|(address, _)| *address).collect();
        if let [frames] = frames[..] {
            self.blocks.remove(&frames);
        }
        // SAFETY: the only block of an evaluator is forgotten above.
        unsafe { self.heap().settle(REQUEST) };
    }

    fn end(&self) -> usize {
        self.heap().memory().end()
    }

    /// Does one step, and says where the block is that came of it.
    fn step(&mut self, step: Step) -> Option<usize> {
        let nth = |index: prop::sample::Index, blocks: &BTreeMap<usize, _>| {
            (!blocks.is_empty()).then(|| *blocks.keys().nth(index.index(blocks.len())).unwrap())
        };
        match step {
            Step::Alloc(layout) => self.alloc(layout),
            Step::Free(index) => {
                let address = nth(index, &self.blocks)?;
                self.free(address);
                None
            }
            Step::Realloc(index, size) => {
                let address = nth(index, &self.blocks)?;
                self.realloc(address, size)
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and the allocator inside needs no drop.
        unsafe { dealloc(self.start, WHOLE) };
    }
}

/// One call of the allocator.
#[derive(Clone, Copy, Debug)]
enum Step {
    Alloc(Layout),
    Free(prop::sample::Index),
    Realloc(prop::sample::Index, usize),
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1_usize..=96,
        4 => 97_usize..=2048,
        2 => 2049_usize..=100_000,
        1 => 900_000_usize..=1_100_000,
        1 => Just(FRAMES.size()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let align = prop_oneof![2 => Just(1_usize), 6 => Just(8), 1 => Just(16), 1 => Just(64), 1 => Just(4096)];
    let layout = (size(), align).prop_map(|(size, align)| Layout::from_size_align(size, align).unwrap());
    prop_oneof![
        5 => layout.prop_map(Step::Alloc),
        3 => any::<prop::sample::Index>().prop_map(Step::Free),
        2 => (any::<prop::sample::Index>(), size()).prop_map(|(index, size)| Step::Realloc(index, size)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..200)
}

/// Bytes that a guest's setup leaves in use, and its evaluator's frames, which are in use when it settles.
fn settled() -> Guest {
    let mut guest = Guest::new();
    for size in [16, 100, 5000, 16] {
        guest.alloc(Layout::from_size_align(size, 8).unwrap()).unwrap();
    }
    guest.alloc(FRAMES).unwrap();
    guest.alloc(Layout::new::<[u64; 9]>()).unwrap();
    guest.settle();
    guest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn blocks_are_apart_and_keep_their_content(setup in steps(), request in steps()) {
        let mut guest = Guest::new();
        for step in setup {
            guest.step(step);
        }
        guest.settle();
        for step in request {
            guest.step(step);
        }
        for address in guest.blocks.keys() {
            guest.holds(*address, usize::MAX);
        }
    }

    #[test]
    fn a_heap_that_is_put_back_does_the_same_again(setup in steps(), request in steps(), other in steps()) {
        let mut guest = Guest::new();
        for step in setup {
            guest.step(step);
        }
        guest.settle();
        let (image, blocks) = (guest.bytes().to_vec(), guest.blocks.clone());
        let first: Vec<_> = request.iter().map(|step| guest.step(*step)).collect();
        guest.put_back(&image, &blocks);
        for step in other {
            guest.step(step);
        }
        guest.put_back(&image, &blocks);
        for address in guest.blocks.keys() {
            guest.holds(*address, usize::MAX);
        }
        let again: Vec<_> = request.iter().map(|step| guest.step(*step)).collect();
        prop_assert_eq!(first, again);
    }
}

#[test]
fn a_request_finds_its_first_blocks_and_its_frames_in_the_same_pages() {
    let mut guest = settled();
    let first = guest.alloc(Layout::new::<[u64; 4]>()).unwrap();
    assert!(first.is_multiple_of(HOST_PAGE));
    let frames = guest.alloc(FRAMES).unwrap();
    assert_eq!(frames, first + 2 * HOST_PAGE - 256, "the frames begin in the second page, behind the first blocks");
    // What does not fit before the frames is behind them, and what does not fit there is in memory that was grown.
    let end = guest.end();
    let behind = guest.alloc(Layout::from_size_align(20_000, 8).unwrap()).unwrap();
    assert_eq!(behind, frames + FRAMES.size());
    guest.alloc(Layout::from_size_align(100_000, 8).unwrap()).unwrap();
    assert_eq!(guest.end(), end, "a request that needs little does not grow the memory");
}

#[test]
fn few_pages_are_written_by_a_request() {
    let mut guest = settled();
    let image = guest.bytes().to_vec();
    let blocks: Vec<_> = (0..100).map(|_| guest.alloc(Layout::new::<[u64; 4]>()).unwrap()).collect();
    guest.alloc(Layout::from_size_align(4000, 1).unwrap()).unwrap();
    blocks.into_iter().for_each(|block| guest.free(block));
    let pages = |bytes: &[u8]| bytes.chunks(HOST_PAGE).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let written = pages(&image).into_iter().zip(pages(guest.bytes())).filter(|(before, after)| before != after).count();
    // Two of blocks, and at most two of the allocator itself.
    assert!(written <= 4, "{written} pages were written");
}

#[test]
fn freed_memory_is_wiped_until_the_heap_is_settled() {
    let layout = Layout::new::<[u64; 32]>();
    for settle in [false, true] {
        let mut guest = settled();
        if !settle {
            guest = Guest::new();
        }
        let block = guest.alloc(layout).unwrap();
        guest.alloc(layout).unwrap();
        guest.free(block);
        let offset = block - guest.start.addr();
        let behind_the_link = &guest.bytes()[offset + 8..offset + layout.size()];
        assert_eq!(behind_the_link.iter().all(|byte| *byte == 0), !settle);
        assert_eq!(guest.alloc(layout).unwrap(), block, "a freed block is the next of its size to be used");
    }
}

#[test]
fn a_block_that_grew_to_the_size_of_frames_is_not_taken_for_them() {
    let mut guest = Guest::new();
    let frames = guest.alloc(FRAMES).unwrap();
    let block = guest.alloc(Layout::from_size_align(900_000, 8).unwrap()).unwrap();
    let block = guest.realloc(block, FRAMES.size()).unwrap();
    guest.free(block);
    // One evaluator is left, so a request finds its first blocks in memory of that size, not behind all others.
    guest.settle();
    let first = guest.alloc(Layout::new::<u64>()).unwrap();
    assert!([frames, block].map(|block| block.next_multiple_of(HOST_PAGE)).contains(&first));
}

#[test]
fn without_memory_there_is_no_block_and_nothing_is_lost() {
    let mut guest = Guest::new();
    let small = guest.alloc(Layout::new::<[u64; 4]>()).unwrap();
    assert_eq!(guest.alloc(Layout::from_size_align(LIMIT, 8).unwrap()), None);
    assert_eq!(guest.realloc(small, LIMIT), None);
    while guest.alloc(FRAMES).is_some() {}
    assert_eq!(guest.alloc(Layout::from_size_align(1 << 40, 8).unwrap()), None);
    assert_eq!(guest.alloc(Layout::from_size_align(8, 1 << 40).unwrap()), None);
    guest.free(small);
    assert_eq!(guest.alloc(Layout::new::<[u64; 4]>()), Some(small));
}
