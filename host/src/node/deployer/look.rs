//! What has changed in the folder of the apps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use starcell_log::Level;
use starcell_node::Seat;
use starcell_runtime::slow::on_blocking_thread;
use tokio::time::Instant;

use crate::folder::MAIN;
use crate::node::files::{AppFiles, MANIFEST, app_names};
use crate::stamp::{Stamp, stamps};

use super::known::{Fault, Known};
use super::{Deployer, LOOK, REST};

impl Deployer {
    /// Looks at the folder, and sets up what has changed. Where `at_once`, a change counts at its first look, and what could
    /// not be deployed is tried again.
    pub(crate) async fn look(&mut self, at_once: bool) {
        self.end_previews();
        let began = Instant::now();
        let folder = self.base.files.apps.clone();
        let watched: BTreeMap<String, Vec<PathBuf>> =
            self.known.iter().map(|(name, known)| (name.clone(), known.more.iter().cloned().collect())).collect();
        let looked = on_blocking_thread(move || {
            let (names, others) = app_names(&folder)?;
            let look = |name: String| {
                let mut files = watched.get(&name).cloned().unwrap_or_default();
                files.extend([MANIFEST, MAIN].map(|file| folder.join(&name).join(file)));
                let stamps = stamps(files);
                (name, stamps)
            };
            Ok::<_, String>((names.into_iter().map(look).collect::<Vec<_>>(), others))
        });
        let looked = looked.await.unwrap_or_else(|error| Err(error.to_string()));
        self.next_look = Instant::now() + LOOK.max(began.elapsed() * REST);
        match looked {
            Ok((apps, others)) => {
                let unfit = (!others.is_empty()).then(|| {
                    format!(
                        "not the names of apps, which have lower-case letters, digits, `-` and `_`: {}",
                        others.join(", ")
                    )
                });
                self.complain(unfit);
                self.compare(apps, at_once);
            }
            Err(why) => self.complain(Some(why)),
        }
    }

    fn complain(&mut self, why: Option<String>) {
        if self.complained != why {
            why.iter().for_each(|why| self.base.share.logs.say(Level::Error, why));
            self.complained = why;
        }
    }

    fn compare(&mut self, apps: Vec<(String, BTreeMap<PathBuf, Stamp>)>, at_once: bool) {
        let there: BTreeSet<&String> = apps.iter().map(|(name, _)| name).collect();
        // One whose index is being written is gone at the next look: an app that is put back must not write it too.
        let is_gone = |(name, known): &(&String, &Known)| !there.contains(name) && !known.is_saving;
        let gone: Vec<String> = self.known.iter().filter(is_gone).map(|(name, _)| name.clone()).collect();
        self.remove(&gone);
        let (mut changed, mut stopped) = (Vec::new(), Vec::new());
        for (name, now) in apps {
            let is_new = !self.known.contains_key(&name);
            if is_new {
                self.remember(&name);
            }
            let known = self.known.entry(name.clone()).or_default();
            let rests = at_once || known.before == now;
            known.before.clone_from(&now);
            if known.is_under_way || known.waiting.is_some() || known.history.stopped || known.drained.is_some() {
                // A stopped app keeps its seat, so that no other one answers in its place.
                if is_new && known.history.stopped {
                    stopped.push(name);
                }
                continue;
            }
            if !is_new && !known.seen.is_empty() {
                // What is watched from now on has not changed by that.
                for (file, stamp) in &now {
                    known.seen.entry(file.clone()).or_insert(*stamp);
                }
            }
            let differs = known.is_stale || now.iter().any(|(file, stamp)| known.seen.get(file) != Some(stamp));
            if rests && (differs || (at_once && known.failed.is_some())) {
                known.seen = now;
                known.counts_anew |= std::mem::take(&mut known.is_stale);
                changed.push(name);
            }
        }
        self.take_seats(&stopped);
        self.deploy(&changed, false);
    }

    /// Reads what is known of the revisions of an app that is seen first.
    fn remember(&mut self, name: &str) {
        let (mut history, saved) = match self.archive.read(name) {
            Ok(history) => (history.clone(), Some(history)),
            Err(why) => {
                let (history, aside) = self.archive.begin_anew(name);
                let text = format!(
                    "the revisions of the app {name} are unknown, and it runs from its folder: {why}; {aside}. What an \
                     operator had decided about it (stopped, rolled back) holds no more"
                );
                self.base.share.logs.say(Level::Error, &text);
                (history, None)
            }
        };
        history.last = history.last.max(self.numbers.get(name).copied().unwrap_or_default());
        self.known.insert(name.to_owned(), Known { history, saved, ..Known::default() });
    }

    fn remove(&mut self, gone: &[String]) {
        if gone.is_empty() {
            return;
        }
        let seats: Vec<Arc<Seat>> = gone.iter().filter_map(|name| self.node.seat(name)).collect();
        self.node.rearrange(Vec::new(), gone);
        for seat in seats {
            let old = seat.exchange(None);
            let tenant = self.known.get(seat.name()).and_then(Known::tenant);
            if let Some(tenant) = tenant {
                self.base.share.metrics.forget(tenant, seat.name());
                self.base.forget_log(tenant, seat.name());
            }
            self.base.insights.forget(seat.name());
            let drained = self.known.get_mut(seat.name()).and_then(|known| known.drained.take());
            self.retire(drained);
            self.retire(old);
            self.retire_beside(seat.set_beside(None), None, None);
            self.base.share.logs.say(Level::Info, &format!("the app {} is gone", seat.name()));
        }
        for name in gone {
            if let Some(known) = self.known.remove(name) {
                self.numbers.insert(name.clone(), known.history.last);
            }
        }
    }

    /// Gives apps their seats that an operator has stopped.
    fn take_seats(&mut self, names: &[String]) {
        let read = |name: &String| AppFiles::read(&self.base.files, name).ok();
        let files: Vec<AppFiles> = names.iter().filter_map(read).collect();
        let seats = files.iter().map(|app| Seat::new(&app.name, &app.manifest.hosts, &app.manifest.prefix)).collect();
        for app in files {
            if let Some(known) = self.known.get_mut(&app.name) {
                known.manifest = Some(Arc::new(app.manifest));
            }
        }
        for (name, why) in self.node.rearrange(seats, &[]) {
            self.fail(&name, why, Fault::Files);
        }
    }
}
