//! What a deployer knows of one app.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use starcell_config::AppManifest;
use starcell_node::{PreviewKey, Revision, Tally};
use tokio::time::Instant;

use crate::api::views::DoneView;
use crate::node::history::History;
use crate::node::orders::{Act, Reply};
use crate::stamp::Stamp;

/// What is known of an app.
#[derive(Default)]
pub(super) struct Known {
    /// Its files, as they were when they were last read.
    pub(super) seen: BTreeMap<PathBuf, Stamp>,
    /// As they were at the last look.
    pub(super) before: BTreeMap<PathBuf, Stamp>,
    /// Its files beside its script and its description: secrets, and what the script has loaded.
    pub(super) more: BTreeSet<PathBuf>,
    pub(super) is_under_way: bool,
    /// Whether it is to be set up anew though its files are the same: the configuration has changed.
    pub(super) is_stale: bool,
    /// Whether its next revision has a new number for that reason.
    pub(super) counts_anew: bool,
    /// Why its last change could not be deployed.
    pub(super) failed: Option<String>,
    /// Why what is known of its revisions could not be written, the last time that it was.
    pub(super) unsaved: Option<String>,
    /// Its description: of what answers, or of what could not be set up where nothing does.
    pub(super) manifest: Option<Arc<AppManifest>>,
    /// Its revisions.
    pub(super) history: History,
    /// Its revisions as they were last written, or read.
    pub(super) saved: Option<History>,
    /// Whether they are being written.
    pub(super) is_saving: bool,
    /// The folders of revisions that the next index names no more.
    pub(super) dropped: Vec<PathBuf>,
    /// What its requests came to.
    pub(super) tally: Arc<Tally>,
    /// The revision that an operator has drained.
    pub(super) drained: Option<Arc<Revision>>,
    /// When previews end, by the number of their revision.
    pub(super) previews: BTreeMap<u64, Instant>,
    /// Whoever waits for what is set up or written now.
    pub(super) waiting: Option<Waiting>,
    /// What the order of whoever waits came to, until it is written: the revision that answered before, and a note.
    pub(super) came: Option<(Option<u64>, Option<String>)>,
    /// What was asked for while something else was set up.
    pub(super) queue: VecDeque<(Act, Reply<DoneView>)>,
}

/// An order that is carried out once something is set up.
pub(super) struct Waiting {
    /// The order.
    pub(super) act: Act,
    /// Where its answer goes.
    pub(super) reply: Reply<DoneView>,
}

/// What becomes of a revision that was set up.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// It answers. `pinned` says that it does so instead of the one in the folder of the app.
    Current {
        /// Whether it is not the one in the folder of the app.
        pinned: bool,
    },
    /// It answers so many of every hundred requests.
    Canary(u8),
    /// It answers the requests with its key, for a while.
    Preview(PreviewKey, Duration),
}

impl Known {
    /// The owner of the app, as far as it is known.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.manifest.as_ref().map(|manifest| manifest.tenant.as_str())
    }

    /// Whether the app is one of a tenant, where only those may be seen.
    pub(super) fn is_within(&self, tenant: Option<&str>) -> bool {
        tenant.is_none_or(|tenant| self.tenant() == Some(tenant))
    }
}

/// What could not be deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The files of an app, as its folder has them: they cannot be read, or contradict others.
    Files,
    /// The script of an app, as its folder has it.
    Folder,
    /// A revision that is kept.
    Kept,
}

impl Fault {
    /// The word for programs.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Files => "bad_configuration",
            Self::Folder | Self::Kept => "not_deployed",
        }
    }
}
