//! The files that the host reads, writes or runs for itself.
//!
//! No grant covers them, not even the whole of `allow-all`: a script that could write its own profile, its audit log or
//! the kubeconfig that names a program for the host to run would be the host. They are known by their paths, under every
//! name that links give them, and by device and inode, so that another name for the same file is no way around. A folder
//! above one of them can be used, but neither removed nor moved away.
//!
//! Only what the operator named is here: a file beside a log whose name merely looks alike is the script's.

mod file;
mod noted;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use rustix::fs::{FileType, Stat};
use starcell_policy::CanonicalPath;

use self::file::{Extent, HostFile, OF_THE_KERNEL, inside, is_beneath};
use self::noted::Noted;

/// The files of the host. Cheap to clone where they are shared.
#[derive(Clone, Debug)]
pub struct HostFiles {
    shared: Arc<Vec<HostFile>>,
    /// Those that were added since.
    added: Vec<HostFile>,
    /// The app that they are for.
    app: Option<Arc<str>>,
    /// Those that were noted later, in all clones.
    noted: Arc<RwLock<Noted>>,
}

impl HostFiles {
    /// Those that every host has: the folders of the kernel.
    #[must_use]
    pub fn new() -> Self {
        let folders = OF_THE_KERNEL.iter().filter_map(|path| CanonicalPath::absolute(path).ok());
        let added = folders.flat_map(|path| HostFile::all(&path, Extent::Folder)).collect();
        Self { shared: Arc::default(), added, app: None, noted: Arc::default() }
    }

    /// The same, for thousands of clones to share.
    #[must_use]
    pub fn shared(self) -> Self {
        let all = self.files().cloned().collect();
        Self { shared: Arc::new(all), added: Vec::new(), ..self }
    }

    /// Adds a file, there or not.
    #[must_use]
    pub fn with_file(self, path: &CanonicalPath) -> Self {
        self.with(path, Extent::File)
    }

    /// Adds a folder with all that is in it.
    #[must_use]
    pub fn with_folder(self, path: &CanonicalPath) -> Self {
        self.with(path, Extent::Folder)
    }

    /// Adds the files of one name in each of the folders of a folder, such as the descriptions of apps.
    #[must_use]
    pub fn with_each(self, folder: &CanonicalPath, name: &'static str) -> Self {
        self.with(folder, Extent::Each(name))
    }

    /// Adds a folder with all that is in it but the folder of this name.
    #[must_use]
    pub fn with_all_but(self, folder: &CanonicalPath, name: &str) -> Self {
        self.with(folder, Extent::AllBut(name.into()))
    }

    /// The same for one app: the folder of all apps is closed to it but for its own, and so are those that were or will be
    /// noted for others. Its own is that of its name, unless links lead to another one in the folder of all apps, as they do
    /// in a volume that is exchanged as a whole.
    #[must_use]
    pub fn of_app(self, folder: &CanonicalPath, name: &str, own: &CanonicalPath) -> Self {
        let inner = own.as_str().strip_prefix(folder.as_str()).and_then(|rest| rest.strip_prefix('/'));
        let own = Arc::from(inner.unwrap_or(name));
        Self { app: Some(name.into()), ..self }.with(folder, Extent::AllBut(own))
    }

    /// Adds the script of an app. The app may read it, and neither write nor replace it: what it says is what the host runs.
    #[must_use]
    pub fn with_source(self, path: &CanonicalPath) -> Self {
        self.with(path, Extent::Source)
    }

    /// Adds a log with the files that it is renamed to.
    #[must_use]
    pub fn with_log(self, path: &CanonicalPath) -> Self {
        self.with(path, Extent::Log)
    }

    fn with(mut self, path: &CanonicalPath, extent: Extent) -> Self {
        self.added.extend(HostFile::all(path, extent));
        self
    }

    /// Adds a file to these and to all that were cloned from the same: the secrets of apps that come later.
    pub fn note(&self, path: &CanonicalPath) {
        self.noted.write().file(path);
    }

    /// Closes the folder of an app that lies elsewhere to all others, in these and in all that were cloned from the same.
    pub fn note_folder(&self, path: &CanonicalPath, app: &str) {
        self.noted.write().folder(path, app);
    }

    fn files(&self) -> impl Iterator<Item = &HostFile> {
        self.shared.iter().chain(&self.added)
    }

    /// Whether a path is one of the host's; with `beneath` also whether one of the host's lies beneath it.
    pub(crate) fn has_path(&self, path: &CanonicalPath, beneath: bool) -> bool {
        let path = path.as_str();
        let is = |file: &HostFile| file.is_at(path) || (beneath && file.is_beneath(path));
        self.files().any(is) || {
            let noted = self.noted.read();
            noted.has_path(path, self.app.as_deref()) || (beneath && noted.has_beneath(path))
        }
    }

    /// Whether a path is the script of the app, or a file that it has loaded; with `beneath` also whether one of them lies
    /// beneath it. Where no script was added, none is.
    pub(crate) fn has_source(&self, path: &CanonicalPath, loaded: &[PathBuf], beneath: bool) -> bool {
        let mut sources = self.files().filter(|file| file.extent == Extent::Source).peekable();
        if sources.peek().is_none() {
            return false;
        }
        let loaded = loaded.iter().filter_map(|file| file.to_str());
        let is = |source: &str| source == path.as_str() || (beneath && is_beneath(source, path.as_str()));
        sources.map(|file| file.path.as_str()).chain(loaded).any(is)
    }

    /// Whether scripts were added.
    pub(crate) fn has_sources(&self) -> bool {
        self.files().any(|file| file.extent == Extent::Source)
    }

    /// Whether what was found under some path is one of the host's under another name; with `beneath` also whether it is
    /// a folder above one.
    pub(crate) fn has(&self, stat: &Stat, beneath: bool) -> bool {
        let found = (stat.st_dev, stat.st_ino);
        let itself = |file: &HostFile| file.identity == Some(found) && !file.is_in_part();
        // A log that was renamed and a store that was made since have other inodes than at the start. Only a file with
        // several names can be one of them under a path that is not the host's; the other names of a folder are `.` in it
        // and `..` in those beneath it.
        let is_linked = stat.st_nlink > 1 && FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        let (noted, app) = (self.noted.read(), self.app.as_deref());
        let all = || self.files().chain(noted.closed_to(app));
        self.files().any(itself)
            || noted.has(found, app)
            || (beneath && all().any(|file| file.above.contains(&found)))
            || (is_linked && all().any(|file| file.is_now(found)))
    }

    /// The paths of the host's files, each under every name that links give it; without those that are some of a folder.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let whole = self.files().filter(|file| !file.is_in_part());
        whole.map(|file| file.path.as_str()).filter(|path| !OF_THE_KERNEL.contains(path))
    }

    /// The paths of the host's files, for walls around programs. A wall has one place, so those that are some of a folder
    /// are looked for; those that come later have none.
    pub(crate) fn paths(&self) -> Vec<CanonicalPath> {
        let mut paths = Vec::new();
        for file in self.files().chain(self.noted.read().closed_to(self.app.as_deref())) {
            match &file.extent {
                Extent::Each(_) => {}
                Extent::AllBut(own) => paths.extend(inside(&file.path, own)),
                Extent::File | Extent::Folder | Extent::Log | Extent::Source => paths.push(file.path.clone()),
            }
        }
        paths
    }
}

impl Default for HostFiles {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::absolute(text).unwrap()
    }

    fn stat(path: &std::path::Path) -> Stat {
        rustix::fs::lstat(path).unwrap()
    }

    #[test]
    fn names_are_the_hosts_and_names_that_look_alike_are_not() {
        let files = HostFiles::new().with_log(&path("/n/logs/a.jsonl")).with_folder(&path("/n/state"));
        let files = files.with_file(&path("/n/starcell.toml")).with_each(&path("/n/apps"), "app.toml");
        for (text, beneath) in [
            ("/n/logs/a.jsonl", false),
            ("/n/logs/a.jsonl.1", false),
            ("/n/logs/a.jsonl.42", false),
            ("/n/logs/a.jsonl.damaged-1", false),
            ("/n/state", false),
            ("/n/state/kv.redb", false),
            ("/n/state/deep/er", false),
            ("/n/starcell.toml", false),
            ("/n/apps/a/app.toml", false),
            ("/n/apps/a", true),
            ("/n/apps", true),
            ("/n/logs", true),
            ("/n", true),
            ("/", true),
            ("/proc/self/environ", false),
            ("/dev", false),
            ("/sys/kernel", false),
        ] {
            assert!(files.has_path(&path(text), beneath), "{text}");
        }
        for (text, beneath) in [
            ("/n/logs", false),
            ("/n/apps", false),
            ("/n/apps/a", false),
            ("/n/apps/app.toml", false),
            ("/n/apps/a/main.star", true),
            ("/n/apps/a/b/app.toml", true),
            ("/n/apps/a/b", true),
            ("/n/logs/a.jsonl.bak", true),
            ("/n/logs/a.jsonl.1x", true),
            ("/n/logs/a.jsonlx", true),
            ("/n/logs/b", true),
            ("/n/stateful", true),
            ("/n/starcell.toml.new", true),
            ("/n/starcell.toml.1", true),
            ("/process", true),
        ] {
            assert!(!files.has_path(&path(text), beneath), "{text}");
        }
    }

    #[test]
    fn an_app_has_its_own_folder_alone_and_does_not_write_its_script() {
        let root = std::env::temp_dir().join(format!("starcell-app-files-{}", std::process::id()));
        fs::create_dir_all(root.join("apps/a/data")).unwrap();
        fs::create_dir_all(root.join("apps/b")).unwrap();
        for file in ["a/main.star", "a/lib.star", "a/data/d.txt", "b/main.star", "b/secret"] {
            fs::write(root.join("apps").join(file), "").unwrap();
        }
        let root = fs::canonicalize(root).unwrap();
        let at = |text: &str| path(root.join(text).to_str().unwrap());
        let files = HostFiles::new().of_app(&at("apps"), "a", &at("apps/a")).with_source(&at("apps/a/main.star"));
        for text in ["apps", "apps/b", "apps/b/secret", "apps/ab", "apps/ab/x"] {
            assert!(files.has_path(&at(text), false), "{text}");
        }
        for text in ["apps/a", "apps/a/data/d.txt", "apps/a/main.star", "apps/a/new.star", "application"] {
            assert!(!files.has_path(&at(text), false), "{text}");
        }
        let loaded = [root.join("apps/a/lib.star")];
        for (text, beneath, is) in [
            ("apps/a/main.star", false, true),
            ("apps/a/lib.star", false, true),
            ("apps/a/other.star", false, false),
            ("apps/a/data", true, false),
            ("apps/a", true, true),
        ] {
            assert_eq!(files.has_source(&at(text), &loaded, beneath), is, "{text}");
        }
        files.clone().note(&at("secret"));
        assert!(files.has_path(&at("secret"), false) && files.paths().contains(&at("secret")), "clones know of it");
        assert!(!HostFiles::new().has_source(&at("apps/a/lib.star"), &loaded, true), "the script of `run` is its own");
        let mut closed: Vec<String> = files.paths().iter().map(ToString::to_string).collect();
        closed.retain(|closed| closed.starts_with(root.to_str().unwrap()));
        closed.sort_unstable();
        assert_eq!(closed, ["apps/a/main.star", "apps/b", "secret"].map(|text| at(text).to_string()));
        // Another name of a file of another app.
        for (file, is_hosts) in [("b/secret", true), ("a/data/d.txt", false)] {
            let link = root.join("apps/a/link");
            fs::hard_link(root.join("apps").join(file), &link).unwrap();
            assert_eq!(files.has(&stat(&link), false), is_hosts, "{file}");
            fs::remove_file(link).unwrap();
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn an_app_in_a_volume_that_is_exchanged_has_its_own_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for (file, text) in [("..2026/a/main.star", "a"), ("..2026/b/secret", "b"), ("..2025/a/old", "o"), ("c/x", "c")]
        {
            let file = root.join("apps").join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        symlink("..2026", root.join("apps/..data")).unwrap();
        for app in ["a", "b"] {
            symlink(format!("..data/{app}"), root.join("apps").join(app)).unwrap();
        }
        let at = |text: &str| path(root.join(text).to_str().unwrap());
        let files = HostFiles::new().of_app(&at("apps"), "a", &at("apps/..2026/a"));
        for text in ["apps/..2026/a", "apps/..2026/a/main.star", "apps/..2026/a/data/new", "other"] {
            assert!(!files.has_path(&at(text), false), "{text}");
        }
        for text in ["apps", "apps/..2026", "apps/..2026/b/secret", "apps/..2026/ab", "apps/..2025/a/old", "apps/c/x"] {
            assert!(files.has_path(&at(text), false), "{text}");
        }
        let mut closed: Vec<String> = files.paths().iter().map(ToString::to_string).collect();
        closed.retain(|closed| closed.starts_with(root.to_str().unwrap()));
        closed.sort_unstable();
        let beside = ["apps/..2025", "apps/..2026/b", "apps/c"];
        assert_eq!(closed, beside.map(|text| at(text).to_string()), "no link, which may lead to its own folder");
        let state = HostFiles::new().with_all_but(&at("state"), "apps");
        assert!(state.has_path(&at("state"), false) && state.has_path(&at("state/kv/x"), false));
        assert!(!state.has_path(&at("state/apps"), false) && !state.has_path(&at("state/apps/a/x"), false));
    }

    #[test]
    fn other_names_for_the_same_file_are_the_hosts() {
        let root = std::env::temp_dir().join(format!("starcell-host-files-{}", std::process::id()));
        fs::create_dir_all(root.join("real/state")).unwrap();
        let root = fs::canonicalize(root).unwrap();
        let at = |text: &str| path(root.join(text).to_str().unwrap());
        symlink("real", root.join("alias")).unwrap();
        fs::write(root.join("real/log"), "1").unwrap();
        fs::write(root.join("mine"), "m").unwrap();
        let files = HostFiles::new().with_log(&at("alias/log")).with_folder(&at("real/state"));
        // Under the name that the operator gave, and under that of the place.
        assert!(files.has_path(&at("alias/log"), false) && files.has_path(&at("real/log"), false));
        fs::hard_link(root.join("real/log"), root.join("other")).unwrap();
        assert!(files.has(&stat(&root.join("other")), false));
        // Files that were made since.
        fs::rename(root.join("real/log"), root.join("real/log.1")).unwrap();
        fs::write(root.join("real/log"), "2").unwrap();
        fs::write(root.join("real/state/kv"), "k").unwrap();
        for (file, link) in [("real/log", "fresh"), ("real/log.1", "aged"), ("real/state/kv", "store")] {
            fs::hard_link(root.join(file), root.join(link)).unwrap();
            assert!(files.has(&stat(&root.join(link)), false), "{link}");
        }
        fs::hard_link(root.join("mine"), root.join("mine-too")).unwrap();
        assert!(!files.has(&stat(&root.join("mine-too")), true));
        assert!(files.has(&stat(&root.join("real")), true) && !files.has(&stat(&root.join("real")), false));
        fs::remove_dir_all(root).unwrap();
    }
}
