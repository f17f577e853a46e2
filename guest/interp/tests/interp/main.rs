//! What a script sees, tested from outside: one module per topic.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod batch;
mod capabilities;
mod clusters;
mod common;
mod databases;
mod defaults;
mod errors;
mod fixtures;
mod form;
mod frozen;
mod interact;
mod json;
mod logging;
mod middleware;
mod misses;
mod request;
mod response;
mod scripts;
mod server;
mod source;
mod spec;
mod suite;
mod vars;
mod waiting;
