//! Notices that a file of the script has changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::stamp::{Stamp, stamps};
use starcell_runtime::slow::on_blocking_thread;

/// How often the files are looked at. A change counts once it has rested for one look, so that half a file is not read.
const LOOK: Duration = Duration::from_millis(100);

/// The files of a script, as they were when they last counted as changed.
#[derive(Debug)]
pub(super) struct Watch {
    script: PathBuf,
    seen: BTreeMap<PathBuf, Stamp>,
    /// As they were at the last look.
    before: BTreeMap<PathBuf, Stamp>,
}

impl Watch {
    /// Watches a script, from its first look on: [`begin`](Self::begin), or the first turn of [`changed`](Self::changed).
    #[must_use]
    pub(super) fn new(script: &Path) -> Self {
        Self { script: script.to_owned(), seen: BTreeMap::new(), before: BTreeMap::new() }
    }

    /// Looks for the first time. Before the script runs: whoever sees it serve may change it at once.
    pub(super) async fn begin(&mut self, files: Vec<PathBuf>) {
        self.seen = self.look(files).await;
    }

    /// Ends when the script, or one of `files`, has changed. A script that is not there now is waited for.
    pub(super) async fn changed(&mut self, files: impl Fn() -> Vec<PathBuf>) {
        loop {
            let now = self.look(files()).await;
            // What is watched from now on has not changed by that.
            for (file, stamp) in &now {
                self.seen.entry(file.clone()).or_insert(*stamp);
            }
            let rests = now == self.before;
            self.before.clone_from(&now);
            let changed = now.iter().any(|(file, stamp)| self.seen.get(file) != Some(stamp));
            if changed && rests && now.get(&self.script).is_some_and(Option::is_some) {
                self.seen = now;
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look(&self, mut files: Vec<PathBuf>) -> BTreeMap<PathBuf, Stamp> {
        files.push(self.script.clone());
        // A look that is lost has seen no file, which counts as a change and is looked at again.
        on_blocking_thread(|| stamps(files)).await.unwrap_or_default()
    }
}
