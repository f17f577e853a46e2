//! The whole story of a request: find its route, read it, answer it in a fork, respond.
//!
//! Routing and every refusal cost no guest. What a script raises goes to the log with the request id; the client gets
//! that id and no more.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{HeaderName, Method, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use starcell_http::request::{self, Origin, Pairs};
use starcell_http::response::{self, Answer, Refusal};
use starcell_http::router::Found;
use starcell_runtime::{Failure, Field, Limit};
use tokio::time::{Instant, timeout_at};

use crate::access::Access;
use crate::activity::{Active, Outgoing};
use crate::connection::Terms;
use crate::endpoint::Endpoint;
use crate::servers::Operator;
pub(crate) use crate::site::Site;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
    endpoint: &Endpoint,
    operator: &Operator,
    client: Client,
    active: Active,
    request: Request<Incoming>,
) -> Result<Response<Outgoing>, Infallible> {
    let (parts, body) = request.into_parts();
    let mut access = Access::begin();
    let id = id(&parts, operator);
    let answer = match endpoint.front().filter(|_| client.terms == Terms::Served) {
        Some(front) => meet(&front.site, operator, &client, &parts, body, &id, &mut access).await,
        None => Refusal::Busy.answer(),
    };
    let mut answer = with_id(answer, &id);
    let unread = answer.extensions().get::<Unread>().is_some();
    if (client.terms == Terms::Refused || unread) && parts.version <= Version::HTTP_11 {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if parts.method == Method::HEAD {
        // Said here, since HTTP/2 would send the body along.
        let length = answer.body().len();
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
        answer.body_mut().clear();
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

fn with_id(mut answer: Answer, id: &str) -> Answer {
    // Both kinds of id are legal values.
    if let Ok(mut id) = HeaderValue::from_str(id) {
        // To HTTP/2 this means: not to be remembered for later responses. None has the same id, and there is little room.
        id.set_sensitive(true);
        answer.headers_mut().entry(REQUEST_ID).or_insert(id);
    }
    answer
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
    let admitted = match admit(site, operator, parts, body, access).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            let mut answer = refusal.answer();
            if refusal.is_of_the_message() {
                answer.extensions_mut().insert(Unread { gone: refusal == Refusal::BadBody });
            }
            return answer;
        }
    };
    let origin = Origin { remote: client.remote.to_string(), tls: client.tls, id: id.to_owned() };
    let record = request::read(parts, admitted.host, admitted.params, admitted.body, origin);
    // In a box of its own, so that a request which costs no guest does not carry the room for one about.
    match Box::pin(answer(site, operator, admitted.route, record, access)).await {
        Ok(answer) => answer,
        Err(Refused::Busy) => Refusal::Busy.answer(),
        Err(Refused::Failed(failure)) => {
            let report = failure.report();
            Box::pin(operator.note_failure(id, parts, &report)).await;
            response::failed(status(&failure), id, operator.dev.then_some(&report))
        }
    }
}

fn status(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Limit(Limit::Instances(_)) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Why a request that was admitted got no answer of its script's.
enum Refused {
    Busy,
    Failed(Failure),
}

/// A request that has a route and is whole.
struct Admitted<'a> {
    host: &'a str,
    route: usize,
    params: Pairs,
    body: Bytes,
}

/// Finds the route and reads the body. Costs no guest.
async fn admit<'a>(
    site: &Site,
    operator: &Operator,
    parts: &'a Parts,
    body: Incoming,
    access: &mut Access,
) -> Result<Admitted<'a>, Refusal> {
    let host = request::check(parts, operator.edge.max_url_bytes as usize)?;
    let (path, query) = (parts.uri.path(), parts.uri.query());
    let (route, params) = match site.routes.find(parts.method.as_str(), host, path, query) {
        Found::Route { index, params } => {
            (index, params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        }
        Found::Redirect { location } => return Err(Refusal::Elsewhere(location)),
        Found::MethodNotAllowed { allow } => return Err(Refusal::WrongMethod(allow)),
        Found::NotFound => return Err(Refusal::NotFound),
    };
    access.route = site.routes.pattern(route).map(str::to_owned);
    let body = read(parts, body, site, operator).await?;
    Ok(Admitted { host, route, params, body })
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

/// Has the script answer, in a fork of its own.
async fn answer(
    site: &Site,
    operator: &Operator,
    route: usize,
    request: request::Request,
    access: &mut Access,
) -> Result<Answer, Refused> {
    let _place = site.queue.enter(operator.edge.queue_time).await.ok_or(Refused::Busy)?;
    let route = u32::try_from(route).map_err(|_| Refused::Busy)?;
    let answer = site.serving.answer(route, record(request)).await;
    access.cpu = Some(answer.cpu);
    let response = answer.result.map_err(Refused::Failed)?;
    let headers = response.headers.into_iter().map(|field| (field.name, field.value));
    response::script(response.status, headers, response.body).map_err(|text| Refused::Failed(Failure::Host(text)))
}

/// The request as it crosses the border.
fn record(request: request::Request) -> starcell_runtime::Request {
    let fields = |pairs: Pairs| pairs.into_iter().map(|(name, value)| Field { name, value }).collect();
    starcell_runtime::Request {
        method: request.method,
        path: request.path,
        url: request.url,
        params: fields(request.params),
        query: fields(request.query),
        headers: fields(request.headers),
        body: request.body.into(),
        remote_addr: request.remote_addr,
        host: request.host,
        tls: request.tls,
        id: request.id,
        proto: request.proto.to_owned(),
    }
}
