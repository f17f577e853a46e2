//! The image module of hosts that map memories themselves: one for all scripts, and what such a host maps.
//!
//! **The decision.** A host that decides what a new memory contains needs no data in a module, and so no module for each
//! script: the only thing left that differs is the stack pointer, which this module reads from the memory when it starts.
//!
//! **The attack it answers.** None of its own: the module has no import, one function and one constant address. A memory that
//! says nonsense there gives a guest that traps at its first call.

use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, MemArg, MemorySection,
    Module, StartSection, TypeSection,
};
use wasmparser::{Parser, Payload};

use crate::format::{STACK_POINTER_TYPE, memory_type};
use crate::{MEMORY_EXPORT, STACK_POINTER_EXPORT, SplitError, WASM_PAGE, check};

/// The module that exports a memory of at least `minimum_pages` (in 64 KiB) and the stack pointer that lies in that memory at
/// `address`.
#[must_use]
pub fn shared_image(minimum_pages: u64, address: u32) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut memories = MemorySection::new();
    memories.memory(memory_type(minimum_pages, None));
    let mut globals = GlobalSection::new();
    globals.global(STACK_POINTER_TYPE, &ConstExpr::i32_const(0));
    let mut exports = ExportSection::new();
    exports.export(MEMORY_EXPORT, ExportKind::Memory, 0).export(STACK_POINTER_EXPORT, ExportKind::Global, 0);
    let mut start = Function::new([]);
    let word = MemArg { offset: 0, align: 2, memory_index: 0 };
    start.instructions().i32_const(address.cast_signed()).i32_load(word).global_set(0).end();
    let mut code = CodeSection::new();
    code.function(&start);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&globals).section(&exports);
    module.section(&StartSection { function_index: 0 }).section(&code);
    module.finish()
}

/// What an image says: the parts of its memory that are not zero, by address, and the rest.
#[derive(Clone, Debug)]
pub struct Contents<'a> {
    /// Addresses and bytes.
    pub parts: Vec<(usize, &'a [u8])>,
    /// The size of the memory when an instance starts, in 64 KiB.
    pub pages: u64,
    /// The initial stack pointer.
    pub stack_pointer: u32,
}

/// Reads an image that [`image`](crate::image()) made.
///
/// # Errors
/// The bytes cannot be parsed, or are no such image.
pub fn contents(image: &[u8]) -> Result<Contents<'_>, SplitError> {
    let (mut parts, mut pages, mut stack_pointer) = (Vec::new(), None, None);
    for payload in Parser::new(0).parse_all(image) {
        match payload? {
            Payload::MemorySection(section) => {
                for memory in section {
                    pages = Some(memory?.initial);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    stack_pointer = Some(check::stack_pointer(&global?)?);
                }
            }
            Payload::DataSection(section) => {
                for (segment, data) in section.into_iter().enumerate() {
                    let data = data?;
                    parts.push((check::active_offset(segment, &data.kind)?, data.data));
                }
            }
            _ => {}
        }
    }
    let pages = pages.ok_or(SplitError::MemoryCount { count: 0 })?;
    let limit = pages.saturating_mul(WASM_PAGE);
    for (segment, (address, bytes)) in parts.iter().enumerate() {
        let end = (address + bytes.len()) as u64;
        if end > limit {
            return Err(SplitError::DataOutOfBounds { segment, end, limit });
        }
    }
    let stack_pointer = stack_pointer.ok_or(SplitError::StackPointer { found: "is missing" })?;
    Ok(Contents { parts, pages, stack_pointer })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_what_it_was_made_of() {
        let mut memory = vec![0; 200_000];
        memory[100_000..100_003].copy_from_slice(b"abc");
        memory[5] = 9;
        let image = crate::image(&memory, 8, 4096, 0, None);
        let contents = contents(&image).unwrap();
        assert_eq!((contents.pages, contents.stack_pointer, contents.parts.len()), (4, 4096, 2));
        assert_eq!(contents.parts[0].0, 8);
        let (address, bytes) = contents.parts[1];
        assert_eq!(&bytes[100_008 - address..100_011 - address], b"abc");
    }

    #[test]
    fn what_is_no_image_is_refused() {
        assert!(contents(b"nonsense").is_err());
        assert!(contents(&Module::new().finish()).is_err());
    }
}
