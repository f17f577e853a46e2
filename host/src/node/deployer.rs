//! Apps that come, change and go.
//!
//! The folder of the apps is looked at again and again; it works on every file system, and survives editors that replace a
//! file by renaming another one over it. A change counts once it has rested for one look, so that half a deployment is not
//! read. What changed is set up beside what runs, each app in a task of its own, and takes its place as a whole. One that
//! cannot be set up replaces nothing; the log says why, and the next change of its files is the next try.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use starcell_log::Level;
use starcell_node::{Node, NotStarted, Revision, Seat};
use starcell_runtime::Kv;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::folder::MAIN;
use crate::stamp::{Stamp, stamps};

use super::base::Base;
use super::files::{AppFiles, MANIFEST, app_names};
use super::places::Places;

/// The shortest time between two looks at the folder.
const LOOK: Duration = Duration::from_millis(100);

/// How much longer the time between two looks is than a look: looking costs one core no more than a fiftieth of its time.
const REST: u32 = 50;

/// How long an app that finds no memory waits for others to make room, and how often it tries again.
const ROOM: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(300);

/// Whoever sets apps up.
pub(crate) struct Deployer {
    base: Arc<Base>,
    node: Arc<Node>,
    known: BTreeMap<String, Known>,
    /// The number of the last revision of each app that there ever was.
    numbers: BTreeMap<String, u64>,
    /// The stores, by tenant and app. One that is open stays so: an app that is taken away and put back at once would find it
    /// in use by its last revision.
    stores: BTreeMap<(String, String), Kv>,
    /// Apps that are being set up.
    under_way: JoinSet<Finished>,
    /// Revisions that answer their last requests.
    retiring: TaskTracker,
    places: Arc<Places>,
    /// How long the last look took.
    looked: Duration,
    /// What was last said about the folder as a whole.
    complained: Option<String>,
}

/// What is known of an app.
#[derive(Default)]
struct Known {
    /// Its files, as they were when they were last read.
    seen: BTreeMap<PathBuf, Stamp>,
    /// As they were at the last look.
    before: BTreeMap<PathBuf, Stamp>,
    /// Its files beside its script and its description: secrets, and what the script has loaded.
    more: BTreeSet<PathBuf>,
    is_under_way: bool,
    /// Why its last change could not be deployed.
    failed: Option<String>,
}

/// An app that was set up, or not.
struct Finished {
    name: String,
    number: u64,
    places: (Vec<String>, String),
    tenant: String,
    kv: Option<Kv>,
    result: Result<Arc<Revision>, NotStarted>,
}

impl Deployer {
    /// Nothing is set up yet.
    pub(crate) fn new(base: Arc<Base>, node: Arc<Node>) -> Self {
        Self {
            base,
            node,
            known: BTreeMap::new(),
            numbers: BTreeMap::new(),
            stores: BTreeMap::new(),
            under_way: JoinSet::new(),
            retiring: TaskTracker::new(),
            places: Arc::new(Places::new()),
            looked: Duration::ZERO,
            complained: None,
        }
    }

    /// Sets apps up from here on with what a changed configuration says.
    pub(crate) fn change(&mut self, base: Arc<Base>) {
        self.base = base;
    }

    /// The apps that answer, each with its tenant.
    pub(crate) fn tenants(&self) -> Vec<(String, String)> {
        let revision = |seat: &Arc<Seat>| Some((seat.name().to_owned(), seat.current()?.tenant().name().to_owned()));
        self.node.seats().iter().filter_map(revision).collect()
    }

    /// Has the next look set these apps up anew, although their files are the same, and those that are being set up now.
    pub(crate) fn forget(&mut self, names: &[String]) {
        for (name, known) in &mut self.known {
            if known.is_under_way || names.contains(name) {
                known.seen.clear();
            }
        }
    }

    /// Ends when it is time for the next look.
    pub(crate) fn pause(&self) -> impl Future<Output = ()> + use<> {
        tokio::time::sleep(LOOK.max(self.looked * REST))
    }

    /// Whether nothing is being set up.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The apps that could not be deployed as they are now, and why.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.known.iter().filter_map(|(name, known)| Some((name.as_str(), known.failed.as_deref()?)))
    }

    /// Looks at the folder, and sets up what has changed. Where `at_once`, a change counts at its first look, and what could
    /// not be deployed is tried again.
    pub(crate) async fn look(&mut self, at_once: bool) {
        let began = tokio::time::Instant::now();
        let folder = self.base.files.apps.clone();
        let watched: BTreeMap<String, Vec<PathBuf>> =
            self.known.iter().map(|(name, known)| (name.clone(), known.more.iter().cloned().collect())).collect();
        let looked = tokio::task::spawn_blocking(move || {
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
        self.looked = began.elapsed();
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
        let gone: Vec<String> = self.known.keys().filter(|name| !there.contains(name)).cloned().collect();
        self.remove(&gone);
        let mut changed = Vec::new();
        for (name, now) in apps {
            let is_new = !self.known.contains_key(&name);
            let known = self.known.entry(name.clone()).or_default();
            let rests = at_once || known.before == now;
            known.before.clone_from(&now);
            if known.is_under_way {
                continue;
            }
            if !is_new && !known.seen.is_empty() {
                // What is watched from now on has not changed by that.
                for (file, stamp) in &now {
                    known.seen.entry(file.clone()).or_insert(*stamp);
                }
            }
            let differs = now.iter().any(|(file, stamp)| known.seen.get(file) != Some(stamp));
            if rests && (differs || (at_once && known.failed.is_some())) {
                known.seen = now;
                changed.push(name);
            }
        }
        self.deploy(&changed);
    }

    fn remove(&mut self, gone: &[String]) {
        if gone.is_empty() {
            return;
        }
        let seats: Vec<Arc<Seat>> = gone.iter().filter_map(|name| self.node.seat(name)).collect();
        self.node.rearrange(Vec::new(), gone);
        for seat in seats {
            let old = seat.exchange(None);
            if let Some(old) = &old {
                self.base.share.metrics.forget(old.tenant().name(), seat.name());
            }
            self.retire(old);
            self.base.share.logs.say(Level::Info, &format!("the app {} is gone", seat.name()));
        }
        self.known.retain(|name, _| !gone.contains(name));
    }

    /// Reads the files of apps and begins to set them up. An app that is new has its seat before that, so that its places
    /// are its own.
    fn deploy(&mut self, names: &[String]) {
        let mut ready = Vec::new();
        let mut seats = Vec::new();
        for name in names {
            match AppFiles::read(&self.base.files, name) {
                Ok(files) => {
                    if self.node.seat(name).is_none() {
                        seats.push(Seat::new(name, &files.manifest.hosts, &files.manifest.prefix));
                    }
                    ready.push(files);
                }
                Err(why) => self.fail(name, why),
            }
        }
        let refused: BTreeMap<String, String> = match seats.is_empty() {
            true => BTreeMap::new(),
            false => self.node.rearrange(seats, &[]).into_iter().collect(),
        };
        for files in ready {
            match refused.get(&files.name) {
                Some(why) => self.fail(&files.name.clone(), why.clone()),
                None => self.begin(files),
            }
        }
    }

    fn begin(&mut self, files: AppFiles) {
        let Some(known) = self.known.get_mut(&files.name) else { return };
        known.is_under_way = true;
        known.more = files.secret_files().collect();
        let number = self.numbers.entry(files.name.clone()).or_default();
        *number += 1;
        let number = *number;
        let kv = self.stores.get(&(files.manifest.tenant.clone(), files.name.clone())).cloned();
        let (base, places) = (Arc::clone(&self.base), Arc::clone(&self.places));
        self.under_way.spawn(async move {
            let (name, tenant) = (files.name.clone(), files.manifest.tenant.clone());
            let answers_at = (files.manifest.hosts.clone(), files.manifest.prefix.clone());
            let (kv, result) = set_up(&base, &places, files, number, kv).await;
            Finished { name, number, places: answers_at, tenant, kv, result }
        });
    }

    /// The next app that was set up, or not; none while none is being set up.
    pub(crate) async fn finished(&mut self) {
        match self.under_way.join_next().await {
            Some(Ok(finished)) => self.take_over(finished),
            // A panic was reported where it happened.
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    fn take_over(&mut self, finished: Finished) {
        let Finished { name, number, places: (hosts, prefix), tenant, kv, result } = finished;
        if let Some(kv) = kv {
            self.stores.insert((tenant, name.clone()), kv);
        }
        let Some(known) = self.known.get_mut(&name) else {
            // It is gone meanwhile.
            self.retire(result.ok());
            return;
        };
        known.is_under_way = false;
        let revision = match result {
            Ok(revision) => revision,
            Err(NotStarted { why, loaded, .. }) => {
                // What it lacks may come in one of them.
                known.more.extend(loaded);
                return self.fail(&name, why);
            }
        };
        known.more.extend(revision.app().loaded());
        let old = match self.node.seat(&name).filter(|seat| seat.is_at(&hosts, &prefix)) {
            Some(seat) => seat.exchange(Some(Arc::clone(&revision))),
            None => match self.move_to(&name, &hosts, &prefix, &revision) {
                Ok(old) => old,
                Err(why) => {
                    self.retire(Some(revision));
                    return self.fail(&name, why);
                }
            },
        };
        self.retire(old);
        self.note(&name, None);
        self.base.share.logs.say(Level::Info, &format!("deployed revision {number} of the app {name}"));
    }

    /// Gives an app other places, in one step with its revision. Returns the revision that answered at the old ones.
    fn move_to(
        &mut self,
        name: &str,
        hosts: &[String],
        prefix: &str,
        revision: &Arc<Revision>,
    ) -> Result<Option<Arc<Revision>>, String> {
        let old = self.node.seat(name);
        let seat = Seat::new(name, hosts, prefix);
        seat.exchange(Some(Arc::clone(revision)));
        match self.node.rearrange(vec![seat], &[]).pop() {
            // A request that has found the old seat already is answered by the new revision too.
            None => Ok(old.and_then(|seat| seat.exchange(Some(Arc::clone(revision))))),
            Some((_, why)) => Err(why),
        }
    }

    fn fail(&mut self, name: &str, why: String) {
        let running = self.node.seat(name).and_then(|seat| seat.current());
        let stays = running.map_or_else(String::new, |revision| format!("; revision {} stays", revision.number()));
        self.base.share.logs.say(Level::Error, &format!("the app {name} cannot be deployed{stays}: {why}"));
        self.note(name, Some(why));
    }

    fn note(&mut self, name: &str, failed: Option<String>) {
        if let Some(known) = self.known.get_mut(name) {
            known.failed = failed;
        }
    }

    /// Has a revision that was replaced answer its last requests and end.
    fn retire(&self, revision: Option<Arc<Revision>>) {
        if let Some(revision) = revision {
            self.retiring.spawn(async move { revision.retire().await });
        }
    }

    /// Ends all apps, waits until they have ended, and closes their stores.
    pub(crate) async fn close(mut self) {
        self.under_way.shutdown().await;
        for seat in self.node.seats() {
            self.retire(seat.exchange(None));
        }
        self.retiring.close();
        self.retiring.wait().await;
        // A request that was cut may hold a handle for a while: what it still changes is an error, and not lost.
        for kv in self.stores.values() {
            kv.close().await;
        }
    }
}

async fn set_up(
    base: &Arc<Base>,
    places: &Places,
    files: AppFiles,
    number: u64,
    kv: Option<Kv>,
) -> (Option<Kv>, Result<Arc<Revision>, NotStarted>) {
    let opened = match kv {
        Some(kv) => Ok(kv),
        None => {
            let (base, name, manifest) = (Arc::clone(base), files.name.clone(), files.manifest.clone());
            let opening = tokio::task::spawn_blocking(move || base.kv(&name, &manifest));
            places.within(opening).await.unwrap_or_else(|error| Err(error.to_string()))
        }
    };
    let kv = match opened {
        Ok(kv) => kv,
        Err(why) => return (None, Err(why.into())),
    };
    let attempt = || base.start(files.clone(), number, kv.clone());
    let (mut result, mut spent) = (places.within(attempt()).await, Duration::ZERO);
    // Other apps make room, those first that were asked longest ago.
    while let Err(NotStarted { for_memory: true, .. }) = &result
        && spent < ROOM
    {
        base.share.memory.want();
        tokio::time::sleep(AGAIN).await;
        let timed = async {
            let began = tokio::time::Instant::now();
            (attempt().await, began.elapsed())
        };
        let (again, time) = places.alone(&files.manifest.tenant, timed).await;
        spent += time + AGAIN;
        result = again;
    }
    (Some(kv), result)
}
