//! Runs untrusted Starlark scripts as HTTP servers, each inside a WebAssembly guest it cannot leave.
//!
//! In the order a request meets them:
//! - [`cli`], [`run`], [`watch`]: arguments to an app, and its life until it is stopped
//! - [`granted`]: what the command line and the configuration allow
//! - [`cluster`]: the Kubernetes cluster of the operator
//! - [`record`]: the audit log of the app; `owned`: the files that no script may touch
//! - [`servers`]: the servers of one app: bound, served, stopped, drained; exchanged when its script changes
//! - [`listener`], [`places`], `endpoint`: an address that accepts connections for ever, within its bounds
//! - [`connection`], `transport`, `activity`, `tls`: one connection under its deadlines
//! - [`dispatch`], `exchange`, `site`: the whole story of a request: route, read, call, respond
//! - [`test`](mod@test): the same story without a socket, told by tests
//! - [`new`], [`repl`]: a first script, and a place to try things
//! - [`access`], [`logs`], [`ids`]: what is written down of it
//! - [`permissions`], [`audit`]: what can be told of profiles and of recorded calls, with nothing running
//! - [`check`], [`docs`], [`lsp`]: what looks at a script without running it
//! - [`completions`]: what a shell has to know of the command line
//! - [`guest`]: the compiled guest inside this binary
//! - [`exit`]: exit codes; [`wiping`]: the allocator
//!
//! What HTTP means, byte by byte, is in [`starcell_http`].

pub mod access;
mod activity;
pub mod audit;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod completions;
pub mod connection;
pub mod dispatch;
pub mod docs;
mod endpoint;
mod exchange;
pub mod exit;
pub mod granted;
pub mod guest;
pub mod ids;
pub mod listener;
pub mod logs;
pub mod lsp;
pub mod new;
mod owned;
pub mod permissions;
pub mod places;
mod rarely;
pub mod record;
pub mod repl;
pub mod run;
pub mod servers;
mod site;
mod streams;
pub mod test;
mod tls;
mod transport;
pub mod watch;
pub mod wiping;
