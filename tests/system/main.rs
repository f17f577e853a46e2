//! Whole-system tests: the real binary over real sockets, and the runtime without a network where that is the subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod differential;
mod exits;
mod imports;
mod isolation;
mod ladder;
mod lifecycle;
mod limits;
mod many;
mod scripts;
