//! What a guest may ask of the host: one file for each WIT interface.
//!
//! A privileged call first obtains a permit from the app's grants and then acts on what the permit holds.

pub(crate) mod fork;
mod log;
mod server;
mod source;
