//! Runs untrusted Starlark scripts as HTTP servers, each inside a WebAssembly guest it cannot leave.
//!
//! In the order a request meets them:
//! - [`cli`], [`run`]: arguments to an app, and its life until it is stopped
//! - [`servers`]: the servers of one app: bound, served, stopped, drained
//! - [`listener`]: accepts connections for ever
//! - [`connection`]: one connection under its deadlines
//! - [`dispatch`]: the whole story of a request: route, read, call, respond
//! - [`router`], [`query`], [`request`]: what the client sent, as the script will see it
//! - [`respond`]: every outcome to a response, in one place
//! - [`logs`]: what scripts and the host have to say, one bounded line each
//! - [`guest`]: the compiled guest inside this binary
//! - [`exit`]: exit codes

pub mod cli;
pub mod connection;
pub mod dispatch;
pub mod exit;
pub mod guest;
pub mod listener;
pub mod logs;
pub mod query;
pub mod request;
pub mod respond;
pub mod router;
pub mod run;
pub mod servers;
