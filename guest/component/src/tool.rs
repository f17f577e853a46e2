//! `Tool` over the component's import `tool`.

use starcell_interp::{HostError, Outcome, Position, Question, Reply, Tool};

use crate::bindings::starcell::guest::tool;
use crate::bindings::starcell::guest::types::Field;
use crate::{Imports, failure, host_error, pairs, position};

impl Tool for Imports {
    fn ask(&self, question: &Question, at: &Position) -> Result<Reply, HostError> {
        let field = |(name, value): &(String, String)| Field { name: name.clone(), value: value.clone() };
        let question = tool::Question {
            server: question.server,
            method: question.method.clone(),
            target: question.target.clone(),
            headers: question.headers.iter().map(field).collect(),
            body: question.body.clone(),
        };
        let reply = tool::ask(&question, &position(at)).map_err(host_error)?;
        Ok(Reply { status: reply.status, headers: pairs(reply.headers), body: reply.body, failure: reply.failure })
    }

    fn input(&self, outcome: &Outcome, names: &[String]) -> Result<Option<String>, HostError> {
        let outcome = match outcome {
            Outcome::Value(value) => tool::Outcome::Value(value.clone()),
            Outcome::Incomplete => tool::Outcome::Incomplete,
            Outcome::Failed(failed) => tool::Outcome::Failed(failure(failed.clone())),
        };
        tool::input(&outcome, names).map_err(host_error)
    }
}
