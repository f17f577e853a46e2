//! One request of a connection: its id, its response, its line in the log. The [`Responder`](crate::Responder) behind
//! the endpoint says what the response is.
//!
//! A request that is answered at once costs no allocation for a future, no task and no turn of another thread.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Response, Version};
use hyper::Request;
use hyper::body::Incoming;
use starcell_http::response::{Refusal, to_method};
use tokio::time::Instant;
use tokio_util::either::Either;

use crate::access::Entry;
use crate::activity::{Active, Outgoing};
use crate::body::Body;
use crate::client::{Client, Terms};
use crate::heads;
use crate::responder::{Answered, Asked, Responding};

/// The response to a request: there at once, or once the responder has it.
pub(crate) type Replying = Either<Ready<Reply>, Pin<Box<dyn Future<Output = Reply> + Send>>>;

type Reply = Result<Response<Outgoing>, Infallible>;

/// Answers one request.
pub(crate) fn exchange(client: &Arc<Client>, request: Request<Incoming>) -> Replying {
    // Before the responder, which may know a group for it.
    if client.activity.is_fresh() {
        client.peer.has_asked();
    }
    let (parts, body) = request.into_parts();
    let id = client.edge.ids.of(&parts, client.edge.config.trust_request_id);
    let front = client.endpoint.glance();
    let head = heads::take(&client.edge.memory, &parts);
    if head.is_err() {
        client.edge.refuse_for_memory();
    }
    let responding = match front.as_ref().filter(|_| client.terms == Terms::Served) {
        Some(_) if head.is_err() => Responding::Now(Answered::refused(parts, id, Refusal::NoMemory)),
        Some(front) => {
            let body = Body::arriving(body, front.responder.limits(), &client.edge);
            let asked = Asked { parts, id, peer: Arc::clone(&client.peer), prefix: 0, body };
            Arc::clone(&front.responder).respond(asked)
        }
        None => Responding::Now(Answered::refused(parts, id, Refusal::Busy)),
    };
    match responding {
        Responding::Now(answered) => {
            // Over HTTP/2 the response may still have to wait for the client.
            let active = carries_several(&answered).then(|| client.activity.begin());
            Either::Left(ready(Ok(reply(client, active, answered, None))))
        }
        Responding::Later(answered) => {
            let (client, active, began) = (Arc::clone(client), client.activity.begin(), Instant::now());
            Either::Right(Box::pin(async move {
                let _present = client.endpoint.enter();
                let mut answered = answered.await;
                if let Ok(Some(head)) = head {
                    answered.held = answered.held.and(head);
                }
                Ok(reply(&client, Some(active), answered, Some(began)))
            }))
        }
    }
}

/// Whether the connection of a request carries several at once.
fn carries_several(answered: &Answered) -> bool {
    answered.parts.version == Version::HTTP_2
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

impl Was {
    fn of(result: &Result<Response<Bytes>, Refusal>) -> Self {
        match result {
            Err(Refusal::BadBody) => Self::Broken,
            Err(refusal) if refusal.is_of_the_message() => Self::Unread,
            Ok(_) | Err(_) => Self::Read,
        }
    }
}

/// Sends an answer on its way, with its line in the log.
fn reply(client: &Client, active: Option<Active>, answered: Answered, began: Option<Instant>) -> Response<Outgoing> {
    let (several, was) = (carries_several(&answered), Was::of(&answered.result));
    let Answered { parts, id, result, route, app, cpu, held } = answered;
    let answer = result.unwrap_or_else(|refusal| refusal.answer());
    let now = Instant::now();
    let answer = to_method(answer, &parts.method);
    if client.edge.config.access_log {
        let duration = began.map(|began| now - began).unwrap_or_default();
        let (remote, route, answer) = (client.peer.address.as_str(), route.as_deref(), &answer);
        let app = app.as_deref();
        let entry = Entry { parts: &parts, app, route, answer, duration, cpu, id: id.text(), remote };
        client.edge.logs.access(now, |line| entry.write(line));
    }
    let mut answer = id.name(answer);
    let last = client.terms == Terms::Refused || was != Was::Read || client.endpoint.is_stopping();
    if last && parts.version <= Version::HTTP_11 {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer.map(|body| match (active, was) {
        (None, _) => client.activity.answer_at_once(now, body),
        (Some(active), Was::Broken) => active.respond_to_nobody(body, held),
        (Some(active), Was::Read | Was::Unread) => active.respond(now, body, held, several),
    })
}
