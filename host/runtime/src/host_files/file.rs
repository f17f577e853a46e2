//! One file of the host, under one of its names, and which paths and inodes are it.

use std::sync::Arc;

use rustix::fs::{Dir, FileType, Mode, OFlags};
use starcell_links::{follow, identity};
use starcell_policy::CanonicalPath;

/// Folders of the kernel: processes, devices and settings of the machine.
pub(super) const OF_THE_KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Files that are looked through to find whether one with several names is the host's.
const MAX_LOOKED_AT: usize = 256;

/// A file of the host, under one of its names.
#[derive(Clone, Debug)]
pub(super) struct HostFile {
    pub(super) path: CanonicalPath,
    pub(super) extent: Extent,
    /// Device and inode, as far as it was there.
    pub(super) identity: Option<(u64, u64)>,
    /// Those of the folders above it.
    pub(super) above: Vec<(u64, u64)>,
}

/// What belongs to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The file alone.
    File,
    /// The files of this name in each folder of the folder.
    Each(&'static str),
    /// Everything in the folder.
    Folder,
    /// Everything in the folder but the folder at this path in it.
    AllBut(Arc<str>),
    /// The script of an app, which the app may read.
    Source,
    /// The file, and those it is renamed to: with a dot and a number when it is full, with `.damaged-` and a number when
    /// it is set aside.
    Log,
}

impl HostFile {
    /// The file under each name that links give it.
    pub(super) fn all(path: &CanonicalPath, extent: Extent) -> Vec<Self> {
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
    pub(super) fn is_in_part(&self) -> bool {
        matches!(self.extent, Extent::Each(_) | Extent::AllBut(_) | Extent::Source)
    }

    /// Whether a path is this file, in this folder, or this log in one of its ages.
    pub(super) fn is_at(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(self.path.as_str()) else { return false };
        match &self.extent {
            Extent::Each(name) => {
                let inner = rest.strip_prefix('/').and_then(|rest| rest.split_once('/'));
                inner.is_some_and(|(_, file)| file == *name)
            }
            Extent::AllBut(own) => match rest.strip_prefix('/') {
                Some(inner) => inner != &**own && !is_beneath(inner, own),
                None => rest.is_empty(),
            },
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
    pub(super) fn is_beneath(&self, path: &str) -> bool {
        let of_each = matches!(self.extent, Extent::Each(_))
            && path.strip_prefix(self.path.as_str()).is_some_and(|rest| {
                rest.is_empty() || rest.strip_prefix('/').is_some_and(|folder| !folder.contains('/'))
            });
        of_each || is_beneath(self.path.as_str(), path)
    }

    /// Whether a file is this one as it is now, one in this folder, or this log in one of its ages.
    pub(super) fn is_now(&self, found: (u64, u64)) -> bool {
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

/// What is in a folder beside the folder at this path in it, and beside each folder on the way to that one. Links are left
/// out: one may lead to that very folder, as the names of a ConfigMap volume do, and others are closed where they lead.
pub(super) fn inside(folder: &CanonicalPath, own: &str) -> Vec<CanonicalPath> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut beside = Vec::new();
    let mut at = folder.as_str().trim_end_matches('/').to_owned();
    for part in own.split('/') {
        let opened = rustix::fs::open(if at.is_empty() { "/" } else { &at }, flags, Mode::empty()).and_then(Dir::new);
        let entries = opened.into_iter().flatten().flatten().filter(|entry| entry.file_type() != FileType::Symlink);
        beside.extend(entries.filter_map(|entry| {
            let name = entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..") && *name != part)?;
            CanonicalPath::absolute(&format!("{at}/{name}")).ok()
        }));
        at = format!("{at}/{part}");
    }
    beside
}

/// Whether a path lies beneath a folder.
pub(super) fn is_beneath(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}
