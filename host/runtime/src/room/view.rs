//! A view of the file system of the program's own: a root folder in which nothing is but what it may use.
//!
//! The folders of the system stand in it read-only, the granted ones as they were granted, `/proc` is that of the
//! program's own process namespace, `/dev` has five devices, `/sys` does not exist. So not only is all else closed: it is
//! not there, with its names, sizes and owners. Where everything may be read, the host's own root is taken, and `/proc`,
//! `/dev` and `/sys` in it are covered.
//!
//! A closed file beneath a granted folder is covered by an empty one that nobody may open. A cover cannot be removed,
//! renamed or linked over; neither can the folders between it and the granted one, since each is made a mount of its own.
//!
//! It is built from handles that were taken before, so a link that somebody swaps in meanwhile leads nowhere else.

use std::io;
use std::os::fd::OwnedFd;

use super::files::{DEVICES, KERNEL, NETWORK, SYSTEM, exactly, is_beneath};
use super::mounts::{self, NO_EXEC, NO_PRIVILEGE, READ_ONLY, attach, file_system};
use super::plan::{Granted, Plan};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Enters the view of a plan, from within fresh namespaces, and gives the program's handle in it.
pub(super) fn enter(plan: &Plan, program: &OwnedFd) -> io::Result<OwnedFd> {
    mounts::make_private().map_err(step("leave the host's mounts"))?;
    // The kernel allows this only while another one of its kind is in sight.
    let processes = file_system("proc", &[("subset", "pid")]).map_err(step("mount /proc"))?;
    let program = same_program(plan, program).map_err(step(&plan.program))?;
    let devices = devices().map_err(step("take the devices"))?;
    let covers = Covers::new().map_err(step("make covers"))?;
    let parts = parts(plan)?;
    let root = match whole(plan) {
        Some(granted) => {
            let tree = part("/").map_err(step("take /"))?.ok_or(Errno::NOENT)?;
            mounts::set_attributes(&tree, attributes(granted.write), true).map_err(step("restrict /"))?;
            tree
        }
        None => file_system("tmpfs", &[("mode", "0755"), ("size", "1m")]).map_err(step("mount a root"))?,
    };
    // Anywhere will do: it becomes the root before anything else is looked up.
    attach(&root, CWD, "/proc").map_err(step("attach the root"))?;
    let is_own = whole(plan).is_none();
    let view = View { root, is_own };
    for (path, part) in parts {
        match part {
            Part::Link(target) => view.link(&path, &target).map_err(step(&path))?,
            Part::Tree(tree) => view.mount(tree, &path).map_err(step(&path))?,
        }
    }
    view.mount(processes, "/proc").map_err(step("/proc"))?;
    view.mount(devices, "/dev").map_err(step("/dev"))?;
    if !is_own {
        view.mount(covers.folder()?, "/sys").or_else(absent).map_err(step("/sys"))?;
    }
    view.close(plan, &covers)?;
    let folder = view.folder(&plan.folder).map_err(step(&plan.folder))?;
    if is_own {
        mounts::set_attributes(&view.root, READ_ONLY | NO_PRIVILEGE | NO_EXEC, false)?;
    }
    rustix::process::fchdir(&view.root)?;
    rustix::process::pivot_root(".", ".").map_err(step("enter the root"))?;
    mounts::detach_here().map_err(step("leave the old root"))?;
    rustix::process::chdir("/")?;
    rustix::process::fchdir(folder)?;
    Ok(program)
}

/// A thing to stand in the view.
enum Part {
    Tree(OwnedFd),
    /// A link, such as `/bin` to `usr/bin`.
    Link(String),
}

/// The grant of everything, if there is one.
fn whole(plan: &Plan) -> Option<&Granted> {
    plan.files.granted.iter().find(|granted| granted.path == "/" && granted.read)
}

/// All that stands in the view, those above before those beneath.
fn parts(plan: &Plan) -> io::Result<Vec<(String, Part)>> {
    let mut parts = Vec::new();
    if whole(plan).is_none() {
        for path in SYSTEM.iter().chain(NETWORK.iter().filter(|_| plan.network)) {
            if let Some(target) = link_at(path).filter(|_| SYSTEM.contains(path)) {
                parts.push(((*path).to_owned(), Part::Link(target)));
            } else if let Some(tree) = part(path).map_err(step(path))? {
                mounts::set_attributes(&tree, attributes(false), true).map_err(step(path))?;
                parts.push(((*path).to_owned(), Part::Tree(tree)));
            }
        }
    }
    let mut granted: Vec<&Granted> = plan.files.granted.iter().filter(|granted| granted.path != "/").collect();
    granted.sort_by_key(|granted| granted.path.len());
    // Only what can be read stands in the view; writing alone is what landlock is for.
    for granted in granted.into_iter().filter(|granted| granted.read || plan.walls.landlock > 0) {
        if KERNEL.iter().any(|kernel| granted.path == *kernel || is_beneath(&granted.path, kernel)) {
            continue;
        }
        if let Some(tree) = granted_part(&granted.path).map_err(step(&granted.path))? {
            mounts::set_attributes(&tree, attributes(granted.write), true).map_err(step(&granted.path))?;
            parts.push((granted.path.clone(), Part::Tree(tree)));
        }
    }
    Ok(parts)
}

fn attributes(write: bool) -> u64 {
    if write { NO_PRIVILEGE } else { NO_PRIVILEGE | READ_ONLY }
}

/// A copy of what is mounted at a path, with all mounts beneath; `None` when nothing is there.
fn part(path: &str) -> io::Result<Option<OwnedFd>> {
    match mounts::copy(CWD, path, true) {
        Ok(tree) => Ok(Some(tree)),
        Err(error) => absent(error).map(|()| None),
    }
}

/// The same of a granted path, through no link; see [`exactly`].
fn granted_part(path: &str) -> io::Result<Option<OwnedFd>> {
    let Some(handle) = exactly(path)? else { return Ok(None) };
    mounts::copy(handle, "", true).map(Some)
}

/// The program among the mounts of this namespace, and there read-only. The given handle is of the host's mounts, and
/// through those the program could be written.
fn same_program(plan: &Plan, given: &OwnedFd) -> io::Result<OwnedFd> {
    let found = granted_part(&plan.program)?.ok_or(Errno::NOENT)?;
    let (one, other) = (fs::fstat(&found)?, fs::fstat(given)?);
    if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino) {
        return Err(io::Error::other("it was changed by others while it was started"));
    }
    mounts::set_attributes(&found, READ_ONLY | NO_PRIVILEGE, false)?;
    Ok(found)
}

fn link_at(path: &str) -> Option<String> {
    fs::readlinkat(CWD, path, Vec::new()).ok()?.into_string().ok()
}

/// The copies of the devices that a program may use, in the order of their names.
struct Devices(Vec<(&'static str, OwnedFd)>);

fn devices() -> io::Result<Devices> {
    let mut all = Vec::new();
    for path in DEVICES {
        if let Some(device) = part(path)? {
            all.push((path, device));
        }
    }
    Ok(Devices(all))
}

/// An empty file and an empty folder that nobody may open.
struct Covers(OwnedFd);

impl Covers {
    fn new() -> io::Result<Self> {
        let home = file_system("tmpfs", &[("mode", "0755"), ("size", "64k")])?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        drop(fs::openat(&home, "file", flags, Mode::empty())?);
        fs::mkdirat(&home, "folder", Mode::empty())?;
        // Its owner could open it by changing its mode, were it not for this.
        mounts::set_attributes(&home, READ_ONLY | NO_PRIVILEGE | NO_EXEC, false)?;
        Ok(Self(home))
    }

    fn file(&self) -> io::Result<OwnedFd> {
        self.copy("file")
    }

    fn folder(&self) -> io::Result<OwnedFd> {
        self.copy("folder")
    }

    fn copy(&self, name: &str) -> io::Result<OwnedFd> {
        mounts::copy(&self.0, name, false)
    }
}

/// The view while it is built.
struct View {
    root: OwnedFd,
    /// True if the root is a file system of its own, rather than a copy of the host's.
    is_own: bool,
}

impl View {
    /// Mounts a tree at a path of the view.
    fn mount(&self, tree: impl Into<Mounted>, path: &str) -> io::Result<()> {
        match tree.into() {
            Mounted::Tree(tree) => self.mount_tree(tree, path),
            Mounted::Devices(devices) => self.mount_devices(devices, path),
        }
    }

    fn mount_tree(&self, tree: OwnedFd, path: &str) -> io::Result<()> {
        let is_folder = FileType::from_raw_mode(fs::fstat(&tree)?.st_mode) == FileType::Directory;
        self.place(path, is_folder)?;
        attach(tree, &self.root, relative(path))
    }

    fn mount_devices(&self, devices: Devices, path: &str) -> io::Result<()> {
        let home = file_system("tmpfs", &[("mode", "0755"), ("size", "64k")])?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for (device, _) in &devices.0 {
            drop(fs::openat(&home, name(device), flags, Mode::RUSR)?);
        }
        for (link, target) in [("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")] {
            fs::symlinkat(format!("/proc/self/fd{target}"), &home, link)?;
        }
        self.place(path, true)?;
        attach(&home, &self.root, relative(path))?;
        for (device, tree) in devices.0 {
            attach(tree, &home, name(device))?;
        }
        mounts::set_attributes(&home, READ_ONLY | NO_EXEC, false)
    }

    /// Makes a link of the view.
    fn link(&self, path: &str, target: &str) -> io::Result<()> {
        self.place_folders(path)?;
        Ok(fs::symlinkat(target, &self.root, relative(path))?)
    }

    /// Covers the closed files, and fixes the folders on the way to them.
    fn close(&self, plan: &Plan, covers: &Covers) -> io::Result<()> {
        for closed in &plan.files.closed {
            let covering = || -> io::Result<()> {
                let Some(top) = plan.files.granted.iter().rfind(|granted| is_beneath(closed, &granted.path)) else {
                    return Ok(());
                };
                self.fix_between(&top.path, closed)?;
                let stat = fs::statat(&self.root, relative(closed), AtFlags::SYMLINK_NOFOLLOW)?;
                let cover = match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => covers.folder()?,
                    _ => covers.file()?,
                };
                attach(cover, &self.root, relative(closed))
            };
            // What is not there, or lies beneath another cover, needs none.
            covering().or_else(absent).map_err(step(closed))?;
        }
        Ok(())
    }

    /// Makes each folder between a granted one and a closed file a mount of its own, which nothing can rename.
    fn fix_between(&self, top: &str, closed: &str) -> io::Result<()> {
        let mut at = top.trim_end_matches('/').to_owned();
        let rest = closed.strip_prefix(&at).unwrap_or_default();
        let names: Vec<&str> = rest.split('/').filter(|name| !name.is_empty()).collect();
        for name in names.iter().take(names.len().saturating_sub(1)) {
            at.push('/');
            at.push_str(name);
            attach(mounts::copy(&self.root, relative(&at), true)?, &self.root, relative(&at))?;
        }
        Ok(())
    }

    /// The folder that the program runs in. Where it may not read it, an empty one stands in its place.
    fn folder(&self, path: &str) -> io::Result<OwnedFd> {
        let open = || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            fs::openat(&self.root, relative(path), flags, Mode::empty())
        };
        match open() {
            Err(Errno::NOENT) if self.is_own => {
                self.place(path, true)?;
                Ok(open()?)
            }
            other => Ok(other?),
        }
    }

    /// Makes the place that something is to be mounted at, in a root of its own.
    fn place(&self, path: &str, is_folder: bool) -> io::Result<()> {
        if !self.is_own {
            return Ok(());
        }
        self.place_folders(path)?;
        let made = match is_folder {
            true => fs::mkdirat(&self.root, relative(path), Mode::from_raw_mode(0o755)),
            false => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                fs::openat(&self.root, relative(path), flags, Mode::RUSR).map(drop)
            }
        };
        // It may be there already, beneath a mounted folder or as one on the way to another.
        match made {
            Ok(()) | Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS | Errno::PERM) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn place_folders(&self, path: &str) -> io::Result<()> {
        let path = relative(path);
        for (at, _) in path.match_indices('/') {
            let above = path.get(..at).unwrap_or_default();
            match fs::mkdirat(&self.root, above, Mode::from_raw_mode(0o755)) {
                // What lies in a folder of the host is there, even where nothing can be made.
                Ok(()) | Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS | Errno::PERM) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// What can be mounted in a view.
enum Mounted {
    Tree(OwnedFd),
    Devices(Devices),
}

impl From<OwnedFd> for Mounted {
    fn from(tree: OwnedFd) -> Self {
        Self::Tree(tree)
    }
}

impl From<Devices> for Mounted {
    fn from(devices: Devices) -> Self {
        Self::Devices(devices)
    }
}

/// A path as one of the root's folder.
fn relative(path: &str) -> &str {
    match path.trim_start_matches('/') {
        "" => ".",
        path => path,
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Takes what is not there for done.
fn absent(error: io::Error) -> io::Result<()> {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
        _ => Err(error),
    }
}

/// Adds to an error what failed.
fn step<E: Into<io::Error>>(what: &str) -> impl Fn(E) -> io::Error {
    move |error| {
        let error: io::Error = error.into();
        io::Error::new(error.kind(), format!("{what}: {error}"))
    }
}
