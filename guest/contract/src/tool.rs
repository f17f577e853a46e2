//! What the operator's tools do with a script.

use crate::{Failure, Field, Request};

/// A request of a test to the app beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Which of the app's servers, in order of creation from 0.
    pub server: u32,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header fields.
    pub headers: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a client would have got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Header fields; names in any case.
    pub headers: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
    /// Why the handler failed, if it did.
    pub failure: Option<String>,
}

/// A server that a test made: it has no socket, and the test runs its handlers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeServer {
    /// The patterns of its routes, in order of registration.
    pub patterns: Vec<String>,
    /// Most bytes of a body.
    pub max_body_bytes: Option<u64>,
}

/// A request that a handler is to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Which of the patterns, from 0.
    pub route: u32,
    /// The request as the handler sees it.
    pub request: Request,
}

/// What becomes of a request to a server that a test made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routed {
    /// A handler answers it.
    Handler(Matched),
    /// The host has answered it.
    Reply(Reply),
}

/// What an input of a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was evaluated: the `repr` of an expression that is not `None`.
    Value(Option<String>),
    /// It ends inside of a bracket, a text or a block: what comes next belongs to it.
    Incomplete,
    /// It raised, or does not parse.
    Failed(Failure),
}
