//! The meaning of HTTP: from bytes to values, and back. This crate has no socket, task, clock or guest.
//!
//! In the order a request meets them:
//! - [`framing`]: where each HTTP/1 message begins and ends, read strictly
//! - [`request`]: what a head must be to be answered at all
//! - [`names`]: whose certificate a client gets
//! - [`prefixes`]: the app of a request
//! - [`router`]: the route of a request
//! - [`query`]: the query as names and values
//! - [`response`]: every outcome to a response, in one place

pub mod framing;
pub mod names;
pub mod prefixes;
pub mod query;
pub mod request;
pub mod response;
pub mod router;
