//! The side of the log that callers see: an intent before each effect, an outcome after it.
//!
//! An intent is ready when its line has been handed to the operating system, so that a killed process has no effect
//! without a line; where the line cannot be written the effect must not happen. Callers wait in two bounded queues, one
//! of their app and one of all, and before that until their app's rate allows the line: an app that floods the log waits
//! in its own time and leaves room for the others.
//! Outcomes wait for nobody: there is at most one for each call under way, so they need no bound of their own.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{
    Semaphore,
    mpsc::{self, UnboundedSender},
    oneshot,
};

use crate::{
    action::Action,
    allowance::Allowance,
    anchoring::Anchoring,
    call::{AuditedCall, Decision, Outcome, Subject},
    chain::SEALED,
    clock::now,
    error::AuditError,
    file::LogFile,
    line,
    options::{Options, Rate},
    shares::AppNumber,
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
    app_rate: Option<Rate>,
    /// The bounds that all revisions of an app share, by tenant and app.
    apps: Mutex<BTreeMap<(String, String), Arc<Turns>>>,
}

/// The audit log as one app writes it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditApp(Option<Arc<App>>);

/// The audit log as the operators of a node write it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditActions(Option<Arc<Shared>>);

#[derive(Debug)]
struct App {
    shared: Arc<Shared>,
    /// The fields of the subject, as they stand in every line.
    subject: String,
    cut: bool,
    turns: Arc<Turns>,
}

/// The bounds of the records of one app.
#[derive(Debug)]
struct Turns {
    number: AppNumber,
    room: Semaphore,
    allowance: Allowance,
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
        let (app_rate, anchor) = (options.app_rate, options.anchor.clone());
        let opened = LogFile::open(options, now())?;
        let anchoring = anchor.map(|anchor| Anchoring::start(anchor, &opened)).transpose()?;
        let (jobs, receiver) = mpsc::unbounded_channel();
        let writer = Writer::start(opened, anchoring, jobs.clone(), receiver)?;
        let room = Arc::new(Semaphore::new(QUEUE));
        let shared = Shared { jobs, room, next_id: AtomicU64::new(1), app_rate, apps: Mutex::default() };
        Ok((Self(Some(Arc::new(shared))), writer))
    }

    /// Goes on in a new file if the old one was moved away, as a tool that rotates logs does before it sends SIGHUP.
    /// Does nothing else: a file that is still at its path goes on being written.
    pub fn reopen(&self) {
        if let Some(shared) = &self.0 {
            // A log that is closed has no file.
            let _ = shared.jobs.send(Job::Reopen);
        }
    }

    /// True if actions and calls are recorded.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The log for the actions of operators.
    #[must_use]
    pub fn actions(&self) -> AuditActions {
        AuditActions(self.0.clone())
    }

    /// The log for the calls of one app.
    #[must_use]
    pub fn subject(&self, subject: &Subject) -> AuditApp {
        let Some(shared) = &self.0 else {
            return AuditApp(None);
        };
        let turns = shared.turns(&subject.tenant, &subject.app);
        let (subject, cut) = line::subject(subject);
        AuditApp(Some(Arc::new(App { shared: shared.clone(), subject, cut, turns })))
    }
}

impl Shared {
    /// The bounds of an app, which are those of its earlier revisions too: a new revision must not begin with a new
    /// burst.
    fn turns(&self, tenant: &str, app: &str) -> Arc<Turns> {
        let mut apps = self.apps.lock();
        let number = apps.len() as AppNumber;
        let new = || {
            let (room, allowance) = (Semaphore::new(QUEUE_OF_APP), Allowance::new(self.app_rate));
            Arc::new(Turns { number, room, allowance })
        };
        Arc::clone(apps.entry((tenant.to_owned(), app.to_owned())).or_insert_with(new))
    }

    /// Writes the line of a call or an action, and returns when it has been handed to the operating system.
    async fn write(&self, turns: &Turns, line: String) -> Result<(), AuditError> {
        turns.allowance.take(line.len() + SEALED).await;
        let _turn = turns.room.acquire().await.map_err(|_| AuditError::Closed)?;
        let place = self.room.clone().acquire_owned().await.map_err(|_| AuditError::Closed)?;
        let (written, answer) = oneshot::channel();
        self.jobs.send(Job::Intent { app: turns.number, line, written, place }).map_err(|_| AuditError::Closed)?;
        answer.await.map_err(|_| AuditError::Closed)?
    }

    fn outcome(&self, turns: &Turns, ticket: Ticket, outcome: Outcome, duration: Duration, bytes: u64) {
        if let Some(id) = ticket.0
            && outcome != Outcome::Unknown
        {
            let line = line::outcome(now(), id, outcome, duration, bytes);
            turns.allowance.take_now(line.len() + SEALED);
            // The writer is gone: a reader will find no outcome.
            let _ = self.jobs.send(Job::Outcome { app: turns.number, line });
        }
    }
}

impl AuditApp {
    /// True if calls are recorded.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records a call before it is done, or one that is denied. After an error it must not be done.
    ///
    /// Ready when the line has been handed to the operating system: a process that is killed does not lose it. Waits
    /// while the app is over its rate; a caller that stops waiting records nothing.
    pub async fn intent(&self, call: &AuditedCall<'_>) -> Result<Ticket, AuditError> {
        let Some(app) = &self.0 else {
            return Ok(Ticket(None));
        };
        let (shared, turns) = (&app.shared, &app.turns);
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let line = line::call(now(), id, &app.subject, call, app.cut);
        shared.write(turns, line).await?;
        Ok(Ticket((call.decision != Decision::Deny).then_some(id)))
    }

    /// Records what came of a call. Never waits and never fails: an outcome that is lost reads as unknown.
    ///
    /// Nothing is written for a denied call, which has no outcome, and nothing for [`Outcome::Unknown`].
    pub fn outcome(&self, ticket: Ticket, outcome: Outcome, duration: Duration, bytes: u64) {
        if let Some(app) = &self.0 {
            app.shared.outcome(&app.turns, ticket, outcome, duration, bytes);
        }
    }
}

impl AuditActions {
    /// Records an action before it is done, or one that is denied. After an error it must not be done. Waits while its
    /// actor is over the rate of one app, so that nobody who floods the log holds up the others.
    ///
    /// # Errors
    /// The line cannot be written.
    pub async fn intent(&self, action: &Action<'_>) -> Result<Ticket, AuditError> {
        let Some(shared) = &self.0 else { return Ok(Ticket(None)) };
        // No tenant of a node has an empty name: the bounds are of this actor alone.
        let turns = shared.turns("", action.actor);
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        shared.write(&turns, line::action(now(), id, action, false)).await?;
        Ok(Ticket((action.decision != Decision::Deny).then_some(id)))
    }

    /// Records what came of an action of this actor. Never waits and never fails: an outcome that is lost reads as unknown.
    pub fn outcome(&self, actor: &str, ticket: Ticket, outcome: Outcome, duration: Duration) {
        if let Some(shared) = &self.0 {
            shared.outcome(&shared.turns("", actor), ticket, outcome, duration, 0);
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
            revision: None,
            script_digest: String::new(),
            policy_digest: String::new(),
        };
        assert!(!Audit::off().subject(&subject).is_on());
    }
}
