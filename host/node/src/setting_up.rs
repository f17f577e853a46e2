//! A script that is set up until it serves.

use std::path::PathBuf;
use std::sync::Arc;

use starcell_log::{Level, Logs};
use starcell_runtime::{App, Failure, Serving};
use tokio::task::JoinHandle;

use crate::stage::{Stage, Started};
use crate::turns::TenantTurns;

/// A script that serves.
pub(crate) struct SetUp {
    /// Its server.
    pub(crate) started: Started,
    /// What answers the requests of that.
    pub(crate) serving: Serving,
    /// The script itself, which waits for the server to stop or does something else meanwhile.
    pub(crate) parent: Parent,
}

/// The task of a script; ends with this.
#[derive(Debug)]
pub(crate) struct Parent(JoinHandle<()>);

/// Why a revision does not serve.
#[derive(Debug)]
pub struct NotStarted {
    /// The sentence, or the traceback.
    pub why: String,
    /// The files that its script had asked for by then.
    pub loaded: Vec<PathBuf>,
    /// Whether it failed only because the process lacks memory now.
    pub for_memory: bool,
}

impl From<String> for NotStarted {
    fn from(why: String) -> Self {
        Self { why, loaded: Vec::new(), for_memory: false }
    }
}

/// Runs the script of an app, whose host the stage is, until it serves.
///
/// # Errors
/// Why it does not.
#[expect(clippy::disallowed_methods, reason = "the parent owns this task, and ends it")]
pub(crate) async fn set_up(
    app: &Arc<App>,
    stage: &Arc<Stage>,
    turns: &TenantTurns,
    logs: &Logs,
    source: Vec<u8>,
) -> Result<SetUp, NotStarted> {
    let (running, ending, logs) = (Arc::clone(app), Arc::clone(stage), logs.clone());
    let run = turns.run(Box::pin(async move { running.run(source).await }));
    let (ended, mut end) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(async move {
        let result = run.await;
        let unasked = ending.end();
        // Nobody waits for it once the revision serves: then the log is told.
        if let Err(result) = ended.send(result)
            && unasked
        {
            let why = result.err().map_or_else(|| "its script has ended".to_owned(), |failure| report(&failure));
            logs.say(Level::Error, &format!("the app does not answer any more: {why}"));
        }
    });
    // A script that is given up while it sets itself up must not go on.
    let parent = Parent(task);
    let first = tokio::select! {
        biased;
        Some(served) = stage.ready() => {
            // From now on the log is told. A script may have ended right behind its `start()`.
            end.close();
            end.try_recv().map_or(Ok(served), |result| Err(Ok(result)))
        }
        result = &mut end => Err(result),
    };
    let (why, for_memory) = match first {
        Ok((started, serving)) => return Ok(SetUp { started, serving, parent }),
        Err(Ok(Err(failure))) => (report(&failure), failure.is_for_memory()),
        Err(Ok(Ok(()))) => ("the script ended without serving".to_owned(), false),
        Err(Err(_panicked)) => ("the host failed while it set the script up".to_owned(), false),
    };
    Err(NotStarted { why, loaded: app.loaded(), for_memory })
}

impl Parent {
    /// Ends when the script has.
    pub(crate) async fn ended(&mut self) {
        // A panic was reported where it happened.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn report(failure: &Failure) -> String {
    failure.report().to_string()
}
