//! Whole-system tests: the real binary over real sockets, and the runtime without a network where that is the subject.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod asks;
mod audit;
mod audit_commands;
mod audit_kill;
mod check;
mod client;
mod completions;
mod differential;
mod docs;
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
mod egress;
mod exec;
mod exits;
mod fs;
mod hostile;
mod imports;
mod isolation;
mod k8s;
mod kv;
mod ladder;
mod language;
mod least;
mod lifecycle;
mod limits;
mod lsp;
mod many;
mod new;
mod permissions;
mod programs;
mod repl;
mod scripts;
mod testing;
mod tools;
