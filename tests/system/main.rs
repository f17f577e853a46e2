//! Whole-system tests: the real binary over real sockets, and the runtime without a network where that is the subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod audit;
mod client;
mod differential;
mod edge_access;
mod edge_attacks;
mod edge_drain;
mod edge_h2;
mod edge_options;
mod edge_overload;
mod edge_raw;
mod edge_responses;
mod edge_routes;
mod edge_tls;
mod edge_watch;
mod exec;
mod exits;
mod fs;
mod imports;
mod isolation;
mod kv;
mod ladder;
mod lifecycle;
mod limits;
mod many;
mod scripts;
