//! The wasmtime side of starcell: engine, images, forks, limits and capabilities.
//!
//! In the order a script meets them:
//! - [`engine`]: one wasmtime engine for the process, and the reason of every number in it
//! - [`artifact`]: the guest, compiled ahead of time, as it is stored and loaded
//! - [`interpreter`]: the guest loaded and linked once, shared by every app
//! - [`app`]: a script with its grants and limits; `context`: what its instances see of it
//! - `setup`: its top level, in an instance that stays suspended while it serves
//! - `memory`: images that forks start from, and memories that are put back to them
//! - [`images`]: serving images on disk; `witness`: what a setup asked for, which decides when such an image holds
//! - [`serving`]: requests, each answered in a fork of a serving image
//! - `parked`, [`parking`]: forks that wait for the next request of their revision
//! - [`environment`]: what `os.env` reads, and nothing prints
//! - `authority`: who decides and records an app's calls; `caller`: an app that makes one
//! - `call_error`: why a call came to no value
//! - [`gate`]: the one way to a capability: decide, write the intent, act, write the outcome
//! - [`capability`]: what a guest may ask of the host, one file for each WIT interface
//! - `capability_state`: what capabilities keep for an app
//! - [`room`]: the process in which a program runs behind its walls; [`node_walls`]: those around the host itself
//! - [`host_files`]: what no grant covers
//! - [`kv`]: what the store of an app keeps
//! - [`remote`]: servers of the operator's, which keep state for all nodes
//! - [`store_failure`]: why a store did not do a call
//! - `sql`: its databases
//! - [`client`]: its connections to other servers
//! - [`k8s`]: its clusters
//! - [`suite`]: a test file, whose tests run in forks of it
//! - [`host`], [`tool`]: what surrounds an app: sockets, routes and logs; tests and sessions
//! - `os_words`: the system's errors, as a sentence goes on with them
//! - [`variables`]: what an operator gives a script by name
//! - [`failure`], [`limits`], [`meter`], [`ticker`]: how an evaluation ends, and what ends it

pub mod app;
pub mod artifact;
mod authority;
mod bindings;
mod call_error;
mod caller;
pub mod capability;
mod capability_state;
pub mod client;
mod context;
pub mod engine;
pub mod environment;
pub mod failure;
pub mod gate;
mod holding;
pub mod host;
pub mod host_files;
pub mod images;
mod in_place;
pub mod interpreter;
pub mod k8s;
pub mod kv;
pub mod limits;
mod machine;
mod memory;
pub mod meter;
pub mod node_walls;
mod os_words;
mod parked;
pub mod parking;
mod privileges;
mod programs;
pub mod remote;
pub mod room;
pub mod serving;
mod setup;
pub mod slow;
mod sql;
mod state;
pub mod store_failure;
pub mod suite;
pub mod ticker;
pub mod tool;
pub mod variables;
mod witness;

pub use app::App;
pub use authority::{DenialWatch, Mode};
pub use bindings::starcell::guest::types::{Field, Miss, Position, Request, Response, Setting, Variable};
pub use capability::source::{SourceError, read as read_source};
pub use capability_state::CapabilityState;
pub use client::{Client, Toll, close_address};
pub use context::AppConfig;
pub use environment::{Environment, Secret};
pub use failure::{Failure, Limit, ScriptFailure};
pub use host::{AppHost, ListenError, LogRecord, Misses, ServerOptions, TlsFiles, TlsSource};
pub use host_files::HostFiles;
pub use images::{ImageCounts, ImageOwner, ImagePlace, ImageStore, Kept, NotRecalled, Recalled};
pub use interpreter::Interpreter;
pub use k8s::Kubernetes;
pub use kv::{Kv, KvError, KvServer, KvShare, KvSpace};
pub use limits::{DEFAULT_CALL_DEPTH, Limits, MAX_CALL_DEPTH};
pub use machine::machine_name;
pub use parked::Destination;
pub use parking::{ForkCounts, Forks};
pub use programs::{ExecWalls, Programs};
pub use remote::server::RemoteServer;
pub use serving::{ForkKind, Handled, Serve, Serving};
pub use sql::Databases;
pub use starcell_log::Level;
pub use store_failure::{StoreFailure, StoreWatch};
pub use suite::{Suite, Tested};
pub use tool::{MadeServer, Outcome, Question, Reply, Routed, Tool};
pub use variables::Variables;
