//! What runs beside the revision of an app that answers: put there, changed, and ended.

use std::sync::Arc;

use starcell_node::{Beside, Canary, Preview, Revision, Seat};
use tokio::time::Instant;

use super::Deployer;

impl Deployer {
    /// Puts a canary beside the revision that answers, or none, and ends the one before.
    pub(super) fn set_canary(&self, seat: &Seat, canary: Option<Canary>) {
        self.change_beside(seat, |beside| Beside { canary: canary.map(Arc::new), ..beside });
    }

    pub(super) fn add_preview(&self, seat: &Seat, preview: Preview) {
        let number = preview.revision.number();
        self.change_beside(seat, |mut beside| {
            beside.previews.retain(|other| other.revision.number() != number);
            beside.previews.push(preview);
            beside
        });
    }

    pub(super) fn allow_previews(&self, seat: &Seat, allowed: bool) {
        self.change_beside(seat, |beside| {
            let previews = if allowed { beside.previews } else { Vec::new() };
            Beside { has_previews: allowed, previews, ..beside }
        });
    }

    /// Ends the previews whose time is over.
    pub(super) fn end_previews(&mut self) {
        let now = Instant::now();
        let mut over = Vec::new();
        for (name, known) in &mut self.known {
            known.previews.retain(|number, until| {
                let lasts = *until > now;
                if !lasts {
                    over.push((name.clone(), *number));
                }
                lasts
            });
        }
        for (name, number) in over {
            if let Some(seat) = self.node.seat(&name) {
                self.change_beside(&seat, |mut beside| {
                    beside.previews.retain(|preview| preview.revision.number() != number);
                    beside
                });
            }
        }
    }

    /// Ends all previews of an app.
    pub(super) fn end_previews_of(&mut self, name: &str) {
        if let Some(known) = self.known.get_mut(name) {
            known.previews.clear();
        }
        if let Some(seat) = self.node.seat(name).filter(|seat| seat.beside().is_some()) {
            self.change_beside(&seat, |beside| Beside { previews: Vec::new(), ..beside });
        }
    }

    /// Changes what runs beside the revision that answers, and retires what does so no more.
    fn change_beside(&self, seat: &Seat, change: impl FnOnce(Beside) -> Beside) {
        let before = seat.beside();
        let after = change(before.as_deref().cloned().unwrap_or_default());
        let is_empty = after.canary.is_none() && after.previews.is_empty() && !after.has_previews;
        let after = (!is_empty).then(|| Arc::new(after));
        seat.set_beside(after.clone());
        self.retire_beside(before, after.as_deref(), seat.current().as_ref());
    }

    /// Retires what ran beside, but for what still does and for `current`, which answers now.
    pub(super) fn retire_beside(
        &self,
        before: Option<Arc<Beside>>,
        after: Option<&Beside>,
        current: Option<&Arc<Revision>>,
    ) {
        for revision in before.iter().flat_map(|before| before.revisions()) {
            let mut staying = after.iter().flat_map(|after| after.revisions()).chain(current);
            if !staying.any(|other| Arc::ptr_eq(other, revision)) {
                self.retire(Some(Arc::clone(revision)));
            }
        }
    }
}
