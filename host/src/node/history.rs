//! What is known of the revisions of an app: which are kept, which one answers, and whether an operator has decided so.
//!
//! A revision is pinned when an operator has it answer instead of the one in the app's own folder: one that was there before,
//! or one that was sent. The pin holds until the folder has other files than it had at that time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use starcell_node::subject::digest;
use starcell_runtime::read_source;

use crate::folder::MAIN;

use super::files::{AppFiles, MANIFEST};

/// What is known of the revisions of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct History {
    /// The number of the last revision that there ever was.
    pub(crate) last: u64,
    /// The revision that answers, or did before the app was stopped.
    pub(crate) current: Option<u64>,
    /// Those that are kept, the oldest first.
    pub(crate) kept: Vec<KeptRevision>,
    /// The one that answers instead of the one in the folder of the app.
    pub(crate) pinned: Option<Pin>,
    /// Whether an operator has stopped the app.
    pub(crate) stopped: bool,
}

/// A revision that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptRevision {
    /// Its number.
    pub(crate) number: u64,
    /// Tells script, loaded files and `app.toml`.
    pub(crate) digest: String,
    /// When it was set up first, in RFC 3339.
    pub(crate) deployed: String,
    /// Whose app it was; not known of one that an older version kept.
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    /// The files that it loads, by their paths in the folder.
    pub(crate) loaded: BTreeSet<String>,
}

/// A revision that was made to answer instead of the one in the folder of the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// Its number.
    pub(crate) revision: u64,
    /// The digest of the folder at that time: once it has another one, what is in it counts again.
    pub(crate) instead_of: String,
    /// The loaded files that the digest is of.
    pub(crate) loaded: BTreeSet<String>,
}

impl History {
    /// The number of a revision with these files: that of the one that answers if it has the same, else a new one.
    pub(crate) fn number_for(&self, files: &AppFiles) -> u64 {
        let same = self.current.and_then(|current| self.revision(current));
        let same = same.filter(|kept| kept.digest == content(files, &kept.loaded));
        same.map_or(self.last + 1, |kept| kept.number)
    }

    /// A revision that is kept.
    pub(crate) fn revision(&self, number: u64) -> Option<&KeptRevision> {
        self.kept.iter().find(|kept| kept.number == number)
    }

    /// The newest revision that is older than the one that answers.
    pub(crate) fn before_current(&self) -> Option<u64> {
        let current = self.current.unwrap_or(u64::MAX);
        self.kept.iter().map(|kept| kept.number).filter(|number| *number < current).max()
    }

    /// Whether a revision shall answer instead of the one with these files.
    pub(crate) fn pinned_over(&self, files: &AppFiles) -> Option<u64> {
        let pin = self.pinned.as_ref()?;
        (content(files, &pin.loaded) == pin.instead_of).then_some(pin.revision)
    }

    /// Has a revision answer instead of the one with these files, unless they are the same.
    pub(crate) fn pin(&mut self, revision: u64, folder: Option<&AppFiles>) {
        let Some(kept) = self.revision(revision) else { return };
        let loaded: BTreeSet<String> = self.kept.iter().flat_map(|kept| kept.loaded.iter().cloned()).collect();
        let same = folder.is_some_and(|files| content(files, &kept.loaded) == kept.digest);
        let instead_of = folder.map_or_else(String::new, |files| content(files, &loaded));
        self.pinned = (!same).then_some(Pin { revision, instead_of, loaded });
    }

    /// Adds a revision, or puts it in the place of the one with its number.
    pub(crate) fn add(&mut self, kept: KeptRevision) {
        self.last = self.last.max(kept.number);
        match self.kept.iter_mut().find(|other| other.number == kept.number) {
            // It was deployed when it was set up first.
            Some(other) => *other = KeptRevision { deployed: other.deployed.clone(), ..kept },
            None => self.kept.push(kept),
        }
    }
}

/// The digest of the files of a revision.
pub(super) fn content(files: &AppFiles, loaded: &BTreeSet<String>) -> String {
    let mut all = Vec::new();
    let mut push = |name: &str, bytes: Option<&[u8]>| {
        // Lengths keep two lists of files apart that look alike in a row.
        let length = bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        all.extend_from_slice(format!("{}:{name}:{length}:", name.len()).as_bytes());
        all.extend_from_slice(bytes.unwrap_or_default());
    };
    push(MANIFEST, Some(&files.written));
    push(MAIN, Some(&files.source));
    for path in loaded {
        push(path, read_source(&files.sources, path).ok().as_deref());
    }
    digest(&all)
}
