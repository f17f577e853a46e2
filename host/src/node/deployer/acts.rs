//! What each order of an operator does: a deploy, a rollback, a canary, a preview, a stop, a start, a drain.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use starcell_edge::Ids;
use starcell_log::Level;
use starcell_node::{Canary, PreviewKey, Seat};

use crate::api::views::{AppStateView, DoneView};
use crate::folder::MAIN;
use crate::node::files::{AppFiles, MANIFEST};
use crate::node::orders::{Act, Refused};
use crate::node::upload::Upload;
use crate::stamp::stamps;

use super::Deployer;
use super::known::{Known, Purpose};

/// Previews of one app at once: each is an app of its own in memory.
const MAX_PREVIEWS: usize = 3;

/// What an order comes to.
pub(super) enum Came {
    /// It is done.
    Now { previous: Option<u64>, note: Option<String> },
    /// It will be done or refused once something is set up.
    Later,
}

const DONE: Came = Came::Now { previous: None, note: None };

impl Deployer {
    pub(super) fn deploy_folder(&mut self, name: &str) -> Result<Came, Refused> {
        let folder = self.base.files.apps.join(name);
        let known = self.not_stopped(name)?;
        // What is read now is no change at the next look.
        let files = known.more.iter().cloned().chain([MANIFEST, MAIN].map(|file| folder.join(file)));
        known.seen = stamps(files.collect());
        known.before.clone_from(&known.seen);
        self.deploy(&[name.to_owned()], true);
        Ok(Came::Later)
    }

    /// Makes a revision of files that were sent, and begins to set it up. Where none of them describes the app, the
    /// `app.toml` in its folder does.
    pub(super) fn receive(&mut self, name: &str, upload: &Upload) -> Result<Came, Refused> {
        let known = self.not_stopped(name)?;
        // A number is used once, though nothing comes of it.
        known.history.last += 1;
        let number = known.history.last;
        let cannot = |code: &'static str, why: String| {
            let message = format!("what was sent for the app {name} cannot be deployed: {why}");
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
        };
        let folder = self.base.files.apps.join(name);
        let received = self.archive.receive(name, number, upload, &folder);
        let received = received.map_err(|why| cannot("not_deployed", why)).and_then(|()| {
            let files = self.kept_files(name, number).map_err(|why| cannot("bad_configuration", why))?;
            self.of_same_tenant(name, number, files)
        });
        match received {
            Ok(files) => {
                self.begin(files, Purpose::Current { pinned: true }, Some(number));
                Ok(Came::Later)
            }
            Err(refused) => {
                self.forget_unkept(name, number);
                Err(refused)
            }
        }
    }

    fn not_stopped(&mut self, name: &str) -> Result<&mut Known, Refused> {
        let known = self.known.get_mut(name).ok_or_else(|| Refused::no_app(name))?;
        if known.history.stopped {
            let message = format!("the app {name} is stopped; `starcell app start {name}` deploys it");
            return Err(Refused::conflict("stopped", message));
        }
        Ok(known)
    }

    pub(super) fn roll_back(&mut self, name: &str, revision: Option<u64>) -> Result<Came, Refused> {
        let known = self.known.get(name).ok_or_else(|| Refused::no_app(name))?;
        let number = revision.or_else(|| known.history.before_current()).ok_or_else(|| {
            Refused::conflict("no_revision", format!("no earlier revision of the app {name} is kept"))
        })?;
        let files = self.revision_files(name, number)?;
        let seat = self.node.seat(name);
        if let Some(running) = seat.as_ref().and_then(|seat| seat.running())
            && running.number() == number
        {
            let note = Some(format!("revision {number} answers already"));
            return Ok(Came::Now { previous: Some(number), note });
        }
        let canary = seat.as_ref().and_then(|seat| seat.beside()).and_then(|beside| beside.canary.clone());
        let canary = canary.map(|canary| Arc::clone(canary.revision()));
        match canary.filter(|canary| canary.number() == number && !canary.is_over()) {
            Some(canary) => {
                let manifest = Arc::new(files.manifest);
                let previous = self.lead(name, &manifest, true, canary, seat);
                let previous = previous.map_err(|why| Refused::conflict("not_deployed", why))?;
                Ok(Came::Now { previous, note: None })
            }
            None => {
                self.begin(files, Purpose::Current { pinned: true }, Some(number));
                Ok(Came::Later)
            }
        }
    }

    pub(super) fn begin_canary(&mut self, name: &str, revision: u64, percent: u8) -> Result<Came, Refused> {
        let seat = self.running_seat(name)?;
        let current = seat.running().map(|current| current.number());
        if percent == 0 {
            self.set_canary(&seat, None);
            return Ok(Came::Now { previous: current, note: None });
        }
        if current == Some(revision) {
            let message = format!("revision {revision} of the app {name} answers already; a canary is another one");
            return Err(Refused::conflict("is_current", message));
        }
        let files = self.revision_files(name, revision)?;
        let before = seat.beside().and_then(|beside| beside.canary.clone()).map(|canary| Arc::clone(canary.revision()));
        match before.filter(|before| before.number() == revision && !before.is_over()) {
            Some(before) => {
                self.set_canary(&seat, Some(Canary::new(before, percent)));
                Ok(Came::Now { previous: current, note: None })
            }
            None => {
                self.begin(files, Purpose::Canary(percent), Some(revision));
                Ok(Came::Later)
            }
        }
    }

    pub(super) fn begin_preview(&mut self, name: &str, revision: u64, time: Duration) -> Result<Came, Refused> {
        let seat = self.running_seat(name)?;
        let known = self.known.get(name).ok_or_else(|| Refused::no_app(name))?;
        if !known.manifest.as_ref().is_some_and(|manifest| manifest.preview) {
            let message = format!("the app {name} has no previews; write preview = true into its app.toml");
            return Err(Refused::conflict("no_previews", message));
        }
        let others = seat
            .beside()
            .map_or(0, |beside| beside.previews.iter().filter(|preview| preview.revision.number() != revision).count());
        if others >= MAX_PREVIEWS {
            let message = format!("the app {name} has {MAX_PREVIEWS} previews already; each ends by itself");
            return Err(Refused::conflict("many_previews", message));
        }
        let files = self.revision_files(name, revision)?;
        let key = PreviewKey::new(Ids::new().next().text().to_owned());
        self.begin(files, Purpose::Preview(key, time), Some(revision));
        Ok(Came::Later)
    }

    pub(super) fn stop(&mut self, name: &str) -> Result<Came, Refused> {
        let seat = self.node.seat(name);
        let old = seat.as_ref().and_then(|seat| seat.exchange(None));
        if let Some(seat) = &seat {
            self.retire_beside(seat.set_beside(None), None, None);
        }
        let known = self.known.get_mut(name).ok_or_else(|| Refused::no_app(name))?;
        known.history.stopped = true;
        known.previews.clear();
        let drained = known.drained.take();
        let previous = old.as_ref().or(drained.as_ref()).map(|old| old.number());
        self.retire(old);
        self.retire(drained);
        self.save(name);
        self.base.share.logs.say(Level::Info, &format!("the app {name} is stopped"));
        Ok(Came::Now { previous, note: None })
    }

    pub(super) fn start(&mut self, name: &str) -> Result<Came, Refused> {
        let seat = self.node.seat(name);
        if seat.as_ref().is_some_and(|seat| seat.running().is_some()) {
            return Ok(Came::Now { previous: None, note: Some(format!("the app {name} answers already")) });
        }
        let known = self.known.get_mut(name).ok_or_else(|| Refused::no_app(name))?;
        if let (Some(seat), Some(drained)) = (seat, known.drained.take()) {
            // One that was set up under a configuration that has changed is set up anew.
            if !drained.is_over() && !known.is_stale {
                drained.lead(true);
                let allows = known.manifest.as_ref().is_some_and(|manifest| manifest.preview);
                self.retire(seat.exchange(Some(drained)));
                self.allow_previews(&seat, allows);
                return Ok(DONE);
            }
            self.retire(Some(drained));
        }
        self.deploy(&[name.to_owned()], false);
        Ok(Came::Later)
    }

    pub(super) fn drain(&mut self, name: &str) -> Result<Came, Refused> {
        let seat = self.running_seat(name)?;
        let known = self.known.get_mut(name).ok_or_else(|| Refused::no_app(name))?;
        let revision = seat.exchange(None).ok_or_else(|| not_running(name))?;
        revision.lead(false);
        known.previews.clear();
        known.drained = Some(Arc::clone(&revision));
        // The answer is given when it is quiet; other orders go on meanwhile.
        let waiting = known.waiting.take();
        self.retire_beside(seat.set_beside(None), None, None);
        self.base.share.logs.say(Level::Info, &format!("the app {name} takes no more requests"));
        let app = name.to_owned();
        self.retiring.spawn(async move {
            let quiet = revision.quiet().await;
            let note = (!quiet).then(|| {
                let grace = revision.grace().as_secs_f64();
                format!("requests are still in flight after the shutdown_timeout of {grace} s")
            });
            let (action, state) = (Act::Drain.name().to_owned(), AppStateView::Drained);
            let previous = Some(revision.number());
            let done = DoneView { app, action, state, revision: None, previous, preview: None, note };
            if let Some(waiting) = waiting {
                // Whoever asked may have left.
                let _ = waiting.reply.send(Ok(done));
            }
        });
        Ok(Came::Later)
    }

    /// The seat of an app that answers.
    fn running_seat(&self, name: &str) -> Result<Arc<Seat>, Refused> {
        let seat = self.node.seat(name).filter(|seat| seat.running().is_some());
        seat.ok_or_else(|| not_running(name))
    }

    /// The files of a revision that is kept.
    fn revision_files(&self, name: &str, number: u64) -> Result<AppFiles, Refused> {
        let known = self.known.get(name).ok_or_else(|| Refused::no_app(name))?;
        let history = &known.history;
        if history.revision(number).is_none() {
            let kept: Vec<String> = history.kept.iter().map(|kept| kept.number.to_string()).collect();
            let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
            let message = format!("revision {number} of the app {name} is not kept; kept are {kept}");
            return Err(Refused::new(StatusCode::NOT_FOUND, "unknown_revision", message));
        }
        let files = self.kept_files(name, number).map_err(|why| {
            let message = format!("revision {number} of the app {name} cannot be set up: {why}");
            Refused::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_configuration", message)
        })?;
        self.of_same_tenant(name, number, files)
    }

    /// The files, if they leave the app with its owner: an operator of one tenant must not hand it over to another one.
    fn of_same_tenant(&self, name: &str, number: u64, files: AppFiles) -> Result<AppFiles, Refused> {
        let known = self.known.get(name).ok_or_else(|| Refused::no_app(name))?;
        match known.tenant().is_none_or(|tenant| tenant == files.manifest.tenant) {
            true => Ok(files),
            false => {
                let message = format!(
                    "revision {number} of the app {name} is of the tenant {}; put that into its app.toml and deploy it",
                    files.manifest.tenant
                );
                Err(Refused::conflict("other_tenant", message))
            }
        }
    }
}

fn not_running(name: &str) -> Refused {
    let message = format!("the app {name} does not answer; `starcell app start {name}` starts it");
    Refused::conflict("not_running", message)
}
