//! `Client` over the component's import `client`.

use starcell_interp::{Client, HostError, Incoming, Outgoing, Position};

use crate::bindings::starcell::guest::client;
use crate::bindings::starcell::guest::types::Field;
use crate::{Imports, host_error, pairs, position};

impl Client for Imports {
    fn send(&self, request: &Outgoing, at: &Position) -> Result<Incoming, HostError> {
        let field = |(name, value): &(String, String)| Field { name: name.clone(), value: value.clone() };
        let request = client::Outgoing {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.iter().map(field).collect(),
            body: request.body.clone(),
            timeout: request.timeout,
            redirects: request.redirects,
        };
        let client::Incoming { status, reason, url, headers, body } =
            client::send(&request, &position(at)).map_err(host_error)?;
        Ok(Incoming { status, reason, url, headers: pairs(headers), body })
    }
}
