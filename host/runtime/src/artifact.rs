//! The guest as it is stored and loaded: the component compiled ahead of time, and the base image.
//!
//! Compiling takes some ten seconds, so the build does it. At run time the code is executed where it lies in the binary,
//! neither compiled nor copied: copying 14 MB and touching every page of it was a third of a cold start. Loading is the
//! only `unsafe` of the host: compiled code is executed as it is.

#![expect(unsafe_code, reason = "see the argument at each block")]

use std::ptr::NonNull;

use rustix::param::page_size;
use wasmtime::component::Component;
use wasmtime::{Engine, Precompiled};

use crate::engine::{Purpose, engine};
use crate::failure::Failure;

/// Bytes of a guest as the build made it.
#[derive(Clone, Copy, Debug)]
pub struct Artifact {
    /// The compiled component, in wasmtime's own format.
    pub component: &'static [u8],
    /// The base image: a core wasm module.
    pub base: &'static [u8],
}

/// Compiles a component, which must be split from its memory, into the format that [`Artifact`] loads.
///
/// # Errors
/// The component is not valid, or this machine lacks what the engine configuration asks for.
pub fn compile(component: &[u8]) -> Result<Vec<u8>, Failure> {
    let engine = engine(Purpose::Compile).map_err(Failure::host)?;
    engine.precompile_component(component).map_err(Failure::host)
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
}
