//! The files that a program may use, as landlock knows them.
//!
//! Landlock grants folders with all that lies beneath them, and cannot take a part back. A closed file beneath a granted
//! folder is left out by granting, instead of the folder, each thing in it that is not on the way to the closed one.
//! What a program makes anew directly in such a folder is then refused, so this is done only where there is no view of
//! the program's own to cover the closed file with (see [`view`](super::view)).

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, Scope,
};
use rustix::fs::{self, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::plan::Plan;

/// Where programs, and what they are made of, are found.
pub(crate) const SYSTEM: [&str; 11] = [
    "/bin",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/sbin",
    "/usr",
    "/nix/store",
];

/// What else a program needs that speaks to other machines: names, numbers and certificates.
pub(super) const NETWORK: [&str; 11] = [
    "/etc/ca-certificates",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/run/systemd/resolve",
];

/// Devices that give nothing away.
pub(crate) const DEVICES: [&str; 5] = ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];

/// Folders that hold no files but windows into the kernel and into other processes.
pub(crate) const KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// The rights that are handled: those of the sixth version, which has the last that matter here.
const VERSION: ABI = ABI::V6;

/// Restricts this process for good to the files of a plan, and, where the kernel can, to signals and sockets of its own.
pub(super) fn restrict(plan: &Plan, program: &OwnedFd) -> io::Result<()> {
    let all = AccessFs::from_all(VERSION);
    let mut rules = Ruleset::default().handle_access(all).map_err(said)?;
    rules = rules.scope(Scope::Signal).map_err(said)?;
    if !plan.network {
        rules = rules.scope(Scope::AbstractUnixSocket).map_err(said)?;
        rules = rules.handle_access(AccessNet::from_all(VERSION)).map_err(said)?;
    }
    let mut grant = Grants(rules.create().map_err(said)?);
    let read = AccessFs::from_read(VERSION);
    for path in SYSTEM {
        grant.existing(path, read)?;
    }
    for path in NETWORK.iter().filter(|_| plan.network) {
        grant.existing(path, read)?;
    }
    for path in DEVICES {
        grant.existing(path, AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    if plan.walls.namespaces {
        // All processes in its own view are the program's, and every name in there is for it to see.
        grant.existing("/proc", read)?;
        grant.existing("/", AccessFs::ReadDir.into())?;
    } else {
        grant.existing("/proc/self", read)?;
    }
    let closed: BTreeSet<&str> = match plan.walls.namespaces {
        true => BTreeSet::new(),
        false => plan.files.closed.iter().map(String::as_str).chain(KERNEL).collect(),
    };
    for granted in &plan.files.granted {
        let mut access = BitFlags::EMPTY;
        if granted.read {
            access |= read;
        }
        if granted.write {
            access |= AccessFs::from_write(VERSION);
        }
        grant.around(&granted.path, access, &closed)?;
    }
    grant.0 = grant.0.add_rule(PathBeneath::new(program, AccessFs::Execute | AccessFs::ReadFile)).map_err(said)?;
    grant.0.restrict_self().map_err(said)?;
    Ok(())
}

struct Grants(RulesetCreated);

impl Grants {
    /// Grants a path of the system; one that is not there needs no rule.
    fn existing(&mut self, path: &str, access: BitFlags<AccessFs>) -> io::Result<()> {
        match there(fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))? {
            Some(handle) => self.add(handle, access),
            None => Ok(()),
        }
    }

    fn add(&mut self, handle: OwnedFd, access: BitFlags<AccessFs>) -> io::Result<()> {
        let access = match FileType::from_raw_mode(fs::fstat(&handle)?.st_mode) {
            FileType::Directory => access,
            _ => access & AccessFs::from_file(VERSION),
        };
        if !access.is_empty() {
            (&mut self.0).add_rule(PathBeneath::new(handle, access)).map_err(said)?;
        }
        Ok(())
    }

    /// Grants all beneath a folder but what is closed.
    fn around(&mut self, path: &str, access: BitFlags<AccessFs>, closed: &BTreeSet<&str>) -> io::Result<()> {
        if closed.contains(path) {
            return Ok(());
        }
        if !closed.iter().any(|closed| is_beneath(closed, path)) {
            return match exactly(path)? {
                Some(handle) => self.add(handle, access),
                None => Ok(()),
            };
        }
        for name in names(path)? {
            let inner = if path == "/" { format!("/{name}") } else { format!("{path}/{name}") };
            self.around(&inner, access, closed)?;
        }
        Ok(())
    }
}

/// The handle of a granted path; `None` when nothing is there. A link on the way is not followed: the path had none when
/// it was granted, and whoever may write there could have put one in.
pub(super) fn exactly(path: &str) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    there(fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS))
}

/// Takes what is not there, or not within reach of this user, for nothing.
fn there(opened: Result<OwnedFd, Errno>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(handle) => Ok(Some(handle)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether a path lies beneath a folder.
pub(crate) fn is_beneath(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// The names in a folder that are text. What has another name is granted to nobody.
fn names(path: &str) -> io::Result<Vec<String>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
    let Some(folder) = there(opened)? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in Dir::new(folder)? {
        names.extend(entry?.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
    }
    Ok(names)
}

/// The error of landlock as one of this machine.
fn said(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("landlock: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beneath_is_by_whole_names() {
        for (path, folder) in [("/a/b", "/a"), ("/a", "/"), ("/a/b/c", "/a/b")] {
            assert!(is_beneath(path, folder), "{path} {folder}");
        }
        for (path, folder) in [("/a", "/a"), ("/ab", "/a"), ("/", "/"), ("/a", "/a/b")] {
            assert!(!is_beneath(path, folder), "{path} {folder}");
        }
    }
}
