//! An app as it was deployed once: its script, set up and serving.
//!
//! A revision is set up beside the one that answers, and takes its place as a whole or not at all. One that is replaced
//! answers the requests that it has; then its script goes on below `serve()` and has a moment to end.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use starcell_edge::{Answered, Asked, Responder as _, Responding};
use starcell_http::response::Refusal;
use starcell_log::Level;
use starcell_runtime::{App, Failure};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use crate::launch::Launch;
use crate::metrics::AppMetrics;
use crate::schedule::{Due, Timetable};
use crate::site::Site;
use crate::stage::Stage;
use crate::tenant::{Admitted, Tenant};
use crate::terms::AppTerms;

/// How long a script may go on once its requests are answered.
const LAST: Duration = Duration::from_secs(5);

/// A revision of an app that serves.
pub struct Revision {
    number: u64,
    digest: String,
    tenant: Arc<Tenant>,
    app: Arc<App>,
    stage: Arc<Stage>,
    site: Arc<Site>,
    metrics: AppMetrics,
    running: Mutex<Option<JoinHandle<()>>>,
    /// What makes the requests of its timetable.
    timers: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, tenant, .. } = self;
        f.debug_struct("Revision").field("number", number).field("tenant", &tenant.name()).finish_non_exhaustive()
    }
}

/// What a revision is made of, beside its launch.
#[derive(Debug)]
pub struct Deployment {
    /// Counts the revisions of an app from 1.
    pub number: u64,
    /// Tells what was deployed: script and configuration.
    pub digest: String,
    /// The owner.
    pub tenant: Arc<Tenant>,
    /// What is counted of it.
    pub metrics: AppMetrics,
    /// What the operator decided.
    pub terms: Arc<AppTerms>,
    /// The script.
    pub source: Vec<u8>,
    /// The requests that the node makes to it by itself.
    pub timetable: Timetable,
}

/// Why a revision does not serve.
#[derive(Debug)]
pub struct NotStarted {
    /// The sentence, or the traceback.
    pub why: String,
    /// The files that its script had asked for by then.
    pub loaded: Vec<PathBuf>,
}

impl From<String> for NotStarted {
    fn from(why: String) -> Self {
        Self { why, loaded: Vec::new() }
    }
}

impl Revision {
    /// Runs a script until it serves.
    ///
    /// # Errors
    /// Why it does not.
    #[expect(clippy::disallowed_methods, reason = "the revision owns this task, and waits for it or ends it")]
    pub async fn start(launch: Launch, deployment: Deployment) -> Result<Arc<Self>, NotStarted> {
        let Deployment { number, digest, tenant, metrics, terms, source, timetable } = deployment;
        let stage = Stage::new(Arc::clone(&terms));
        let app = launch.app(Arc::clone(&stage) as _);
        let (running, ending) = (Arc::clone(&app), Arc::clone(&stage));
        let run = tenant.turns().run(async move { running.run(source).await });
        let (ended, mut end) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let result = run.await;
            let unasked = ending.end();
            // Nobody waits for it once the revision serves: then the log is told.
            if let Err(result) = ended.send(result)
                && unasked
            {
                let why = result.err().map_or_else(|| "its script has ended".to_owned(), |failure| report(&failure));
                terms.logs.say(Level::Error, &format!("the app does not answer any more: {why}"));
            }
        });
        // A script that is given up while it sets itself up must not go on.
        let given_up = Abort(Some(task));
        let first = tokio::select! {
            biased;
            Some(site) = stage.ready() => {
                // From now on the log is told. A script may have ended right behind its `start()`.
                end.close();
                end.try_recv().map_or(Ok(site), |result| Err(Ok(result)))
            }
            result = &mut end => Err(result),
        };
        let why = match first {
            Ok(site) => {
                let (running, timers) = (Mutex::new(given_up.keep()), Mutex::default());
                let revision = Arc::new(Self { number, digest, tenant, app, stage, site, metrics, running, timers });
                revision.follow(timetable);
                return Ok(revision);
            }
            Err(Ok(Err(failure))) => report(&failure),
            Err(Ok(Ok(()))) => "the script ended without serving".to_owned(),
            Err(Err(_panicked)) => "the host failed while it set the script up".to_owned(),
        };
        Err(NotStarted { why, loaded: app.loaded() })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Tells what was deployed.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The owner.
    #[must_use]
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The app, for what it has loaded.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Whether its script has ended, or shall.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage.is_over()
    }

    /// How long its requests may go on once it is replaced.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.stage.grace()
    }

    /// Refuses a request that was not let in.
    pub(crate) fn refuse(&self, asked: Asked, app: Arc<str>, refusal: Refusal) -> Answered {
        let refused = Answered { app: Some(app), ..Answered::refused(asked.parts, asked.id, refusal) };
        self.metrics.answered(refused.status(), Duration::ZERO, None);
        refused
    }

    /// Answers a request that was let in. Its place is held until the response is sent.
    pub(crate) fn answer(self: Arc<Self>, mut asked: Asked, app: Arc<str>, admitted: Admitted) -> Responding {
        asked.body = asked.body.within(self.site.client_limits());
        let (present, began) = (self.stage.enter(), Instant::now());
        match Arc::clone(&self.site).respond(asked) {
            Responding::Now(answered) => {
                self.metrics.answered(answered.status(), Duration::ZERO, None);
                Responding::Now(Answered { app: Some(app), ..answered })
            }
            Responding::Later(answered) => Responding::Later(Box::pin(async move {
                let mut answered = answered.await;
                answered.app = Some(app);
                self.metrics.answered(answered.status(), began.elapsed(), answered.cpu);
                self.tenant.charge(answered.cpu.unwrap_or_default());
                answered.held = answered.held.and((admitted, present));
                answered
            })),
        }
    }

    /// Makes the requests of a timetable from now on, until it is replaced.
    fn follow(self: &Arc<Self>, timetable: Timetable) {
        let timetable = Arc::new(timetable);
        let mut timers = self.timers.lock();
        for entry in 0..timetable.entries.len() {
            let (revision, timetable) = (Arc::downgrade(self), Arc::clone(&timetable));
            timers.spawn(async move {
                let mut due = Due::new();
                while let Some(missed) = due.next(&timetable, entry).await {
                    let Some(revision) = revision.upgrade().filter(|revision| !revision.is_over()) else { return };
                    revision.ask(&timetable, entry, missed).await;
                }
            });
        }
    }

    /// Makes one request of a timetable, under the quotas of the tenant like any other.
    async fn ask(self: Arc<Self>, timetable: &Timetable, entry: usize, missed: u64) {
        let stage = Arc::clone(&self.stage);
        let (logs, path) = (stage.logs(), timetable.path(entry));
        if missed > 0 {
            let text = format!("the schedule of {path} missed {missed} points: the request before took longer");
            logs.say(Level::Warn, &text);
        }
        let Some(asked) = timetable.asked(entry, self.site.client_limits()) else { return };
        let entered = self.tenant.enter().await;
        let answered = match entered {
            Err(refusal) => self.refuse(asked, stage.name(), refusal),
            Ok(admitted) => match self.answer(asked, stage.name(), admitted) {
                Responding::Now(answered) => answered,
                Responding::Later(answered) => answered.await,
            },
        };
        let status = answered.into_answer().status();
        let level = if status.is_success() { Level::Info } else { Level::Error };
        logs.say(level, &format!("the schedule asked for {path}: status {}", status.as_u16()));
    }

    /// Has it answer the requests that it has, and end. A script that does not end by itself is ended.
    pub async fn retire(&self) {
        self.stage.stop_all();
        let Some(mut running) = self.running.lock().take() else { return };
        if timeout(self.stage.grace() + LAST, &mut running).await.is_err() {
            running.abort();
        }
    }
}

impl Drop for Revision {
    fn drop(&mut self) {
        if let Some(running) = self.running.lock().take() {
            running.abort();
        }
    }
}

/// A task that ends with this, unless it is kept.
struct Abort(Option<JoinHandle<()>>);

impl Abort {
    fn keep(mut self) -> Option<JoinHandle<()>> {
        self.0.take()
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

fn report(failure: &Failure) -> String {
    failure.report().to_string()
}
