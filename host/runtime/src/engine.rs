//! One wasmtime engine for the process.
//!
//! It runs code that was compiled when the host was built, under the settings of `starcell-codegen`, and compiles none.
//! Every number here bounds what guests can make the host hold; each carries its reason.

use std::sync::Arc;

use wasmtime::Engine;

use crate::in_place::InPlace;
use crate::memory::creator::Slots;
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

/// The engine, with memories and stacks of our own; errors name the setting that this machine does not support.
pub fn engine() -> wasmtime::Result<Engine> {
    let mut config = starcell_codegen::config();
    config
        .wasm_backtrace_max_frames(None)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .with_custom_code_memory(Some(Arc::new(InPlace)))
        .with_host_memory(Arc::new(Slots))
        .with_host_stack(Arc::new(Stacks::default()));
    Engine::new(&config)
}
