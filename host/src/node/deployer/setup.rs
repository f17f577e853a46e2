//! An app is set up, and its files are kept, in a task of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use starcell_config::AppManifest;
use starcell_node::{NotStarted, Revision, Tally};
use starcell_runtime::Kv;
use starcell_runtime::slow::on_blocking_thread;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::node::archive::Archive;
use crate::node::base::Base;
use crate::node::files::AppFiles;
use crate::node::history::KeptRevision;
use crate::node::places::Places;
use crate::stamp::{Stamp, stamps};

use super::known::Purpose;

/// How long an app that finds no memory waits for others to make room, and how often it tries again.
const ROOM: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(300);

/// What it takes to set an app up.
pub(super) struct Workshop {
    pub(super) base: Arc<Base>,
    pub(super) places: Arc<Places>,
    pub(super) archive: Archive,
    /// Places for those who write to the disk.
    pub(super) writers: Arc<Semaphore>,
}

/// What to set up.
pub(super) struct Task {
    pub(super) files: AppFiles,
    pub(super) number: u64,
    pub(super) purpose: Purpose,
    pub(super) tally: Arc<Tally>,
    /// Whether it is kept already.
    pub(super) is_kept: bool,
}

/// An app that was set up, or not.
pub(super) struct Finished {
    pub(super) name: String,
    pub(super) number: u64,
    pub(super) purpose: Purpose,
    pub(super) manifest: Arc<AppManifest>,
    pub(super) kv: Option<Kv>,
    pub(super) result: Result<Arc<Revision>, NotStarted>,
    /// What its script had asked for by then, as it was at that time.
    pub(super) loaded: BTreeMap<PathBuf, Stamp>,
    /// The revision as it is kept, if it could be.
    pub(super) kept: Result<Option<KeptRevision>, String>,
}

impl Workshop {
    /// Sets an app up. A store that is open already is used.
    pub(super) async fn set_up(&self, task: Task, kv: Option<Kv>) -> Finished {
        let Task { files, number, purpose, tally, is_kept } = task;
        let (name, manifest) = (files.name.clone(), Arc::new(files.manifest.clone()));
        let finished =
            |kv, result, loaded, kept| Finished { name, number, purpose, manifest, kv, result, loaded, kept };
        let kv = match kv {
            Some(kv) => Ok(kv),
            None => self.open(&files).await,
        };
        let kv = match kv {
            Ok(kv) => kv,
            Err(why) => return finished(None, Err(why.into()), BTreeMap::new(), Ok(None)),
        };
        let attempt = || self.base.start(files.clone(), number, kv.clone(), Arc::clone(&tally));
        let result = self.start(&files.manifest.tenant, attempt).await;
        let loaded = match &result {
            Ok(revision) => revision.app().loaded(),
            Err(not_started) => not_started.loaded.clone(),
        };
        // Before it waits for the disk: a file that changes in that time has changed.
        let seen = on_blocking_thread({
            let loaded = loaded.clone();
            move || stamps(loaded)
        });
        let seen = seen.await.unwrap_or_default();
        let kept = match result.is_ok() && !is_kept {
            true => self.keep(files, number, loaded).await.map(Some),
            false => Ok(None),
        };
        finished(Some(kv), result, seen, kept)
    }

    async fn open(&self, files: &AppFiles) -> Result<Kv, String> {
        let (base, name, manifest) = (Arc::clone(&self.base), files.name.clone(), files.manifest.clone());
        let opening = on_blocking_thread(move || base.kv(&name, &manifest));
        self.places.within(opening).await.unwrap_or_else(|error| Err(error.to_string()))
    }

    async fn keep(&self, files: AppFiles, number: u64, loaded: Vec<PathBuf>) -> Result<KeptRevision, String> {
        // It is never closed.
        let _place = self.writers.acquire().await;
        let archive = self.archive.clone();
        let keeping = on_blocking_thread(move || archive.keep(&files, number, &loaded));
        keeping.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Sets an app up, again for a while where it lacks memory.
    async fn start<F: Future<Output = Result<Arc<Revision>, NotStarted>>>(
        &self,
        tenant: &str,
        attempt: impl Fn() -> F,
    ) -> Result<Arc<Revision>, NotStarted> {
        let (mut result, mut spent) = (self.places.within(attempt()).await, Duration::ZERO);
        // Other apps make room, those first that were asked longest ago.
        while let Err(NotStarted { for_memory: true, .. }) = &result
            && spent < ROOM
        {
            self.base.share.memory.want();
            tokio::time::sleep(AGAIN).await;
            let timed = async {
                let began = Instant::now();
                (attempt().await, began.elapsed())
            };
            let (again, time) = self.places.alone(tenant, timed).await;
            spent += time + AGAIN;
            result = again;
        }
        result
    }
}
