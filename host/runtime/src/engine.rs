//! One wasmtime engine for the process.
//!
//! The same configuration compiles the guest at build time and runs it, since wasmtime refuses code made under any
//! other. Every number here bounds what guests can make the host hold; each carries its reason.

use std::sync::Arc;

use wasmtime::{Config, Engine, OptLevel};

use crate::in_place::InPlace;
use crate::memory::raw::Slots;
use crate::memory::stacks::Stacks;

/// Instances that a process with one app may hold at once: its suspended parent, and forks that answer requests, of
/// which the host admits 512.
pub const INSTANCES: u32 = 600;

/// Largest linear memory that any app may be given, in bytes.
pub const MAX_MEMORY_BYTES: usize = 256 << 20;

/// Native stack for wasm frames: 0.9 MiB for as many nested calls as an operator can allow
/// ([`MAX_CALL_DEPTH`](crate::MAX_CALL_DEPTH)), the rest for a builtin that recurses below them. The interpreter's own limit
/// ends a recursion before; this is the wall behind it. A stack costs the pages that it touches.
const WASM_STACK_BYTES: usize = 2 << 20;

/// Native stack of a fiber: wasm frames plus 256 KiB for host functions called from them.
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + (256 << 10);

/// What the engine is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Compiling the guest: all cores.
    Compile,
    /// Running guests, in memories of our own. Nothing is compiled.
    Run,
}

/// The engine; errors name the setting that this machine does not support.
pub fn engine(purpose: Purpose) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        // Trap offsets and frames of the interpreter say nothing about a script; both cost megabytes in the binary.
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        .native_unwind_info(false)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .parallel_compilation(purpose == Purpose::Compile)
        .with_custom_code_memory(Some(Arc::new(InPlace)));
    if purpose == Purpose::Run {
        config.with_host_memory(Arc::new(Slots)).with_host_stack(Arc::new(Stacks::default()));
    }
    for feature in [Config::wasm_relaxed_simd, Config::wasm_tail_call, Config::wasm_memory64] {
        feature(&mut config, false);
    }
    Engine::new(&config)
}
