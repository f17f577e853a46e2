//! What whole-system tests and benches share: the real binary as a child process, a plain HTTP client over a socket, and
//! an edge without a network for the runtime alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test support")]

pub mod client;
pub mod edge;
pub mod process;
