//! The files that the host reads, writes or runs for itself.
//!
//! No grant covers them, not even the whole of `allow-all`: a script that could write its own profile, its audit log or
//! the kubeconfig that names a program for the host to run would be the host. They are known by their paths, under every
//! name that links give them, and by device and inode, so that another name for the same file is no way around. A folder
//! above one of them can be used, but neither removed nor moved away.
//!
//! Only what the operator named is here: a file beside a log whose name merely looks alike is the script's.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use rustix::fs::{Dir, FileType, Mode, OFlags, Stat};
use starcell_links::{follow, identity};
use starcell_policy::CanonicalPath;

/// Folders of the kernel: processes, devices and settings of the machine.
const OF_THE_KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Files that are looked through to find whether one with several names is the host's.
const MAX_LOOKED_AT: usize = 256;

/// The files of the host. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HostFiles {
    files: Arc<Vec<HostFile>>,
    /// Those that were noted later, in all clones.
    noted: Arc<RwLock<Vec<HostFile>>>,
}

/// A file of the host, under one of its names.
#[derive(Clone, Debug)]
struct HostFile {
    path: CanonicalPath,
    extent: Extent,
    /// Device and inode, as far as it was there.
    identity: Option<(u64, u64)>,
    /// Those of the folders above it.
    above: Vec<(u64, u64)>,
}

/// What belongs to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Extent {
    /// The file alone.
    File,
    /// The files of this name in each folder of the folder.
    Each(&'static str),
    /// Everything in the folder.
    Folder,
    /// Everything in the folder but the folder of this name in it.
    AllBut(Arc<str>),
    /// The script of an app, which the app may read.
    Source,
    /// The file, and those it is renamed to: with a dot and a number when it is full, with `.damaged-` and a number when
    /// it is set aside.
    Log,
}

impl HostFiles {
    /// Those that every host has: the folders of the kernel.
    #[must_use]
    pub fn new() -> Self {
        let folders = OF_THE_KERNEL.iter().filter_map(|path| CanonicalPath::absolute(path).ok());
        let files = folders.flat_map(|path| HostFile::all(&path, Extent::Folder)).collect();
        Self { files: Arc::new(files), noted: Arc::default() }
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

    /// Adds a folder with all that is in it, but for one folder of it: that of one app among those of others.
    #[must_use]
    pub fn with_all_but(self, folder: &CanonicalPath, own: &str) -> Self {
        self.with(folder, Extent::AllBut(own.into()))
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

    fn with(self, path: &CanonicalPath, extent: Extent) -> Self {
        let more = HostFile::all(path, extent);
        Self { files: Arc::new(self.files.iter().cloned().chain(more).collect()), noted: self.noted }
    }

    /// Adds a file to these and to all that were cloned from the same: the secrets of apps that come later.
    pub fn note(&self, path: &CanonicalPath) {
        let mut noted = self.noted.write();
        if !noted.iter().any(|file| file.path == *path) {
            noted.extend(HostFile::all(path, Extent::File));
        }
    }

    fn any(&self, is: impl Fn(&HostFile) -> bool) -> bool {
        self.files.iter().any(&is) || self.noted.read().iter().any(is)
    }

    /// Whether a path is one of the host's; with `beneath` also whether one of the host's lies beneath it.
    pub(crate) fn has_path(&self, path: &CanonicalPath, beneath: bool) -> bool {
        self.any(|file| file.is_at(path.as_str()) || (beneath && file.is_beneath(path.as_str())))
    }

    /// Whether a path is the script of the app, or a file that it has loaded; with `beneath` also whether one of them lies
    /// beneath it. Where no script was added, none is.
    pub(crate) fn has_source(&self, path: &CanonicalPath, loaded: &[PathBuf], beneath: bool) -> bool {
        let mut sources = self.files.iter().filter(|file| file.extent == Extent::Source).peekable();
        if sources.peek().is_none() {
            return false;
        }
        let loaded = loaded.iter().filter_map(|file| file.to_str());
        let is = |source: &str| source == path.as_str() || (beneath && is_beneath(source, path.as_str()));
        sources.map(|file| file.path.as_str()).chain(loaded).any(is)
    }

    /// Whether scripts were added.
    pub(crate) fn has_sources(&self) -> bool {
        self.files.iter().any(|file| file.extent == Extent::Source)
    }

    /// Whether what was found under some path is one of the host's under another name; with `beneath` also whether it is
    /// a folder above one.
    pub(crate) fn has(&self, stat: &Stat, beneath: bool) -> bool {
        let found = (stat.st_dev, stat.st_ino);
        let itself = |file: &HostFile| file.identity == Some(found) && !file.is_in_part();
        let known = |file: &HostFile| itself(file) || (beneath && file.above.contains(&found));
        // A log that was renamed and a store that was made since have other inodes than at the start. Only a file with
        // several names can be one of them under a path that is not the host's; the other names of a folder are `.` in it
        // and `..` in those beneath it.
        let is_linked = stat.st_nlink > 1 && FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        self.any(known) || (is_linked && self.any(|file| file.is_now(found)))
    }

    /// The paths of the host's files, each under every name that links give it; without those that are some of a folder.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let whole = self.files.iter().filter(|file| !file.is_in_part());
        whole.map(|file| file.path.as_str()).filter(|path| !OF_THE_KERNEL.contains(path))
    }

    /// The paths of the host's files, for walls around programs. A wall has one place, so those that are some of a folder
    /// are looked for; those that come later have none.
    pub(crate) fn paths(&self) -> Vec<CanonicalPath> {
        let mut paths = Vec::new();
        for file in self.files.iter().chain(self.noted.read().iter()) {
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

impl HostFile {
    /// The file under each name that links give it.
    fn all(path: &CanonicalPath, extent: Extent) -> Vec<Self> {
        let mut names = vec![path.clone()];
        while let Some(next) = names.last().and_then(follow).filter(|next| !names.contains(next)) {
            names.push(next);
        }
        let made = |path: CanonicalPath| {
            let folders = path.as_str().match_indices('/').skip(1).map(|(end, _)| path.as_str().split_at(end).0);
            let above = ["/"].into_iter().chain(folders).filter_map(identity).collect();
            Self { identity: identity(path.as_str()), above, extent: extent.clone(), path }
        };
        names.into_iter().map(made).collect()
    }

    /// Whether only some of what lies there is the host's, or only for writing.
    fn is_in_part(&self) -> bool {
        matches!(self.extent, Extent::Each(_) | Extent::AllBut(_) | Extent::Source)
    }

    /// Whether a path is this file, in this folder, or this log in one of its ages.
    fn is_at(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(self.path.as_str()) else { return false };
        match &self.extent {
            Extent::Each(name) => {
                let inner = rest.strip_prefix('/').and_then(|rest| rest.split_once('/'));
                inner.is_some_and(|(_, file)| file == *name)
            }
            Extent::AllBut(own) => {
                let first = rest.strip_prefix('/').map(|rest| rest.split('/').next().unwrap_or(rest));
                first.map_or(rest.is_empty(), |first| first != &**own)
            }
            Extent::Source => false,
            _ if rest.is_empty() => true,
            Extent::File => false,
            Extent::Folder => rest.starts_with('/'),
            Extent::Log => {
                let age = rest.strip_prefix('.').unwrap_or_default();
                let number = age.strip_prefix("damaged-").unwrap_or(age);
                !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
            }
        }
    }

    /// Whether this lies beneath a path, or some of it does.
    fn is_beneath(&self, path: &str) -> bool {
        let of_each = matches!(self.extent, Extent::Each(_))
            && path.strip_prefix(self.path.as_str()).is_some_and(|rest| {
                rest.is_empty() || rest.strip_prefix('/').is_some_and(|folder| !folder.contains('/'))
            });
        of_each || is_beneath(self.path.as_str(), path)
    }

    /// Whether a file is this one as it is now, one in this folder, or this log in one of its ages.
    fn is_now(&self, found: (u64, u64)) -> bool {
        let path = self.path.as_str();
        match &self.extent {
            Extent::File => identity(path) == Some(found),
            // Each app has its own as a file besides.
            Extent::Each(_) => false,
            // Looked for as walls look for them.
            Extent::AllBut(own) => inside(&self.path, own).iter().any(|path| holds(path.as_str(), "", found)),
            Extent::Source => false,
            Extent::Folder if OF_THE_KERNEL.contains(&path) => false,
            Extent::Folder => holds(path, "", found),
            Extent::Log => {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                identity(path) == Some(found) || holds(folder, name, found)
            }
        }
    }
}

/// Whether a folder holds a file under some name that begins so.
fn holds(folder: &str, prefix: &str, found: (u64, u64)) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(if folder.is_empty() { "/" } else { folder }, flags, Mode::empty());
    let Ok(opened) = opened else { return false };
    // An inode is one of its file system alone.
    if !rustix::fs::fstat(&opened).is_ok_and(|stat| stat.st_dev == found.0) {
        return false;
    }
    let entries = Dir::new(opened).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_bytes().starts_with(prefix.as_bytes()));
    named.take(MAX_LOOKED_AT).any(|entry| entry.ino() == found.1)
}

/// What is in a folder beside one of this name.
fn inside(folder: &CanonicalPath, own: &str) -> Vec<CanonicalPath> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(folder.as_str(), flags, Mode::empty()).and_then(Dir::new);
    let beside = opened.into_iter().flatten().flatten().filter_map(|entry| {
        let name = entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..") && *name != own)?;
        CanonicalPath::absolute(&format!("{}/{name}", folder.as_str().trim_end_matches('/'))).ok()
    });
    beside.collect()
}

/// Whether a path lies beneath a folder.
fn is_beneath(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
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
        let files = HostFiles::new().with_all_but(&at("apps"), "a").with_source(&at("apps/a/main.star"));
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
