//! Images as forks map them: a sealed file of memory, and which of its pages are zero.
//!
//! **The decision.** An image is data and nothing else: what differs between two scripts is a file that their forks map
//! copy-on-write. The code that runs over it, the type of the memory included, is one and the same for all, so nothing is
//! compiled for a script. The stack pointer lies in the image too, below the first address that a guest uses. Most pages of
//! all scripts are those of the interpreter: an image stores the pages that differ from its *base*, and forks map the base
//! and over it these.
//!
//! **The attack it answers.** The bytes come from a guest, whole and unread: they are compared and copied. The file is sealed before the first fork maps it, so nothing can change under one.

#![expect(clippy::disallowed_types, reason = "the only files here are memory that has no name")]

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::param::page_size;
use serde::{Deserialize, Serialize};

use super::view::View;

/// The lowest address that a guest hands over. Nothing lives below it but the stack pointer of the image.
pub(crate) const MEMORY_START: usize = 8;

/// Where an image has its stack pointer: four bytes, the lowest first.
pub(crate) const STACK_POINTER: u32 = 4;

/// Zero memory behind what is stored whose pages are watched one by one: a request's first blocks lie there.
const PAGED_BEHIND: usize = 128 << 10;

/// Pages that are equal to the base's are stored again if no more than so many lie between two that differ: every run of
/// stored pages costs a mapping of each fork.
const MERGED: usize = 2;

/// More bytes than the memory of any guest has; a layout that asks for more is refused before anything is made for it.
const MOST_BYTES: usize = 1 << 30;

/// A captured memory.
#[derive(Debug)]
pub(crate) struct Image {
    /// The image whose pages this one shares; none for the image that every script starts from.
    base: Option<Arc<Self>>,
    /// The pages of its own, one after the other. Those of an image without a base lie where the memory has them.
    file: File,
    view: View,
    pages: Vec<Page>,
    stack_pointer: u32,
    page: usize,
    size: usize,
}

/// Where a page of the memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    Zero,
    Base,
    /// The page of this number in the file.
    Own(usize),
}

/// What an image is made of beside its base and the bytes of its own pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageLayout {
    /// Bytes of a page.
    pub(crate) page: usize,
    /// Pages of the memory that come from files.
    pub(crate) stored: usize,
    /// The size of the memory in bytes.
    pub(crate) size: usize,
    /// Where the stack of a fork begins.
    pub(crate) stack_pointer: u32,
    /// The pages of its own: the number of the first page of each run, and how many follow each other.
    pub(crate) own: Vec<(usize, usize)>,
}

/// A part of the memory that forks map from one file.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// Where it lies in the memory.
    pub(crate) address: usize,
    pub(crate) length: usize,
    pub(crate) file: &'a File,
    /// Where it begins in the file.
    pub(crate) offset: usize,
}

impl Image {
    /// The image of a memory of `size` bytes. `memory` begins at [`MEMORY_START`]; behind it all is zero. Pages that
    /// `base` has as well are not stored again.
    pub(crate) fn capture(memory: &[u8], size: usize, stack_pointer: u32, base: &Arc<Self>) -> io::Result<Self> {
        let base = base.base.as_ref().unwrap_or(base);
        let page = base.page;
        let length = length(MEMORY_START + used(memory), size, page)?.max(base.stored());
        let mut first = vec![0; MEMORY_START];
        write(&mut first, STACK_POINTER as usize, &stack_pointer.to_le_bytes(), page);
        first.extend_from_slice(memory.get(..page - MEMORY_START).unwrap_or(memory));
        let bytes = |number: usize| match number.checked_mul(page).and_then(|at| at.checked_sub(MEMORY_START)) {
            None => first.as_slice(),
            Some(at) => memory.get(at..).map_or(&[][..], |rest| rest.get(..page).unwrap_or(rest)),
        };
        let mut pages: Vec<Page> = (0..length / page).map(|number| base.compare(number, bytes(number))).collect();
        let own = number_own(&mut pages);
        let file = new_file(own.len() * page)?;
        View::write(&file, own.len() * page, |target| {
            for (at, number) in own.iter().enumerate() {
                write(target, at * page, bytes(*number), page);
            }
        })?;
        seal(&file)?;
        let view = View::read(&file, own.len() * page)?;
        Ok(Self { base: Some(Arc::clone(base)), file, view, pages, stack_pointer, page, size })
    }

    /// The image of a memory of `size` bytes that has these bytes at these addresses, and is zero elsewhere.
    pub(crate) fn new(parts: &[(usize, &[u8])], size: usize, stack_pointer: u32) -> io::Result<Self> {
        let page = page_size();
        let end = parts.iter().map(|(address, bytes)| address + used(bytes)).max().unwrap_or_default();
        let length = length(end, size, page)?;
        let file = new_file(length)?;
        View::write(&file, length, |target| {
            parts.iter().for_each(|(address, bytes)| write(target, *address, bytes, page));
            write(target, STACK_POINTER as usize, &stack_pointer.to_le_bytes(), page);
        })?;
        seal(&file)?;
        let view = View::read(&file, length)?;
        let own = |(number, bytes)| if used(bytes) == 0 { Page::Zero } else { Page::Own(number) };
        let pages = view.chunks(page).enumerate().map(own).collect();
        Ok(Self { base: None, file, view, pages, stack_pointer, page, size })
    }

    /// The image that was kept as a layout and the bytes of its own pages, which `fill` writes into memory of their length.
    /// The caller compares those bytes afterwards, as [`Image::own_bytes`] has them: then nobody can change them any more.
    pub(crate) fn restore(
        layout: &ImageLayout,
        base: &Arc<Self>,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<Self> {
        let base = base.base.as_ref().unwrap_or(base);
        let (pages, own) = layout.pages(base).map_err(io::Error::other)?;
        let length = own * base.page;
        let file = new_file(length)?;
        let mut filled = Ok(());
        View::write(&file, length, |target| filled = fill(target))?;
        filled?;
        seal(&file)?;
        let view = View::read(&file, length)?;
        let ImageLayout { stack_pointer, size, .. } = *layout;
        Ok(Self { base: Some(Arc::clone(base)), file, view, pages, stack_pointer, page: base.page, size })
    }

    /// What it is made of, for [`Image::restore`].
    pub(crate) fn layout(&self) -> ImageLayout {
        let mut own: Vec<(usize, usize)> = Vec::new();
        for number in self.pages.iter().enumerate().filter(|(_, page)| matches!(page, Page::Own(_))).map(|(at, _)| at) {
            match own.last_mut() {
                Some((first, count)) if *first + *count == number => *count += 1,
                _ => own.push((number, 1)),
            }
        }
        let Self { pages, stack_pointer, page, size, .. } = self;
        ImageLayout { page: *page, stored: pages.len(), size: *size, stack_pointer: *stack_pointer, own }
    }

    /// The pages of its own, one after the other.
    pub(crate) fn own_bytes(&self) -> &[u8] {
        &self.view
    }

    /// Where a page with these bytes, and zeros behind them, would come from, were this its base.
    fn compare(&self, number: usize, bytes: &[u8]) -> Page {
        match self.page(number * self.page, self.page) {
            Some(ours) => match ours.split_at_checked(bytes.len()) {
                Some((ours, rest)) if ours == bytes && used(rest) == 0 => Page::Base,
                _ => Page::Own(0),
            },
            None if used(bytes) != 0 => Page::Own(0),
            // It is zero in both; behind the base there is nothing to map.
            None if number * self.page < self.stored() => Page::Base,
            None => Page::Zero,
        }
    }

    /// The parts of the memory that come from files, in the order in which they are mapped: later ones lie over earlier ones.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let base = self.base.as_ref().map(|base| (&base.file, base.stored()));
        // Without a base the file is the memory, and one mapping.
        let (file, whole) = base.unwrap_or_else(|| (&self.file, self.stored()));
        let whole = Part { address: 0, length: whole, file, offset: 0 };
        let numbered = self.pages.iter().enumerate();
        let own: Vec<(usize, usize)> = match &self.base {
            None => Vec::new(),
            Some(_) => {
                numbered.filter_map(|(at, page)| if let Page::Own(n) = page { Some((at, *n)) } else { None }).collect()
            }
        };
        let mut runs: Vec<Part<'_>> = Vec::new();
        for (at, number) in own {
            let (address, offset) = (at * self.page, number * self.page);
            match runs.last_mut() {
                Some(run) if run.address + run.length == address => run.length += self.page,
                _ => runs.push(Part { address, length: self.page, file: &self.file, offset }),
            }
        }
        std::iter::once(whole).chain(runs).filter(|part| part.length != 0)
    }

    /// End of the memory that comes from files.
    pub(crate) fn stored(&self) -> usize {
        self.pages.len() * self.page
    }

    /// Bytes of the memory that are stored for this image alone.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.iter().filter(|page| matches!(page, Page::Own(_))).count() * self.page
    }

    /// The size of the memory.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// End of the part whose pages are watched one by one.
    pub(crate) fn paged(&self) -> usize {
        (self.stored() + PAGED_BEHIND).min(self.size)
    }

    /// The same as a module, which is how an image is stored.
    pub(crate) fn to_module(&self) -> Vec<u8> {
        let zero = vec![0; self.page];
        let page = |at| self.page(at, self.page).unwrap_or(&zero);
        let memory: Vec<u8> = (0..self.stored()).step_by(self.page).flat_map(page).copied().collect();
        let pages = self.size as u64 / starcell_image::WASM_PAGE;
        let memory = memory.get(MEMORY_START..).unwrap_or_default();
        starcell_image::image(memory, MEMORY_START as u32, self.stack_pointer, pages, None)
    }

    /// The page at an address; none where it is zero.
    pub(crate) fn page(&self, address: usize, length: usize) -> Option<&[u8]> {
        match self.pages.get(address / self.page)? {
            Page::Zero => None,
            Page::Base => self.base.as_ref().and_then(|base| base.page(address, length)),
            Page::Own(number) => self.view.get(number * self.page..number * self.page + length),
        }
    }
}

impl ImageLayout {
    /// How many pages it has of its own; none where that is more than a memory can have.
    pub(crate) fn own_pages(&self) -> Option<usize> {
        self.own.iter().try_fold(0_usize, |sum, (_, count)| sum.checked_add(*count))
    }

    /// Where each of its pages comes from, over a base; and how many are its own. The error is a sentence.
    fn pages(&self, base: &Image) -> Result<(Vec<Page>, usize), String> {
        let Self { page, stored, size, stack_pointer, own } = self;
        if *page != base.page {
            return Err(format!("its pages have {page} bytes and those of this machine {}", base.page));
        }
        let fits = *size <= MOST_BYTES && size.is_multiple_of(base.page) && *stored <= size / base.page;
        if !fits || *stored < base.pages.len() || *stack_pointer as usize >= *size {
            return Err(format!("a memory of {size} bytes with {stored} pages is none over this base"));
        }
        let zero = |number| if number < base.pages.len() { Page::Base } else { Page::Zero };
        let mut pages: Vec<Page> = (0..*stored).map(zero).collect();
        let (mut next, mut numbered) = (0, 0);
        for (first, count) in own {
            let run = first.checked_add(*count).and_then(|end| pages.get_mut(*first..end));
            // In order and apart: one image has one layout.
            let Some(run) = run.filter(|run| !run.is_empty() && *first >= next) else {
                return Err(format!("the run of {count} pages at {first} is out of place"));
            };
            for page in run {
                *page = Page::Own(numbered);
                numbered += 1;
            }
            next = first + count + 1;
        }
        // The stack pointer of an image lies in its first page.
        match pages.first() {
            Some(Page::Own(_)) => Ok((pages, numbered)),
            _ if *stack_pointer == base.stack_pointer => Ok((pages, numbered)),
            _ => Err("it has no first page of its own".to_owned()),
        }
    }
}

/// The bytes that are stored of a memory which has data up to `end`.
fn length(end: usize, size: usize, page: usize) -> io::Result<usize> {
    let length = end.max(MEMORY_START).next_multiple_of(page);
    match length <= size {
        true => Ok(length),
        false => Err(io::Error::other(format!("a memory of {size} bytes has data up to {end}"))),
    }
}

fn new_file(length: usize) -> io::Result<File> {
    let file = File::from(memfd_create("starcell-image", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.set_len(length as u64)?;
    Ok(file)
}

/// Numbers the pages that are stored, those of small gaps between them included, and says which pages of the memory they
/// are.
fn number_own(pages: &mut [Page]) -> Vec<usize> {
    let differ = |page: &Page| matches!(page, Page::Own(_));
    let mut own: Vec<usize> = Vec::new();
    for at in 0..pages.len() {
        if !pages.get(at).is_some_and(differ) {
            continue;
        }
        let gap = own.last().map_or(at, |last| last + 1)..at;
        own.extend(if gap.len() <= MERGED { gap } else { at..at });
        own.push(at);
    }
    for (number, at) in own.iter().enumerate() {
        if let Some(page) = pages.get_mut(*at) {
            *page = Page::Own(number);
        }
    }
    own
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

    fn base() -> Arc<Image> {
        let page = page_size();
        let mut memory = vec![0; 64 * page];
        memory[20 * page] = 7;
        memory[50 * page] = 8;
        Arc::new(Image::new(&[(MEMORY_START, &memory)], 1 << 20, 0x1_2340).unwrap())
    }

    /// The memory that an image stands for, put together from the files that forks map.
    fn mapped(image: &Image) -> Vec<u8> {
        use std::os::unix::fs::FileExt as _;
        let mut memory = vec![0; image.stored()];
        for part in image.parts() {
            part.file.read_exact_at(&mut memory[part.address..part.address + part.length], part.offset as u64).unwrap();
        }
        memory
    }

    #[test]
    fn a_base_has_what_it_was_made_of_and_where_its_stack_begins() {
        let (page, image) = (page_size(), base());
        assert_eq!((image.size(), image.stored(), image.bytes()), (1 << 20, 51 * page, 3 * page));
        assert_eq!(image.parts().count(), 1);
        let memory = mapped(&image);
        assert_eq!(memory[STACK_POINTER as usize..MEMORY_START], 0x1_2340_u32.to_le_bytes());
        assert_eq!((memory[20 * page + MEMORY_START], memory[50 * page + MEMORY_START]), (7, 8));
        assert!(image.page(page, page).is_none() && image.page(20 * page, page).is_some());
        assert!(image.page(60 * page, page).is_none());
    }

    #[test]
    fn an_image_stores_what_differs_from_its_base() {
        let (page, base) = (page_size(), base());
        let mut memory = mapped(&base).split_off(MEMORY_START);
        let image = Image::capture(&memory, 1 << 20, 0x1_2340, &base).unwrap();
        assert_eq!((image.bytes(), image.parts().count(), image.stored()), (0, 1, base.stored()));
        memory.resize(90 * page, 0);
        // A page that was zero, one near it, one that becomes zero, and one behind the base.
        for (number, byte) in [(10, 1), (13, 2), (50, 0), (80, 3)] {
            memory[number * page] = byte;
        }
        let image = Image::capture(&memory, 1 << 20, 9, &base).unwrap();
        assert_eq!((image.bytes(), image.stored()), ((1 + 4 + 1 + 1) * page, 81 * page));
        let mut expected = vec![0; MEMORY_START];
        expected[STACK_POINTER as usize] = 9;
        expected.extend(&memory);
        expected.truncate(81 * page);
        assert_eq!(mapped(&image), expected);
        for (number, bytes) in expected.chunks(page).enumerate() {
            let shown = image.page(number * page, page).map_or_else(|| vec![0; page], <[u8]>::to_vec);
            assert!(shown == bytes, "page {number}");
        }
        // An image of an image shares the base as well.
        let next = Image::capture(&memory, 1 << 20, 9, &Arc::new(image)).unwrap();
        assert_eq!((next.bytes(), mapped(&next)), (7 * page, expected));
    }

    #[test]
    fn an_image_comes_back_from_its_layout_and_the_bytes_of_its_own_pages() {
        let (page, base) = (page_size(), base());
        let mut memory = mapped(&base).split_off(MEMORY_START);
        memory.resize(90 * page, 0);
        for (number, byte) in [(10, 1), (50, 0), (80, 3)] {
            memory[number * page] = byte;
        }
        let image = Image::capture(&memory, 1 << 20, 9, &base).unwrap();
        let (layout, bytes) = (image.layout(), image.own_bytes().to_vec());
        assert_eq!(layout.own_pages(), Some(image.bytes() / page));
        let fill = |target: &mut [u8]| {
            target.copy_from_slice(&bytes);
            Ok(())
        };
        let back = Image::restore(&layout, &base, fill).unwrap();
        assert_eq!((mapped(&back), back.layout(), back.size()), (mapped(&image), layout.clone(), image.size()));
        // One that differs from its base in nothing has no page of its own.
        let same = Image::capture(&mapped(&base).split_off(MEMORY_START), 1 << 20, 0x1_2340, &base).unwrap();
        assert_eq!(mapped(&Image::restore(&same.layout(), &base, |_| Ok(())).unwrap()), mapped(&same));
        let spoiled = |change: &dyn Fn(&mut ImageLayout)| {
            let mut layout = layout.clone();
            change(&mut layout);
            Image::restore(&layout, &base, |_| Ok(())).map(|_| ()).unwrap_err().to_string()
        };
        for (change, why) in [
            (&(|layout: &mut ImageLayout| layout.page = 1) as &dyn Fn(&mut ImageLayout), "pages have 1 bytes"),
            (&|layout| layout.size = usize::MAX, "is none over this base"),
            (&|layout| layout.size += 1, "is none over this base"),
            (&|layout| layout.stored = 1, "is none over this base"),
            (&|layout| layout.stored = usize::MAX, "is none over this base"),
            (&|layout| layout.stack_pointer = 1 << 20, "is none over this base"),
            (&|layout| layout.own.push((0, 1)), "is out of place"),
            (&|layout| layout.own.push((usize::MAX, 2)), "is out of place"),
            (&|layout| layout.own.push((80, 5)), "is out of place"),
            (&|layout| layout.own.insert(1, (20, 0)), "is out of place"),
            (&|layout| layout.own.clear(), "no first page"),
        ] {
            let error = spoiled(change);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_shorter_than_its_base_is_zero_behind_its_end() {
        let (page, base) = (page_size(), base());
        let image = Image::capture(&[1; 100], 1 << 20, 0, &base).unwrap();
        let memory = mapped(&image);
        assert_eq!((memory.len(), memory[MEMORY_START..].iter().filter(|byte| **byte != 0).count()), (51 * page, 100));
    }

    #[test]
    fn data_behind_the_end_of_the_memory_is_refused() {
        let error = Image::new(&[(60 << 10, &[1; 8 << 10])], 64 << 10, 0).unwrap_err();
        assert_eq!(error.to_string(), "a memory of 65536 bytes has data up to 69632");
    }

    #[test]
    fn the_file_of_an_image_is_sealed() {
        use std::os::unix::fs::FileExt as _;
        let image = Image::capture(&[1], 1 << 20, 0, &base()).unwrap();
        assert!(image.file.write_at(b"x", 100).is_err());
        assert!(image.file.set_len(0).is_err());
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
