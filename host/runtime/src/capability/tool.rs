//! `starcell:guest/tool`: what a test or a session asks of the tool that started it. No other instance has one.

use std::sync::Arc;

use crate::Position;
use crate::bindings::starcell::guest::tool::{Host, MadeServer, Matched, Outcome, Question, Reply, Routed};
use crate::bindings::starcell::guest::types::Error;
use crate::failure::Failure;
use crate::state::{Role, State};
use crate::tool::{self, Tool};

impl Host for State {
    async fn ask(&mut self, question: Question, _at: Position) -> wasmtime::Result<Result<Reply, Error>> {
        // A session has no app beside it, and what answers a request is no test.
        let Some(tool) = self.tool()?.filter(|_| matches!(self.role, Role::Request(..))) else {
            return Ok(Err(Error::Failed("only a test can ask an app".into())));
        };
        Ok(tool.ask(asked(question)).await.map_err(Error::Failed).map(replied))
    }

    async fn route(&mut self, server: MadeServer, question: Question) -> wasmtime::Result<Result<Routed, Error>> {
        let Some(tool) = self.tool()?.filter(|_| matches!(self.role, Role::Request(..))) else {
            return Ok(Err(Error::Failed("only a test makes servers of its own".into())));
        };
        let server = tool::MadeServer { patterns: server.patterns, max_body_bytes: server.max_body_bytes };
        Ok(tool.route(server, asked(question)).await.map_err(Error::Failed).map(|routed| match routed {
            tool::Routed::Handler(route, request) => Routed::Handler(Matched { route, request: *request }),
            tool::Routed::Reply(reply) => Routed::Reply(replied(reply)),
        }))
    }

    async fn input(&mut self, outcome: Outcome, names: Vec<String>) -> wasmtime::Result<Result<Option<String>, Error>> {
        let Some(tool) = self.tool()?.filter(|_| matches!(self.role, Role::Setup(..))) else {
            return Ok(Err(Error::Failed("only a session takes input".into())));
        };
        let outcome = match outcome {
            Outcome::Value(value) => tool::Outcome::Value(value),
            Outcome::Incomplete => tool::Outcome::Incomplete,
            Outcome::Failed(failure) => match Failure::from(failure) {
                Failure::Script(failure) => tool::Outcome::Failed(failure),
                other => return Err(wasmtime::Error::msg(other.to_string())),
            },
        };
        let input = tool.input(outcome, names).await.map_err(Error::Failed);
        // Each input is a stretch of its own.
        self.meter.renew();
        Ok(input)
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
