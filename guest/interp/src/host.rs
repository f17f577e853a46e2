//! What the interpreter asks of the world outside it, and the plain values that cross that border.
//!
//! The interpreter holds no authority of its own: everything that leaves it goes through [`Host`]. In the guest the
//! trait is backed by WIT imports, natively by a test double; both see the same calls in the same order, which is what
//! makes a differential test between the two mean something.

mod client;
mod files;
mod k8s;
mod kv;
mod programs;
mod sql;
mod tool;

use starlark::environment::Module;

pub use client::Client;
pub use files::Files;
pub use k8s::Cluster;
pub use kv::Kv;
pub use programs::Programs;
pub use sql::Sql;
pub use starcell_contract::{
    Change, ClusterSettings, Command, Conditions, Connection, Deletion, Failure, FailureKind, Field, FileInfo,
    FileKind, HostError, Incoming, Level, Lifetime, Listing, LogFormat, LogLine, LogOptions, LogOutput, MadeServer,
    Manifest, Matched, Miss, Misses, Outcome, Outgoing, Output, PatchType, Place, Position, Propagation, Question,
    Reply, Request, Response, Routed, Rows, Selection, ServerOptions, Setting, SqlValue, Statement, Stored, Target,
    Variable,
};
pub use tool::Tool;

/// Everything the interpreter may ask for. Every call happens while Starlark code is on the stack.
pub trait Host {
    /// What the operator gives the script beside its text. It never changes while the script lives.
    fn conditions(&self) -> &Conditions;
    /// Called once, before the top level runs, with the module it will fill; the guest keeps its address for the fork.
    fn entered(&self, module: &Module<'_>);
    /// Writes one log line.
    fn log(&self, line: &LogLine);
    /// Writes one line of `print`.
    fn print(&self, text: &str, at: &Position);
    /// Adds a pattern to a server's routes. Servers are numbered from 0 in order of creation, routes of one server from
    /// 0 in order of registration; returns the route's number, which a request names. The error is the sentence to show:
    /// invalid, or in conflict with which route.
    fn add_route(&self, server: u32, pattern: &str) -> Result<u32, String>;
    /// Checks the permission, binds, and serves from a fork of this very moment; returns the bound port.
    fn start(&self, server: u32, options: &ServerOptions, at: &Position) -> Result<u16, HostError>;
    /// Blocks until the server has stopped and drained.
    fn wait(&self, server: u32) -> Result<(), HostError>;
    /// Stops accepting and drains; returns when that is over. Not running: does nothing.
    fn shutdown(&self, server: u32) -> Result<(), HostError>;
    /// The port the server was last bound to.
    fn port(&self, server: u32) -> Option<u16>;
    /// A file that a `load()` names, by its path in the script's folder. The error is the sentence to show.
    fn read_source(&self, path: &str) -> Result<Vec<u8>, String>;
    /// HTTP to other servers.
    fn client(&self) -> &dyn Client;
    /// Objects of a Kubernetes cluster.
    fn cluster(&self) -> &dyn Cluster;
    /// Files.
    fn files(&self) -> &dyn Files;
    /// Keys and values.
    fn kv(&self) -> &dyn Kv;
    /// Programs and environment.
    fn programs(&self) -> &dyn Programs;
    /// Databases.
    fn sql(&self) -> &dyn Sql;
    /// The tool that started this instance.
    fn tool(&self) -> &dyn Tool;
    /// Wall clock in nanoseconds since the Unix epoch, read now.
    fn now(&self) -> u64;
    /// Fresh bytes from the system's generator; nothing of them is kept, so no two forks can share any.
    fn random(&self, length: usize) -> Vec<u8>;
    /// Waits so many nanoseconds. The wait counts towards the wall time of the running evaluation.
    fn sleep(&self, nanoseconds: u64) -> Result<(), HostError>;
}
