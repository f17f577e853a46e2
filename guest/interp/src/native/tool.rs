//! A tool without an operator: answers every question alike, and gives the inputs it was given.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::host::{Field, HostError, MadeServer, Matched, Outcome, Position, Question, Reply, Request, Routed, Tool};

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

    /// Knows patterns of the forms `/path`, `METHOD /path` and those with `{name}` for a segment, and no others.
    fn route(&self, server: &MadeServer, question: &Question) -> Result<Routed, HostError> {
        if let Some(wrong) = server.patterns.iter().find(|pattern| !pattern.contains('/')) {
            return Err(HostError::Failed(format!("pattern {wrong:?}: no slash")));
        }
        let path = question.target.split('?').next().unwrap_or_default();
        for (route, pattern) in (0..).zip(&server.patterns) {
            let (method, pattern) = pattern.split_once(' ').unwrap_or(("", pattern));
            if !["", question.method.as_str()].contains(&method) {
                continue;
            }
            let Some(params) = segments(pattern, path) else { continue };
            let headers = question.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let request = Request {
                method: question.method.clone(),
                path: path.to_owned(),
                params,
                headers,
                body: question.body.clone(),
                ..Request::default()
            };
            return Ok(Routed::Handler(Matched { route, request }));
        }
        let body = b"404 page not found\n".to_vec();
        Ok(Routed::Reply(Reply { status: 404, body, ..Reply::default() }))
    }

    fn input(&self, outcome: &Outcome, names: &[String]) -> Result<Option<String>, HostError> {
        self.told.borrow_mut().push(outcome.clone());
        names.clone_into(&mut self.names.borrow_mut());
        Ok(self.inputs.borrow_mut().pop_front())
    }
}

/// The values of a pattern's segments in a path, if it matches.
fn segments(pattern: &str, path: &str) -> Option<Vec<Field>> {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    if wanted.len() != given.len() {
        return None;
    }
    let mut params = Vec::new();
    for (wanted, given) in wanted.into_iter().zip(given) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => params.push((name.to_owned(), given.to_owned())),
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(params)
}
