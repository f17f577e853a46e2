//! Requests to other servers, as the host offers them.

use starcell_contract::{HostError, Incoming, Outgoing, Position};

/// HTTP to other servers.
pub trait Client {
    /// Sends a request and waits for the response.
    fn send(&self, request: &Outgoing, at: &Position) -> Result<Incoming, HostError>;
    /// Sends requests side by side, so many at a time; the responses are in the order of the requests.
    fn send_all(&self, requests: &[Outgoing], workers: u32, at: &Position) -> Vec<Result<Incoming, HostError>>;
}
