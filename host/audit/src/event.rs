//! Calls put together with what came of them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime},
};

use crate::{
    call::{Decision, Outcome},
    record::{CallRecord, OutcomeRecord, Record, RecordKind},
};

/// A recorded call and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it was asked for.
    pub time: SystemTime,
    /// The call.
    pub call: Box<CallRecord>,
    /// The outcome; none for a denied call. A call whose outcome is in no line is unknown.
    pub outcome: Option<Outcome>,
    /// The time from intent to outcome.
    pub duration: Duration,
    /// The bytes that the call moved.
    pub bytes: u64,
}

/// The events of records, each when its end is known.
#[derive(Debug)]
pub struct Events<I> {
    records: I,
    pending: BTreeMap<u64, (SystemTime, Box<CallRecord>)>,
    ready: VecDeque<Event>,
    ended: bool,
}

/// Puts calls and outcomes together.
///
/// Ids are those of one run of a writer, so what is open when another run begins stays unknown. An outcome whose call is
/// in a file that was not given is passed over.
pub fn events<E, I: Iterator<Item = Result<Record, E>>>(records: I) -> Events<I> {
    Events { records, pending: BTreeMap::new(), ready: VecDeque::new(), ended: false }
}

impl<I> Events<I> {
    fn take(&mut self, Record { time, kind }: Record) {
        match kind {
            RecordKind::Call(call) if call.decision == Decision::Deny => {
                self.ready.push_back(Event { time, call, outcome: None, duration: Duration::ZERO, bytes: 0 });
            }
            RecordKind::Call(call) => {
                self.pending.insert(call.id, (time, call));
            }
            RecordKind::Outcome(OutcomeRecord { id, outcome, duration, bytes }) => {
                if let Some((time, call)) = self.pending.remove(&id) {
                    self.ready.push_back(Event { time, call, outcome: Some(outcome), duration, bytes });
                }
            }
            RecordKind::Open(open) if !open.after.is_same_writer() => self.give_up(),
            RecordKind::Action(_) | RecordKind::Close | RecordKind::Gap { .. } | RecordKind::Open(_) => {}
        }
    }

    fn give_up(&mut self) {
        let outcome = Some(Outcome::Unknown);
        let unknown = std::mem::take(&mut self.pending).into_values();
        self.ready.extend(unknown.map(|(time, call)| Event {
            time,
            call,
            outcome,
            duration: Duration::ZERO,
            bytes: 0,
        }));
    }
}

impl<E, I: Iterator<Item = Result<Record, E>>> Iterator for Events<I> {
    type Item = Result<Event, E>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            match self.records.next() {
                Some(Ok(record)) => self.take(record),
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    self.ended = true;
                    self.give_up();
                }
            }
        }
    }
}
