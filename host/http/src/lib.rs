//! What HTTP means here: bytes to values, and back. No socket, no task, no clock, no guest.
//!
//! In the order a request meets them:
//! - [`framing`]: where each HTTP/1 message begins and ends, read strictly
//! - [`request`]: what a head must be to be answered at all
//! - [`router`]: the route of a request
//! - [`query`]: the query as names and values
//! - [`response`]: every outcome to a response, in one place

pub mod framing;
pub mod query;
pub mod request;
pub mod response;
pub mod router;
