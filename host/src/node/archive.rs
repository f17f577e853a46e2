//! The revisions of apps on disk, in the state folder of the node.
//!
//! `revisions/APP/NUMBER/` has the script, the files that it loaded and its `app.toml`, as they were when the revision was
//! first set up; `revisions/APP/index.json` has the [`History`] of the app and survives a restart. Secrets are in neither: a
//! revision that answers again reads them where its `app.toml` says, as they are now.
//!
//! The decision: folders and indexes are written [durably](super::durable), the folder before the index that names it, and
//! an index before the folders that it names no more are removed. A node that is killed in between has the old index, and a
//! folder that nothing names, which the next revision of that number replaces. An index that cannot be read is set aside:
//! the app begins anew from its own folder, with numbers behind those that were given.
//!
//! What is refused: more than the configured count and age of revisions, but for those that run.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "owns the folder of the kept revisions")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use starcell_config::KeptRevisions;
use starcell_runtime::read_source;

use crate::folder::MAIN;

use super::durable::{make_folders, set_aside, write, write_folder, write_passing_folder};
use super::files::{AppFiles, MANIFEST};
use super::history::{History, KeptRevision, content};
use super::upload::Upload;

/// Bytes of an index: a hundred revisions with some files each.
const MAX_INDEX: u64 = 4 << 20;

/// Files that a revision loads, at most: one with more is not kept.
const MAX_FILES: usize = 1000;

/// The folder of the kept revisions; none while a node is only checked.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    folder: Option<PathBuf>,
    keep: KeptRevisions,
}

impl Archive {
    /// The one below the state of a node.
    pub(crate) fn new(state: Option<&Path>, keep: KeptRevisions) -> Self {
        Self { folder: state.map(|state| state.join("revisions")), keep }
    }

    /// Keeps other revisions from now on.
    pub(crate) fn set_keep(&mut self, keep: KeptRevisions) {
        self.keep = keep;
    }

    /// Reads what is known of an app. An index that cannot be read is an error, and then nothing is known. Blocks for a moment.
    pub(crate) fn read(&self, app: &str) -> Result<History, String> {
        let Some(file) = self.index(app) else { return Ok(History::default()) };
        let cannot = |error: String| format!("cannot read {}: {error}", file.display());
        let mut text = Vec::new();
        match File::open(&file).and_then(|file| file.take(MAX_INDEX + 1).read_to_end(&mut text)) {
            Ok(_) => serde_json::from_slice(&text).map_err(|error| cannot(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(History::default()),
            Err(error) => Err(cannot(error.to_string())),
        }
    }

    /// Sets an index aside that cannot be read, so that nothing writes over it, and says where it is. Returns what can be
    /// known without it: which numbers were given. Blocks for a moment.
    pub(crate) fn begin_anew(&self, app: &str) -> (History, String) {
        let aside = match self.index(app).map(|file| set_aside(&file)) {
            Some(Ok(aside)) => format!("its bytes are kept in {}", aside.display()),
            Some(Err(error)) => format!("its bytes cannot be set aside ({error})"),
            None => "nothing is written".to_owned(),
        };
        let folder = self.folder.as_ref().map(|folder| folder.join(app));
        let entries = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        (History { last: numbers.max().unwrap_or_default(), ..History::default() }, aside)
    }

    /// Writes what is known of an app. Blocks.
    pub(crate) fn write(&self, app: &str, history: &History) -> Result<(), String> {
        let Some(file) = self.index(app) else { return Ok(()) };
        let cannot = |error: io::Error| format!("cannot write {}: {error}", file.display());
        let text = serde_json::to_vec(history).map_err(|error| cannot(error.into()))?;
        if text.len() as u64 > MAX_INDEX {
            let problem = format!("it has more than {} MiB; keep fewer revisions", MAX_INDEX >> 20);
            return Err(cannot(io::Error::other(problem)));
        }
        file.parent().map_or(Ok(()), make_folders).and_then(|()| write(&file, &text)).map_err(cannot)
    }

    /// Keeps the files of a revision that was set up. Blocks.
    ///
    /// A file that a script loaded is read again here: one that was changed since is a change that the folder is looked at
    /// for, and leads to the next revision.
    pub(crate) fn keep(&self, files: &AppFiles, number: u64, loaded: &[PathBuf]) -> Result<KeptRevision, String> {
        let loaded = within(files, loaded);
        let digest = content(files, &loaded);
        let deployed = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        if let Some(folder) = self.folder_of(&files.name, number) {
            if loaded.len() > MAX_FILES {
                return Err(format!("it loads more than {MAX_FILES} files"));
            }
            // One that is missing was missing to the script too.
            let more = loaded.iter().filter_map(|path| Some((path.as_str(), read_source(&files.sources, path).ok()?)));
            let own = [(MANIFEST, files.written.clone()), (MAIN, files.source.clone())];
            let made = folder.parent().map_or(Ok(()), make_folders);
            let written = made.and_then(|()| write_folder(&folder, own.into_iter().chain(more).map(Ok)));
            written.map_err(|error| format!("cannot write {}: {error}", folder.display()))?;
        }
        Ok(KeptRevision { number, digest, deployed, tenant: Some(files.manifest.tenant.clone()), loaded })
    }

    /// Writes files that were sent as those of a revision, with the `app.toml` of a folder if none is among them. They are
    /// set up from there; [`keep`](Self::keep) writes those durably that the revision has. Blocks for a moment.
    pub(crate) fn receive(&self, app: &str, number: u64, upload: &Upload, of: &Path) -> Result<(), String> {
        let folder = self.folder_of(app, number).ok_or("no revision is kept while a node is checked")?;
        let written = match upload.has_manifest() {
            true => None,
            false => Some(read_source(of, MANIFEST).map_err(|error| format!("{app}/{MANIFEST}: {error}"))?),
        };
        let sent = upload.files().iter().map(|(name, text)| (name.as_str(), text.clone().into_bytes()));
        let all = sent.chain(written.map(|bytes| (MANIFEST, bytes)));
        let made = folder.parent().map_or(Ok(()), make_folders);
        let put = made.and_then(|()| write_passing_folder(&folder, all.map(Ok)));
        put.map_err(|error| format!("cannot write {}: {error}", folder.display()))
    }

    /// The files of a revision that is kept, by name; none of one that is not. Blocks for a moment.
    pub(crate) fn files(&self, app: &str, number: u64) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let history = self.read(app)?;
        let kept = history.revision(number).zip(self.folder_of(app, number));
        let Some((kept, folder)) = kept else { return Ok(BTreeMap::new()) };
        let read = |name: &str| read_source(&folder, name).map_err(|error| format!("{name}: {error}"));
        let own = [MANIFEST, MAIN].map(|name| Ok((name.to_owned(), read(name)?)));
        // One that was missing to the script is missing here too.
        let loaded = kept.loaded.iter().filter_map(|name| Some(Ok((name.clone(), read(name).ok()?))));
        own.into_iter().chain(loaded).collect()
    }

    /// The folder of a revision that is kept.
    pub(crate) fn folder_of(&self, app: &str, number: u64) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(app).join(number.to_string()))
    }

    /// Takes out of a history what is not kept any more, but for those that are used, and returns their folders.
    pub(crate) fn prune(&self, app: &str, history: &mut History, used: &[u64]) -> Vec<PathBuf> {
        let is_young = |kept: &KeptRevision| {
            let deployed = humantime::parse_rfc3339(&kept.deployed).ok();
            deployed.and_then(|then| SystemTime::now().duration_since(then).ok()).is_none_or(|age| age <= self.keep.age)
        };
        let spare = history.kept.len().saturating_sub(usize::try_from(self.keep.count).unwrap_or(usize::MAX));
        let mut place = 0;
        let mut gone = Vec::new();
        history.kept.retain(|kept| {
            place += 1;
            let stays = used.contains(&kept.number) || (place > spare && is_young(kept));
            if !stays {
                gone.extend(self.folder_of(app, kept.number));
            }
            stays
        });
        gone
    }

    fn index(&self, app: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(app).join("index.json"))
    }
}

/// The files of an app's own folder among those that it loaded.
fn within(files: &AppFiles, loaded: &[PathBuf]) -> BTreeSet<String> {
    let own = loaded.iter().filter_map(|path| path.strip_prefix(&files.sources).ok()?.to_str());
    let plain = |path: &&str| Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    own.filter(plain).filter(|path| *path != MAIN && *path != MANIFEST).map(str::to_owned).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn kept(number: u64, age: Duration) -> KeptRevision {
        let deployed = humantime::format_rfc3339_seconds(SystemTime::now() - age).to_string();
        KeptRevision { number, digest: String::new(), deployed, tenant: None, loaded: BTreeSet::new() }
    }

    #[test]
    fn revisions_are_kept_by_count_and_age_and_those_in_use_in_any_case() {
        let day = Duration::from_secs(24 * 3600);
        let keep = KeptRevisions { count: 3, age: 2 * day };
        let archive = Archive::new(Some(Path::new("/state")), keep);
        let mut history = History::default();
        for (number, age) in [(1, 9), (2, 0), (3, 9), (4, 0), (5, 0), (6, 0)] {
            history.add(kept(number, day * age));
        }
        let gone = archive.prune("a", &mut history, &[1]);
        assert_eq!(history.kept.iter().map(|kept| kept.number).collect::<Vec<_>>(), [1, 4, 5, 6]);
        assert_eq!(gone, ["/state/revisions/a/2", "/state/revisions/a/3"].map(PathBuf::from));
        history.current = Some(5);
        assert_eq!((history.last, history.before_current()), (6, Some(4)));
    }

    #[test]
    fn an_index_survives_and_one_that_is_damaged_is_set_aside() {
        let state = tempfile::tempdir().unwrap();
        let archive = Archive::new(Some(state.path()), KeptRevisions::default());
        assert_eq!(archive.read("a").unwrap(), History::default());
        let mut history = History { stopped: true, ..History::default() };
        history.add(kept(7, Duration::ZERO));
        archive.write("a", &history).unwrap();
        assert_eq!(archive.read("a").unwrap(), history);
        let folder = state.path().join("revisions/a");
        fs::create_dir(folder.join("7")).unwrap();
        fs::write(folder.join("index.json"), "{").unwrap();
        assert!(archive.read("a").unwrap_err().contains("revisions/a/index.json"));
        let (anew, aside) = archive.begin_anew("a");
        assert_eq!(anew, History { last: 7, ..History::default() });
        assert!(aside.ends_with("revisions/a/index.damaged.1"), "{aside}");
        assert_eq!(fs::read_to_string(folder.join("index.damaged.1")).unwrap(), "{");
        assert_eq!(archive.read("a").unwrap(), History::default());
        let mut large = history.clone();
        large.add(KeptRevision { digest: "x".repeat(5 << 20), ..kept(8, Duration::ZERO) });
        assert!(archive.write("a", &large).unwrap_err().contains("more than 4 MiB"));
    }
}
