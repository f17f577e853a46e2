//! From a request to what it comes to, the same whether its bytes came over a socket or from a test: find its route,
//! read it, answer it in a fork.
//!
//! Routing costs no guest and waits for nothing, so what has no route is answered at once.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::request::Parts;
use http::{HeaderName, Method, StatusCode};
use starcell_http::request::{self, Origin, Pairs};
use starcell_http::response::{self, Answer, Refusal};
use starcell_http::router::Found;
use starcell_runtime::{Failure, Field, Limit};

use crate::access::Access;
use crate::servers::Operator;
use crate::site::Site;

/// The header that names a request.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request comes to.
pub(crate) enum Exchange {
    /// The script's response.
    Answered(Answer),
    /// It was not the script's to answer.
    Refused(Refusal),
    /// The script failed.
    Failed(Failure),
}

/// What a request is for.
#[derive(Debug)]
pub(crate) struct Target {
    host: String,
    route: u32,
    /// The values of its wildcards.
    params: Pairs,
}

/// Finds out what a request is for, or why it is refused.
pub(crate) fn find(site: &Site, operator: &Operator, parts: &Parts, access: &mut Access) -> Result<Target, Refusal> {
    let host = request::check(parts, operator.edge.max_url_bytes as usize)?;
    let (path, query) = (parts.uri.path(), parts.uri.query());
    let (index, params) = match site.routes.find(parts.method.as_str(), host, path, query) {
        Found::Route { index, params } => {
            (index, params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        }
        Found::Redirect { location } => return Err(Refusal::Elsewhere(location)),
        Found::MethodNotAllowed { allow } => return Err(Refusal::WrongMethod(allow)),
        Found::NotFound => return Err(Refusal::NotFound),
    };
    access.begin(site.routes.pattern(index));
    let route = u32::try_from(index).map_err(|_| Refusal::NotFound)?;
    Ok(Target { host: host.to_owned(), route, params })
}

/// Has a request answered.
pub(crate) async fn exchange(
    site: &Site,
    operator: &Operator,
    parts: &Parts,
    target: Target,
    origin: Origin,
    body: impl Future<Output = Result<Bytes, Refusal>>,
    access: &mut Access,
) -> Exchange {
    let Target { host, route, params } = target;
    let body = match body.await {
        Ok(body) => body,
        Err(refusal) => return Exchange::Refused(refusal),
    };
    let request = request::read(parts, host, params, body, origin);
    let Some(_place) = site.queue.enter(operator.edge.queue_time).await else {
        return Exchange::Refused(Refusal::Busy);
    };
    let answer = site.serving.answer(route, record(request)).await;
    access.cpu = Some(answer.cpu);
    let sendable = answer.result.and_then(|response| {
        let headers = response.headers.into_iter().map(|field| (field.name, field.value));
        response::script(response.status, headers, response.body).map_err(Failure::Host)
    });
    match sendable {
        Ok(answer) => Exchange::Answered(answer),
        Err(failure) => Exchange::Failed(failure),
    }
}

/// The response to a request whose handler failed; `detail` is what only a developer may see.
pub(crate) fn failed(failure: &Failure, id: &str, detail: Option<&str>) -> Answer {
    let status = match failure {
        Failure::Limit(Limit::Instances(_)) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    response::failed(status, id, detail)
}

/// An answer as it fits its request: to HEAD without a body.
pub(crate) fn fit(mut answer: Answer, parts: &Parts) -> Answer {
    if parts.method == Method::HEAD {
        // Said here, since HTTP/2 would send the body along.
        let length = answer.body().len();
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
        answer.body_mut().clear();
    }
    answer
}

/// Puts the id of its request on an answer, unless the script has.
pub(crate) fn name(answer: &mut Answer, mut id: HeaderValue) {
    // To HTTP/2 this means: not to be remembered for later responses. None has the same id, and there is little room.
    id.set_sensitive(true);
    answer.headers_mut().entry(REQUEST_ID).or_insert(id);
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
        headers: request.headers,
        body: request.body.into(),
        remote_addr: request.remote_addr,
        host: request.host,
        tls: request.tls,
        id: request.id,
        proto: request.proto.to_owned(),
    }
}
