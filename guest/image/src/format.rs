//! The border between a split component and its image: names, units and types of what the one imports and the other
//! exports.

use wasm_encoder::{GlobalType, MemoryType, ValType};

/// The name under which the split component imports its image.
pub const IMAGE_IMPORT: &str = "image";

/// The name of an image's memory.
pub const MEMORY_EXPORT: &str = "memory";

/// The name of an image's stack pointer.
pub const STACK_POINTER_EXPORT: &str = "sp";

/// Bytes of the unit in which an image stores memory: the page of the machines we run on.
pub const IMAGE_PAGE: usize = 4096;

/// Bytes of the unit in which a memory grows.
pub const WASM_PAGE: u64 = 65536;

/// A plain 32-bit memory.
pub(crate) const fn memory_type(minimum: u64, maximum: Option<u64>) -> MemoryType {
    MemoryType { minimum, maximum, memory64: false, shared: false, page_size_log2: None }
}

/// The type of a stack pointer.
pub(crate) const STACK_POINTER_TYPE: GlobalType = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
