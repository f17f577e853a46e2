//! What a guest may ask of the host: one file for each WIT interface.
//!
//! A privileged call goes through the [gate](crate::gate): its effect takes the permit and acts on what the permit holds.

mod blocking;
mod client;
pub(crate) mod fork;
mod fs;
mod k8s;
mod kv;
mod log;
mod os;
pub(crate) mod pure;
mod server;
pub(crate) mod source;
mod timer;
mod tool;
