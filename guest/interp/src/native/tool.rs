//! A tool without an operator: answers every question alike, and gives the inputs it was given.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::host::{HostError, Outcome, Position, Question, Reply, Tool};

/// A tool that lives in memory.
#[derive(Debug)]
pub struct NativeTool {
    /// What every question is answered with.
    pub answer: Result<Reply, HostError>,
    /// What is still to be typed.
    pub inputs: RefCell<VecDeque<String>>,
    asked: RefCell<Vec<Question>>,
    told: RefCell<Vec<Outcome>>,
    names: RefCell<Vec<String>>,
}

impl Default for NativeTool {
    fn default() -> Self {
        Self {
            answer: Ok(Reply { status: 200, ..Reply::default() }),
            inputs: RefCell::default(),
            asked: RefCell::default(),
            told: RefCell::default(),
            names: RefCell::default(),
        }
    }
}

impl NativeTool {
    /// What was asked so far.
    pub fn asked(&self) -> Vec<Question> {
        self.asked.borrow().clone()
    }

    /// What the inputs came to so far.
    pub fn told(&self) -> Vec<Outcome> {
        self.told.borrow().clone()
    }

    /// The names that could be written last.
    pub fn names(&self) -> Vec<String> {
        self.names.borrow().clone()
    }
}

impl Tool for NativeTool {
    fn ask(&self, question: &Question, _at: &Position) -> Result<Reply, HostError> {
        self.asked.borrow_mut().push(question.clone());
        self.answer.clone()
    }

    fn input(&self, outcome: &Outcome, names: &[String]) -> Result<Option<String>, HostError> {
        self.told.borrow_mut().push(outcome.clone());
        names.clone_into(&mut self.names.borrow_mut());
        Ok(self.inputs.borrow_mut().pop_front())
    }
}
