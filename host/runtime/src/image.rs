//! A captured memory that forks start from.
//!
//! An image is a core module with a memory, a stack pointer and no code. wasmtime maps it copy-on-write, so a fork
//! costs the pages it writes and nothing else.

use wasmtime::{Engine, Module};

use crate::artifact;

/// The lowest address a guest hands over.
const MEMORY_START: u32 = 8;

/// The bytes of an image of a memory that a guest handed over.
pub(crate) fn capture(memory: &[u8], stack_pointer: u32) -> Vec<u8> {
    starcell_image::image(memory, MEMORY_START, stack_pointer, 0, None)
}

/// A memory image, ready to be instantiated.
#[derive(Clone, Debug)]
pub struct Image {
    module: Module,
    bytes: usize,
}

impl Image {
    /// Loads the bytes of an image module. Takes about a millisecond for each MiB: not for the async runtime's threads.
    pub(crate) fn load(engine: &Engine, image: &[u8]) -> wasmtime::Result<Self> {
        Ok(Self { module: artifact::load_image(engine, image)?, bytes: image.len() })
    }

    /// The core module to instantiate.
    pub(crate) fn module(&self) -> &Module {
        &self.module
    }

    /// Size of the image: the memory that is not zero.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
