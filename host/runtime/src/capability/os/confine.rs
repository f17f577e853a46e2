//! The last steps of a child between fork and exec: the only `unsafe` of the capabilities.
//!
//! Everything that allocates, opens or can be wrong was done by the parent, in [`walls`](super::walls). What is left are
//! system calls on values that are ready: limits, descriptors, and two walls that a process can only put up around
//! itself.

#![expect(unsafe_code, reason = "see the argument at each block")]

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::walls::Walls;

/// First descriptor that is not standard input, output or error.
const FIRST_OTHER: libc::c_uint = 3;

/// Has the child of `command` stand behind its walls before it becomes the program.
pub(super) fn behind(command: &mut Command, walls: Walls) {
    // SAFETY: after a fork of a process with threads, the child may only do what is safe in a signal handler. `enter`
    // makes system calls and nothing else: it allocates nothing, takes no lock, and reads `walls`, which no other thread
    // can reach. An error is passed to the parent by its number alone.
    unsafe { command.pre_exec(move || enter(&walls)) };
}

fn enter(walls: &Walls) -> io::Result<()> {
    // SAFETY: system calls with plain numbers. Marking a descriptor close-on-exec, or not, changes no memory.
    unsafe {
        // Whatever this process inherited without the mark, or opened without it, ends with the exec. The program's own
        // handle stays: the kernel opens a script once more through it.
        let mark = libc::CLOSE_RANGE_CLOEXEC;
        done(libc::syscall(libc::SYS_close_range, FIRST_OTHER, libc::c_uint::MAX, mark))?;
        done(libc::fcntl(walls.program.as_raw_fd(), libc::F_SETFD, 0).into())?;
    }
    for (resource, limit) in walls.limits {
        rustix::process::setrlimit(resource, limit)?;
    }
    // SAFETY: system calls with plain numbers and a descriptor that `walls` keeps open.
    unsafe {
        done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        if let Some(landlock) = &walls.landlock {
            done(libc::syscall(libc::SYS_landlock_restrict_self, landlock.as_raw_fd(), 0))?;
        }
    }
    seccompiler::apply_filter(&walls.calls).map_err(|_| io::Error::last_os_error())
}

/// The error of a system call that failed.
fn done(result: libc::c_long) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
