//! Apps that come from elsewhere: from a bundle, or from a registry.
//!
//! **The decision.** A bundle is looked for again and again beside everything else that the node does, and nothing waits for
//! it but the start of a node that has none. One that was believed is kept in the state folder and unpacked below it, and from
//! there on its apps are a folder like any other: each one that changed is set up beside its running revision. Whatever a
//! registry answers, or does not, the apps that run go on; the log says once what is wrong, and once that it is over. A node
//! whose registry is away starts with what was kept, and says so.
//!
//! **What it refuses.** A bundle as a whole, if one thing in it is not as it must be: half of a set of apps is none that
//! somebody has tried. A start without any bundle.
//!
//! - `look`: one look at the file or the registry, and the judgement of what is there
//! - `kept`: the last bundle that was believed, on disk
//! - `unpack`: its apps as folders, exchanged by their links

mod kept;
mod look;
mod unpack;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use starcell_config::AppsPlace;
use starcell_log::{Level, Logs};
use starcell_runtime::slow::on_blocking_thread;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::kept::KeptBundle;
use self::look::{Believed, BundleSource, Looked, Unbelieved};
use super::files::NodeFiles;
use crate::exit::Exit;

/// How long a node that starts waits for its registry before it goes on with what was kept.
const START: Duration = Duration::from_secs(20);

/// Where the apps of a node come from, if that is not a folder of the operator's.
pub(crate) struct Elsewhere {
    stands: Option<Standing>,
    logs: Logs,
}

struct Standing {
    source: Arc<BundleSource>,
    kept: KeptBundle,
    /// The folder that its apps are unpacked to.
    apps: PathBuf,
    /// The place as the configuration has it.
    place: String,
    /// The look that is under way.
    under_way: JoinSet<Result<Looked, Unbelieved>>,
    next: Instant,
    /// What was last said to be wrong.
    complained: Option<String>,
}

/// A bundle that was believed and is to be taken.
pub(crate) struct ArrivedBundle(Box<Believed>);

impl Elsewhere {
    /// Has the first bundle unpacked, before anything of the apps is read. While a node is only checked, none is kept and
    /// none that was kept is taken.
    ///
    /// # Errors
    /// There is no bundle that can be believed.
    pub(crate) async fn begin(files: &NodeFiles, check: bool, logs: &Logs) -> Result<Self, (Exit, String)> {
        let logs = logs.clone();
        if matches!(files.config.apps, AppsPlace::Folder(_)) {
            return Ok(Self { stands: None, logs });
        }
        let source = Arc::new(BundleSource::new(files));
        let place = files.config.apps.to_string();
        let kept = KeptBundle::new((!check).then_some(files.state.as_path()), &place);
        let mut standing = Standing {
            source,
            kept,
            apps: files.apps.clone(),
            place,
            under_way: JoinSet::new(),
            next: Instant::now(),
            complained: None,
        };
        let (source, kept) = (Arc::clone(&standing.source), standing.kept.clone());
        let before =
            on_blocking_thread(move || kept.read().and_then(|kept| kept.map(|kept| source.judge(kept)).transpose()));
        let before = before.await.unwrap_or_else(|error| Err(error.to_string()));
        let before = before.unwrap_or_else(|why| {
            logs.say(Level::Error, &format!("the bundle that was kept cannot be used: {why}"));
            None
        });
        let found = match before {
            // What a digest names is the same for ever.
            Some(kept) if standing.source.is_settled_by(&kept) => kept,
            before => match (standing.first_look().await, before) {
                (Ok(found), _) => *found,
                (Err(why), Some(kept)) => {
                    let digest = &kept.content.digest;
                    let text = format!("{why}. The node starts with the bundle that it took last, {digest}");
                    logs.say(Level::Warn, &text);
                    standing.complained = Some(why.to_string());
                    kept
                }
                (Err(why), None) => {
                    let exit = if why.is_away { Exit::Host } else { Exit::Configuration };
                    return Err((exit, format!("{why}; no bundle of an earlier time is kept, so there are no apps")));
                }
            },
        };
        standing.take(found, &logs).await.map_err(|why| (Exit::Host, why))?;
        standing.next = Instant::now() + standing.source.every();
        Ok(Self { stands: Some(standing), logs })
    }

    /// Ends with the next bundle; never, where there is none. What is wrong meanwhile is told by the log.
    pub(crate) async fn arrived(&mut self) -> ArrivedBundle {
        let Some(standing) = &mut self.stands else { return std::future::pending().await };
        loop {
            match standing.looked().await {
                Ok(Looked::New(found)) => return ArrivedBundle(found),
                Ok(Looked::NoNews) => {}
                Ok(Looked::Same) => standing.complain(None, &self.logs),
                Err(why) => standing.complain(Some(why.to_string()), &self.logs),
            }
        }
    }

    /// Takes a bundle: keeps it and exchanges the folders of its apps. True if there is something to look at.
    pub(crate) async fn take(&mut self, arrived: ArrivedBundle) -> bool {
        let Some(standing) = &mut self.stands else { return false };
        match standing.take(*arrived.0, &self.logs).await {
            Ok(()) => {
                standing.complain(None, &self.logs);
                true
            }
            Err(why) => {
                standing.complain(Some(why), &self.logs);
                false
            }
        }
    }

    /// Has the next look be at once, and what is wrong be said again.
    pub(crate) fn hurry(&mut self) {
        if let Some(standing) = &mut self.stands {
            standing.next = Instant::now();
            standing.complained = None;
            standing.source.forget_failure();
        }
    }
}

impl Standing {
    async fn first_look(&self) -> Result<Box<Believed>, Unbelieved> {
        let late = || Unbelieved::away(format!("{} gave no bundle within {} s", self.place, START.as_secs()));
        loop {
            match timeout(START, self.source.look()).await.unwrap_or_else(|_elapsed| Err(late()))? {
                Looked::New(found) => return Ok(found),
                // A file is looked at twice, so that half of one is not read.
                Looked::NoNews | Looked::Same => tokio::time::sleep(self.source.every()).await,
            }
        }
    }

    /// Ends with the next look. Can be given up at any time.
    async fn looked(&mut self) -> Result<Looked, Unbelieved> {
        if self.under_way.is_empty() {
            tokio::time::sleep_until(self.next).await;
            let source = Arc::clone(&self.source);
            self.under_way.spawn(async move { source.look().await });
        }
        let looked = self.under_way.join_next().await;
        self.next = Instant::now() + self.source.every();
        match looked {
            Some(Ok(looked)) => looked,
            Some(Err(error)) => Err(Unbelieved::away(format!("the look at {} failed: {error}", self.place))),
            None => Ok(Looked::NoNews),
        }
    }

    async fn take(&mut self, found: Believed, logs: &Logs) -> Result<(), String> {
        let (kept, apps) = (self.kept.clone(), self.apps.clone());
        let content = found.content.clone();
        let taken = on_blocking_thread(move || {
            kept.write(&found.content)?;
            unpack::unpack(&apps, &found.bundle)?;
            Ok::<_, String>((found.bundle.apps().count(), found.bundle.count()))
        });
        let taken = taken.await.unwrap_or_else(|error| Err(error.to_string()));
        let (apps, files) = taken.map_err(|why| format!("the bundle {} cannot be taken: {why}", content.digest))?;
        let signed = if self.source.is_trusted_by_key() { ", signed" } else { "" };
        let text =
            format!("the apps are those of {}: {}{signed}, apps={apps} files={files}", self.place, content.digest);
        logs.say(Level::Info, &text);
        self.source.took(content);
        Ok(())
    }

    fn complain(&mut self, why: Option<String>, logs: &Logs) {
        if self.complained == why {
            return;
        }
        match &why {
            Some(why) => logs.say(Level::Error, &format!("{why}. The apps stay as they are")),
            None => logs.say(Level::Info, &format!("{} is as it should be again", self.place)),
        }
        self.complained = why;
    }
}
