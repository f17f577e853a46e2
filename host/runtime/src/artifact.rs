//! The guest as it is stored and loaded: the component compiled ahead of time, and the base image.
//!
//! The build compiles it, and there is no compiler in the host. At run time the code is executed where it lies in the
//! binary, not copied: copying 14 MB and touching every page of it was a third of a cold start. Loading is `unsafe`:
//! compiled code is executed as it is.

#![expect(unsafe_code, reason = "see the argument at each block")]

use std::ptr::NonNull;

use rustix::param::page_size;
use wasmtime::component::Component;
use wasmtime::{Engine, Module, Precompiled};

use crate::memory::image::STACK_POINTER;

/// Bytes of a guest as the build made it.
#[derive(Clone, Copy, Debug)]
pub struct Artifact {
    /// The compiled component, in wasmtime's own format.
    pub component: &'static [u8],
    /// The module that gives the component its memory, compiled: one for all scripts.
    pub memory: &'static [u8],
    /// The base image: a core wasm module.
    pub base: &'static [u8],
}

/// The module that gives a component its memory, of at least `memory_pages` of 64 KiB: for the compiler, and compiled for
/// [`Artifact::memory`].
#[must_use]
pub fn memory_module(memory_pages: u64) -> Vec<u8> {
    starcell_image::shared_image(memory_pages, STACK_POINTER)
}

impl Artifact {
    /// Loads the compiled component: in place if it lies on a page boundary, else from a copy.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        if Engine::detect_precompiled(self.component) != Some(Precompiled::Component) {
            return Err(wasmtime::Error::msg("the guest artifact is not a compiled component; run `make guest`"));
        }
        // SAFETY: the bytes must be what `Engine::precompile_component` made and nobody changed. They are compiled into
        // the binary from the file that the build wrote in the same run, so whoever can change them can change the
        // binary itself; tenants supply script text alone. wasmtime refuses other versions and configurations. They live
        // as long as the process and are never written, which is all that loading in place asks for on top.
        unsafe {
            match self.component.as_ptr().addr().is_multiple_of(page_size()) {
                true => Component::deserialize_raw(engine, NonNull::from(self.component)),
                false => Component::deserialize(engine, self.component),
            }
        }
    }

    /// Loads the module that gives the component its memory, from a copy: it is three instructions.
    pub(crate) fn load_memory(&self, engine: &Engine) -> wasmtime::Result<Module> {
        if Engine::detect_precompiled(self.memory) != Some(Precompiled::Module) {
            return Err(wasmtime::Error::msg("the memory of the guest is not a compiled module; run `make guest`"));
        }
        // SAFETY: as for the component: the build made these bytes, and they are a part of the binary.
        unsafe { Module::deserialize(engine, self.memory) }
    }
}
