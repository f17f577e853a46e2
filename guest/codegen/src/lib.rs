//! How the guest is compiled: the settings of wasmtime that give its code its form.
//!
//! The guest is compiled when starcell is built, by `starcell-compile`, and the host only runs what that made. wasmtime
//! refuses code made under any other settings, so they are written once, here, for both. What is left to the host are
//! settings that code does not depend on: memories, stacks, and where code lies (`host/runtime/src/engine.rs`).
//!
//! The compiler comes with the feature `compiler` alone, and the host is built without it. So the process that strangers'
//! scripts run in cannot make code: it executes what the build made, and a fault of the compiler is out of a script's reach.
//! `make lint` looks for the compiler among the host's dependencies, and a test in its binary.

use wasmtime::Config;

/// The settings that compiled code depends on.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // Trap offsets and frames of the interpreter say nothing about a script; both cost megabytes in the binary.
        .generate_address_map(false)
        .native_unwind_info(false);
    for feature in [Config::wasm_relaxed_simd, Config::wasm_tail_call, Config::wasm_memory64] {
        feature(&mut config, false);
    }
    #[cfg(feature = "compiler")]
    config.cranelift_opt_level(wasmtime::OptLevel::Speed);
    config
}
