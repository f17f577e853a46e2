//! `Client` over the component's import `client`.

use starcell_interp::{Client, HostError, Incoming, Outgoing, Position};

use crate::bindings::starcell::guest::client;
use crate::imports::Imports;

impl Client for Imports {
    fn send(&self, request: &Outgoing, at: &Position) -> Result<Incoming, HostError> {
        client::send(request, at)
    }

    fn send_all(&self, requests: &[Outgoing], workers: u32, at: &Position) -> Vec<Result<Incoming, HostError>> {
        client::send_all(requests, workers, at)
    }
}
