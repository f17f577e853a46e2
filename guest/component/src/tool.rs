//! `Tool` over the component's import `tool`.

use starcell_interp::{HostError, Outcome, Position, Question, Reply, Tool};

use crate::bindings::starcell::guest::tool;
use crate::imports::Imports;

impl Tool for Imports {
    fn ask(&self, question: &Question, at: &Position) -> Result<Reply, HostError> {
        tool::ask(question, at)
    }

    fn input(&self, outcome: &Outcome, names: &[String]) -> Result<Option<String>, HostError> {
        tool::input(outcome, names)
    }
}
