//! Servers that the operator names, which keep state for all nodes: how they are reached, and what happens while they are
//! away.
//!
//! - [`server`]: a server as the operator names it
//! - [`dial`]: a connection to it, encrypted unless the operator says otherwise
//! - `messages`: what a server of PostgreSQL may send
//! - `presence`: whether it answers, how often it is tried, and what the log says of it
//! - `postgres`: a session with PostgreSQL, and the few that are kept

pub mod dial;
pub(crate) mod messages;
pub(crate) mod postgres;
pub(crate) mod presence;
pub mod server;
