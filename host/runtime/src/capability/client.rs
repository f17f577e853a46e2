//! `starcell:guest/client`: requests to other servers, the capability `http.client`.
//!
//! One request is one pass of the gate for its URL, before the name is looked up, and a second decision for the
//! address; a redirect that is followed is a request like any other, and so is each request of a batch. See [`message`]
//! for what of a request is the script's.

mod message;

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use http::HeaderValue;
use hyper::body::Bytes;
use starcell_audit::Arguments;
use starcell_budget::Taken;
use starcell_policy::{Capability, Host as UrlHost, HttpMethod, Permit, Url};
use starcell_telemetry::TraceContext;
use tokio::time::timeout;

use crate::Position;
use crate::bindings::starcell::guest::client::{Host, Incoming, Outgoing};
use crate::bindings::starcell::guest::types::{Error, Host as Border};
use crate::call_error::{Cause, HostCallError, shown};
use crate::caller::Caller;
use crate::client::Allowance;
use crate::gate::Gate;
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

/// Most requests of one batch. The interpreter refuses more, so a guest that asks for more is none of ours.
const MAX_BATCH: usize = 1000;

/// Most requests of a batch that are under way at a time: each has a connection.
const MAX_WORKERS: u32 = 64;

/// The requests that an instance has sent.
#[derive(Clone, Copy, Debug, Default)]
struct Sent(u32);

impl Host for State {
    async fn send(&mut self, request: Outgoing, at: Position) -> Result<Incoming, HostCallError> {
        let caller = self.caller()?;
        let answers = Allowance::of_one(caller.app.config.limits.io_bytes);
        let refusal = self.spent();
        Sending { caller, at: &at, answers: &answers, refusal }.send(request).await
    }

    async fn send_all(
        &mut self,
        requests: Vec<Outgoing>,
        workers: u32,
        at: Position,
    ) -> wasmtime::Result<Vec<Result<Incoming, Error>>> {
        if requests.len() > MAX_BATCH {
            return Err(wasmtime::Error::msg(format!("a batch of {} requests", requests.len())));
        }
        let caller = self.caller()?;
        let limit = caller.app.config.limits.io_bytes;
        let answers = Allowance::of_batch(limit);
        let mut bodies = 0_usize;
        let mut calls = Vec::with_capacity(requests.len());
        for (number, request) in requests.into_iter().enumerate() {
            bodies = bodies.saturating_add(request.body.len());
            let too_large = || format!("the bodies of the batch are together larger than {} MiB", limit >> 20);
            let refusal = self.spent().or_else(|| (bodies > limit).then(too_large));
            let sending = Sending { caller: caller.clone(), at: &at, answers: &answers, refusal };
            calls.push(async move { (number, sending.send(request).await) });
        }
        let workers = usize::try_from(workers.clamp(1, MAX_WORKERS)).unwrap_or(1);
        // In the order in which they end: a slow one does not keep those behind it from beginning.
        let mut ended: Vec<_> = stream::iter(calls).buffer_unordered(workers).collect().await;
        ended.sort_unstable_by_key(|(number, _)| *number);
        let at_the_border = |(_, result): (usize, Result<_, _>)| match result {
            Ok(response) => Ok(Ok(response)),
            Err(error) => Ok(Err(self.convert_error(error)?)),
        };
        ended.into_iter().map(at_the_border).collect()
    }
}

impl State {
    /// Counts a request; says why it is refused if there were too many before it.
    fn spent(&mut self) -> Option<String> {
        let Sent(count) = self.kept();
        *count = count.saturating_add(1);
        let is_over = *count > MAX_REQUESTS && self.is_request();
        is_over.then(|| format!("more than {MAX_REQUESTS} HTTP requests for one request to the script"))
    }
}

/// An error about a request that may be none.
fn failed(request: &Outgoing, cause: impl Into<Cause>) -> HostCallError {
    HostCallError::of(format!("http.{}", shown(&request.method).to_ascii_lowercase()), cause)
}

/// One request, of a call of `send` or one of several of `send_all`.
struct Sending<'a> {
    caller: Caller,
    at: &'a Position,
    /// What the bodies of responses are taken from.
    answers: &'a Allowance,
    /// Why it is refused whatever it asks for.
    refusal: Option<String>,
}

impl Sending<'_> {
    /// Sends a request in the time that it has.
    async fn send(&self, mut request: Outgoing) -> Result<Incoming, HostCallError> {
        if let Some(text) = &self.refusal {
            return Err(self.refused(&request.method, &request.url, HostCallError::failed(text.clone())).await);
        }
        let time = request.timeout.map_or(DEFAULT_TIME, Duration::from_nanos);
        let body = Bytes::from(std::mem::take(&mut request.body));
        let late = |_| Err(failed(&request, format!("no response within {} s", time.as_secs_f64())));
        timeout(time, self.follow(&request, body)).await.unwrap_or_else(late)
    }

    /// Sends a request, and those that its redirects ask for.
    async fn follow(&self, request: &Outgoing, body: Bytes) -> Result<Incoming, HostCallError> {
        let failed = |text: String| failed(request, text);
        let limit = self.caller.app.config.limits.io_bytes;
        let mut message = match Message::new(request, body, limit) {
            Ok(message) => message,
            Err(text) => {
                return Err(self.refused(&request.method, &request.url, failed(text)).await);
            }
        };
        let most = request.redirects.min(MAX_REDIRECTS);
        for _ in 0..=most {
            // The memory of a redirect's body is given back before the next request.
            let (response, taken) = self.one(&message).await?;
            let next = if most == 0 { Ok(None) } else { message.redirected(&response) };
            match next {
                Ok(Some(next)) => {
                    self.answers.give_back(response.body().len());
                    message = next;
                }
                Ok(None) => {
                    self.caller.holding.keep(taken);
                    return Ok(message::incoming(&message.url, response));
                }
                Err(text) => {
                    let location = message::location(&response);
                    return Err(self.refused(message.method.name(), &location, failed(text)).await);
                }
            }
        }
        Err(failed(format!("more than {most} redirects")))
    }

    /// Records a request that is refused before anyone could judge it.
    async fn refused(&self, method: &str, url: &str, error: HostCallError) -> HostCallError {
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
    async fn one(&self, message: &Message) -> Result<(http::Response<Bytes>, Taken), HostCallError> {
        let effect = |permit: Permit<Url>| async move {
            // Behind the decision: a request that is refused costs its tenant nothing.
            self.caller.app.config.state.client.pay().await.map_err(|text| message.failed(text))?;
            let _sent = self.caller.holding.take(message.body.len()).await.map_err(|text| message.failed(text))?;
            let (response, taken) = self.traced(&permit, message).await?;
            let bytes = (message.body.len() + response.body().len()) as u64;
            Ok(((response, taken), bytes))
        };
        self.gate(message.method.name()).pass(self.at, message.method, message.url.clone(), effect).await
    }

    /// Sends a request as a part of the trace of the request that it is sent for, where there is one.
    async fn traced(
        &self,
        permit: &Permit<Url>,
        message: &Message,
    ) -> Result<(http::Response<Bytes>, Taken), HostCallError> {
        let url = permit.resource();
        let begin =
            |trace: &TraceContext| trace.call(message.method.name(), &url.host().to_string(), url.port(), url.path());
        let Some(span) = self.caller.trace.as_ref().map(begin) else {
            return self.exchange(permit, message, None).await;
        };
        let result = self.exchange(permit, message, span.value()).await;
        match &result {
            Ok((response, _)) => span.answered(response.status()),
            Err(HostCallError::Denied(_)) => span.failed("denied"),
            Err(_) => span.failed("failed"),
        }
        result
    }

    /// Looks the name up, has each address judged, and sends to the first that is granted and answers.
    async fn exchange(
        &self,
        permit: &Permit<Url>,
        message: &Message,
        trace: Option<HeaderValue>,
    ) -> Result<(http::Response<Bytes>, Taken), HostCallError> {
        let config = &self.caller.app.config;
        let addresses = self.addresses(permit, message).await?;
        let mut granted: Vec<IpAddr> =
            addresses.iter().copied().filter(|address| self.caller.gate.covers_address(permit, *address)).collect();
        if granted.is_empty() {
            granted.extend(addresses.first());
        }
        let mut last = message.failed("the name has no address");
        for address in granted.into_iter().take(MAX_TRIED) {
            let request = message.request(trace.clone()).map_err(|text| message.failed(text))?;
            let send = |endpoint| async move {
                let bounds = (&*self.caller.holding, self.answers);
                let sent = config.state.client.exchange(&endpoint, request, bounds).await;
                sent.map(|response| (response, 0)).map_err(HostCallError::failed)
            };
            match self.gate(message.method.name()).address(permit, address, self.at, send).await {
                Ok(response) => return Ok(response),
                Err(HostCallError::Failed(failed)) => last = message.failed(failed.cause),
                Err(refused) => return Err(refused),
            }
        }
        Err(last)
    }

    async fn addresses(&self, permit: &Permit<Url>, message: &Message) -> Result<Vec<IpAddr>, HostCallError> {
        match permit.resource().host() {
            UrlHost::Address(address) => Ok(vec![*address]),
            UrlHost::Name(name) => {
                let found = self.caller.app.config.state.client.resolver().resolve(name).await;
                found.map_err(|_| message.failed(format!("cannot resolve {name}")))
            }
        }
    }
}
