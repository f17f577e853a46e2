//! Memory images: a core module that is nothing but a memory with data, and a stack pointer.
//!
//! **The decision.** An image is an ordinary core module, so the engine's own copy-on-write
//! start-up does the work and there is no format of our own to parse at run time. Only pages that
//! are not zero are stored: a guest's memory is mostly untouched. Runs break at whole 4 KiB
//! addresses, the unit in which the engine maps and the kernel copies.
//!
//! **The attack it answers.** The memory comes from a guest, whole and unread: nothing in it is
//! interpreted, it is only compared with zero and copied. Sizes that do not fit (a maximum below
//! what the memory needs, an end beyond 4 GiB) give a module that no engine accepts, never one with
//! a wider limit than was asked for.

use wasm_encoder::{ConstExpr, Encode, ExportKind, ExportSection, GlobalSection, MemorySection, Module, SectionId};
use wasmparser::{Parser, Payload};

use crate::check;
use crate::error::SplitError;
use crate::format::{IMAGE_PAGE, MEMORY_EXPORT, STACK_POINTER_EXPORT, STACK_POINTER_TYPE, WASM_PAGE, memory_type};

static ZERO_PAGE: [u8; IMAGE_PAGE] = [0; IMAGE_PAGE];

/// Makes the image of a memory: a core module that exports the memory and the stack pointer.
///
/// `memory` is what lies at address `offset` and after it; what lies before is zero.
/// `minimum_pages` and `maximum_pages` are in 64 KiB: the image has at least `minimum_pages` and
/// whatever `memory` covers, and never more room than `maximum_pages`. If that is less than the
/// memory covers the module is not valid, and an engine refuses it.
///
/// The memory is read once and what is not zero is copied once, into a buffer of the right size.
#[must_use]
pub fn image(
    memory: &[u8],
    offset: u32,
    stack_pointer: u32,
    minimum_pages: u64,
    maximum_pages: Option<u64>,
) -> Vec<u8> {
    let covered = (u64::from(offset) + memory.len() as u64).div_ceil(WASM_PAGE);
    let mut module = shell(stack_pointer, minimum_pages.max(covered), maximum_pages);

    let runs = runs(memory, offset);
    if runs.is_empty() {
        return module;
    }
    let mut count = Vec::new();
    (runs.len() as u64).encode(&mut count);
    let mut header = Vec::new();
    let size = runs.iter().fold(count.len(), |size, run| {
        header.clear();
        run.header(&mut header);
        size + header.len() + run.bytes.len()
    });

    // A section's identifier and its size take at most 11 bytes.
    module.reserve_exact(size + 11);
    module.push(SectionId::Data.into());
    (size as u64).encode(&mut module);
    module.extend_from_slice(&count);
    for run in &runs {
        run.header(&mut module);
        module.extend_from_slice(run.bytes);
    }
    module
}

/// How much of a memory an image stores, in 4 KiB pages.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ImageStats {
    /// Pages of the memory when an instance starts.
    pub pages_total: u64,
    /// Pages that the image stores; the rest are zero.
    pub pages_stored: u64,
    /// Bytes that the image stores.
    pub bytes_stored: u64,
    /// Runs of stored pages.
    pub runs: u64,
}

/// Counts what an image made by [`image`] stores. The data itself is not read.
///
/// # Errors
///
/// If the bytes cannot be parsed, or hold a segment that [`image`] would not write.
pub fn stats(image: &[u8]) -> Result<ImageStats, SplitError> {
    let mut stats = ImageStats::default();
    for payload in Parser::new(0).parse_all(image) {
        match payload? {
            Payload::MemorySection(section) => {
                for memory in section {
                    stats.pages_total = memory?.initial.saturating_mul(WASM_PAGE / IMAGE_PAGE as u64);
                }
            }
            Payload::DataSection(section) => {
                for (segment, data) in section.into_iter().enumerate() {
                    let data = data?;
                    let start = check::active_offset(segment, &data.kind)?;
                    let end = start.saturating_add(data.data.len());
                    stats.runs += 1;
                    stats.bytes_stored += data.data.len() as u64;
                    stats.pages_stored += (end.div_ceil(IMAGE_PAGE) - start / IMAGE_PAGE) as u64;
                }
            }
            _ => {}
        }
    }
    Ok(stats)
}

/// The image without its data.
fn shell(stack_pointer: u32, minimum_pages: u64, maximum_pages: Option<u64>) -> Vec<u8> {
    let mut memories = MemorySection::new();
    memories.memory(memory_type(minimum_pages, maximum_pages));
    let mut globals = GlobalSection::new();
    globals.global(STACK_POINTER_TYPE, &ConstExpr::i32_const(stack_pointer.cast_signed()));
    let mut exports = ExportSection::new();
    exports.export(MEMORY_EXPORT, ExportKind::Memory, 0).export(STACK_POINTER_EXPORT, ExportKind::Global, 0);
    let mut module = Module::new();
    module.section(&memories).section(&globals).section(&exports);
    module.finish()
}

/// Neighbouring pages that are not zero, and the address of the first byte.
#[derive(Debug)]
struct Run<'a> {
    address: u32,
    bytes: &'a [u8],
}

impl Run<'_> {
    /// The head of an active segment of memory 0, which its bytes follow.
    fn header(&self, sink: &mut Vec<u8>) {
        sink.push(0x00);
        ConstExpr::i32_const(self.address.cast_signed()).encode(sink);
        (self.bytes.len() as u64).encode(sink);
    }
}

/// The runs of a memory. The first page is cut short when `offset` lies inside it, and so is the
/// last.
fn runs(memory: &[u8], offset: u32) -> Vec<Run<'_>> {
    let lead = (offset as usize).next_multiple_of(IMAGE_PAGE) - offset as usize;
    let (first, rest) = memory.split_at_checked(lead).unwrap_or((memory, &[]));
    let pages = std::iter::once(first).filter(|page| !page.is_empty()).chain(rest.chunks(IMAGE_PAGE));

    let mut runs = Vec::new();
    let mut open: Option<usize> = None;
    let mut position = 0;
    for page in pages {
        match (ZERO_PAGE.starts_with(page), open) {
            (false, None) => open = Some(position),
            (true, Some(start)) => {
                runs.extend(run(memory, offset, start, position));
                open = None;
            }
            _ => {}
        }
        position += page.len();
    }
    if let Some(start) = open {
        runs.extend(run(memory, offset, start, position));
    }
    runs
}

fn run(memory: &[u8], offset: u32, start: usize, end: usize) -> Option<Run<'_>> {
    // An address beyond 4 GiB is in a memory whose size no engine accepts.
    let address = u32::try_from(offset as usize + start).unwrap_or(u32::MAX);
    let bytes = memory.get(start..end)?;
    Some(Run { address, bytes })
}
