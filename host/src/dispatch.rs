//! A request that came over a connection: its id, its body under a deadline, its answer, its lines in the log. What is
//! between is an `exchange`.
//!
//! What a script raises goes to the log with the request id; the client gets
//! that id and no more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{Response, Version};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use starcell_http::request::{self, Origin};
use starcell_http::response::{Answer, Refusal};
use tokio::time::{Instant, timeout_at};

use crate::access::Access;
use crate::activity::{Active, Outgoing};
use crate::connection::Terms;
use crate::endpoint::Endpoint;
use crate::exchange::{self, Exchange, REQUEST_ID, exchange};
use crate::servers::Operator;
pub(crate) use crate::site::Site;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Where from: address and port.
    pub(crate) remote: Arc<str>,
    /// Whether over TLS.
    pub(crate) tls: bool,
    /// Whether its connection carries several requests at once.
    pub(crate) streams: bool,
    /// Whether it is served.
    pub(crate) terms: Terms,
}

/// Answers one request.
pub(crate) async fn dispatch(
    endpoint: Arc<Endpoint>,
    operator: Arc<Operator>,
    client: Client,
    active: Active,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut access = Access::begin();
    let id = id(&parts, &operator);
    let answer = match endpoint.front().filter(|_| client.terms == Terms::Served) {
        Some(front) => meet(&front.site, &operator, &client, &parts, body, &id, &mut access).await,
        None => Refusal::Busy.answer(),
    };
    let mut answer = exchange::finish(answer, &parts, &id);
    let unread = answer.extensions().get::<Unread>().is_some();
    if (client.terms == Terms::Refused || unread) && parts.version <= Version::HTTP_11 {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if !operator.edge.no_access_log {
        access.end(&parts, &client.remote, &answer, &id, &operator.logs);
    }
    let (head, body) = answer.into_parts();
    let outgoing = match head.extensions.get::<Unread>() {
        Some(Unread { gone: true }) => active.respond_to_nobody(body),
        _ => active.respond(body, client.streams),
    };
    Ok(Response::from_parts(head, outgoing))
}

/// Marks the response to a request that was not read to its end: nothing else can come on its connection.
#[derive(Clone, Copy, Debug)]
struct Unread {
    /// Whether that was the client's doing.
    gone: bool,
}

/// The client's own id where it is trusted and fit, else a new one.
fn id(parts: &Parts, operator: &Operator) -> String {
    let given = parts.headers.get(REQUEST_ID).filter(|_| operator.edge.trust_request_id);
    let fit = given.map(HeaderValue::as_bytes).filter(|id| request::is_request_id(id));
    fit.map_or_else(|| operator.ids.next(), |id| String::from_utf8_lossy(id).into_owned())
}

/// The answer of whatever stands behind the endpoint.
async fn meet(
    site: &Site,
    operator: &Operator,
    client: &Client,
    parts: &Parts,
    body: Incoming,
    id: &str,
    access: &mut Access,
) -> Answer {
    let _present = site.enter();
    let origin = Origin { remote: client.remote.to_string(), tls: client.tls, id: id.to_owned() };
    // Pinned here, as a future that is handed on takes room for every hand it goes through.
    let body = std::pin::pin!(read(parts, body, site, operator));
    match exchange(site, operator, parts, origin, body, access).await {
        Exchange::Answered(answer) => answer,
        Exchange::Refused(refusal) => {
            let mut answer = refusal.answer();
            if refusal.is_of_the_message() {
                answer.extensions_mut().insert(Unread { gone: refusal == Refusal::BadBody });
            }
            answer
        }
        Exchange::Failed(failure) => {
            let report = failure.report();
            Box::pin(operator.note_failure(id, parts, &report)).await;
            exchange::failed(&failure, id, operator.dev.then_some(&report))
        }
    }
}

/// Reads a body whole, or refuses it: it is never cut short. Only now is a client told to go on that waits for that.
async fn read(parts: &Parts, mut body: Incoming, site: &Site, operator: &Operator) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let limit = site.limits.body_bytes;
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Refusal::LargeBody(limit));
    }
    let (began, edge) = (Instant::now(), &operator.edge);
    let mut pieces = Vec::new();
    let mut length = 0;
    loop {
        let by_rate = edge.stall_time.as_secs_f64() + length as f64 / f64::from(edge.min_rate.get());
        let allowed = Duration::from_secs_f64(by_rate).min(site.limits.read.unwrap_or(Duration::MAX));
        match timeout_at(began + allowed, body.frame()).await {
            Err(_elapsed) => return Err(Refusal::SlowBody),
            Ok(None) => return Ok(whole(pieces, length)),
            Ok(Some(Err(_))) => return Err(Refusal::BadBody),
            Ok(Some(Ok(frame))) => {
                // Trailers are nothing a script could see.
                let Ok(piece) = frame.into_data() else { continue };
                length += piece.len();
                if length > limit {
                    return Err(Refusal::LargeBody(limit));
                }
                pieces.push(piece);
            }
        }
    }
}

fn whole(mut pieces: Vec<Bytes>, length: usize) -> Bytes {
    match (pieces.len(), pieces.pop()) {
        (1, Some(piece)) => piece,
        (_, last) => {
            let mut body = Vec::with_capacity(length);
            pieces.iter().chain(&last).for_each(|piece| body.extend_from_slice(piece));
            body.into()
        }
    }
}
