//! The operator's tools, as the instances that they start see them: a test asks the app beside it, a session takes what is
//! typed.
//!
//! An app has a tool only if it was given one. For any other the guest's import is an error, so a script that serves
//! cannot reach a terminal or another app through it, whatever becomes of the interpreter.

use std::fmt;

use futures_util::future::BoxFuture;

use crate::bindings::starcell::guest::types::Request;
use crate::failure::ScriptFailure;

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
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a client would have got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Header fields.
    pub headers: Vec<(String, String)>,
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
    /// Most bytes of a body; none for the operator's bound.
    pub max_body_bytes: Option<u64>,
}

/// What becomes of a request to a server that a test made.
#[derive(Clone, Debug)]
pub enum Routed {
    /// The handler of a route answers it; routes count from 0 in order of their patterns.
    Handler(u32, Box<Request>),
    /// The host has answered it.
    Reply(Reply),
}

/// What an input of a session came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was evaluated: the `repr` of an expression that is not `None`.
    Value(Option<String>),
    /// It ends inside of something: what comes next belongs to it.
    Incomplete,
    /// It raised, or does not parse.
    Failed(ScriptFailure),
}

/// A tool. Errors are sentences for the script's developer.
pub trait Tool: fmt::Debug + Send + Sync + 'static {
    /// Has the app under test answer.
    fn ask(&self, _question: Question) -> BoxFuture<'_, Result<Reply, String>> {
        Box::pin(std::future::ready(Err("only a test can ask an app".into())))
    }

    /// Finds the route of a request to a server that the test made.
    fn route(&self, _server: MadeServer, _question: Question) -> BoxFuture<'_, Result<Routed, String>> {
        Box::pin(std::future::ready(Err("only a test makes servers of its own".into())))
    }

    /// Takes what the last input came to and the names that can be written now; gives the next input, or none at the
    /// end.
    fn input(&self, _outcome: Outcome, _names: Vec<String>) -> BoxFuture<'_, Result<Option<String>, String>> {
        Box::pin(std::future::ready(Err("only a session takes input".into())))
    }
}
