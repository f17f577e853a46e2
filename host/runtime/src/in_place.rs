//! Compiled code that is executed where it lies in the binary, neither copied nor written anywhere.

#![expect(unsafe_code, reason = "see the argument at the block")]

use rustix::mm::{MprotectFlags, mprotect};
use rustix::param::page_size;
use wasmtime::CustomCodeMemory;

/// Makes code executable where it lies: in the pages of the binary, which the system shares among processes and reads
/// from disk when they are first used.
#[derive(Debug)]
pub(crate) struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        page_size()
    }

    fn publish_executable(&self, code: *const u8, length: usize) -> wasmtime::Result<()> {
        let executable = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: wasmtime passes whole pages of compiled code, so nothing else lives in them. They never become writable.
        unsafe { mprotect(code.cast_mut().cast(), length, executable) }
            .map_err(|error| wasmtime::Error::msg(format!("cannot make the guest's code executable: {error}")))
    }

    /// It stays executable: it may have been loaded a second time, and never changes.
    fn unpublish_executable(&self, _code: *const u8, _length: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
