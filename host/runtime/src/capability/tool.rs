//! `starcell:guest/tool`: what a test or a session asks of the tool that started it. No other instance has one.

use std::sync::Arc;

use crate::Position;
use crate::bindings::starcell::guest::tool::{Host, MadeServer, Matched, Outcome, Question, Reply, Routed};
use crate::call_error::HostCallError;
use crate::failure::Failure;
use crate::state::{Role, State};
use crate::tool::{self, Tool};

impl Host for State {
    async fn ask(&mut self, question: Question, _at: Position) -> Result<Reply, HostCallError> {
        // A session has no app beside it, and what answers a request is no test.
        let Some(tool) = self.tool()?.filter(|_| matches!(self.role, Role::Request(..))) else {
            return Err(HostCallError::failed("only a test can ask an app"));
        };
        tool.ask(asked(question)).await.map_err(HostCallError::failed).map(replied)
    }

    async fn route(&mut self, server: MadeServer, question: Question) -> Result<Routed, HostCallError> {
        let Some(tool) = self.tool()?.filter(|_| matches!(self.role, Role::Request(..))) else {
            return Err(HostCallError::failed("only a test makes servers of its own"));
        };
        let server = tool::MadeServer { patterns: server.patterns, max_body_bytes: server.max_body_bytes };
        tool.route(server, asked(question)).await.map_err(HostCallError::failed).map(|routed| match routed {
            tool::Routed::Handler(route, request) => Routed::Handler(Matched { route, request: *request }),
            tool::Routed::Reply(reply) => Routed::Reply(replied(reply)),
        })
    }

    async fn input(&mut self, outcome: Outcome, names: Vec<String>) -> Result<Option<String>, HostCallError> {
        let Some(tool) = self.tool()?.filter(|_| matches!(self.role, Role::Setup(..))) else {
            return Err(HostCallError::failed("only a session takes input"));
        };
        let outcome = match outcome {
            Outcome::Value(value) => tool::Outcome::Value(value),
            Outcome::Incomplete => tool::Outcome::Incomplete,
            Outcome::Failed(failure) => match Failure::from(failure) {
                Failure::Script(failure) => tool::Outcome::Failed(failure),
                other => return Err(wasmtime::Error::msg(other.to_string()).into()),
            },
        };
        let input = tool.input(outcome, names).await.map_err(HostCallError::failed);
        // Each input is a stretch of its own.
        self.meter.renew();
        input
    }
}

fn asked(question: Question) -> tool::Question {
    let Question { server, method, target, headers, body } = question;
    tool::Question { server, method, target, headers, body }
}

fn replied(reply: tool::Reply) -> Reply {
    let tool::Reply { status, headers, body, failure } = reply;
    Reply { status, headers, body, failure }
}

impl State {
    fn tool(&self) -> wasmtime::Result<Option<Arc<dyn Tool>>> {
        Ok(self.app()?.config.tool.clone())
    }
}
