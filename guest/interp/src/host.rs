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
mod tool;

use starlark::environment::Module;

use crate::fields::Fields;

pub use client::{Client, Incoming, Outgoing};
pub use files::{FileInfo, FileKind, Files};
pub use k8s::{
    Cluster, ClusterSettings, Deletion, LogOptions, Manifest, PatchType, Place, Propagation, Selection, Target,
};
pub use kv::{Kv, Lifetime, Listing, Stored};
pub use programs::{Command, Output, Programs};
pub use tool::{Outcome, Question, Reply, Tool};

/// A place in a script: lines and columns count from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Name of the file as the operator gave it.
    pub file: String,
    /// Line, from 1; 0 when the place is unknown.
    pub line: u32,
    /// Column in characters, from 1; 0 when the place is unknown.
    pub column: u32,
}

/// Severity of a log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Detail for whoever debugs the script.
    Debug,
    /// Normal course of events.
    Info,
    /// Something to look at, nothing failed.
    Warn,
    /// Something failed.
    Error,
}

/// One call of `log.debug` and its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Severity.
    pub level: Level,
    /// The message, as the script gave it.
    pub message: String,
    /// Attributes in the script's order; each value is one JSON text.
    pub attributes: Vec<(String, String)>,
    /// Where the script logged.
    pub at: Position,
}

/// Options of one server, merged from the constructor and from `serve()` or `start()`; `None` is "not given".
///
/// Durations are nanoseconds, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// Address or name to bind.
    pub host: Option<String>,
    /// Port to bind; 0 lets the system choose.
    pub port: Option<u16>,
    /// Longest time to read a whole request.
    pub read_timeout: Option<u64>,
    /// Longest time to answer.
    pub write_timeout: Option<u64>,
    /// Longest time a connection may be idle.
    pub idle_timeout: Option<u64>,
    /// How long in-flight requests may go on after a shutdown.
    pub shutdown_timeout: Option<u64>,
    /// Largest request head.
    pub max_header_bytes: Option<u64>,
    /// Largest request body.
    pub max_body_bytes: Option<u64>,
    /// Path of the certificate chain, PEM.
    pub tls_cert: Option<String>,
    /// Path of the private key, PEM.
    pub tls_key: Option<String>,
}

/// Why the host refused or failed a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The script's grants do not cover the call. The text is the whole denial.
    #[error("{0}")]
    Denied(String),
    /// The call was allowed and failed: a busy port, an unreadable certificate, a wrong option.
    #[error("{0}")]
    Failed(String),
    /// The host ends this script here; no code of it may run any further. Not catchable by `try_` forms.
    #[error("stopped by the host")]
    Stopped,
}

/// A request as the host hands it over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Method, as sent.
    pub method: String,
    /// Path, percent-decoded.
    pub path: String,
    /// Scheme, host and the raw request target.
    pub url: String,
    /// Wildcards of the matched pattern, in pattern order.
    pub params: Vec<(String, String)>,
    /// Query pairs, decoded, in order, repeats kept.
    pub query: Vec<(String, String)>,
    /// Header fields in order, repeats kept; names in canonical form (`Content-Type`).
    pub headers: Fields,
    /// The whole body.
    pub body: Vec<u8>,
    /// `ip:port` of the client.
    pub remote_addr: String,
    /// The Host header or the HTTP/2 authority.
    pub host: String,
    /// Whether the request came over TLS.
    pub tls: bool,
    /// The request id, also in every log line about this request.
    pub id: String,
    /// `HTTP/1.1` and the like.
    pub proto: String,
}

/// A response as the script decided it; the host checks it once more before it goes out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status, 100 to 999.
    pub status: u16,
    /// Header fields in order, repeats kept.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// What kind of failure ended an evaluation; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The script raised, or used a value wrongly.
    Script,
    /// The source does not parse, or names something undefined.
    Syntax,
    /// A privileged call was refused and the script did not catch it.
    Denied,
    /// The host stopped the script.
    Stopped,
}

/// Why an evaluation ended without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// The error alone, without place or traceback.
    pub message: String,
    /// Everything a developer needs: traceback, place and source excerpt, then the message.
    pub report: String,
    /// Where it was raised.
    pub at: Position,
}

/// Everything the interpreter may ask for. Every call happens while Starlark code is on the stack.
pub trait Host {
    /// Called once, before the top level runs, with the module it will fill; the guest keeps its address for the fork.
    fn entered(&self, module: &Module<'_>);
    /// Writes one log record.
    fn log(&self, record: &LogRecord);
    /// Writes one line of `print`.
    fn print(&self, text: &str, at: &Position);
    /// Adds a pattern to a server's routes. Servers are numbered from 0 in order of creation, routes of one server from
    /// 0 in order of registration. The error is the sentence to show: invalid, or in conflict with which route.
    fn add_route(&self, server: u32, pattern: &str) -> Result<(), String>;
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
    /// The tool that started this instance.
    fn tool(&self) -> &dyn Tool;
    /// Wall clock in nanoseconds since the Unix epoch, read now.
    fn now(&self) -> u64;
    /// Fresh bytes from the system's generator; nothing of them is kept, so no two forks can share any.
    fn random(&self, length: usize) -> Vec<u8>;
    /// Waits so many nanoseconds. The wait counts towards the wall time of the running evaluation.
    fn sleep(&self, nanoseconds: u64) -> Result<(), HostError>;
}
