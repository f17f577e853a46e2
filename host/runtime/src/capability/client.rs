//! `starcell:guest/client`: requests to other servers, the capability `http.client`.
//!
//! One request is one pass of the gate for its URL, before the name is looked up, and a second decision for the address;
//! a redirect that is followed is a request like any other. See [`message`] for what of a request is the script's.

mod message;

use std::net::IpAddr;
use std::time::Duration;

use hyper::body::Bytes;
use starcell_audit::Arguments;
use starcell_policy::{Capability, Host as UrlHost, HttpMethod, Permit, Url};
use tokio::time::timeout;

use crate::Position;
use crate::bindings::starcell::guest::client::{Host, Incoming, Outgoing};
use crate::bindings::starcell::guest::types::Error;
use crate::caller::Caller;
use crate::gate::{Gate, shown};
use crate::state::State;
use message::Message;

/// How long a request may take that was given no time.
const DEFAULT_TIME: Duration = Duration::from_secs(30);

/// Most requests of one instance. One request to a script must not become thousands to somebody else.
const MAX_REQUESTS: u32 = 100;

/// Most redirects of one request, whatever it asks for.
const MAX_REDIRECTS: u32 = 20;

/// Addresses of one name that are tried.
const MAX_TRIED: usize = 4;

impl Host for State {
    async fn send(&mut self, request: Outgoing, at: Position) -> wasmtime::Result<Result<Incoming, Error>> {
        let caller = self.caller()?;
        let spent = self.is_over("client", MAX_REQUESTS);
        let time = request.timeout.map_or(DEFAULT_TIME, Duration::from_nanos);
        let sending = Sending { caller, at: &at };
        if spent {
            let text = format!("more than {MAX_REQUESTS} HTTP requests for one request to the script");
            return Ok(Err(sending.refused(&request.method, &request.url, Error::Failed(text)).await));
        }
        Ok(match timeout(time, sending.follow(&request)).await {
            Ok(result) => result,
            Err(_elapsed) => {
                let text = format!("no response within {} s", time.as_secs_f64());
                Err(failed(&request, &text))
            }
        })
    }
}

/// An error about a request that may be none.
fn failed(request: &Outgoing, text: &str) -> Error {
    Error::Failed(format!("http.{}: {text}", shown(&request.method).to_ascii_lowercase()))
}

/// One call of `send`.
struct Sending<'a> {
    caller: Caller,
    at: &'a Position,
}

impl Sending<'_> {
    /// Sends a request, and those that its redirects ask for.
    async fn follow(&self, request: &Outgoing) -> Result<Incoming, Error> {
        let failed = |text: String| failed(request, &text);
        let limit = self.caller.app.config.limits.io_bytes;
        let mut message = match Message::new(request, limit) {
            Ok(message) => message,
            Err(text) => {
                return Err(self.refused(&request.method, &request.url, failed(text)).await);
            }
        };
        let most = request.redirects.min(MAX_REDIRECTS);
        for _ in 0..=most {
            let response = self.one(&message).await?;
            if most == 0 {
                return Ok(message::incoming(&message.url, response));
            }
            match message.redirected(&response) {
                Ok(Some(next)) => message = next,
                Ok(None) => return Ok(message::incoming(&message.url, response)),
                Err(text) => {
                    let location = message::location(&response);
                    return Err(self.refused(message.method.name(), &location, failed(text)).await);
                }
            }
        }
        Err(failed(format!("more than {most} redirects")))
    }

    /// Records a request that is refused before anyone could judge it.
    async fn refused(&self, method: &str, url: &str, error: Error) -> Error {
        let gate = self.gate(method);
        match HttpMethod::named(method) {
            Some(method) => gate.unjudged(method, url, self.at).await,
            None => gate.unknown(Capability::HttpClient, method, url, self.at).await,
        }
        error
    }

    /// The gate for requests of a method.
    fn gate(&self, method: &str) -> Gate {
        self.caller.gate.about(Arguments::default().method(shown(method)))
    }

    /// Passes the gate with one URL.
    async fn one(&self, message: &Message) -> Result<http::Response<Bytes>, Error> {
        let effect = |permit: Permit<Url>| async move {
            let response = self.exchange(&permit, message).await?;
            let bytes = (message.body.len() + response.body().len()) as u64;
            Ok::<_, Error>((response, bytes))
        };
        self.gate(message.method.name()).pass(self.at, message.method, message.url.clone(), effect).await
    }

    /// Looks the name up, has each address judged, and sends to the first that is granted and answers.
    async fn exchange(&self, permit: &Permit<Url>, message: &Message) -> Result<http::Response<Bytes>, Error> {
        let app = &self.caller.app;
        let addresses = self.addresses(permit, message).await?;
        let mut granted: Vec<IpAddr> =
            addresses.iter().copied().filter(|address| self.caller.gate.covers_address(permit, *address)).collect();
        if granted.is_empty() {
            granted.extend(addresses.first());
        }
        let mut last = message.failed("the name has no address");
        for address in granted.into_iter().take(MAX_TRIED) {
            let request = message.request().map_err(|text| message.failed(&text))?;
            let send = |endpoint| async move {
                let sent = app.config.client.exchange(&endpoint, request, app.config.limits.io_bytes).await;
                sent.map(|response| (response, 0))
            };
            match self.gate(message.method.name()).address(permit, address, self.at, send).await {
                Ok(response) => return Ok(response),
                Err(Error::Failed(text)) => last = message.failed(&text),
                Err(denied) => return Err(denied),
            }
        }
        Err(last)
    }

    async fn addresses(&self, permit: &Permit<Url>, message: &Message) -> Result<Vec<IpAddr>, Error> {
        match permit.resource().host() {
            UrlHost::Address(address) => Ok(vec![*address]),
            UrlHost::Name(name) => {
                let found = self.caller.app.config.client.resolver().resolve(name).await;
                found.map_err(|_| message.failed(&format!("cannot resolve {name}")))
            }
        }
    }
}
