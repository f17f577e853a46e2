//! One wasmtime engine for the process.
//!
//! The same configuration compiles the guest at build time and runs it, since wasmtime refuses code made under any
//! other. Every number here bounds what guests can make the host hold; each carries its reason.

use std::sync::Arc;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::in_place::InPlace;

/// Instances that a process with one app may hold at once: its suspended parent, and forks that answer requests, of
/// which the host admits 512. Each costs a system call at the start for the guard page of its stack.
pub const INSTANCES: u32 = 600;

/// Core wasm instances in one guest: image, main and the stand-in for its allocator, and no more.
const CORE_INSTANCES_PER_GUEST: u32 = 3;

/// Largest linear memory that any app may be given, in bytes. A slot of this size is reserved for each instance.
pub const MAX_MEMORY_BYTES: usize = 256 << 20;

/// Function table entries a guest may have; the interpreter has about 10,000.
const TABLE_ELEMENTS: usize = 16_000;

/// Native stack for wasm frames. The interpreter's own call depth limit ends a recursion long before; this is the wall
/// behind it.
const WASM_STACK_BYTES: usize = 1 << 20;

/// Native stack of a fiber: wasm frames plus 256 KiB for host functions called from them.
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + (256 << 10);

/// Bytes of each memory slot that are copied back rather than unmapped after a request. Hello dirties about 40 pages;
/// keeping more makes every later request in the slot pay for the heaviest one before it.
const MEMORY_KEEP_RESIDENT: usize = 256 << 10;

/// Bytes of each table slot that are cleared rather than unmapped: the whole table of the interpreter.
const TABLE_KEEP_RESIDENT: usize = TABLE_ELEMENTS * 8;

/// Bytes of each fiber stack that are kept after a request.
const STACK_KEEP_RESIDENT: usize = 64 << 10;

/// Slots that stay warm for an image nobody uses now. More keeps memory of idle apps, fewer makes each of many apps
/// that take turns map its image again.
const MAX_WARM_SLOTS: u32 = 256;

/// What the engine is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Compiling the guest: all cores.
    Compile,
    /// Running so many guests at once. Nothing is compiled but images, which have no code.
    Run(u32),
}

/// The engine; errors name the setting that this machine does not support.
pub fn engine(purpose: Purpose) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .memory_init_cow(true)
        // Whatever an app keeps is mapped into its forks. Beyond this size an image with holes in it would be copied
        // instead, at every request: 12 ms for an app that keeps a text of 8 MB.
        .memory_guaranteed_dense_image_size(MAX_MEMORY_BYTES as u64)
        // Trap offsets and frames of the interpreter say nothing about a script; both cost megabytes in the binary.
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .parallel_compilation(purpose == Purpose::Compile)
        .with_custom_code_memory(Some(Arc::new(InPlace)));
    if let Purpose::Run(instances) = purpose {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
    }
    for feature in [Config::wasm_relaxed_simd, Config::wasm_tail_call, Config::wasm_memory64] {
        feature(&mut config, false);
    }
    Engine::new(&config)
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * CORE_INSTANCES_PER_GUEST)
        .total_memories(instances)
        // The interpreter's table and that of one place for its allocator.
        .total_tables(instances * 2)
        .total_stacks(instances)
        .max_core_instances_per_component(CORE_INSTANCES_PER_GUEST)
        .max_memories_per_component(1)
        .max_tables_per_component(2)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(TABLE_ELEMENTS)
        .max_unused_warm_slots(MAX_WARM_SLOTS)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT)
        .table_keep_resident(TABLE_KEEP_RESIDENT)
        .async_stack_keep_resident(STACK_KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}
