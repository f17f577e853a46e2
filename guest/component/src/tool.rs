//! `Tool` over the component's import `tool`.

use starcell_interp::{HostError, MadeServer, Outcome, Position, Question, Reply, Routed, Tool};

use crate::bindings::starcell::guest::tool;
use crate::imports::Imports;

impl Tool for Imports {
    fn ask(&self, question: &Question, at: &Position) -> Result<Reply, HostError> {
        tool::ask(question, at)
    }

    fn route(&self, server: &MadeServer, question: &Question) -> Result<Routed, HostError> {
        tool::route(server, question)
    }

    fn input(&self, outcome: &Outcome, names: &[String]) -> Result<Option<String>, HostError> {
        tool::input(outcome, names)
    }
}
