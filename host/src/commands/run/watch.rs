//! Notices that a file of the script has changed.
//!
//! By looking: it works on every file system, survives editors that replace a file by renaming another one over it, and
//! costs one system call a file each time.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// What changes with a file; a file that is not there has none. A file that another one takes the place of can have its
/// size and its time of modification, as `mv`, `rsync -t` and reproducible images leave them: then its inode differs, or
/// the time when the inode changed, which nobody can set.
type Stamp = Option<Identity>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: (u64, u64),
}

impl Identity {
    fn of(about: &Metadata) -> Self {
        Self {
            size: about.size(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
            inode: (about.dev(), about.ino()),
        }
    }
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

    #[expect(clippy::disallowed_methods, reason = "looks at the script that the command line names")]
    async fn look(&self, mut files: Vec<PathBuf>) -> BTreeMap<PathBuf, Stamp> {
        files.push(self.script.clone());
        let mut stamps = BTreeMap::new();
        for file in files {
            let about = tokio::fs::metadata(&file).await.ok();
            stamps.insert(file, about.as_ref().map(Identity::of));
        }
        stamps
    }
}
