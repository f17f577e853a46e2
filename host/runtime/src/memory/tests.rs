//! Memories against a model: what guest and host write is there, and is gone once the memory was put back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::sync::{Arc, OnceLock};

use rustix::param::page_size;
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, MemArg, MemorySection, MemoryType, Module,
    TypeSection, ValType,
};
use wasmtime::{Engine, Instance, Memory, Store, Trap, TypedFunc};

use super::arena::{Arena, MAX_WARM};
use super::fork::Fork;
use super::image::{Image, MEMORY_START};
use super::slot::{Slot, Watching};
use super::watch::MAX_HOT;
use crate::artifact::Artifact;
use crate::engine::engine;

const WASM_PAGE: usize = 65536;

/// The guest of the tests, compiled.
static CODE: OnceLock<Vec<u8>> = OnceLock::new();

/// The memory of the tests' image: data up to the 40th page of 4 KiB with a hole, 1 MiB in all.
const SIZE: usize = 16 * WASM_PAGE;

/// A guest that does what it is told to its memory.
struct Guest {
    fork: Fork<()>,
    store: TypedFunc<(u32, u32), ()>,
    fill: TypedFunc<(u32, u32, u32), ()>,
    load: TypedFunc<u32, u32>,
    grow: TypedFunc<u32, u32>,
    trap: TypedFunc<(), ()>,
    memory: Memory,
}

/// What guests of one engine need.
struct Host {
    engine: Engine,
    module: wasmtime::Module,
    arena: Arc<Arena>,
    image: Arc<Image>,
}

impl Host {
    fn new(slots: usize) -> Self {
        let engine = engine().unwrap();
        let artifact = Artifact { component: &[], memory: CODE.get_or_init(|| compiled(&guest())), base: &[] };
        let module = artifact.load_memory(&engine).unwrap();
        Self { engine, module, arena: Arena::new(slots).unwrap(), image: Arc::new(image(1)) }
    }

    async fn guest(&self, watching: Watching<'_>) -> Guest {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(1 << 30);
        let slot = Slot::new(&self.arena, &self.image, 0, watching).unwrap().expect("a free slot");
        let make = async |store: &mut Store<()>| Instance::new_async(store, &self.module, &[]).await;
        let (mut fork, instance) = Fork::new(store, slot, make).await.unwrap();
        let store = fork.store();
        let memory = instance.get_memory(&mut *store, "memory").unwrap();
        let (write, fill) =
            (instance.get_typed_func(&mut *store, "store"), instance.get_typed_func(&mut *store, "fill"));
        let (load, grow) = (instance.get_typed_func(&mut *store, "load"), instance.get_typed_func(&mut *store, "grow"));
        let trap = instance.get_typed_func(&mut *store, "trap").unwrap();
        let (write, fill, load, grow) = (write.unwrap(), fill.unwrap(), load.unwrap(), grow.unwrap());
        Guest { fork, store: write, fill, load, grow, trap, memory }
    }
}

impl Guest {
    async fn write(&mut self, address: usize, value: u8) {
        let call = self.store.call_async(self.fork.store(), (address as u32, value.into()));
        call.await.unwrap();
    }

    async fn read(&mut self, address: usize) -> u8 {
        self.load.call_async(self.fork.store(), address as u32).await.unwrap() as u8
    }

    /// All of its memory, as the host sees it.
    fn bytes(&mut self) -> &mut [u8] {
        self.memory.data_mut(self.fork.store())
    }
}

/// An image with pages of zeros in the middle of its data. Some of its pages are those of its base, which is longer.
fn image(seed: u8) -> Image {
    let mut memory = model(seed);
    for page in (0..50).filter(|page| page % 7 < 3) {
        memory[page * 4096 + MEMORY_START..(page + 1) * 4096].fill(0xEE);
    }
    let base = Arc::new(Image::new(&[(MEMORY_START, &memory[MEMORY_START..50 * 4096])], SIZE, 0).unwrap());
    let image = Image::capture(&model(seed)[MEMORY_START..40 * 4096], SIZE, 0, &base).unwrap();
    assert!((10..40).contains(&(image.bytes() / 4096)) && image.parts().count() > 5);
    image
}

/// The memory that an image stands for.
fn model(seed: u8) -> Vec<u8> {
    let mut memory = vec![0; SIZE];
    for (address, byte) in memory.iter_mut().enumerate().take(40 * 4096).skip(MEMORY_START) {
        let hole = (8..12).contains(&(address / 4096));
        *byte = if hole { 0 } else { (address % 251) as u8 ^ seed };
    }
    memory
}

/// A module with a memory and functions that use it.
fn guest() -> Vec<u8> {
    let i32s = |count| vec![ValType::I32; count];
    let mut types = TypeSection::new();
    types.ty().function(i32s(2), []);
    types.ty().function(i32s(3), []);
    types.ty().function(i32s(1), i32s(1));
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    [0, 1, 2, 2, 3].into_iter().for_each(|kind| {
        functions.function(kind);
    });
    let mut memories = MemorySection::new();
    let memory = MemoryType { minimum: 4, maximum: None, memory64: false, shared: false, page_size_log2: None };
    memories.memory(memory);
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    for (name, index) in ["store", "fill", "load", "grow", "trap"].into_iter().zip(0..) {
        exports.export(name, ExportKind::Func, index);
    }
    let byte = MemArg { offset: 0, align: 0, memory_index: 0 };
    let mut bodies = [const { Vec::new() }; 5].map(|locals: Vec<(u32, ValType)>| Function::new(locals));
    bodies[0].instructions().local_get(0).local_get(1).i32_store8(byte).end();
    bodies[1].instructions().local_get(0).local_get(1).local_get(2).memory_fill(0).end();
    bodies[2].instructions().local_get(0).i32_load8_u(byte).end();
    bodies[3].instructions().local_get(0).memory_grow(0).end();
    bodies[4].instructions().unreachable().end();
    let mut code = CodeSection::new();
    bodies.iter().for_each(|body| {
        code.function(body);
    });
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

/// The code of a module. The host has no compiler, so the build's is asked, which lies where `make guest` puts it.
fn compiled(module: &[u8]) -> Vec<u8> {
    let test = std::env::current_exe().unwrap();
    // <target>/<profile>/deps/<test>
    let compiler = test.ancestors().nth(3).unwrap().join("guest/build/release/starcell-compile");
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("guest.wasm"), folder.path().join("guest.cwasm"));
    std::fs::write(&from, module).unwrap();
    let status = std::process::Command::new(&compiler).arg(&from).arg(&to).status();
    assert!(status.unwrap_or_else(|error| panic!("{}: {error}", compiler.display())).success());
    std::fs::read(to).unwrap()
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// One thing that happens to a memory.
#[derive(Clone, Debug)]
enum Step {
    /// The guest writes a byte.
    Write(usize, u8),
    /// The guest fills a range, in one instruction that the host carries out.
    Fill(usize, u8, usize),
    /// The host writes bytes, as it does for arguments.
    Lower(usize, u8, usize),
    /// The guest reads behind what is stored.
    Read(usize),
    Grow(u32),
    Trap,
    /// The guest touches what it may not.
    Outside(usize),
    PutBack,
}

/// A small generator, so that each run does the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }

    /// Mostly where the data lies, sometimes anywhere.
    fn address(&mut self) -> usize {
        let end = if self.below(5) == 0 { SIZE } else { 60 * 4096 };
        self.below(end)
    }

    fn length(&mut self) -> usize {
        let end = if self.below(4) == 0 { 40_000 } else { 64 };
        1 + self.below(end)
    }

    fn step(&mut self) -> Step {
        let (address, value) = (self.address(), self.below(256) as u8);
        match self.below(24) {
            0..8 => Step::Write(address, value),
            8..11 => Step::Fill(address, value, self.length()),
            11..14 => Step::Lower(address, value, self.length()),
            14..16 => Step::Read(address),
            16 => Step::Grow(self.below(3) as u32),
            17 => Step::Trap,
            18 => Step::Outside((1 << 30) + self.below(1 << 30)),
            _ => Step::PutBack,
        }
    }
}

/// Does the steps, and compares with the model after each. A fork that cannot be put back, or that trapped, is replaced.
async fn follow(host: &Host, steps: &[Step]) {
    let clean = model(1);
    let mut expected = clean.clone();
    let mut guest = host.guest(Watching::AllBut(&[])).await;
    for step in steps {
        match *step {
            Step::Write(at, value) => {
                guest.write(at, value).await;
                expected[at] = value;
            }
            Step::Fill(at, value, length) => {
                let length = length.min(SIZE - at);
                let fill = guest.fill.call_async(guest.fork.store(), (at as u32, value.into(), length as u32));
                fill.await.unwrap();
                expected[at..at + length].fill(value);
            }
            Step::Lower(at, value, length) => {
                let length = length.min(SIZE - at);
                guest.bytes()[at..at + length].fill(value);
                expected[at..at + length].fill(value);
            }
            Step::Read(at) => assert_eq!(guest.read(at).await, expected[at], "at {at:#x}"),
            Step::Grow(pages) => {
                let before = guest.grow.call_async(guest.fork.store(), pages).await.unwrap() as usize * WASM_PAGE;
                assert_eq!(before, expected.len());
                expected.resize(before + pages as usize * WASM_PAGE, 0);
            }
            Step::Trap => {
                let error = guest.trap.call_async(guest.fork.store(), ()).await.unwrap_err();
                assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
                guest = host.guest(Watching::AllBut(&[3, 4, 9])).await;
                expected.clone_from(&clean);
            }
            Step::Outside(at) => {
                let error = guest.load.call_async(guest.fork.store(), at as u32).await.unwrap_err();
                assert_eq!(error.downcast_ref(), Some(&Trap::MemoryOutOfBounds), "at {at:#x}");
            }
            Step::PutBack => {
                let grew = expected.len() != SIZE;
                if guest.fork.put_back() {
                    assert!(!grew, "a memory that grew was put back");
                    assert_eq!(guest.fork.difference(), None);
                } else {
                    guest = host.guest(Watching::AllBut(&[])).await;
                }
                expected.clone_from(&clean);
            }
        }
        assert!(guest.bytes() == expected, "after {step:?}");
    }
}

#[test]
fn a_memory_is_what_the_model_says_after_every_step() {
    let host = Host::new(2);
    for seed in 1..=60 {
        let mut random = Random(seed * 0x9E37_79B9);
        let steps: Vec<Step> = (0..1 + random.below(60)).map(|_| random.step()).collect();
        block_on(follow(&host, &steps));
    }
}

#[test]
fn what_guest_and_host_wrote_is_gone_and_its_pages_stay_hot() {
    let host = Host::new(1);
    block_on(async {
        let mut guest = host.guest(Watching::AllBut(&[])).await;
        for round in 0..3 {
            guest.write(5 * 4096, 0xAA).await;
            guest.write(9 * 4096 + 17, 0xAA).await;
            guest.bytes()[30 * 4096 - 2..30 * 4096 + 2].fill(0xAA);
            assert_eq!(guest.fork.hot(), [5, 9, 29, 30], "round {round}");
            assert!(guest.fork.put_back());
            assert_eq!(guest.fork.difference(), None);
            assert!(guest.bytes() == model(1));
        }
    });
}

#[test]
fn a_write_that_was_not_put_back_is_a_difference() {
    let host = Host::new(1);
    block_on(async {
        let mut guest = host.guest(Watching::AllBut(&[])).await;
        assert_eq!(guest.fork.difference(), None);
        for at in [7 * 4096 + 1, 10 * 4096, 50 * 4096, SIZE - 1] {
            guest.write(at, 0xEE).await;
            assert_eq!(guest.fork.difference(), Some(at / page_size() * page_size()));
            assert!(guest.fork.put_back());
            assert_eq!(guest.fork.difference(), None);
        }
    });
}

#[test]
fn a_fork_that_wrote_too_much_or_grew_is_not_put_back() {
    let host = Host::new(1);
    block_on(async {
        // Every other page: each is a run of its own.
        let mut guest = host.guest(Watching::AllBut(&[])).await;
        for page in (0..60).step_by(2) {
            guest.write(page * 4096, 0xAA).await;
        }
        assert!(!guest.fork.put_back());
        drop(guest);
        let mut guest = host.guest(Watching::AllBut(&[])).await;
        guest.grow.call_async(guest.fork.store(), 1).await.unwrap();
        guest.write(SIZE + 5, 1).await;
        assert!(!guest.fork.put_back());
        drop(guest);
        let mut guest = host.guest(Watching::Nothing).await;
        guest.write(0, 1).await;
        assert!(!guest.fork.put_back());
        assert!(guest.fork.hot().len() <= MAX_HOT);
    });
}

/// The zone is what lies behind the paged part: 40 pages of data and 128 KiB.
#[test]
fn the_zone_is_zero_after_a_small_request_and_after_a_large_one() {
    let host = Host::new(1);
    let zone = 50 * 4096 + (128 << 10);
    block_on(async {
        let mut guest = host.guest(Watching::AllBut(&[])).await;
        for length in [1, 100_000, SIZE - zone, 10, 300_000] {
            assert_eq!(guest.read(zone + length - 1).await, 0);
            let fill = guest.fill.call_async(guest.fork.store(), (zone as u32, 0x77, length as u32));
            fill.await.unwrap();
            assert_eq!(guest.read(zone + length - 1).await, 0x77);
            assert!(guest.fork.put_back());
            assert!(guest.fork.held() <= 128 << 10, "a large request leaves {} bytes", guest.fork.held());
            assert_eq!(guest.fork.difference(), None, "after {length}");
        }
        assert!(guest.bytes() == model(1));
    });
}

#[test]
fn a_slot_has_nothing_of_the_one_before_and_there_are_no_more_than_asked_for() {
    let mut host = Host::new(1);
    block_on(async {
        let mut guest = host.guest(Watching::Nothing).await;
        guest.bytes().fill(0xCC);
        assert!(Slot::new(&host.arena, &host.image, 0, Watching::Nothing).unwrap().is_none());
        drop(guest);
        // Another image: shorter, so that what was stored of the first lies in what is zero of this one.
        host.image = Arc::new(Image::new(&[(MEMORY_START, &[9; 100])], SIZE, 0).unwrap());
        let mut guest = host.guest(Watching::AllBut(&[])).await;
        let bytes = guest.bytes();
        assert!(bytes[MEMORY_START..MEMORY_START + 100] == [9; 100]);
        assert!(bytes[MEMORY_START + 100..].iter().all(|byte| *byte == 0));
    });
}

/// What a slot keeps from one fork to the next is the mapping of its image, and not a byte that was written.
#[test]
fn a_spare_slot_shows_its_image_and_nothing_else() {
    let host = Host::new(1);
    block_on(async {
        let spares = || host.arena.spares();
        for watching in [Watching::Nothing, Watching::AllBut(&[]), Watching::AllBut(&[2, 3, 30]), Watching::Nothing] {
            let mut guest = host.guest(watching).await;
            assert!(guest.bytes() == model(1), "{watching:?}");
            assert_eq!((guest.fork.difference(), spares()), (None, 0));
            guest.bytes().fill(0xCC);
            guest.grow.call_async(guest.fork.store(), 2).await.unwrap();
            guest.write(SIZE + WASM_PAGE + 1, 0xCC).await;
            guest.trap.call_async(guest.fork.store(), ()).await.unwrap_err();
            drop(guest);
            assert_eq!(spares(), 1);
        }
    });
}

#[test]
fn few_slots_are_spare_and_all_of_them_are_free() {
    let mut host = Host::new(40);
    let count = |host: &Host| {
        let new = || Slot::new(&host.arena, &host.image, 0, Watching::Nothing).unwrap();
        std::iter::from_fn(new).collect::<Vec<_>>()
    };
    let all = count(&host);
    assert_eq!((all.len(), host.arena.spares()), (40, 0));
    drop(all);
    assert_eq!(host.arena.spares(), 32);
    // Another image has all of them, and then the first one is gone, so nothing is kept for it.
    let other = Arc::new(Image::new(&[(MEMORY_START, &[9; 100])], SIZE, 0).unwrap());
    let first = std::mem::replace(&mut host.image, other);
    let some: Vec<_> = (0..20).map(|_| Slot::new(&host.arena, &first, 0, Watching::Nothing).unwrap()).collect();
    drop(some);
    drop(first);
    drop(Slot::new(&host.arena, &host.image, 0, Watching::Nothing).unwrap());
    assert_eq!(host.arena.spares(), 1);
    assert_eq!(count(&host).len(), 40);
}

/// What a spare slot shows is its image, warm or cold, whatever was written to it before.
#[test]
fn few_spare_slots_are_warm_and_each_shows_its_image() {
    let host = Host::new(12);
    block_on(async {
        for round in 0..4_u8 {
            let mut guests = Vec::new();
            for number in 0..10_usize {
                let watching = if number == 3 { Watching::Nothing } else { Watching::AllBut(&[1, 2]) };
                let mut guest = host.guest(watching).await;
                assert!(guest.bytes() == model(1), "{number} in round {round}");
                for page in (number..40).step_by(7) {
                    guest.write(page * 4096 + 9, 0xA0 | round).await;
                }
                guest.write(SIZE - 1, 0xAA).await;
                guests.push(guest);
            }
            drop(guests);
            assert_eq!((host.arena.spares(), host.arena.warm()), (10, MAX_WARM), "round {round}");
        }
    });
}

/// A memory whose written pages were taken away by the system is put back like any other: what is put back is known from
/// faults, not from which pages are there.
#[test]
fn pages_that_went_to_swap_are_put_back() {
    let host = Host::new(1);
    block_on(async {
        let mut guest = host.guest(Watching::AllBut(&[])).await;
        for page in 0..20 {
            guest.write(page * 4096 + 100, 0xAA).await;
        }
        guest.write(SIZE - 1, 0xAA).await;
        // Where there is no swap this does nothing to private pages, but drops those of the file.
        guest.fork.page_out();
        assert!(guest.fork.put_back());
        guest.fork.page_out();
        assert_eq!(guest.fork.difference(), None);
        assert!(guest.bytes() == model(1));
    });
}

#[test]
fn an_arena_has_as_many_slots_as_there_are_addresses_for() {
    // More than a process has addresses for.
    let arena = Arena::new(60_000).unwrap();
    assert!((4_000..40_000).contains(&arena.slots()), "{}", arena.slots());
    assert!(Slot::new(&arena, &Arc::new(image(1)), 0, Watching::Nothing).unwrap().is_some());
    assert_eq!(Arena::new(8).unwrap().slots(), 8);
}

#[test]
fn guests_fault_in_many_threads_at_once() {
    let host = Host::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8_u8 {
            let host = &host;
            scope.spawn(move || {
                block_on(async {
                    for round in 0..20 {
                        let mut guest = host.guest(Watching::AllBut(&[1, 2, 20])).await;
                        for page in (0..40).step_by(3) {
                            guest.write(page * 4096 + usize::from(thread), thread).await;
                        }
                        assert!(guest.fork.put_back());
                        assert_eq!(guest.fork.difference(), None, "thread {thread}, round {round}");
                    }
                });
            });
        }
    });
}
