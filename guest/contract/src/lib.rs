//! The records of `wit/` as Rust types, once.
//!
//! **The decision.** The interpreter speaks with its host in these types, natively and in the guest. In the guest the
//! generated bindings are told to use them in place of types of their own (`with` in the component's `generate!`), and
//! take them apart and build them field by field: a record here that is not the one of `wit/` does not compile there.
//! So nothing is converted at the border, and a native test sees the values that the guest sees.
//!
//! **What it refuses.** There is no function here and no trait of the host: what may be asked for stands in `wit/`, and
//! the interpreter's `Host` names the same functions.
//!
//! One file for each interface of `wit/` that has records, in its order; `types` holds those that several use.

mod client;
mod fs;
mod k8s;
mod kv;
mod log;
mod os;
mod server;
mod sql;
mod tool;
mod types;

pub use client::{Incoming, Outgoing};
pub use fs::{FileInfo, FileKind};
pub use k8s::{
    Change, ClusterSettings, Deletion, LogOptions, Manifest, PatchType, Place, Propagation, Selection, Target,
};
pub use kv::{Lifetime, Listing, Stored};
pub use log::{LogLine, LogOutput};
pub use os::{Command, Output};
pub use server::{Misses, ServerOptions};
pub use sql::{Connection, Rows, SqlValue, Statement};
pub use tool::{MadeServer, Matched, Outcome, Question, Reply, Routed};
pub use types::{
    Conditions, DEFAULT_CALL_DEPTH, Failure, FailureKind, Field, HostError, Level, LogFormat, Miss, Position, Request,
    Response, Script, Setting, Variable,
};
