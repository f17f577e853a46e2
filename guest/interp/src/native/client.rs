//! Other servers that always say the same.

use std::cell::RefCell;

use crate::host::{Client, HostError, Incoming, Outgoing, Position};

/// Servers that live in memory.
#[derive(Debug)]
pub struct NativeClient {
    /// What every request is answered with.
    pub answer: Result<Incoming, HostError>,
    requests: RefCell<Vec<Outgoing>>,
    batches: RefCell<Vec<u32>>,
}

impl Default for NativeClient {
    fn default() -> Self {
        let answer = Incoming { status: 200, reason: "OK".to_owned(), ..Incoming::default() };
        Self { answer: Ok(answer), requests: RefCell::default(), batches: RefCell::default() }
    }
}

impl NativeClient {
    /// The requests that were sent.
    pub fn requests(&self) -> Vec<Outgoing> {
        self.requests.borrow().clone()
    }

    /// How many workers each batch asked for.
    pub fn batches(&self) -> Vec<u32> {
        self.batches.borrow().clone()
    }
}

impl Client for NativeClient {
    fn send(&self, request: &Outgoing, _at: &Position) -> Result<Incoming, HostError> {
        self.requests.borrow_mut().push(request.clone());
        let answer = self.answer.clone()?;
        Ok(Incoming { url: request.url.clone(), ..answer })
    }

    fn send_all(&self, requests: &[Outgoing], workers: u32, at: &Position) -> Vec<Result<Incoming, HostError>> {
        self.batches.borrow_mut().push(workers);
        requests.iter().map(|request| self.send(request, at)).collect()
    }
}
