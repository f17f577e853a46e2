//! Whether what answers the requests of a revision is in memory, and how it comes back.
//!
//! A revision is *resident* or *dropped*. One that is dropped has its image on disk ([`starcell_runtime::images`]) and
//! nothing else that is large: no image in memory, no fork, and no script that waits in `serve()`. Its routes and the options
//! of its server stay, so what has no route costs as little as ever. The first request that needs a guest brings it back,
//! and all others wait for that one. They wait as requests that are in a guest do: in a place of the app's queue, within the
//! time of a request.
//!
//! An image that turns out to be damaged is made anew from the script, if the script is still the one that was deployed;
//! that goes on even when the request that found it out is given up.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use starcell_log::Level;
use starcell_runtime::slow::on_blocking_thread;
use starcell_runtime::{
    App, Destination, Failure, Handled, ImagePlace, Kept, NotRecalled, Request, Serving, read_source,
};
use starcell_telemetry::TraceContext;
use tokio::task::JoinHandle;

use crate::setting_up::{SetUp, set_up};
use crate::site::{Handlers, handler_time};
use crate::stage::{Stage, Started};
use crate::terms::AppTerms;
use crate::turns::TenantTurns;

/// How long the script of an image that is made anew may do something else before it waits in `serve()`. What it has not
/// done by then it does not do.
const SETTLES: Duration = Duration::from_secs(10);

/// What a revision is made of, as far as it is needed to make its image anew.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) app: Arc<App>,
    pub(crate) started: Started,
    pub(crate) terms: Arc<AppTerms>,
    pub(crate) turns: TenantTurns,
    /// Where its images are; none for a revision that is never dropped.
    pub(crate) place: Option<ImagePlace>,
    /// The name of its script in its folder, and the digest of that.
    pub(crate) main: &'static str,
    pub(crate) source: [u8; 32],
}

/// What answers the requests of a revision, in memory or not.
#[derive(Debug)]
pub(crate) struct Residence {
    origin: Arc<Origin>,
    resident: ArcSwapOption<Serving>,
    kept: Mutex<Option<Arc<Kept>>>,
    /// Whether this process has set the script up, so that it knows what the setup asked for.
    is_set_up: bool,
    wall: Duration,
    fork_bytes: u64,
    /// Held by whoever brings it back; in it the task that makes it anew.
    coming: tokio::sync::Mutex<Option<Making>>,
}

/// A task that sets a script up again; ends with this.
#[derive(Debug)]
struct Making(JoinHandle<Result<(Serving, Kept), String>>);

impl Residence {
    /// A revision that was set up just now.
    pub(crate) fn resident(origin: Arc<Origin>, serving: Serving) -> Self {
        let fork_bytes = serving.fork_bytes();
        let residence = Self::with(origin, None, fork_bytes);
        residence.resident.store(Some(Arc::new(serving.within(residence.wall))));
        residence
    }

    /// A revision that has its image on disk.
    pub(crate) fn dropped(origin: Arc<Origin>, kept: Kept) -> Self {
        let fork_bytes = kept.fork_bytes(&origin.app);
        Self::with(origin, Some(Arc::new(kept)), fork_bytes)
    }

    fn with(origin: Arc<Origin>, kept: Option<Arc<Kept>>, fork_bytes: u64) -> Self {
        let wall = handler_time(&origin.started.options, &origin.terms);
        let (is_set_up, resident, coming) = (kept.is_none(), ArcSwapOption::empty(), tokio::sync::Mutex::default());
        Self { origin, resident, kept: Mutex::new(kept), is_set_up, wall, fork_bytes, coming }
    }

    /// Whether it is in memory.
    pub(crate) fn is_resident(&self) -> bool {
        self.resident.load().is_some()
    }

    /// Writes the image to disk, if another process could use it. The script must have settled.
    pub(crate) async fn keep_if_lasting(&self) -> Result<(), String> {
        match self.origin.app.is_repeatable() {
            true => self.keep().await.map(|_| ()),
            false => Ok(()),
        }
    }

    /// Writes the image to disk, if it is not there and can be; says whether it is there. The script must have settled.
    pub(crate) async fn keep(&self) -> Result<bool, String> {
        let Origin { app, started, place, .. } = &*self.origin;
        // One at a time, and not while it comes back.
        let _coming = self.coming.lock().await;
        if self.kept.lock().is_some() {
            return Ok(true);
        }
        let (Some(place), Some(serving)) = (place.as_ref().filter(|_| self.is_set_up), self.resident.load_full())
        else {
            return Ok(false);
        };
        let kept = place.keep(app, &serving, started.number, started.patterns()).await?;
        *self.kept.lock() = Some(Arc::new(kept));
        Ok(true)
    }

    /// Gives up the memory of the image. It must have been kept.
    pub(crate) fn drop_from_memory(&self) {
        if self.kept.lock().is_some()
            && self.resident.swap(None).is_some()
            && let Some(place) = &self.origin.place
        {
            place.store().note_dropped();
        }
    }

    /// What answers, brought back if it was dropped.
    async fn serving(&self) -> Result<Arc<Serving>, Failure> {
        if let Some(serving) = self.resident.load_full() {
            return Ok(serving);
        }
        let mut coming = self.coming.lock().await;
        if let Some(serving) = self.resident.load_full() {
            return Ok(serving);
        }
        if coming.is_none() {
            match self.recall().await {
                Ok(serving) => return Ok(self.come_back(serving)),
                Err(NotRecalled::Failed(failure)) => return Err(failure),
                Err(NotRecalled::Useless(why)) => {
                    let text = format!("the image of the app cannot be used, and is made anew: {why}");
                    self.origin.terms.logs.say(Level::Warn, &text);
                    *coming = Some(Making::start(Arc::clone(&self.origin)));
                }
            }
        }
        let Some(making) = coming.as_mut() else { return Err(Failure::Host("no image is made".to_owned())) };
        let made = making.made().await;
        *coming = None;
        let (serving, kept) =
            made.map_err(|why| Failure::Host(format!("the image of the app could not be made anew: {why}")))?;
        *self.kept.lock() = Some(Arc::new(kept));
        Ok(self.come_back(serving))
    }

    async fn recall(&self) -> Result<Serving, NotRecalled> {
        let kept = self.kept.lock().clone();
        let kept = kept.ok_or_else(|| NotRecalled::Useless("there is none".to_owned()))?;
        let recalled = kept.recall(&self.origin.app).await;
        if matches!(recalled, Err(NotRecalled::Useless(_))) {
            *self.kept.lock() = None;
        }
        recalled
    }

    fn come_back(&self, serving: Serving) -> Arc<Serving> {
        let serving = Arc::new(serving.within(self.wall));
        self.resident.store(Some(Arc::clone(&serving)));
        serving
    }
}

impl Handlers for Residence {
    async fn answer(
        self: Arc<Self>,
        destination: Destination,
        request: Request,
        trace: Option<TraceContext>,
    ) -> Handled {
        match self.serving().await {
            Ok(serving) => serving.respond(destination, request, trace).await,
            Err(failure) => Handled { result: Err(failure), cpu: Duration::ZERO, fork: None },
        }
    }

    fn bytes(&self) -> u64 {
        self.fork_bytes
    }
}

impl Making {
    #[expect(clippy::disallowed_methods, reason = "this type owns the task, and ends it")]
    fn start(origin: Arc<Origin>) -> Self {
        Self(tokio::spawn(async move { origin.make_anew().await }))
    }

    async fn made(&mut self) -> Result<(Serving, Kept), String> {
        (&mut self.0).await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Origin {
    /// Sets the script up again and keeps its image. The script itself ends there.
    async fn make_anew(&self) -> Result<(Serving, Kept), String> {
        let Self { app, terms, turns, main, .. } = self;
        let place = self.place.as_ref().ok_or("it has no place on disk")?;
        let folder = app.folder().ok_or("it has no folder")?.to_owned();
        let main = *main;
        let read = on_blocking_thread(move || read_source(&folder, main).map_err(|error| error.to_string()));
        let source = read.await.unwrap_or_else(|error| Err(error.to_string()))?;
        if digest(&source) != self.source {
            return Err(format!("{main} is not the one that was deployed"));
        }
        let stage = Stage::new(Arc::clone(terms));
        let again = app.variant(|_| {}, Arc::clone(&stage) as _);
        let set_up = set_up(&again, &stage, turns, &terms.logs, source).await.map_err(|error| error.why)?;
        let SetUp { started, serving, mut parent } = set_up;
        if !started.is_same(&self.started) {
            return Err("its script makes another server now".to_owned());
        }
        tokio::select! {
            () = stage.settled() => {}
            () = parent.ended() => {}
            () = tokio::time::sleep(SETTLES) => {}
        }
        let serving = serving.under(app);
        let kept = place.keep(&again, &serving, started.number, started.patterns()).await?;
        Ok((serving, kept))
    }
}

/// The digest of a script.
pub(crate) fn digest(source: &[u8]) -> [u8; 32] {
    Sha256::digest(source).into()
}
