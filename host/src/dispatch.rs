//! The whole story of a request: find its route, read it, answer it in a fork, respond.
//!
//! Routing and every refusal cost no guest. What a script raises goes to the log with the request id; the client gets
//! that id and no more.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use starcell_runtime::{Failure, ServerOptions, Serving};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::logs::{Line, Logs};
use crate::request;
use crate::respond::{self, Answer, Refusal};
use crate::router::{Found, Routes};
use crate::servers::Settings;

/// Requests of one server that may be in a guest at once. Guests that compute share the cores anyway; this bounds their
/// memory, and leaves instances for other servers.
const MAX_IN_FLIGHT: usize = 512;

/// Time for a request body when the script does not say.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of a request body when the script does not say.
const BODY_BYTES: u64 = 10 << 20;

/// A server as its clients meet it.
#[derive(Debug)]
pub struct Site {
    routes: Arc<Routes>,
    serving: Serving,
    pub(crate) limits: SiteLimits,
    dev: bool,
    script: String,
    in_flight: Semaphore,
    ids: Ids,
    logs: Logs,
}

/// What a client may use of a server.
#[derive(Debug)]
pub(crate) struct SiteLimits {
    pub(crate) header_timeout: Option<Duration>,
    pub(crate) header_bytes: Option<usize>,
    body_timeout: Duration,
    body_bytes: usize,
    answer: Duration,
}

impl Site {
    /// A server that is about to be served.
    pub(crate) fn new(
        routes: Arc<Routes>,
        serving: Serving,
        options: &ServerOptions,
        settings: &Settings,
        logs: Logs,
    ) -> Arc<Self> {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let limits = SiteLimits {
            // hyper's one timer bounds both the idle time and the head, so the shorter of the two is what holds.
            header_timeout: [options.read_timeout, options.idle_timeout].into_iter().flatten().min(),
            header_bytes: options.max_header_bytes.map(size),
            body_timeout: options.read_timeout.unwrap_or(BODY_TIMEOUT),
            body_bytes: size(options.max_body_bytes.unwrap_or(BODY_BYTES)),
            answer: options.write_timeout.map_or(settings.request_time, |time| time.min(settings.request_time)),
        };
        let serving = serving.within(limits.answer);
        let in_flight = Semaphore::new(MAX_IN_FLIGHT);
        let (script, dev) = (settings.script.clone(), settings.dev);
        Arc::new(Self { routes, serving, limits, dev, script, in_flight, ids: Ids::new(), logs })
    }

    /// Notes that requests were cut when a drain took too long.
    pub(crate) async fn note_cut(&self, grace: Duration) {
        let count = MAX_IN_FLIGHT - self.in_flight.available_permits();
        let text = format!("shutdown_timeout of {} s is over: cut {count} requests in flight", grace.as_secs_f64());
        self.logs.write(Line::warn(&text).with("script", &self.script)).await;
    }

    /// Notes that no connection could be accepted.
    pub(crate) async fn note_accept_error(&self, error: &io::Error) {
        let text = format!("cannot accept connections, trying again: {error}");
        self.logs.write(Line::error(&text).with("script", &self.script)).await;
    }

    async fn note_failure(&self, id: &str, parts: &Parts, text: &str) {
        let line = Line::error(text).with("script", &self.script).with("request", id);
        self.logs.write(line.with("method", parts.method.as_str()).with("path", parts.uri.path())).await;
    }
}

/// Answers one request.
pub(crate) async fn dispatch(site: &Site, peer: SocketAddr, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    match admit(site, &parts, body).await {
        Ok((host, route, params, body)) => {
            let id = site.ids.next();
            let record = request::record(&parts, host, params, body, peer, id.clone());
            match answer(site, route, record).await {
                Ok(answer) => answer,
                Err(Refused::Busy) => Refusal::Busy.answer(),
                Err(Refused::Failed(failure)) => {
                    site.note_failure(&id, &parts, &failure.report()).await;
                    respond::failed(&failure, &id, site.dev)
                }
            }
        }
        Err(refusal) => refusal.answer(),
    }
}

/// Why a request that was admitted got no answer of its script's.
enum Refused {
    Busy,
    Failed(Failure),
}

type Admitted<'a> = (&'a str, u32, Vec<(String, String)>, Bytes);

/// Finds the route and reads the body. Costs no guest.
async fn admit<'a>(site: &Site, parts: &'a Parts, body: Incoming) -> Result<Admitted<'a>, Refusal> {
    let host = request::host(parts).ok_or(Refusal::BadHost)?;
    let (path, query) = (parts.uri.path(), parts.uri.query());
    let (route, params) = match site.routes.find(parts.method.as_str(), host, path, query) {
        Found::Route { index, params } => {
            (index, params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        }
        Found::Redirect { location } => return Err(Refusal::Elsewhere(location)),
        Found::MethodNotAllowed { allow } => return Err(Refusal::WrongMethod(allow)),
        Found::NotFound => return Err(Refusal::NotFound),
    };
    let body = read(parts, body, &site.limits).await?;
    Ok((host, u32::try_from(route).map_err(|_| Refusal::NotFound)?, params, body))
}

/// Reads a body whole, or refuses it: it is never cut short.
async fn read(parts: &Parts, body: Incoming, limits: &SiteLimits) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(Refusal::LargeBody(limits.body_bytes));
    }
    match timeout(limits.body_timeout, Limited::new(body, limits.body_bytes).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::LargeBody(limits.body_bytes)),
        Ok(Err(_)) => Err(Refusal::BadBody),
        Err(_elapsed) => Err(Refusal::SlowBody),
    }
}

/// Has the script answer, in a fork of its own.
async fn answer(site: &Site, route: u32, record: starcell_runtime::Request) -> Result<Answer, Refused> {
    let _place = place(site).await.ok_or(Refused::Busy)?;
    let response = site.serving.answer(route, record).await.result.map_err(Refused::Failed)?;
    respond::script(response).map_err(|text| Refused::Failed(Failure::Host(text)))
}

/// A place among the requests in flight; none if it does not come free within the time for an answer.
async fn place(site: &Site) -> Option<SemaphorePermit<'_>> {
    match site.in_flight.try_acquire() {
        Ok(place) => Some(place),
        Err(_) => timeout(site.limits.answer, site.in_flight.acquire()).await.ok()?.ok(),
    }
}

/// Request ids: unique within and across processes, and cheap.
#[derive(Debug)]
struct Ids {
    process: u64,
    next: AtomicU64,
}

impl Ids {
    fn new() -> Self {
        // Without randomness ids are still unique within the process.
        let process = getrandom::u64().unwrap_or_default();
        Self { process, next: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("{:016x}-{:x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}
