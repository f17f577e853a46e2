//! Bytes to bytes: splits the guest component from its memory, and builds memory images.
//!
//! **The decision.** A fork of a script is a new instance whose linear memory and stack pointer
//! start out as a copy of another instance's. No engine offers that, so the memory and the stack
//! pointer are taken out of the guest component once, at build time, and become imports from a core
//! module named `image`. Every tenant then shares one compiled component and brings only a small
//! module of data, and copy-on-write of that data is the engine's ordinary work.
//!
//! **What it refuses.** A fork copies the memory and one global, nothing else. State that lives
//! anywhere else (a second mutable global, a table that code writes to, a passive data segment that
//! can be dropped, the memory of another module, a handle of a resource) would silently fall back to its initial value in
//! every fork, and would stay as it was in a parked instance whose memory is put back. Such a component is refused here, at build time, with a [`SplitError`] that names
//! what was found.
//!
//! **The attack it answers.** A dependency of the guest that quietly gains an import (a clock, a
//! socket, a source of randomness) or that keeps a security decision where a fork forgets it.
//! [`check_imports`] lists what may be imported, and [`split()`] sees to it that there is no place to
//! forget from.
//!
//! A build calls [`keep_results`], which leaves out the functions that free results, then [`check_imports`], then
//! [`split()`], which makes the shared component and its base image and lets imports be called directly (`direct`). [`image()`] makes
//! the base image. At run time the host maps memories itself, over one [`shared_image`].

#![forbid(unsafe_code)]

mod check;
mod direct;
mod error;
mod format;
mod handles;
mod image;
mod outline;
mod results;
mod shared;
mod split;

pub use error::SplitError;
pub use format::{IMAGE_IMPORT, IMAGE_PAGE, MEMORY_EXPORT, STACK_POINTER_EXPORT, WASM_PAGE};
pub use image::{ImageStats, image, stats};
pub use outline::{check_imports, exports, imports};
pub use results::keep_results;
pub use shared::{Contents, contents, shared_image};
pub use split::{Split, split};
