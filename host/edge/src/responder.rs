//! Whoever answers requests: the one thing that the edge calls.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::request::Parts;
use starcell_http::response::{Answer, Refusal, to_method};

use crate::body::Body;
use crate::group::{ConnectionGroup, Turn};
use crate::ids::RequestId;
use crate::limits::ClientLimits;

/// What stands behind an address and answers its requests.
pub trait Responder: fmt::Debug + Send + Sync + 'static {
    /// What clients may use.
    fn limits(&self) -> &ClientLimits;

    /// Answers a request: at once where nothing has to be waited for.
    fn respond(self: Arc<Self>, asked: Asked) -> Responding;
}

/// A request whose head was read.
#[derive(Debug)]
pub struct Asked {
    /// The head.
    pub parts: Parts,
    /// Names the request.
    pub id: RequestId,
    /// Who asks.
    pub peer: Arc<Peer>,
    /// Bytes of the path that led to whoever is asked now. What is behind them is the path for that one.
    pub prefix: usize,
    /// The body, not read yet.
    pub body: Body,
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    /// Address and port.
    pub address: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The turns of its connection.
    turn: Option<Arc<Turn>>,
}

impl Peer {
    /// Whoever asks without a connection of this edge.
    #[must_use]
    pub fn within(address: String) -> Self {
        Self { address, tls: false, turn: None }
    }

    pub(crate) fn connected(address: String, tls: bool, turn: Arc<Turn>) -> Self {
        Self { address, tls, turn: Some(turn) }
    }

    /// Its connection has asked for something: it is no newcomer any more.
    pub(crate) fn has_asked(&self) {
        if let Some(turn) = &self.turn {
            turn.leave();
        }
    }

    /// The requests of its connection go to the party of a group, from this one on.
    pub fn joins(&self, group: &Arc<ConnectionGroup>) {
        if let Some(turn) = &self.turn {
            turn.join(group);
        }
    }
}

/// The answer to a request: there already, or on its way.
#[expect(clippy::large_enum_variant, reason = "the common case costs no allocation")]
pub enum Responding {
    /// There already: no guest was needed.
    Now(Answered),
    /// On its way.
    Later(Pin<Box<dyn Future<Output = Answered> + Send>>),
}

impl fmt::Debug for Responding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answered) => f.debug_tuple("Now").field(answered).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

/// What a request came to.
#[derive(Debug)]
pub struct Answered {
    /// The head of the request.
    pub parts: Parts,
    /// Names the request.
    pub id: RequestId,
    /// The response, or why the request was refused.
    pub result: Result<Answer, Refusal>,
    /// The pattern of the route that matched.
    pub route: Option<String>,
    /// The app that was asked, where there are several.
    pub app: Option<Arc<str>>,
    /// Time that a guest ran for it.
    pub cpu: Option<Duration>,
    /// What the request holds until its response is sent: its place, its memory.
    pub held: Held,
}

/// What is held until the last byte of a response was handed to the system.
#[derive(Clone, Default)]
pub struct Held(Option<Arc<dyn Any + Send + Sync>>);

impl Held {
    /// Holds something.
    #[must_use]
    pub fn new(what: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(what)))
    }

    /// Holds something besides.
    #[must_use]
    pub fn and(self, what: impl Any + Send + Sync) -> Self {
        match self.0 {
            None => Self::new(what),
            Some(held) => Self::new((held, what)),
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.0.is_some()).finish()
    }
}

impl Answered {
    /// A request that nothing but its head was needed for to refuse it.
    #[must_use]
    pub fn refused(parts: Parts, id: RequestId, refusal: Refusal) -> Self {
        Self { parts, id, result: Err(refusal), route: None, app: None, cpu: None, held: Held::default() }
    }

    /// A request that nothing but its head was needed for to answer it.
    #[must_use]
    pub fn with(parts: Parts, id: RequestId, answer: Answer) -> Self {
        Self { parts, id, result: Ok(answer), route: None, app: None, cpu: None, held: Held::default() }
    }

    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &self.result {
            Ok(answer) => answer.status(),
            Err(refusal) => refusal.answer().status(),
        }
    }

    /// The response as it is sent, but for what concerns the connection alone.
    #[must_use]
    pub fn into_answer(self) -> Answer {
        let answer = self.result.unwrap_or_else(|refusal| refusal.answer());
        self.id.name(to_method(answer, &self.parts.method))
    }
}
