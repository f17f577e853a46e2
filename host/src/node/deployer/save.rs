//! What is known of the revisions of an app is written, whenever it has changed.
//!
//! The decision: an index is written beside the loop that deploys, since a disk takes its time; one of an app at a time. An
//! operator has an answer once what was done is on the disk: what was answered with 200 is there after a power cut.

use std::sync::Arc;

use starcell_log::Level;

use crate::node::durable::remove;

use super::Deployer;
use super::index::{Index, Saved};

impl Deployer {
    /// Writes what is known of the revisions of an app, without those that are not kept any more.
    pub(super) fn save(&mut self, name: &str) {
        let beside = self.node.seat(name).and_then(|seat| seat.beside());
        let beside = beside.iter().flat_map(|beside| beside.revisions()).map(|revision| revision.number());
        let Some(known) = self.known.get_mut(name) else { return };
        let pinned = known.history.pinned.as_ref().map(|pin| pin.revision);
        let used: Vec<u64> = beside.chain(known.history.current).chain(pinned).collect();
        known.dropped.extend(self.archive.prune(name, &mut known.history, &used));
        self.write(name);
    }

    /// Begins to write an index, unless it is being written, or says this already.
    fn write(&mut self, name: &str) {
        let Some(known) = self.known.get_mut(name) else { return };
        if known.is_saving || known.saved.as_ref() == Some(&known.history) {
            return;
        }
        known.is_saving = true;
        let (history, gone) = (known.history.clone(), std::mem::take(&mut known.dropped));
        let index = Index { name: name.to_owned(), history, gone };
        self.saving.spawn(index.write(self.archive.clone(), Arc::clone(&self.writers)));
    }

    /// Takes note of an index that was written, and answers whoever waited for that.
    pub(super) fn saved(&mut self, saved: Saved) {
        let Saved { name, history, result } = saved;
        let Some(known) = self.known.get_mut(&name) else { return };
        known.is_saving = false;
        match result {
            Ok(()) => {
                (known.saved, known.unsaved) = (Some(history), None);
                if known.saved.as_ref() != Some(&known.history) {
                    return self.write(&name);
                }
            }
            Err((why, gone)) => {
                self.base.share.logs.say(Level::Error, &format!("what the app {name} did is not kept: {why}"));
                known.dropped.extend(gone);
                known.unsaved = Some(why);
            }
        }
        if let Some((previous, note)) = known.came.take() {
            self.answer(&name, previous, note);
        }
        self.go_on(&name);
    }

    /// Removes what was written of a revision that nothing came of.
    pub(super) fn forget_unkept(&self, name: &str, number: u64) {
        let is_kept = self.known.get(name).is_some_and(|known| known.history.revision(number).is_some());
        let folder = self.archive.folder_of(name, number).filter(|_| !is_kept);
        if let Some(folder) = folder {
            self.retiring.spawn_blocking(move || drop(remove(&folder)));
        }
    }
}
