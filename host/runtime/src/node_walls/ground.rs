//! The ground of a node: the files and connections that it needs once it has begun, and landlock around them.
//!
//! **The decision.** Landlock knows folders and no rules, so the ground is an outline: the folders that the operator and
//! the grants name, and what every program needs to look up names and believe certificates. A file that is named alone
//! stands for its folder, since it may be replaced, and what is not there yet for the nearest folder that is.
//!
//! **The attack it answers.** Code that runs in the process of the host after all, past the guest and the gate, would have
//! all files of its user. Behind this wall it has those of the scripts, and may start no program.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use crate::room::{DEVICES, SYSTEM};

/// The rights that are handled: those of the sixth version, which has the last that matter here.
const VERSION: ABI = ABI::V6;

/// What the host itself reads of the kernel: its own state, how much memory and how many processors there are.
const OF_THE_KERNEL: [&str; 4] = ["/proc/self", "/proc/meminfo", "/sys/devices/system/cpu", "/sys/fs/cgroup"];

/// What it takes to look names up. The folder as a whole: its files are replaced when networks change.
const NAMES: [&str; 2] = ["/etc", "/run/systemd/resolve"];

/// What a node needs once it has begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeGround {
    /// Files and folders, with all beneath them, that are read; none for all there are.
    pub read: Option<Vec<PathBuf>>,
    /// Those that are written; none for all there are.
    pub write: Option<Vec<PathBuf>>,
    /// Whether programs of the operator are executed: those of a kubeconfig that make credentials.
    pub executes: bool,
    /// Whether connections are made to other machines, which takes names and certificates too.
    pub connects: bool,
    /// Whether servers listen.
    pub serves: bool,
}

/// Restricts the calling thread, and all that it starts, to the ground for good. False where the kernel has no landlock.
pub(super) fn restrict(ground: &NodeGround) -> io::Result<bool> {
    let mut rules = Ruleset::default().handle_access(AccessFs::from_all(VERSION)).map_err(said)?;
    rules = rules.scope(Scope::Signal).and_then(|rules| rules.scope(Scope::AbstractUnixSocket)).map_err(said)?;
    if !ground.connects {
        rules = rules.handle_access(AccessNet::ConnectTcp).map_err(said)?;
    }
    if !ground.serves {
        rules = rules.handle_access(AccessNet::BindTcp).map_err(said)?;
    }
    let mut open = Open(rules.create().map_err(said)?);
    // Rooms are started by a process outside of this wall.
    let mut read = AccessFs::ReadFile | AccessFs::ReadDir;
    if ground.executes {
        read |= AccessFs::Execute;
    }
    for path in SYSTEM.iter().chain(&OF_THE_KERNEL).chain(NAMES.iter().filter(|_| ground.connects)) {
        open.existing(Path::new(path), read)?;
    }
    for path in DEVICES {
        open.existing(Path::new(path), AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    open.places(ground.read.as_deref(), read)?;
    open.places(ground.write.as_deref(), read | AccessFs::from_write(VERSION))?;
    let restricted = open.0.restrict_self().map_err(said)?;
    Ok(restricted.ruleset != RulesetStatus::NotEnforced)
}

struct Open(RulesetCreated);

impl Open {
    fn places(&mut self, places: Option<&[PathBuf]>, access: BitFlags<AccessFs>) -> io::Result<()> {
        let Some(places) = places else { return self.existing(Path::new("/"), access) };
        for place in places {
            if let Some(folder) = folder_of(place)? {
                self.add(folder, access)?;
            }
        }
        Ok(())
    }

    /// Opens a path of the system; one that is not there needs no rule.
    fn existing(&mut self, path: &Path, access: BitFlags<AccessFs>) -> io::Result<()> {
        match handle(path) {
            Ok(handle) => self.add(handle, access),
            Err(error) if is_out_of_reach(error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn add(&mut self, handle: OwnedFd, access: BitFlags<AccessFs>) -> io::Result<()> {
        let access = if is_folder(&handle)? { access } else { access & AccessFs::from_file(VERSION) };
        (&mut self.0).add_rule(PathBeneath::new(handle, access)).map_err(said)?;
        Ok(())
    }
}

/// The folder that a place is, or lies in, or will be made in.
fn folder_of(place: &Path) -> io::Result<Option<OwnedFd>> {
    for path in place.ancestors() {
        match handle(if path.as_os_str().is_empty() { Path::new(".") } else { path }) {
            Ok(handle) if is_folder(&handle)? => return Ok(Some(handle)),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) if is_out_of_reach(error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// A handle of what a path leads to, links followed.
fn handle(path: &Path) -> Result<OwnedFd, Errno> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

fn is_folder(handle: &OwnedFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(handle)?.st_mode) == FileType::Directory)
}

/// Whether a path leads to nothing, or to what this user cannot reach in any case.
fn is_out_of_reach(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP | Errno::NAMETOOLONG)
}

/// The error of landlock as one of this machine.
fn said(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::privileges::no_new_privileges;

    /// Does something on a thread of its own behind a ground, if the kernel has landlock.
    fn behind<T: Send>(ground: &NodeGround, what: impl FnOnce() -> T + Send) -> Option<T> {
        let thread = || {
            no_new_privileges().unwrap();
            restrict(ground).unwrap().then(what)
        };
        std::thread::scope(|scope| scope.spawn(thread).join().unwrap())
    }

    #[test]
    fn only_the_ground_is_read_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("read/deep")).unwrap();
        fs::create_dir_all(root.join("own")).unwrap();
        fs::write(root.join("read/deep/file"), "r").unwrap();
        fs::write(root.join("secret"), "s").unwrap();
        let ground = NodeGround {
            // A file stands for its folder, and so does what is not there yet.
            read: Some(vec![root.join("read/deep/file")]),
            write: Some(vec![root.join("own/later/still.txt")]),
            ..NodeGround::default()
        };
        let done = behind(&ground, || {
            let may = [
                fs::read(root.join("read/deep/file")).is_ok(),
                fs::create_dir(root.join("own/later")).is_ok(),
                fs::write(root.join("own/later/still.txt"), "w").is_ok(),
                fs::rename(root.join("own/later/still.txt"), root.join("own/moved")).is_ok(),
                fs::read("/proc/self/status").is_ok(),
            ];
            let may_not = [
                fs::read(root.join("secret")).is_ok(),
                fs::write(root.join("read/deep/new"), "").is_ok(),
                fs::rename(root.join("own/moved"), root.join("out")).is_ok(),
                fs::read("/proc/1/environ").is_ok(),
                std::process::Command::new("/bin/true").spawn().is_ok(),
            ];
            (may, may_not)
        });
        if let Some((may, may_not)) = done {
            assert_eq!((may, may_not), ([true; 5], [false; 5]));
        }
    }

    #[test]
    fn connections_and_servers_are_part_of_the_ground() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        for (connects, serves) in [(false, false), (true, false), (false, true)] {
            let ground = NodeGround { connects, serves, ..NodeGround::default() };
            let done =
                behind(&ground, || (TcpStream::connect(address).is_ok(), TcpListener::bind("127.0.0.1:0").is_ok()));
            // Landlock knows connections from its fourth version on.
            assert!(done.is_none_or(|done| done == (connects, serves) || done == (true, true)), "{done:?}");
        }
    }
}
