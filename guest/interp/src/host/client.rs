//! Requests to other servers, as the host offers them.

use starcell_contract::{HostError, Incoming, Outgoing, Position};

/// HTTP to other servers.
pub trait Client {
    /// Sends a request and waits for the response.
    fn send(&self, request: &Outgoing, at: &Position) -> Result<Incoming, HostError>;
}
