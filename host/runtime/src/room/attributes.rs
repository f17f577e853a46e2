//! Modes, owners and times of files, changed by the keeper for a program that has no view of its own.
//!
//! **The decision.** A program may change what is written about a file that it may write, as git does with its
//! configuration. The kernel asks for nothing but the owner's number there, and landlock does not ask at all. So in front of
//! the host's own files the filter asks the keeper, who looks the file up as the program would, sees where it lies, and
//! changes it by the handle that was looked at.
//!
//! **What it refuses.** Files outside of the folders that may be written, files of the host, bits with which a file lends
//! its owner's rights, another owner. The keeper has no capability by then, so the kernel judges the rest as it would for
//! the program.
//!
//! **The attack it answers.** A program opens the modes of a neighbour's file, or of the host's own program. Names that
//! change between the look and the change do not matter: both are about one handle.

use std::mem::size_of;
use std::os::fd::{AsRawFd as _, OwnedFd};

use libc::c_long;
use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::files::is_beneath;
use super::plan::Files;
use super::sys::Question;

/// Most bytes of a path, as the kernel has it.
const MAX_PATH: usize = 4096;

/// `fchmodat2`, which has one number everywhere.
pub(super) const FCHMODAT2: c_long = 452;

/// The calls that the keeper answers here.
pub(super) const CALLS: &[c_long] = &[
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_setxattr,
];

/// What a call is about, and how the file is named.
struct Asked {
    folder: i32,
    /// The address of the path; none for a file that is open.
    path: Option<u64>,
    flags: u64,
    change: Change,
}

enum Change {
    Mode(u64),
    Owner(u64, u64),
    /// The address of two times, or 0 for now.
    Times(u64),
}

/// Does what a question asks for. `still_asks` tells whether the asking process still waits, and so is still the one that
/// its number stands for.
pub(super) fn change(question: &Question, files: &Files, still_asks: impl Fn() -> bool) -> Result<(), Errno> {
    // Attributes by name, as on a file system that has none: programs that copy files then go without.
    let asked = Asked::of(question).ok_or(Errno::OPNOTSUPP)?;
    let process = Process(question.process);
    let file = process.look_up(&asked)?;
    let times = match asked.change {
        Change::Times(0) | Change::Mode(_) | Change::Owner(..) => None,
        Change::Times(address) => Some(process.times(address)?),
    };
    if !still_asks() {
        return Err(Errno::INTR);
    }
    if !may_write(files, &place(&file)?) {
        return Err(Errno::PERM);
    }
    let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
    match asked.change {
        Change::Mode(mode) if mode & 0o6000 != 0 => Err(Errno::PERM),
        Change::Mode(mode) => fs::chmodat(CWD, itself, Mode::from_raw_mode((mode & 0o1777) as u32), AtFlags::empty()),
        Change::Owner(user, group) => stays(&file, user, group),
        Change::Times(_) => {
            let now = Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW };
            let times = times.unwrap_or(Timestamps { last_access: now, last_modification: now });
            fs::utimensat(CWD, itself, &times, AtFlags::empty())
        }
    }
}

/// A process that waits for an answer.
struct Process(i32);

impl Process {
    /// The file that a call names, as that process sees it.
    fn look_up(&self, asked: &Asked) -> Result<OwnedFd, Errno> {
        let open = |path: String| fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let base = match asked.folder {
            libc::AT_FDCWD => open(format!("/proc/{}/cwd", self.0))?,
            handle @ 0.. => open(format!("/proc/{}/fd/{handle}", self.0)).map_err(|_| Errno::BADF)?,
            _ => return Err(Errno::BADF),
        };
        let Some(address) = asked.path else { return Ok(base) };
        let path = self.path(address)?;
        if path.is_empty() {
            let by_handle = asked.flags & libc::AT_EMPTY_PATH.unsigned_abs() as u64 != 0;
            return if by_handle { Ok(base) } else { Err(Errno::NOENT) };
        }
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if asked.flags & libc::AT_SYMLINK_NOFOLLOW.unsigned_abs() as u64 != 0 {
            flags |= OFlags::NOFOLLOW;
        }
        fs::openat(base, path, flags, Mode::empty())
    }

    fn path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; MAX_PATH];
        // A path may end right before memory that cannot be read.
        let count = self.read(address, &mut bytes)?;
        bytes.truncate(count);
        let end = bytes.iter().position(|byte| *byte == 0).ok_or(Errno::NAMETOOLONG)?;
        bytes.truncate(end);
        Ok(bytes)
    }

    fn times(&self, address: u64) -> Result<Timestamps, Errno> {
        let mut bytes = [0; 4 * size_of::<i64>()];
        if self.read(address, &mut bytes)? < bytes.len() {
            return Err(Errno::FAULT);
        }
        let mut numbers = bytes
            .chunks_exact(size_of::<i64>())
            .map(|number| number.try_into().map(i64::from_ne_bytes).unwrap_or_default());
        let mut time = || Timespec { tv_sec: numbers.next().unwrap_or(0), tv_nsec: numbers.next().unwrap_or(0) };
        Ok(Timestamps { last_access: time(), last_modification: time() })
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let memory = fs::open(format!("/proc/{}/mem", self.0), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut filled = 0;
        // A read that crosses into what is not there fails as a whole on some kernels, so it goes page by page.
        while filled < bytes.len() {
            let at = address.wrapping_add(filled as u64);
            let page_left = MAX_PATH - (at as usize % MAX_PATH);
            let end = (filled + page_left).min(bytes.len());
            match rustix::io::pread(&memory, bytes.get_mut(filled..end).unwrap_or_default(), at) {
                Ok(count @ 1..) => filled += count,
                Ok(0) | Err(_) => break,
            }
        }
        if filled == 0 { Err(Errno::FAULT) } else { Ok(filled) }
    }
}

impl Asked {
    fn of(question: &Question) -> Option<Self> {
        let [a, b, c, d, e] = question.arguments;
        let handle = |argument: u64| argument as u32 as i32;
        let nofollow = libc::AT_SYMLINK_NOFOLLOW.unsigned_abs() as u64;
        let by_path = |change, flags| Self { folder: libc::AT_FDCWD, path: Some(a), flags, change };
        Some(match question.call {
            libc::SYS_fchmod => Self { folder: handle(a), path: None, flags: 0, change: Change::Mode(b) },
            libc::SYS_fchown => Self { folder: handle(a), path: None, flags: 0, change: Change::Owner(b, c) },
            libc::SYS_fchmodat => Self { folder: handle(a), path: Some(b), flags: 0, change: Change::Mode(c) },
            FCHMODAT2 => Self { folder: handle(a), path: Some(b), flags: d, change: Change::Mode(c) },
            libc::SYS_fchownat => Self { folder: handle(a), path: Some(b), flags: e, change: Change::Owner(c, d) },
            libc::SYS_utimensat => {
                Self { folder: handle(a), path: (b != 0).then_some(b), flags: d, change: Change::Times(c) }
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chmod => by_path(Change::Mode(b), 0),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chown => by_path(Change::Owner(b, c), 0),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_lchown => by_path(Change::Owner(b, c), nofollow),
            _ => return None,
        })
    }
}

/// Where a file lies.
fn place(file: &OwnedFd) -> Result<String, Errno> {
    let place = fs::readlink(format!("/proc/self/fd/{}", file.as_raw_fd()), Vec::new())?;
    place.into_string().map_err(|_| Errno::PERM)
}

/// Returns whether a place may be written, and is not the host's.
fn may_write(files: &Files, place: &str) -> bool {
    let within = |folder: &str| place == folder || is_beneath(place, folder);
    let granted = files.granted.iter().any(|granted| granted.write && within(&granted.path));
    granted && !files.closed.iter().any(|closed| within(closed))
}

/// Accepts the owner that a file has already.
fn stays(file: &OwnedFd, user: u64, group: u64) -> Result<(), Errno> {
    let stat = fs::fstat(file)?;
    let same = |wanted: u64, now: u32| wanted as u32 == u32::MAX || wanted as u32 == now;
    let own = stat.st_uid == rustix::process::geteuid().as_raw();
    if own && same(user, stat.st_uid) && same(group, stat.st_gid) { Ok(()) } else { Err(Errno::PERM) }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Granted;
    use super::*;

    fn files() -> Files {
        let granted = |path: &str, write| Granted { path: path.to_owned(), read: true, write };
        Files { granted: vec![granted("/w", true), granted("/r", false)], closed: vec!["/w/log".to_owned()] }
    }

    #[test]
    fn only_what_may_be_written_is_changed() {
        for place in ["/w", "/w/a", "/w/a/b", "/w/logs"] {
            assert!(may_write(&files(), place), "{place}");
        }
        for place in ["/", "/r/a", "/w/log", "/w/log/a", "/wx", "pipe:[1]", "/etc/passwd"] {
            assert!(!may_write(&files(), place), "{place}");
        }
    }

    #[test]
    fn each_call_is_read_by_its_own_arguments() {
        let question = |call| Question { id: 1, process: 1, call, arguments: [3, 4, 5, 6, 7] };
        let by_name = [libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr];
        assert!(by_name.iter().all(|call| CALLS.contains(call) && Asked::of(&question(*call)).is_none()));
        assert_eq!(CALLS.iter().filter(|call| Asked::of(&question(**call)).is_none()).count(), 6);
        let other = Question { id: 1, process: 1, call: libc::SYS_read, arguments: [0; 5] };
        assert!(Asked::of(&other).is_none());
    }
}
