//! The side of the log that callers see: an intent before each effect, an outcome after it.
//!
//! An intent is ready when its line has been handed to the operating system, so that a killed process has no effect
//! without a line; where the line cannot be written the effect must not happen. Callers wait in two bounded queues, one
//! of their app and one of all: an app that floods the log waits in its own time and leaves room for the others.
//! Outcomes wait for nobody: there is at most one for each call under way, so they need no bound of their own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{
    Semaphore,
    mpsc::{self, UnboundedSender},
    oneshot,
};

use crate::{
    call::{Call, Decision, Outcome, Subject},
    clock::now,
    error::AuditError,
    file::LogFile,
    line,
    options::Options,
    writer::{Job, Writer},
};

/// Lines of intents that may wait for the writer: several of its rounds, and at most some 30 MB when all are as long as
/// lines can be.
const QUEUE: usize = 2048;

/// Of those, lines of one app.
const QUEUE_OF_APP: usize = QUEUE / 4;

/// An audit log, or none. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Audit(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    jobs: UnboundedSender<Job>,
    room: Arc<Semaphore>,
    next_id: AtomicU64,
}

/// The audit log as one app writes it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditApp(Option<Arc<App>>);

#[derive(Debug)]
struct App {
    shared: Arc<Shared>,
    /// The fields of the subject, as they stand in every line.
    subject: String,
    cut: bool,
    room: Semaphore,
}

/// Names the call that an outcome belongs to.
#[derive(Debug)]
#[must_use = "a call without an outcome is recorded as unknown"]
pub struct Ticket(Option<u64>);

impl Audit {
    /// Records nothing and costs nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Opens a log, or goes on with an existing one after checking how it ends. Blocks for as long as the disk takes.
    pub fn open(options: Options) -> Result<(Self, Writer), AuditError> {
        let file = LogFile::open(options, now())?;
        let (jobs, receiver) = mpsc::unbounded_channel();
        let writer = Writer::start(file, jobs.clone(), receiver)?;
        let shared = Shared { jobs, room: Arc::new(Semaphore::new(QUEUE)), next_id: AtomicU64::new(1) };
        Ok((Self(Some(Arc::new(shared))), writer))
    }

    /// The log for the calls of one app.
    #[must_use]
    pub fn subject(&self, subject: &Subject) -> AuditApp {
        let Some(shared) = &self.0 else {
            return AuditApp(None);
        };
        let (subject, cut) = line::subject(subject);
        AuditApp(Some(Arc::new(App { shared: shared.clone(), subject, cut, room: Semaphore::new(QUEUE_OF_APP) })))
    }
}

impl AuditApp {
    /// Whether anything is recorded.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records a call before it is done, or one that is denied. After an error it must not be done.
    ///
    /// Ready when the line has been handed to the operating system: a process that is killed does not lose it.
    pub async fn intent(&self, call: &Call<'_>) -> Result<Ticket, AuditError> {
        let Some(app) = &self.0 else {
            return Ok(Ticket(None));
        };
        let _turn = app.room.acquire().await.map_err(|_| AuditError::Closed)?;
        let place = app.shared.room.clone().acquire_owned().await.map_err(|_| AuditError::Closed)?;
        let id = app.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let line = line::call(now(), id, &app.subject, call, app.cut);
        let (written, answer) = oneshot::channel();
        app.shared.jobs.send(Job::Intent { line, written, place }).map_err(|_| AuditError::Closed)?;
        answer.await.map_err(|_| AuditError::Closed)??;
        Ok(Ticket((call.decision != Decision::Deny).then_some(id)))
    }

    /// Records what came of a call. Never waits and never fails: an outcome that is lost reads as unknown.
    ///
    /// Nothing is written for a denied call, which has no outcome, and nothing for [`Outcome::Unknown`].
    pub fn outcome(&self, ticket: Ticket, outcome: Outcome, duration: Duration, bytes: u64) {
        if let (Some(app), Some(id)) = (&self.0, ticket.0)
            && outcome != Outcome::Unknown
        {
            let line = line::outcome(now(), id, outcome, duration, bytes);
            // The writer is gone: a reader will find no outcome.
            let _ = app.shared.jobs.send(Job::Outcome { line });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_off_is_off() {
        let subject = Subject {
            node: String::new(),
            tenant: String::new(),
            app: String::new(),
            script_digest: String::new(),
            policy_digest: String::new(),
        };
        assert!(!Audit::off().subject(&subject).is_on());
    }
}
