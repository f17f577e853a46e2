//! Apps that come, change and go.
//!
//! The folder of the apps is looked at again and again; it works on every file system, and survives editors that replace a
//! file by renaming another one over it. A change counts once it has rested for one look, so that half a deployment is not
//! read. What changed is set up beside what runs, each app in a task of its own, and takes its place as a whole. One that
//! cannot be set up replaces nothing; the log says why, and the next change of its files is the next try.
//!
//! - `known`: what is known of one app
//! - `look`: what has changed in the folder
//! - `begin`: which files are set up, and under which number
//! - `setup`: an app is set up and its files are kept, in a task of its own
//! - `put`: a revision that was set up takes its place
//! - `save`, `index`: what is known of the revisions is written
//! - `queue`: what operators ask for, one order after another
//! - `acts`: what each order does
//! - `beside`: canaries and previews
//! - `shows`: what operators see

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use starcell_node::{Node, Revision};
use starcell_runtime::Kv;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::archive::Archive;
use super::base::Base;
use super::places::Places;
use index::Saved;
use known::Known;
use setup::Finished;

mod acts;
mod begin;
mod beside;
mod index;
mod known;
mod look;
mod put;
mod queue;
mod save;
mod setup;
mod shows;

/// The shortest time between two looks at the folder.
const LOOK: Duration = Duration::from_millis(100);

/// How much longer the time between two looks is than a look: looking costs one core no more than a fiftieth of its time.
const REST: u32 = 50;

/// Revisions and indexes that are written at once. Those that are synced together share a turn of the disk; more of them
/// would only hold threads.
const WRITERS: usize = 8;

/// Whoever sets apps up.
pub(crate) struct Deployer {
    base: Arc<Base>,
    node: Arc<Node>,
    known: BTreeMap<String, Known>,
    archive: Archive,
    /// The number of the last revision of each app that is gone.
    numbers: BTreeMap<String, u64>,
    /// The stores, by tenant and app. One that is open stays so: an app that is taken away and put back at once would find it
    /// in use by its last revision.
    stores: BTreeMap<(String, String), Kv>,
    /// Apps that are being set up.
    under_way: JoinSet<Finished>,
    /// Indexes that are being written.
    saving: JoinSet<Saved>,
    /// Places for those who write to the disk.
    writers: Arc<Semaphore>,
    /// Revisions that answer their last requests.
    retiring: TaskTracker,
    places: Arc<Places>,
    /// When it is time for the next look.
    next_look: Instant,
    /// What was last said about the folder as a whole.
    complained: Option<String>,
}

impl Deployer {
    /// Nothing is set up yet.
    pub(crate) fn new(base: Arc<Base>, node: Arc<Node>) -> Self {
        let state = (!base.arguments.check).then_some(base.files.state.as_path());
        let archive = Archive::new(state, base.files.config.revisions);
        Self {
            base,
            node,
            known: BTreeMap::new(),
            archive,
            numbers: BTreeMap::new(),
            stores: BTreeMap::new(),
            under_way: JoinSet::new(),
            saving: JoinSet::new(),
            writers: Arc::new(Semaphore::new(WRITERS)),
            retiring: TaskTracker::new(),
            places: Arc::new(Places::new()),
            next_look: Instant::now(),
            complained: None,
        }
    }

    /// Sets apps up from here on with what a changed configuration says.
    pub(crate) fn change(&mut self, base: Arc<Base>) {
        self.archive.set_keep(base.files.config.revisions);
        self.base = base;
    }

    /// The apps that answer, and those that an operator has drained, each with its tenant.
    pub(crate) fn tenants(&self) -> Vec<(String, String)> {
        let revision = |(name, known): (&String, &Known)| {
            let current = self.node.seat(name).and_then(|seat| seat.current());
            let revision = current.or_else(|| known.drained.clone())?;
            Some((name.clone(), revision.tenant().name().to_owned()))
        };
        self.known.iter().filter_map(revision).collect()
    }

    /// Has the next look set these apps up anew, although their files are the same, and those that are being set up now. Each
    /// gets a new number, since it may do something else from then on.
    pub(crate) fn forget(&mut self, names: &[String]) {
        for (name, known) in &mut self.known {
            known.is_stale |= known.is_under_way || names.contains(name);
        }
        // They run under the configuration that was.
        names.iter().for_each(|name| self.end_previews_of(name));
    }

    /// Ends when it is time for the next look.
    pub(crate) fn pause(&self) -> impl Future<Output = ()> + use<> {
        tokio::time::sleep_until(self.next_look)
    }

    /// Whether nothing is being set up.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// The apps that could not be deployed as they are now, and why.
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.known.iter().filter_map(|(name, known)| Some((name.as_str(), known.failed.as_deref()?)))
    }

    /// Ends with the next app that was set up, or not, and with each index that was written; never while there is neither.
    pub(crate) async fn finished(&mut self) {
        // A panic was reported where it happened.
        tokio::select! {
            Some(finished) = self.under_way.join_next() => {
                if let Ok(finished) = finished {
                    self.take_over(finished);
                }
            }
            Some(saved) = self.saving.join_next() => {
                if let Ok(saved) = saved {
                    self.saved(saved);
                }
            }
            else => std::future::pending().await,
        }
    }

    /// Has a revision that was replaced answer its last requests and end.
    fn retire(&self, revision: Option<Arc<Revision>>) {
        if let Some(revision) = revision {
            self.retiring.spawn(async move { revision.retire().await });
        }
    }

    /// Ends all apps, waits until they have ended and what is known of them is written, and closes their stores. Orders that
    /// are not carried out are refused.
    pub(crate) async fn close(mut self) {
        self.under_way.shutdown().await;
        for known in self.known.values_mut() {
            known.queue.clear();
            if known.came.is_none() {
                known.waiting = None;
            }
        }
        for seat in self.node.seats() {
            self.retire(seat.exchange(None));
            self.retire_beside(seat.set_beside(None), None, None);
        }
        let drained: Vec<_> = self.known.values_mut().filter_map(|known| known.drained.take()).collect();
        drained.into_iter().for_each(|drained| self.retire(Some(drained)));
        while let Some(saved) = self.saving.join_next().await {
            if let Ok(saved) = saved {
                self.saved(saved);
            }
        }
        self.retiring.close();
        self.retiring.wait().await;
        // A request that was cut may hold a handle for a while: what it still changes is an error, and not lost.
        for kv in self.stores.values() {
            kv.close().await;
        }
    }
}
