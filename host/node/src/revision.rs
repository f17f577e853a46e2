//! An app as it was deployed once: its script, set up and serving.
//!
//! A revision is set up beside the one that answers, and takes its place as a whole or not at all. One that is replaced
//! answers the requests that it has; then its script goes on below `serve()` and has a moment to end.
//!
//! A revision whose image an earlier process left on disk begins without an evaluation, and one that nobody asks for
//! anything is dropped from memory ([`Revision::rest`]). Neither has a script that is suspended in `serve()`: what stands
//! below that call does not run. A script that serves with `start()` and does something else is never dropped.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::request::Parts;
use parking_lot::Mutex;
use starcell_edge::{Answered, Asked, Responder as _, Responding};
use starcell_http::response::Refusal;
use starcell_log::{Level, Logs};
use starcell_runtime::{App, Failure, ImageOwner, ImagePlace, ImageStore, Kept};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::hosts::Hosts;
use crate::insight::AppInsight;
use crate::launch::Launch;
use crate::residence::{Origin, Residence, digest};
use crate::schedule::{Due, Timetable};
use crate::setting_up::{NotStarted, Parent, SetUp, set_up};
use crate::sight::Sight;
use crate::site::{FailureNotes, Site};
use crate::stage::{Stage, Started};
use crate::tally::Tally;
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
    site: Arc<Site<Residence>>,
    sight: Option<Sight>,
    /// The script that is suspended in `serve()`; none once it was dropped, or where it never ran.
    parent: Mutex<Option<Parent>>,
    began: Instant,
    /// When the last request came or ended, in milliseconds behind `began`.
    used: AtomicU64,
    /// What its own requests came to, and those of all revisions of the app.
    tallies: [Arc<Tally>; 2],
    /// What is kept of the requests of the app for whoever looks at it.
    insight: AppInsight,
    /// Whether the requests of its timetable are made: not by what only runs beside.
    leads: AtomicBool,
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
    /// What the requests of all revisions of the app came to.
    pub tally: Arc<Tally>,
    /// What is kept of them for whoever looks at the app.
    pub insight: AppInsight,
    /// What the operator decided.
    pub terms: Arc<AppTerms>,
    /// The script.
    pub source: Vec<u8>,
    /// The requests that the node makes to it by itself.
    pub timetable: Timetable,
    /// The name of the script in its folder.
    pub main: &'static str,
    /// Where its image is kept; none for a revision that stays in memory and is always evaluated.
    pub images: Option<RevisionImages>,
}

/// Where the image of a revision is kept.
#[derive(Clone, Debug)]
pub struct RevisionImages {
    /// The store of the node.
    pub store: Arc<ImageStore>,
    /// All that decides what the app may do, in one text.
    pub policy: String,
}

/// What a revision has beside its server.
struct Beginning {
    number: u64,
    digest: String,
    tenant: Arc<Tenant>,
    tally: Arc<Tally>,
    insight: AppInsight,
    terms: Arc<AppTerms>,
    timetable: Timetable,
    main: &'static str,
    source: [u8; 32],
}

/// Where the failures of a revision are noted: in the log, and with what is kept of the app.
#[derive(Debug)]
struct Noted {
    logs: Logs,
    insight: AppInsight,
    number: u64,
}

impl FailureNotes for Noted {
    fn note(&self, parts: &Parts, id: &str, failure: &Failure) {
        self.logs.note(parts, id, failure);
        self.insight.failed(self.number, parts, id, &failure.report());
    }
}

impl Revision {
    /// Has an app serve: from its image, if an earlier setup left one that holds, else by running its script until it serves.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn start(launch: Launch, deployment: Deployment) -> Result<Arc<Self>, NotStarted> {
        let Deployment { number, digest: of_deployment, tenant, tally, insight, terms, source, .. } = deployment;
        let stage = Stage::new(Arc::clone(&terms));
        let app = launch.app(Arc::clone(&stage) as _);
        let place = deployment.images.map(|RevisionImages { store, policy }| {
            let owner = ImageOwner { tenant: tenant.name(), app: &terms.script, policy: &policy };
            ImagePlace::new(&store, &app, &owner, &source)
        });
        let beginning = Beginning {
            number,
            digest: of_deployment,
            tenant: Arc::clone(&tenant),
            tally,
            insight,
            terms: Arc::clone(&terms),
            timetable: deployment.timetable,
            main: deployment.main,
            source: digest(&source),
        };
        let found = match &place {
            Some(place) => recall(place, &app, &stage, &terms).await,
            None => Ok(None),
        };
        let (app, stage) = match found {
            Ok(Some((kept, started))) => {
                stage.settle();
                let origin = beginning.origin(&app, started, place);
                return Ok(beginning.revision(stage, Residence::dropped(Arc::clone(&origin), kept), &origin, None));
            }
            Ok(None) => (app, stage),
            // What was begun on that stage is of no use.
            Err(()) => {
                let stage = Stage::new(Arc::clone(&terms));
                (app.variant(|_| {}, Arc::clone(&stage) as _), stage)
            }
        };
        let SetUp { started, serving, parent } = set_up(&app, &stage, tenant.turns(), &terms.logs, source).await?;
        let origin = beginning.origin(&app, started, place);
        let residence = Residence::resident(Arc::clone(&origin), serving);
        let revision = beginning.revision(stage, residence, &origin, Some(parent));
        revision.keep_once_settled();
        Ok(revision)
    }

    /// Writes its image as soon as its script waits, so that the next process finds it.
    fn keep_once_settled(self: &Arc<Self>) {
        let revision = Arc::downgrade(self);
        let stage = Arc::clone(&self.stage);
        self.timers.lock().spawn(async move {
            stage.settled().await;
            if let Some(revision) = revision.upgrade()
                && let Err(why) = revision.site.handlers.keep_if_lasting().await
            {
                stage.logs().say(Level::Warn, &format!("the image of the app cannot be kept: {why}"));
            }
        });
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

    /// What its own requests came to.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        let [own, _] = &self.tallies;
        own
    }

    /// Ends when it has no request in flight, or its grace is over. Says whether it has none.
    pub async fn quiet(&self) -> bool {
        self.stage.quiet().await
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

    /// Says whether the requests of its timetable are made: from now on, or not any more.
    pub fn lead(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    /// How long its requests may go on once it is replaced.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.stage.grace()
    }

    /// Whether what answers its requests is in memory.
    #[must_use]
    pub fn is_resident(&self) -> bool {
        self.site.handlers.is_resident()
    }

    /// How long it has had no request.
    #[must_use]
    pub fn idle(&self) -> Duration {
        match self.stage.is_busy() {
            true => Duration::ZERO,
            false => self.began.elapsed().saturating_sub(Duration::from_millis(self.used.load(Ordering::Relaxed))),
        }
    }

    /// Whether it could be dropped from memory now.
    #[must_use]
    pub fn may_rest(&self) -> bool {
        self.is_resident() && self.stage.is_settled() && !self.stage.is_busy() && !self.is_over()
    }

    /// Drops it from memory: its image, its forks, and the script that is suspended in `serve()`. The next request brings it
    /// back, without the script. Says whether it was dropped.
    ///
    /// # Errors
    /// The image cannot be kept on disk: the sentence.
    pub async fn rest(&self) -> Result<bool, String> {
        if !self.may_rest() || !self.site.handlers.keep().await? || !self.may_rest() {
            return Ok(false);
        }
        self.site.handlers.drop_from_memory();
        drop(self.parent.lock().take());
        Ok(true)
    }

    fn note_use(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.used.store(now, Ordering::Relaxed);
    }

    /// Refuses a request that was not let in.
    pub(crate) fn refuse(&self, asked: Asked, app: Arc<str>, refusal: Refusal) -> Answered {
        self.sight.iter().for_each(|sight| sight.metrics.refused());
        let seen = self.sight.as_ref().map(|sight| sight.begin(&asked));
        let refused = Answered { app: Some(app), ..Answered::refused(asked.parts, asked.id, refusal) };
        seen.into_iter().for_each(|seen| seen.end(&refused, None));
        self.count(&refused, Duration::ZERO);
        refused
    }

    fn count(&self, answered: &Answered, time: Duration) {
        let (status, cpu) = (answered.status(), answered.cpu);
        self.tallies.iter().for_each(|tally| tally.add(status, time, cpu));
        self.insight.count(status, time, cpu);
        if let Err(Refusal::Quota(quota, _)) = &answered.result {
            self.insight.refused(quota);
        }
    }

    /// Answers a request that was let in. Its place is held until the response is sent.
    pub(crate) fn answer(self: Arc<Self>, mut asked: Asked, app: Arc<str>, admitted: Admitted) -> Responding {
        asked.body = asked.body.within(self.site.client_limits());
        let (present, began) = (self.stage.enter(), Instant::now());
        let entered = self.insight.enter(&asked.parts, &asked.id);
        self.note_use();
        match Arc::clone(&self.site).respond(asked) {
            Responding::Now(answered) => {
                self.count(&answered, Duration::ZERO);
                Responding::Now(Answered { app: Some(app), ..answered })
            }
            Responding::Later(answered) => Responding::Later(Box::pin(async move {
                let mut answered = answered.await;
                drop(entered);
                answered.app = Some(app);
                self.count(&answered, began.elapsed());
                self.tenant.charge(answered.cpu.unwrap_or_default());
                answered.held = answered.held.and((admitted, present));
                self.note_use();
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
                    if revision.leads.load(Ordering::Relaxed) {
                        revision.ask(&timetable, entry, missed).await;
                    }
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
        let parent = self.parent.lock().take();
        match parent {
            // When its time is up it is ended by being dropped.
            Some(mut parent) => drop(timeout(self.stage.grace() + LAST, parent.ended()).await),
            None => self.stage.drained().await,
        }
    }
}

impl Beginning {
    fn origin(&self, app: &Arc<App>, started: Started, place: Option<ImagePlace>) -> Arc<Origin> {
        Arc::new(Origin {
            app: Arc::clone(app),
            started,
            terms: Arc::clone(&self.terms),
            turns: self.tenant.turns().clone(),
            place,
            main: self.main,
            source: self.source,
        })
    }

    fn revision(
        self,
        stage: Arc<Stage>,
        residence: Residence,
        origin: &Origin,
        parent: Option<Parent>,
    ) -> Arc<Revision> {
        let Self { number, digest, tenant, tally, insight, terms, timetable, .. } = self;
        let failures = Arc::new(Noted { logs: terms.logs.clone(), insight: insight.clone(), number });
        let sight = terms.sight.clone();
        let Started { routes, options, .. } = &origin.started;
        // The node has looked at the host before.
        let site = Site::with(Arc::clone(routes), residence, options, &terms, Hosts::Any, failures);
        let (began, used, timers) = (Instant::now(), AtomicU64::new(0), Mutex::default());
        let (app, parent) = (Arc::clone(&origin.app), Mutex::new(parent));
        let (tallies, leads) = ([Arc::default(), tally], AtomicBool::new(false));
        let revision = Arc::new(Revision {
            number,
            digest,
            tenant,
            app,
            stage,
            site,
            sight,
            parent,
            began,
            used,
            tallies,
            insight,
            leads,
            timers,
        });
        revision.follow(timetable);
        revision
    }
}

/// Looks for the image of an app, and has the app begin from it. An error is told in the log; what was begun on the stage is
/// of no use then.
async fn recall(
    place: &ImagePlace,
    app: &Arc<App>,
    stage: &Stage,
    terms: &AppTerms,
) -> Result<Option<(Kept, Started)>, ()> {
    let again = |why: String| {
        terms.logs.say(Level::Warn, &format!("the image of the app cannot be used, and is made anew: {why}"));
    };
    let found = match place.find(app).await {
        Ok(None) => return Ok(None),
        Ok(Some(found)) => found,
        Err(why) => {
            again(why);
            return Ok(None);
        }
    };
    let (kept, server) = found.repeat(app).await.map_err(again)?;
    match stage.started().filter(|started| started.number == server) {
        Some(started) => Ok(Some((kept, started))),
        None => {
            again("its server cannot be started any more".to_owned());
            Err(())
        }
    }
}
