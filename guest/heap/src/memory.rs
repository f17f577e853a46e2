//! The memory that a heap hands out: the guest's linear memory, or a stand-in for it in a test.

/// Bytes by which a memory grows.
pub const WASM_PAGE: usize = 65536;

/// One range of addresses that can become longer at its end.
///
/// # Safety
/// The heap writes to every address of the range. So an implementation promises:
/// - nobody else reads or writes addresses from `base` to `end`, and they are readable and writable;
/// - their provenance is exposed, and `base` is not 0;
/// - `base` never changes, and `end` changes through `grow` alone;
/// - one thread uses the heap over this memory.
#[expect(unsafe_code, reason = "an allocator trusts where its memory is")]
pub unsafe trait Memory {
    /// The first address.
    fn base(&self) -> usize;

    /// The first address past the range.
    fn end(&self) -> usize;

    /// Moves the end up by so many pages of [`WASM_PAGE`] bytes, whose bytes are zero. False if it stays where it is.
    fn grow(&self, pages: usize) -> bool;
}
