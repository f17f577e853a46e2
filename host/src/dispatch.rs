//! A request that came over a connection: its id, its body under a deadline, its answer, its lines in the log. What is
//! between is an `exchange`.
//!
//! What can be answered without a guest is answered on the spot: a request that no route matches costs no allocation for
//! a future, no task and no turn of another thread.
//!
//! What a script raises goes to the log with the request id; the client gets
//! that id and no more.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::mem;
use std::pin::Pin;
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
use tokio_util::either::Either;

use crate::access::{Access, Entry};
use crate::activity::{Active, Activity, Outgoing};
use crate::connection::Terms;
use crate::endpoint::{Endpoint, Front};
use crate::exchange::{self, Exchange, REQUEST_ID, Target, exchange};
use crate::ids;
use crate::servers::Operator;
pub(crate) use crate::site::Site;

/// Who asks, and whom.
#[derive(Debug)]
pub(crate) struct Client {
    /// Where from: address and port.
    pub(crate) remote: String,
    /// Whether over TLS.
    pub(crate) tls: bool,
    /// Whether it is served.
    pub(crate) terms: Terms,
    /// What goes on in its connection.
    pub(crate) activity: Arc<Activity>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) operator: Arc<Operator>,
}

/// The response to a request: there at once, or once the guest has answered.
pub(crate) type Answering = Either<Ready<Answered>, Pin<Box<dyn Future<Output = Answered> + Send>>>;

type Answered = Result<Response<Outgoing>, Infallible>;

/// Answers one request.
pub(crate) fn dispatch(client: &Arc<Client>, request: Request<Incoming>) -> Answering {
    let (parts, body) = request.into_parts();
    let id = id(&parts, &client.operator);
    let mut call = Call { parts, id, access: Access::default() };
    let front = client.endpoint.glance();
    let refusal = match front.as_ref().filter(|_| client.terms == Terms::Served) {
        Some(front) => match exchange::find(&front.site, &client.operator, &call.parts, &mut call.access) {
            Ok(target) => {
                let (client, front, active) = (Arc::clone(client), Arc::clone(front), client.activity.begin());
                return Either::Right(Box::pin(call.meet(client, active, front, target, body)));
            }
            Err(refusal) => refusal,
        },
        None => Refusal::Busy,
    };
    // Over HTTP/2 it may still have to wait for the client.
    let active = call.has_company().then(|| client.activity.begin());
    Either::Left(ready(Ok(call.refuse(client, active, &refusal))))
}

/// The client's own id where it is trusted and fit, else a new one.
fn id(parts: &Parts, operator: &Operator) -> HeaderValue {
    let given = if operator.edge.trust_request_id { parts.headers.get(REQUEST_ID) } else { None };
    given.filter(|id| request::is_request_id(id.as_bytes())).cloned().unwrap_or_else(|| operator.ids.next())
}

/// A request under way.
struct Call {
    parts: Parts,
    id: HeaderValue,
    access: Access,
}

/// How much of a request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Was {
    /// All that there will be.
    Read,
    /// Not its end: nothing else can come on its connection.
    Unread,
    /// Not its end, which was the client's doing.
    Broken,
}

impl Call {
    /// Whether its connection carries several at once.
    fn has_company(&self) -> bool {
        self.parts.version == Version::HTTP_2
    }

    /// Has whatever stands behind the endpoint answer.
    async fn meet(
        mut self,
        client: Arc<Client>,
        active: Active,
        front: Arc<Front>,
        target: Target,
        body: Incoming,
    ) -> Answered {
        let _present = front.site.enter();
        let answer = match self.exchange(&client, &front.site, target, body).await {
            Exchange::Answered(answer) => answer,
            Exchange::Refused(refusal) => return Ok(self.refuse(&client, Some(active), &refusal)),
            Exchange::Failed(failure) => {
                let (operator, id, report) = (&client.operator, ids::text(&self.id), failure.report());
                Box::pin(operator.note_failure(id, &self.parts, &report)).await;
                exchange::failed(&failure, id, operator.dev.then_some(&report))
            }
        };
        Ok(self.end(&client, Some(active), answer, Was::Read))
    }

    async fn exchange(&mut self, client: &Client, site: &Site, target: Target, body: Incoming) -> Exchange {
        let Self { parts, id, access, .. } = self;
        let origin = Origin { remote: client.remote.clone(), tls: client.tls, id: ids::text(id).to_owned() };
        // Pinned here, as a future that is handed on takes room for every hand it goes through.
        let body = std::pin::pin!(read(parts, body, site, &client.operator));
        exchange(site, &client.operator, parts, target, origin, body, access).await
    }

    fn refuse(&mut self, client: &Client, active: Option<Active>, refusal: &Refusal) -> Response<Outgoing> {
        let was = match refusal {
            Refusal::BadBody => Was::Broken,
            refusal if refusal.is_of_the_message() => Was::Unread,
            _ => Was::Read,
        };
        self.end(client, active, refusal.answer(), was)
    }

    /// Sends an answer on its way, with its line in the log.
    fn end(&mut self, client: &Client, active: Option<Active>, answer: Answer, was: Was) -> Response<Outgoing> {
        let company = self.has_company();
        let Self { parts, id, access } = self;
        let mut answer = exchange::fit(answer, parts);
        let now = Instant::now();
        if !client.operator.edge.no_access_log {
            let (remote, id) = (&client.remote, ids::text(id));
            client.operator.logs.access(now, &Entry { access, now, parts, remote, answer: &answer, id });
        }
        exchange::name(&mut answer, mem::replace(id, HeaderValue::from_static("")));
        let last = client.terms == Terms::Refused || was != Was::Read || client.endpoint.is_stopping();
        if last && parts.version <= Version::HTTP_11 {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer.map(|body| match (active, was) {
            (None, _) => client.activity.answer_at_once(now, body),
            (Some(active), Was::Broken) => active.respond_to_nobody(body),
            (Some(active), Was::Read | Was::Unread) => active.respond(now, body, company),
        })
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
