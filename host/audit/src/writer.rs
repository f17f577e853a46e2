//! The one thread that writes.
//!
//! It takes all lines that wait, up to a bound, seals them, writes them with one system call and then answers all who
//! wait: the more callers there are, the less each pays. A failed write refuses the calls of its round and is tried anew
//! in the next; what was missed in between is told by a line of its own once writing works again. While the disk is
//! full, the calls of the apps that filled it are refused, and the others go on in the reserve of the file.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender},
    oneshot,
};

use crate::{
    anchoring::Anchoring,
    chain::SEALED,
    clock::now,
    error::AuditError,
    file::{At, LogFile, Opened},
    reserve,
    shares::{AppNumber, Shares},
};

/// Lines of one round.
const ROUND: usize = 1024;

/// How long a log may have been renamed before that is an error: a tool that rotates logs renames the file first and asks
/// to go on in a new one after that.
const GRACE: Duration = Duration::from_secs(2);

/// A task of the writer.
#[derive(Debug)]
pub(crate) enum Job {
    /// End, after the tasks before this one.
    Close,
    /// Write the line of a call, then answer its caller.
    Intent {
        app: AppNumber,
        line: String,
        written: oneshot::Sender<Result<(), AuditError>>,
        place: OwnedSemaphorePermit,
    },
    /// Write the line of an outcome.
    Outcome { app: AppNumber, line: String },
    /// Tell of the rename with this number, unless it was asked for meanwhile.
    Overdue(u64),
    /// Go on in a new file if the old one was moved away.
    Reopen,
}

/// Owns the thread that writes, and ends it when dropped.
#[derive(Debug)]
#[must_use = "the log is closed when its writer is dropped"]
pub struct Writer {
    jobs: UnboundedSender<Job>,
    set_aside: Option<PathBuf>,
    thread: Option<JoinHandle<Result<(), AuditError>>>,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "this type owns the thread and joins it")]
    pub(crate) fn start(
        opened: Opened,
        anchoring: Option<Anchoring>,
        jobs: UnboundedSender<Job>,
        receiver: UnboundedReceiver<Job>,
    ) -> Result<Self, AuditError> {
        let Opened { file, set_aside, .. } = opened;
        let thread = thread::Builder::new()
            .name("audit".into())
            .spawn({
                let jobs = jobs.downgrade();
                move || Thread::new(file, anchoring, jobs).run(receiver)
            })
            .map_err(|source| AuditError::Thread { source: Arc::new(source) })?;
        Ok(Self { jobs, set_aside, thread: Some(thread) })
    }

    /// The new name of a damaged file that was set aside when the log was opened.
    #[must_use]
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Writes all that was asked so far, then a line that says that the log ends here on purpose, and brings the file to
    /// the disk. Calls that are asked later are refused. Blocks until then.
    pub fn close(mut self) -> Result<(), AuditError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), AuditError> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        // The thread may have ended by itself, having nobody left to write for.
        let _ = self.jobs.send(Job::Close);
        thread.join().unwrap_or(Err(AuditError::Closed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::error!(error = &error as &dyn std::error::Error, "the audit log was not closed");
        }
    }
}

/// The state of the thread.
struct Thread {
    file: LogFile,
    anchoring: Option<Anchoring>,
    shares: Shares,
    /// Where the thread leaves tasks for itself.
    jobs: WeakUnboundedSender<Job>,
    /// The last rename that is being waited for.
    awaited: Option<u64>,
    /// True if the last write failed.
    failing: bool,
    /// True if the disk was full at the last write.
    full: bool,
}

impl Thread {
    fn new(file: LogFile, anchoring: Option<Anchoring>, jobs: WeakUnboundedSender<Job>) -> Self {
        let shares = Shares::new(now(), reserve::PART);
        Self { file, anchoring, shares, jobs, awaited: None, failing: false, full: false }
    }

    fn run(mut self, mut jobs: UnboundedReceiver<Job>) -> Result<(), AuditError> {
        let mut round = Vec::with_capacity(ROUND);
        let mut open = true;
        while open && jobs.blocking_recv_many(&mut round, ROUND) > 0 {
            if let Some(close) = round.iter().position(|job| matches!(job, Job::Close)) {
                // Later callers are refused: their answer is dropped.
                round.truncate(close);
                open = false;
            }
            self.write(&mut round);
            self.await_reopening();
            if let Some(anchoring) = &self.anchoring {
                let (head, written) = self.file.head();
                anchoring.note(head, written);
            }
        }
        // From here on callers are told that the log is closed.
        drop(jobs);
        let closed = self.file.close(now());
        let Some(anchoring) = self.anchoring else { return closed.map(drop) };
        if let Ok((head, written)) = &closed {
            anchoring.note(*head, *written);
        }
        let anchored = anchoring.finish();
        closed.and(anchored)
    }

    /// Writes the lines of a round, and answers those who wait for one.
    fn write(&mut self, round: &mut Vec<Job>) {
        for job in round.extract_if(.., |job| matches!(job, Job::Overdue(_) | Job::Reopen)) {
            match job {
                Job::Overdue(number) => self.file.tell_rename(number),
                _ => self.reopen(),
            }
        }
        if round.is_empty() {
            return;
        }
        self.look_for_room();
        let path = self.file.path().to_owned();
        let refused =
            round.extract_if(.., |job| matches!(job, Job::Intent { app, .. } if self.shares.is_refused(*app)));
        let refused: Vec<Job> = refused.collect();
        self.file.missed(refused.len(), 0);
        answer(refused, &Err(AuditError::Full { path }));

        let time = now();
        let at = if round.iter().any(|job| matches!(job, Job::Intent { .. })) { At::Path } else { At::Held };
        let result = self.file.append(time, round.iter().filter_map(Job::line).map(|(_, line)| line), at);
        match &result {
            Ok(()) => {
                for (app, line) in round.iter().filter_map(Job::line) {
                    self.shares.add(time, app, line.len() + SEALED);
                }
            }
            Err(error) => {
                if !self.failing {
                    tracing::error!(error = error as &dyn std::error::Error, "audited calls are refused");
                }
                let intents = round.iter().filter(|job| matches!(job, Job::Intent { .. })).count();
                let outcomes = round.iter().filter(|job| matches!(job, Job::Outcome { .. })).count();
                self.file.missed(intents, outcomes);
            }
        }
        self.failing = result.is_err();
        answer(round.drain(..), &result);
    }

    /// Has a rename told after a while, unless somebody asks to go on in a new file before.
    #[expect(clippy::disallowed_methods, reason = "a thread that waits for a moment and holds nothing")]
    fn await_reopening(&mut self) {
        let rename = self.file.untold_rename();
        let Some(number) = rename.filter(|_| self.awaited != rename) else { return };
        self.awaited = rename;
        let jobs = self.jobs.clone();
        let wait = move || {
            thread::sleep(GRACE);
            // A log that was closed meanwhile has told of it.
            if let Some(jobs) = jobs.upgrade() {
                let _ = jobs.send(Job::Overdue(number));
            }
        };
        if thread::Builder::new().name("audit-grace".into()).spawn(wait).is_err() {
            self.file.tell_rename(number);
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = self.file.reopen(now()) {
            tracing::error!(error = &error as &dyn std::error::Error, "the audit log cannot be opened anew");
        }
    }

    fn look_for_room(&mut self) {
        let full = !self.file.make_room();
        if full && !self.full {
            let path = self.file.path().display();
            tracing::error!("the disk of the audit log {path} is full: calls of the app that wrote most are refused");
        }
        self.full = full;
        self.shares.set_full(full);
    }
}

impl Job {
    /// A line to write, and the app that causes it.
    fn line(&self) -> Option<(AppNumber, &str)> {
        match self {
            Self::Close | Self::Overdue(_) | Self::Reopen => None,
            Self::Intent { app, line, .. } | Self::Outcome { app, line } => Some((*app, line)),
        }
    }
}

/// Answers callers, and gives their places in the queue back.
fn answer(jobs: impl IntoIterator<Item = Job>, result: &Result<(), AuditError>) {
    for job in jobs {
        if let Job::Intent { written, place, .. } = job {
            // A caller that stopped waiting does nothing.
            let _ = written.send(result.clone());
            drop(place);
        }
    }
}
