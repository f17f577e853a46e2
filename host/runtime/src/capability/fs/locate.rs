//! From a permit to the place in the file system that it is about.
//!
//! The judged path is walked from the root one name at a time, each opened beneath the folder before it and never
//! through a link. So what is found lies at the very path that was judged, whatever others rename or link meanwhile:
//! swapping a folder for a link between two steps makes the walk meet the link. A link is not followed here. It ends
//! the walk with the path it leads to, which then has to be judged like any other.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use starcell_links::beyond;
use starcell_policy::{CanonicalPath, Permit, ProgramPath};

use super::refusal::Refusal;
use crate::host_files::HostFiles;

/// How a folder on the way is opened: as a place alone, without the right to read it, and never through a link.
const STEP: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// File systems that hold no files but windows into the kernel, wherever they are mounted: proc, sysfs, devpts, cgroup, cgroup2, debugfs, tracefs,
/// securityfs, bpf, configfs, efivarfs, pstore, nsfs, selinux.
const KERNEL_FILE_SYSTEMS: [u64; 14] = [
    0x9fa0,
    0x6265_6572,
    0x1cd1,
    0x27_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xcafe_4a11,
    0x6265_6570,
    0xde5e_81e4,
    0x6165_676c,
    0x6e73_6673,
    0xf97c_ff8c,
];

/// Whether a link at the end of the path is what the call is about, or where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capability) enum Last {
    Follow,
    Itself,
}

/// What a permit can be about that lies in the file system.
pub(in crate::capability) trait Place {
    /// Where.
    fn path(&self) -> &CanonicalPath;
}

impl Place for CanonicalPath {
    fn path(&self) -> &CanonicalPath {
        self
    }
}

impl Place for ProgramPath {
    fn path(&self) -> &CanonicalPath {
        self.path()
    }
}

/// Where a walk ended.
pub(in crate::capability) enum Walk {
    Arrived(Spot),
    /// At a link, which leads here.
    Link(CanonicalPath),
}

/// A name in an open folder, at the path that was judged.
pub(in crate::capability) struct Spot {
    /// The path that was judged.
    pub(in crate::capability) path: CanonicalPath,
    pub(in crate::capability) folder: OwnedFd,
    pub(in crate::capability) name: String,
    /// What the name stands for; `None` when there is nothing.
    pub(in crate::capability) entry: Option<Entry>,
}

/// What a name stood for when the walk arrived.
pub(in crate::capability) struct Entry {
    pub(in crate::capability) handle: OwnedFd,
    pub(in crate::capability) stat: Stat,
}

impl Entry {
    pub(in crate::capability) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

impl Spot {
    /// What the name stands for.
    pub(in crate::capability) fn entry(&self) -> Result<&Entry, Refusal> {
        self.entry.as_ref().ok_or(Refusal::Os(Errno::NOENT))
    }

    /// Opens the file at this place, which must be a regular one: a pipe would block and a device would act.
    pub(in crate::capability) fn open_file(&self, flags: OFlags) -> Result<(OwnedFd, Stat), Refusal> {
        let entry = self.entry()?;
        regular(entry.file_type())?;
        // Non-blocking, in case a pipe has taken the name meanwhile.
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = fs::openat(&self.folder, &*self.name, flags, Mode::empty())?;
        let stat = fs::fstat(&file)?;
        regular(FileType::from_raw_mode(stat.st_mode))?;
        match same(&stat, &entry.stat) {
            true => Ok((file, stat)),
            false => Err(Refusal::Changed),
        }
    }

    /// The handle of the program at this place: a file that somebody may execute.
    pub(in crate::capability) fn into_program(self) -> Result<OwnedFd, Refusal> {
        let entry = self.entry.ok_or(Refusal::Os(Errno::NOENT))?;
        regular(entry.file_type())?;
        match entry.stat.st_mode & 0o111 {
            0 => Err(Refusal::Os(Errno::ACCESS)),
            _ => Ok(entry.handle),
        }
    }

    /// Opens the folder at this place for reading its names.
    pub(in crate::capability) fn open_folder(&self) -> Result<OwnedFd, Refusal> {
        self.entry()?;
        Ok(fs::openat(&self.folder, &*self.name, FOLDER, Mode::empty())?)
    }
}

/// How a folder is opened to read its names.
pub(in crate::capability) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

pub(in crate::capability) fn regular(file_type: FileType) -> Result<(), Refusal> {
    match file_type {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(Refusal::Os(Errno::ISDIR)),
        _ => Err(Refusal::Special),
    }
}

/// Walks to the path of a permit. What the host keeps for itself is not arrived at; with `beneath`, nor is a folder above
/// it.
pub(in crate::capability) fn locate<R: Place>(
    permit: &Permit<R>,
    last: Last,
    (hosts, beneath): (&HostFiles, bool),
) -> Result<Walk, Refusal> {
    let path = permit.resource().path().as_str();
    if hosts.has_path(permit.resource().path(), beneath) {
        return Err(Refusal::Hosts);
    }
    let mut folder = fs::openat(CWD, "/", STEP | OFlags::DIRECTORY, Mode::empty())?;
    let mut walked = String::new();
    let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        let entry = match enter(&folder, name) {
            Ok(entry) => entry,
            Err(Errno::NOENT) if is_last => {
                real(&folder)?;
                return Ok(arrived(permit, folder, name, None));
            }
            Err(error) => return Err(error.into()),
        };
        if hosts.has(&entry.stat, beneath && is_last) {
            return Err(Refusal::Hosts);
        }
        let file_type = entry.file_type();
        if file_type == FileType::Symlink && !(is_last && last == Last::Itself) {
            let rest: Vec<&str> = names.collect();
            return target(&entry, &walked, &rest).map(Walk::Link);
        }
        if is_last {
            real(&folder)?;
            if file_type != FileType::Symlink {
                real(&entry.handle)?;
            }
            return Ok(arrived(permit, folder, name, Some(entry)));
        }
        if file_type != FileType::Directory {
            return Err(Refusal::Os(Errno::NOTDIR));
        }
        walked.push('/');
        walked.push_str(name);
        folder = entry.handle;
    }
    let entry = enter(&folder, ".")?;
    Ok(arrived(permit, folder, ".", Some(entry)))
}

fn arrived<R: Place>(permit: &Permit<R>, folder: OwnedFd, name: &str, entry: Option<Entry>) -> Walk {
    Walk::Arrived(Spot { path: permit.resource().path().clone(), folder, name: name.to_owned(), entry })
}

fn enter(folder: &OwnedFd, name: &str) -> Result<Entry, Errno> {
    let handle = fs::openat(folder, name, STEP, Mode::empty())?;
    let stat = fs::statat(&handle, "", AtFlags::EMPTY_PATH)?;
    Ok(Entry { handle, stat })
}

/// Refuses what lies on a file system of the kernel.
fn real(handle: impl AsFd) -> Result<(), Refusal> {
    let kind = fs::fstatfs(handle)?.f_type as u64;
    match KERNEL_FILE_SYSTEMS.contains(&kind) {
        true => Err(Refusal::Special),
        false => Ok(()),
    }
}

/// Where a link in the folder `walked` leads, with the rest of the path behind it.
fn target(link: &Entry, walked: &str, rest: &[&str]) -> Result<CanonicalPath, Refusal> {
    let target = fs::readlinkat(&link.handle, "", Vec::new())?;
    let target = target.to_str().map_err(|_| Refusal::NotText)?;
    let folder = walked.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let place = beyond(folder, target, 0).ok_or(Refusal::Os(Errno::LOOP))?;
    let path = place.iter().map(String::as_str).chain(rest.iter().copied()).collect::<Vec<_>>().join("/");
    Ok(CanonicalPath::absolute(&format!("/{path}"))?)
}
