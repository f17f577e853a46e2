//! The `starcell` command line: arguments to values, values to a node with one app or to a report, and an exit code.
//!
//! - [`api`]: what a node says to those who operate it
//! - [`cli`]: arguments, parsed into types
//! - [`commands`]: one module for each subcommand
//! - [`granted`]: what the command line and the configuration allow
//! - [`terms`]: what the flags mean for the servers of an app
//! - [`vars`]: what the command line and the environment give a script by name
//! - [`cluster`]: the Kubernetes cluster of the operator
//! - `owned`: the files that no script may touch
//! - `store`: where the stores of apps are kept
//! - `bundle`, `dial`: apps as one file, and the way to where such files are kept
//! - `record`: the audit log that the command line names
//! - `node`: a node with many apps, from its files to its listeners
//! - `console`: pages for those who operate it
//! - [`signals`]: SIGINT and SIGTERM
//! - `sockets`: sockets that a supervisor has bound for this process
//! - `supervisor`: what a supervisor is told about it
//! - `telemetry`: what it sends to a collector
//! - `folder`: the files that a command was told to look at
//! - `operate`, `sheets`: the way from a command to a node, and its answers as lines
//! - [`worker`]: the check of one script, in a process of its own
//! - [`say`], [`exit`]: what a command writes to the terminal, and the code it ends with
//! - [`wiping`]: the allocator
//!
//! The compiled guest comes from `starcell-binary`, the package of the binary: nothing here waits until it is built.
//!
//! Requests are answered elsewhere: `starcell-edge` takes them off the sockets, `starcell-node` has an app answer them.

pub mod api;
mod bundle;
pub mod cli;
pub mod cluster;
pub mod commands;
mod console;
mod dial;
pub mod exit;
mod folder;
pub mod granted;
mod node;
mod operate;
mod owned;
mod record;
pub mod say;
mod sheets;
pub mod signals;
mod sockets;
mod stamp;
mod stand;
mod store;
mod supervisor;
mod telemetry;
pub mod terms;
pub mod vars;
pub mod wiping;
pub mod worker;
