//! The guest as it is stored and loaded: the component compiled ahead of time, and the base image.
//!
//! Compiling takes some ten seconds, so the build does it. At run time the code is executed where it lies in the binary,
//! neither compiled nor copied: copying 14 MB and touching every page of it was a third of a cold start. Loading is the
//! only `unsafe` of the host: compiled code is executed as it is.

#![expect(unsafe_code, reason = "see the argument at each block")]
#![expect(clippy::disallowed_types, reason = "the only files here are memory that has no name")]

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::param::page_size;
use wasmtime::component::Component;
use wasmtime::{Engine, Module, Precompiled};

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

/// Loads an image so that its memory exists once: forks map it from the very file that it is loaded from. wasmtime would
/// otherwise keep it twice, in what it loaded and in a file that it makes of that.
pub(crate) fn load_image(engine: &Engine, image: &[u8]) -> wasmtime::Result<Module> {
    let compiled = engine.precompile_module(image)?;
    let file = File::from(memfd_create("starcell-image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    write_sparse(&file, &compiled)?;
    seal(&file)?;
    // SAFETY: the bytes are what `precompile_module` returned on the line above. The file has no name, this is its only
    // descriptor, and it is sealed, so nothing can change it.
    unsafe { Module::deserialize_open_file(engine, file) }
}

/// Makes sure that nobody changes a file any more. The kernel waits 150 ms for whoever holds one of its pages, such as
/// the reclaim of memory on a busy machine, and then refuses; so it is asked again.
fn seal(file: &File) -> std::io::Result<()> {
    const ATTEMPTS: u32 = 20;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    for _ in 1..ATTEMPTS {
        match fcntl_add_seals(file, seals) {
            Err(Errno::BUSY) => {}
            other => return Ok(other?),
        }
    }
    Ok(fcntl_add_seals(file, seals)?)
}

/// Writes the runs of pages that are not zero: the others, a third of an image, then take no memory.
fn write_sparse(file: &File, bytes: &[u8]) -> std::io::Result<()> {
    const PAGE: usize = 4096;
    const ZERO: [u8; PAGE] = [0; PAGE];
    file.set_len(bytes.len() as u64)?;
    let is_zero = |page: &&[u8]| ZERO.get(..page.len()) == Some(*page);
    let mut pages = bytes.chunks(PAGE).peekable();
    let mut offset = 0;
    while let Some(page) = pages.next() {
        let zero = is_zero(&page);
        let mut length = page.len();
        while let Some(next) = pages.next_if(|next| is_zero(next) == zero) {
            length += next.len();
        }
        if !zero {
            file.write_all_at(bytes.get(offset..offset + length).unwrap_or_default(), offset as u64)?;
        }
        offset += length;
    }
    Ok(())
}
