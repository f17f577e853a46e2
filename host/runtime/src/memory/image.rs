//! Images as forks map them: a sealed file of memory, and which of its pages are zero.
//!
//! **The decision.** An image is data and nothing else: what differs between two scripts is a file that their forks map
//! copy-on-write. The code that runs over it, the type of the memory included, is one and the same for all, so nothing is
//! compiled for a script. The stack pointer lies in the image too, below the first address that a guest uses.
//!
//! **The attack it answers.** The bytes come from a guest, whole and unread: they are compared with zero and copied. The file
//! is sealed before the first fork maps it, so nothing can change under one.

#![expect(clippy::disallowed_types, reason = "the only files here are memory that has no name")]

use std::fs::File;
use std::io;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::param::page_size;

use super::view::View;

/// The lowest address that a guest hands over. Nothing lives below it but the stack pointer of the image.
pub(crate) const MEMORY_START: usize = 8;

/// Where an image has its stack pointer: four bytes, the lowest first.
pub(crate) const STACK_POINTER: u32 = 4;

/// Zero memory behind what is stored whose pages are watched one by one: a request's first blocks lie there.
const PAGED_BEHIND: usize = 128 << 10;

/// A captured memory.
#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    view: View,
    /// For each page of the view whether it has a byte that is not zero.
    used: Vec<bool>,
    page: usize,
    size: usize,
}

impl Image {
    /// The image of a memory of `size` bytes. `memory` begins at [`MEMORY_START`]; behind it all is zero.
    pub(crate) fn capture(memory: &[u8], size: usize, stack_pointer: u32) -> io::Result<Self> {
        Self::new(&[(MEMORY_START, memory)], size, stack_pointer)
    }

    /// The image of a memory of `size` bytes that has these bytes at these addresses, and is zero elsewhere.
    pub(crate) fn new(parts: &[(usize, &[u8])], size: usize, stack_pointer: u32) -> io::Result<Self> {
        let page = page_size();
        let end = parts.iter().map(|(address, bytes)| address + used(bytes)).max().unwrap_or_default();
        let length = end.max(MEMORY_START).next_multiple_of(page);
        if length > size {
            return Err(io::Error::other(format!("a memory of {size} bytes has data up to {end}")));
        }
        let file = File::from(memfd_create("starcell-image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        file.set_len(length as u64)?;
        View::write(&file, length, |target| {
            parts.iter().for_each(|(address, bytes)| write(target, *address, bytes, page));
            write(target, STACK_POINTER as usize, &stack_pointer.to_le_bytes(), page);
        })?;
        seal(&file)?;
        let view = View::read(&file, length)?;
        let used = view.chunks(page).map(|bytes| used(bytes) != 0).collect();
        Ok(Self { file, view, used, page, size })
    }

    /// The file that forks map.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The memory up to the last page that is not zero.
    pub(crate) fn stored(&self) -> &[u8] {
        &self.view
    }

    /// Bytes of the memory that are in pages which are not zero: what the image takes.
    pub(crate) fn bytes(&self) -> usize {
        self.used.iter().filter(|used| **used).count() * self.page
    }

    /// The size of the memory.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// End of the part whose pages are watched one by one.
    pub(crate) fn paged(&self) -> usize {
        (self.view.len() + PAGED_BEHIND).min(self.size)
    }

    /// The stack pointer of its forks.
    pub(crate) fn stack_pointer(&self) -> u32 {
        let bytes = self.view.get(STACK_POINTER as usize..MEMORY_START).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u32::from_le_bytes).unwrap_or_default()
    }

    /// The same as a module, which is how an image is stored.
    pub(crate) fn to_module(&self) -> Vec<u8> {
        let memory = self.view.get(MEMORY_START..).unwrap_or_default();
        let pages = self.size as u64 / starcell_image::WASM_PAGE;
        starcell_image::image(memory, MEMORY_START as u32, self.stack_pointer(), pages, None)
    }

    /// The page at an address; none where it is zero.
    pub(crate) fn page(&self, address: usize, length: usize) -> Option<&[u8]> {
        let used = self.used.get(address / self.page).copied().unwrap_or_default();
        used.then(|| self.view.get(address..address + length)).flatten()
    }
}

/// Where the zeros at the end begin.
fn used(bytes: &[u8]) -> usize {
    // In large steps from the end: most of what is captured behind the last block is zero.
    let zeros = bytes.rchunks(512).take_while(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0);
    let end = bytes.len() - zeros.map(<[u8]>::len).sum::<usize>();
    let rest = bytes.get(..end).unwrap_or_default();
    rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Copies what is not zero, so that the pages of the others are never made.
fn write(target: &mut [u8], address: usize, bytes: &[u8], page: usize) {
    let lead = address.next_multiple_of(page) - address;
    let (first, rest) = bytes.split_at_checked(lead).unwrap_or((bytes, &[]));
    let mut at = address;
    for chunk in std::iter::once(first).chain(rest.chunks(page)) {
        let length = used(chunk);
        if let (Some(target), Some(chunk)) = (target.get_mut(at..at + length), chunk.get(..length)) {
            target.copy_from_slice(chunk);
        }
        at += chunk.len();
    }
}

/// Makes sure that nobody changes a file any more. The kernel waits 150 ms for whoever holds one of its pages, such as
/// the reclaim of memory on a busy machine, and then refuses; so it is asked again.
fn seal(file: &File) -> io::Result<()> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_what_was_captured_and_where_its_stack_begins() {
        let page = page_size();
        let mut memory = vec![0; 64 * page];
        memory[20 * page] = 7;
        memory[0] = 1;
        let image = Image::capture(&memory, 1 << 20, 0x1234_5678).unwrap();
        assert_eq!((image.size(), image.stack_pointer(), image.bytes()), (1 << 20, 0x1234_5678, 2 * page));
        assert_eq!(image.stored().len(), 21 * page);
        assert_eq!(image.stored()[MEMORY_START], 1);
        assert_eq!(image.stored()[20 * page + MEMORY_START], 7);
        assert!(image.page(page, page).is_none() && image.page(20 * page, page).is_some());
        assert!(image.page(40 * page, page).is_none());
    }

    #[test]
    fn data_behind_the_end_of_the_memory_is_refused() {
        let error = Image::new(&[(60 << 10, &[1; 8 << 10])], 64 << 10, 0).unwrap_err();
        assert_eq!(error.to_string(), "a memory of 65536 bytes has data up to 69632");
    }

    #[test]
    fn the_file_of_an_image_is_sealed() {
        use std::os::unix::fs::FileExt as _;
        let image = Image::capture(&[1], 64 << 10, 0).unwrap();
        assert!(image.file().write_at(b"x", 100).is_err());
        assert!(image.file().set_len(0).is_err());
    }

    #[test]
    fn zeros_at_the_end_are_found_whatever_the_length() {
        for length in [0, 1, 511, 512, 513, 5000] {
            let mut bytes = vec![0; length];
            assert_eq!(used(&bytes), 0);
            if let Some(middle) = bytes.get_mut(length / 2) {
                *middle = 1;
                assert_eq!(used(&bytes), length / 2 + 1);
            }
        }
    }
}
