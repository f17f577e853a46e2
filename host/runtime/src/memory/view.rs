//! The bytes of an image, mapped into the host.

#![expect(unsafe_code, reason = "see the argument at each block")]
#![expect(clippy::disallowed_types, reason = "the only files here are memory that has no name")]

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The stored bytes of an image, mapped once for all forks: what pages are put back from.
#[derive(Debug)]
pub(crate) struct View {
    address: NonNull<u8>,
    length: usize,
}

// SAFETY: nobody writes to it once `View::write` has returned.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl View {
    /// Maps a file that never changes.
    pub(crate) fn read(file: &File, length: usize) -> io::Result<Self> {
        Self::map(file, length, ProtFlags::READ, MapFlags::PRIVATE)
    }

    /// Has a new file written that nobody else knows yet.
    pub(crate) fn write(file: &File, length: usize, write: impl FnOnce(&mut [u8])) -> io::Result<()> {
        let view = Self::map(file, length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)?;
        // SAFETY: the mapping is writable, as long as said, and this is the only one of the file.
        write(unsafe { std::slice::from_raw_parts_mut(view.address.as_ptr(), view.length) });
        Ok(())
    }

    fn map(file: &File, length: usize, access: ProtFlags, flags: MapFlags) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self { address: NonNull::dangling(), length });
        }
        // SAFETY: a new mapping at an address that the system chooses. No part of it is behind the end of the file, which
        // callers made that long.
        let address = unsafe { mmap(ptr::null_mut(), length, access, flags, file, 0)? };
        let address = NonNull::new(address.cast()).ok_or_else(|| io::Error::other("a mapping at address 0"))?;
        Ok(Self { address, length })
    }
}

impl std::ops::Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: readable, as long as said, and not written any more.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.length) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if self.length != 0 {
            // SAFETY: the mapping is this value's own.
            let _ = unsafe { munmap(self.address.as_ptr().cast(), self.length) };
        }
    }
}
