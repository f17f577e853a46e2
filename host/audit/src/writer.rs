//! The one thread that writes.
//!
//! It takes all lines that wait, up to a bound, seals them, writes them with one system call and then answers all who
//! wait: the more callers there are, the less each pays. A failed write refuses the calls of its round and is tried anew
//! in the next; what was missed in between is told by a line of its own once writing works again.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::sync::{
    OwnedSemaphorePermit,
    mpsc::{UnboundedReceiver, UnboundedSender},
    oneshot,
};

use crate::{clock::now, error::AuditError, file::LogFile};

/// Lines of one round.
const ROUND: usize = 1024;

/// A task of the writer.
#[derive(Debug)]
pub(crate) enum Job {
    /// End, after the tasks before this one.
    Close,
    /// Write the line of a call, then answer its caller.
    Intent { line: String, written: oneshot::Sender<Result<(), AuditError>>, place: OwnedSemaphorePermit },
    /// Write the line of an outcome.
    Outcome { line: String },
}

/// Owns the thread that writes, and ends it when dropped.
#[derive(Debug)]
#[must_use = "the log is closed when its writer is dropped"]
pub struct Writer {
    jobs: UnboundedSender<Job>,
    thread: Option<JoinHandle<Result<(), AuditError>>>,
}

impl Writer {
    #[expect(clippy::disallowed_methods, reason = "this type owns the thread and joins it")]
    pub(crate) fn start(
        file: LogFile,
        jobs: UnboundedSender<Job>,
        receiver: UnboundedReceiver<Job>,
    ) -> Result<Self, AuditError> {
        let thread = thread::Builder::new()
            .name("audit".into())
            .spawn(move || write_all(file, receiver))
            .map_err(|source| AuditError::Thread { source: Arc::new(source) })?;
        Ok(Self { jobs, thread: Some(thread) })
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

fn write_all(mut file: LogFile, mut jobs: UnboundedReceiver<Job>) -> Result<(), AuditError> {
    let mut round = Vec::with_capacity(ROUND);
    let mut failing = false;
    let mut open = true;
    while open && jobs.blocking_recv_many(&mut round, ROUND) > 0 {
        if let Some(close) = round.iter().position(|job| matches!(job, Job::Close)) {
            // Whoever comes later is refused: their answer is dropped.
            round.truncate(close);
            open = false;
        }
        let result = file.append(now(), round.iter().filter_map(text));
        if let Err(error) = &result
            && !failing
        {
            tracing::error!(error = error as &dyn std::error::Error, "audited calls are refused");
        }
        failing = result.is_err();
        if failing {
            let intents = round.iter().filter(|job| matches!(job, Job::Intent { .. })).count();
            file.missed(intents, round.len() - intents);
        }
        for job in round.drain(..) {
            if let Job::Intent { written, place, .. } = job {
                // A caller that stopped waiting does nothing.
                let _ = written.send(result.clone());
                drop(place);
            }
        }
    }
    // From here on callers are told that the log is closed.
    drop(jobs);
    file.close(now())
}

fn text(job: &Job) -> Option<&str> {
    match job {
        Job::Close => None,
        Job::Intent { line, .. } | Job::Outcome { line } => Some(line),
    }
}
