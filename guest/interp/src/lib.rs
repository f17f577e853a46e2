//! The interpreter for server scripts: dialect, modules, and the values a script sees.
//!
//! It does no I/O, reads no clock and starts no threads: whatever leaves it goes through [`Host`]. So it builds natively
//! (tests, benches) and for `wasm32-unknown-unknown` (the guest), and a differential test between the two means
//! something.
//!
//! The modules, in the order a script meets them:
//!
//! - `prescan`: bounds nesting before the recursive parser sees the source; `unneeded` has hints for lines of other
//!   hosts and languages.
//! - `dialect`, `globals`: the language and its predeclared names; [`boot()`] builds them once, and warms them up on the
//!   host in memory, `native`.
//! - `source`, `reserved`, `load`: a text and its syntax, and the files of a script, those first that others load.
//! - `setup`: [`run`] and [`run_native`] evaluate the top level.
//! - `session`, `phase`: what a builtin can reach, kept in the evaluator; `logging`: how log lines are written.
//! - `modules`: the predeclared modules, one file each; `twins` makes `try_f` of each `f`.
//! - `handlers`, `serving`: [`Serving`] is the frozen module with its handlers; one call of [`Serving::handle`] is one
//!   request.
//! - `suite`, `interact`: [`Suite`] is a frozen test file, [`interact()`] a session of inputs; `open` says where one
//!   ends.
//! - `request`, `fields`, `headers`, `form`, `multipart`, `response`: the values at a handler's edge.
//! - `args`, `given`, `bytes`: a builtin's arguments, checked where an error can name them.
//! - [`tools`]: what reads a script without running it sees of all this.
//! - `result`, `error`, `diagnostic`: errors as values inside a script, and as [`Failure`] outside it.

#![deny(unsafe_code)]

mod args;
mod boot;
mod bytes;
mod callable;
mod diagnostic;
mod dialect;
mod duration;
mod elsewhere;
mod entry;
mod error;
mod fields;
mod form;
mod given;
mod globals;
mod handlers;
mod headers;
mod host;
mod immutable;
mod interact;
mod limits;
mod load;
mod logging;
mod modules;
mod multipart;
mod native;
mod open;
mod pairs;
mod phase;
mod prescan;
mod request;
mod reserved;
mod response;
mod result;
mod serving;
mod session;
mod setup;
mod shorten;
mod source;
mod suite;
pub mod testing;
pub mod tools;
mod twins;
mod unknown;
mod unneeded;

pub use boot::boot;
pub use fields::Fields;
pub use host::{
    Change, Client, Cluster, ClusterSettings, Command, Conditions, Connection, Deletion, Failure, FailureKind, Field,
    FileInfo, FileKind, Files, Host, HostError, Incoming, Kv, Level, Lifetime, Listing, LogFormat, LogLine, LogOptions,
    LogOutput, MadeServer, Manifest, Matched, Miss, Misses, Outcome, Outgoing, Output, PatchType, Place, Position,
    Programs, Propagation, Question, Reply, Request, Response, Routed, Rows, Selection, ServerOptions, Setting, Sql,
    SqlValue, Statement, Stored, Target, Tool, Variable,
};
pub use interact::interact;
pub use load::MAX_FILES;
pub use prescan::{MAX_DEPTH, MAX_SOURCE_BYTES};
pub use reserved::as_written;
pub use serving::Serving;
pub use setup::{run, run_native};
pub use source::TEST_FILE_SUFFIX;
pub use suite::Suite;
