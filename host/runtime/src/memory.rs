//! The memory of guests, kept by the host: mapped copy-on-write from images, and put back after a request.
//!
//! **The decision.** wasmtime's own copy-on-write memories are put back by asking the system which pages were written: two
//! scans of page tables that cost more than a small request. Here the processor says it, once for each page of a fork: the
//! first write faults and makes the page *hot*. After the request the hot pages are copied back from the image. In the
//! common case that is no system call at all, and nothing of it depends on what the guest says.
//!
//! **What it refuses.** A memory that grew or of which more was written than is worth copying is not put back but dropped.
//!
//! **The attack it answers.** A request that leaves something for the next one. All that a guest can write is either in a hot
//! page or in the open part of the zone; both are known to the host alone, from faults that the guest cannot avoid.
//!
//! - [`raw`]: the address space and the handler of faults; `watch`: what is known of a slot of it
//! - [`arena`]: who holds the slots; [`slot`]: an image mapped into one
//! - [`fork`]: an instance over a slot, and putting it back; [`creator`]: how wasmtime comes by its memory
//! - [`image`]: what forks are mapped from
//! - [`view`]: their bytes, mapped into the host
//! - [`stacks`]: native stacks, used again

pub(crate) mod arena;
pub(crate) mod creator;
pub(crate) mod fork;
pub(crate) mod image;
mod raw;
pub(crate) mod slot;
pub(crate) mod stacks;
mod view;
mod watch;

#[cfg(test)]
mod tests;
