//! Which files of an app are set up, and under which number.

use std::collections::BTreeMap;
use std::sync::Arc;

use starcell_log::Level;
use starcell_node::Seat;

use crate::node::files::AppFiles;
use crate::stamp::stamps;

use super::Deployer;
use super::known::{Fault, Purpose};
use super::setup::{Task, Workshop};

impl Deployer {
    /// Reads the files of apps and begins to set them up. An app that is new has its seat before that, so that its places
    /// are its own. `unpin` has what is in its folder count, whatever an operator has put in its place.
    pub(super) fn deploy(&mut self, names: &[String], unpin: bool) {
        let mut ready = Vec::new();
        let mut seats = Vec::new();
        for name in names {
            let found = match AppFiles::read(&self.base.files, name) {
                Ok(files) if unpin => Ok((files, Purpose::Current { pinned: false })),
                Ok(files) => Ok(self.pinned_or(files)),
                Err(why) => {
                    let kept = self.pinned_over_nothing(name).filter(|_| !unpin);
                    kept.map(|files| (files, Purpose::Current { pinned: true })).ok_or(why)
                }
            };
            match found {
                Ok((files, purpose)) => {
                    if self.node.seat(name).is_none() {
                        seats.push(Seat::new(name, &files.manifest.hosts, &files.manifest.prefix));
                    }
                    ready.push((files, purpose));
                }
                Err(why) => self.fail(name, why, Fault::Files),
            }
        }
        let refused: BTreeMap<String, String> = match seats.is_empty() {
            true => BTreeMap::new(),
            false => self.node.rearrange(seats, &[]).into_iter().collect(),
        };
        for (files, purpose) in ready {
            match refused.get(&files.name) {
                Some(why) => self.fail(&files.name.clone(), why.clone(), Fault::Files),
                None => self.begin(files, purpose, None),
            }
        }
    }

    /// The files of an app, or those of the revision that an operator has put in their place.
    fn pinned_or(&self, files: AppFiles) -> (AppFiles, Purpose) {
        let of_folder = |files| (files, Purpose::Current { pinned: false });
        let pinned = self.known.get(&files.name).and_then(|known| known.history.pinned_over(&files));
        let Some(number) = pinned else { return of_folder(files) };
        match self.kept_files(&files.name, number) {
            Ok(kept) => (kept, Purpose::Current { pinned: true }),
            Err(why) => {
                let text = format!("revision {number} of the app {} cannot be read: {why}", files.name);
                self.base.share.logs.say(Level::Error, &text);
                of_folder(files)
            }
        }
    }

    /// The files of the revision that an operator had answer while those in the folder could not be read.
    fn pinned_over_nothing(&self, name: &str) -> Option<AppFiles> {
        let pin = self.known.get(name)?.history.pinned.as_ref().filter(|pin| pin.instead_of.is_empty())?;
        self.kept_files(name, pin.revision).ok()
    }

    /// The files of a revision that is kept.
    pub(super) fn kept_files(&self, name: &str, number: u64) -> Result<AppFiles, String> {
        let folder = self.archive.folder_of(name, number).ok_or("no revision is kept while a node is checked")?;
        AppFiles::kept(&self.base.files, name, folder)
    }

    /// Begins to set an app up. `number` is that of a revision that is kept; without one the files tell it.
    pub(super) fn begin(&mut self, files: AppFiles, purpose: Purpose, number: Option<u64>) {
        let Some(known) = self.known.get_mut(&files.name) else { return };
        known.is_under_way = true;
        if known.manifest.is_none() {
            known.manifest = Some(Arc::new(files.manifest.clone()));
        }
        let pinned = match purpose {
            Purpose::Current { pinned: true } => known.history.pinned.as_ref().map(|pin| pin.revision),
            _ => None,
        };
        match purpose {
            Purpose::Current { pinned: false } => known.more = files.secret_files().collect(),
            Purpose::Current { pinned: true } => {
                // A change in the folder of the app counts all the same.
                let pin = known.history.pinned.as_ref();
                let loaded = pin.iter().flat_map(|pin| &pin.loaded).map(|path| files.folder.join(path));
                for (file, stamp) in stamps(files.secret_files().chain(loaded).collect()) {
                    known.more.insert(file.clone());
                    known.seen.entry(file).or_insert(stamp);
                }
            }
            Purpose::Canary(_) | Purpose::Preview(..) => {}
        }
        let mut counts_anew = false;
        if matches!(purpose, Purpose::Current { .. }) {
            counts_anew = std::mem::take(&mut known.counts_anew) | std::mem::take(&mut known.is_stale);
        }
        let number = number.or(pinned).unwrap_or_else(|| match counts_anew {
            true => known.history.last + 1,
            false => known.history.number_for(&files),
        });
        // A number is used once, though nothing came of it.
        known.history.last = known.history.last.max(number);
        let is_kept = known.history.revision(number).is_some();
        let task = Task { number, purpose, tally: Arc::clone(&known.tally), is_kept, files };
        let kv = self.stores.get(&(task.files.manifest.tenant.clone(), task.files.name.clone())).cloned();
        let workshop = Workshop {
            base: Arc::clone(&self.base),
            places: Arc::clone(&self.places),
            archive: self.archive.clone(),
            writers: Arc::clone(&self.writers),
        };
        self.under_way.spawn(async move { workshop.set_up(task, kv).await });
    }
}
