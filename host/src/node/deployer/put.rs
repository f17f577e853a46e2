//! A revision that was set up takes its place, or is told of as a failure.

use std::sync::Arc;

use http::StatusCode;
use starcell_config::AppManifest;
use starcell_log::Level;
use starcell_node::{Canary, NotStarted, Preview, Revision, Seat};
use tokio::time::Instant;

use crate::node::files::AppFiles;
use crate::node::orders::Refused;

use super::Deployer;
use super::known::{Fault, Purpose};
use super::setup::Finished;

impl Deployer {
    /// Takes note of an app that was set up, or not.
    pub(super) fn take_over(&mut self, finished: Finished) {
        let Finished { name, number, purpose, manifest, kv, result, loaded, kept } = finished;
        if let Some(kv) = kv {
            self.stores.insert((manifest.tenant.clone(), name.clone()), kv);
        }
        let Some(known) = self.known.get_mut(&name) else {
            // It is gone meanwhile.
            self.retire(result.ok());
            return;
        };
        known.is_under_way = false;
        let of_folder = matches!(purpose, Purpose::Current { pinned: false });
        if of_folder {
            // Also where it failed: what it lacks may come in one of them. A change since then counts at the next look.
            known.more.extend(loaded.keys().cloned());
            for (file, stamp) in loaded {
                known.seen.entry(file).or_insert(stamp);
            }
        }
        let is_added = matches!(kept, Ok(Some(_)));
        let done = match (result, kept) {
            (Ok(revision), Ok(kept)) => {
                kept.into_iter().for_each(|kept| known.history.add(kept));
                self.put(&name, &manifest, purpose, revision)
            }
            // What is in the folder of the app is there after a restart; what was sent would not be.
            (Ok(revision), Err(why)) if of_folder => {
                let text = format!("revision {number} of the app {name} is not kept: {why}");
                self.base.share.logs.say(Level::Error, &text);
                self.put(&name, &manifest, purpose, revision)
            }
            (Ok(revision), Err(why)) => {
                self.retire(Some(revision));
                Err(format!("the revision cannot be kept: {why}"))
            }
            (Err(NotStarted { why, .. }), _) => Err(why),
        };
        match done {
            Ok(previous) => self.done(&name, previous),
            Err(why) => {
                if let Some(known) = self.known.get_mut(&name).filter(|_| is_added) {
                    known.history.kept.retain(|kept| kept.number != number);
                }
                self.forget_unkept(&name, number);
                self.fail(&name, why, if of_folder { Fault::Folder } else { Fault::Kept });
            }
        }
        self.go_on(&name);
    }

    /// Has a revision that was set up do what it is for. Returns the number of the one that answered before.
    fn put(
        &mut self,
        name: &str,
        manifest: &Arc<AppManifest>,
        purpose: Purpose,
        revision: Arc<Revision>,
    ) -> Result<Option<u64>, String> {
        let seat = self.node.seat(name).filter(|seat| seat.is_at(&manifest.hosts, &manifest.prefix));
        match (purpose, seat) {
            (Purpose::Current { pinned }, seat) => self.lead(name, manifest, pinned, revision, seat),
            (Purpose::Canary(percent), Some(seat)) => {
                let previous = seat.current().map(|current| current.number());
                self.set_canary(&seat, Some(Canary::new(revision, percent)));
                Ok(previous)
            }
            (Purpose::Preview(key, time), Some(seat)) => {
                let previous = seat.current().map(|current| current.number());
                if let Some(known) = self.known.get_mut(name) {
                    known.previews.insert(revision.number(), Instant::now() + time);
                }
                self.add_preview(&seat, Preview { revision, key });
                Ok(previous)
            }
            (Purpose::Canary(_) | Purpose::Preview(..), None) => {
                self.retire(Some(revision));
                Err("the revision answers at other hosts, or below another path; roll back to it instead".to_owned())
            }
        }
    }

    /// Has a revision answer from now on, in place of the one that did.
    pub(super) fn lead(
        &mut self,
        name: &str,
        manifest: &Arc<AppManifest>,
        pinned: bool,
        revision: Arc<Revision>,
        seat: Option<Arc<Seat>>,
    ) -> Result<Option<u64>, String> {
        revision.lead(true);
        let (before, moves) = (self.node.seat(name), seat.is_none());
        let old = match seat {
            Some(seat) => {
                let old = seat.exchange(Some(Arc::clone(&revision)));
                // A canary was beside another one.
                self.set_canary(&seat, None);
                self.allow_previews(&seat, manifest.preview);
                old
            }
            None => match self.move_to(name, &manifest.hosts, &manifest.prefix, &revision) {
                Ok(old) => {
                    // What ran beside was at the old places.
                    if let Some(before) = before {
                        self.retire_beside(before.set_beside(None), None, None);
                    }
                    if let Some(seat) = self.node.seat(name) {
                        self.allow_previews(&seat, manifest.preview);
                    }
                    old
                }
                Err(why) => {
                    self.retire(Some(revision));
                    return Err(why);
                }
            },
        };
        let number = revision.number();
        let folder = if pinned { AppFiles::read(&self.base.files, name).ok() } else { None };
        let Some(known) = self.known.get_mut(name) else { return Ok(None) };
        known.manifest = Some(Arc::clone(manifest));
        known.failed = None;
        known.history.current = Some(number);
        known.history.stopped = false;
        match pinned {
            true if known.history.pinned.as_ref().is_none_or(|pin| pin.revision != number) => {
                known.history.pin(number, folder.as_ref());
            }
            true => {}
            false => known.history.pinned = None,
        }
        if moves || !manifest.preview {
            known.previews.clear();
        }
        let drained = known.drained.take();
        let previous = old.as_ref().or(drained.as_ref()).map(|old| old.number());
        self.retire(drained);
        self.retire(old);
        self.save(name);
        self.base.share.logs.say(Level::Info, &format!("deployed revision {number} of the app {name}"));
        Ok(previous)
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

    /// Tells that something could not be deployed.
    pub(super) fn fail(&mut self, name: &str, why: String, fault: Fault) {
        let running = self.node.seat(name).and_then(|seat| seat.current());
        let stays = running.map_or_else(String::new, |revision| format!("; revision {} stays", revision.number()));
        self.base.share.logs.say(Level::Error, &format!("the app {name} cannot be deployed{stays}: {why}"));
        let Some(known) = self.known.get_mut(name) else { return };
        if let Some(waiting) = known.waiting.take() {
            let message = format!("the app {name} cannot be deployed{stays}: {why}");
            // Whoever asked may have left.
            let _ = waiting.reply.send(Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, fault.code(), message)));
        }
        if fault != Fault::Kept {
            known.failed = Some(why);
        }
    }
}
