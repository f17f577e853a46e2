//! What whole-system tests and benches share: the real binary as a child process, clients over sockets, attackers, and
//! an edge without a network for the runtime alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test support")]

pub mod admin;
pub mod attack;
pub mod browser;
pub mod client;
pub mod edge;
pub mod editor;
pub mod fleet;
pub mod fleet_load;
pub mod frames;
pub mod good;
pub mod herd;
pub mod kube;
pub mod log;
pub mod machine;
pub mod node;
pub mod process;
pub mod proxy;
pub mod registry;
pub mod relay;
pub mod scratch;
pub mod servers;
pub mod store_operator;
pub mod store_stage;
pub mod supervisor;
pub mod tls;
pub mod tools;
pub mod upstream;
