//! System calls that no safe interface covers: the only `unsafe` of the room.
//!
//! All of it runs in the process of a room, which starts anew from the host's program file and never makes a thread. So
//! the usual traps of `fork` (locks that another thread holds, memory that it is changing) cannot arise here: a child
//! goes on with a whole copy of the one thread there is.

#![expect(unsafe_code, reason = "see the argument at each block")]

use std::ffi::CStr;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::process::Pid;
use seccompiler::BpfProgram;

/// First descriptor that is not standard input, output or error.
const FIRST_OTHER: libc::c_uint = 3;

/// Closes every descriptor but the three standard ones. What the host itself inherited without a close-on-exec mark
/// ends here.
///
/// To be called before anything was opened: no owner of a descriptor exists yet.
pub(super) fn close_others() -> io::Result<()> {
    // SAFETY: the caller runs first in its process, so no object of it owns a descriptor above the standard ones.
    done(unsafe { libc::syscall(libc::SYS_close_range, FIRST_OTHER, libc::c_uint::MAX, 0) }).map(drop)
}

/// The descriptor that the host passed as standard input: the socket to it.
pub(super) fn standard_input() -> OwnedFd {
    // SAFETY: called once at the start, before anything reads standard input, which nobody else owns.
    unsafe { OwnedFd::from_raw_fd(0) }
}

/// Makes a child process. `None` in the child.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process has one thread (see the module), so the child may do whatever the parent may.
    let id = done(unsafe { libc::fork() }.into())?;
    Ok(i32::try_from(id).ok().and_then(Pid::from_raw))
}

/// Leaves the user, mount, process and message namespaces of the host. The process namespace holds for children.
pub(super) fn unshare() -> io::Result<()> {
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC;
    // SAFETY: a system call with a plain number; none of these flags touches memory or descriptors.
    done(unsafe { libc::unshare(flags) }.into()).map(drop)
}

/// The version of landlock that the kernel has; 0 for none.
pub(super) fn landlock() -> u32 {
    const VERSION: libc::c_uint = 1;
    // SAFETY: without a structure and with this flag the call only tells a number.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

/// Puts up a filter of system calls that asks a listener about some of them, and returns the listener.
pub(super) fn filter_with_listener(filter: &BpfProgram) -> io::Result<OwnedFd> {
    let count = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // The two structures have the same layout: that of `struct sock_filter` of the kernel.
    let program = libc::sock_fprog { len: count, filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    let with = |flags: libc::c_ulong| {
        // SAFETY: the kernel copies the filter, whose address and length belong together and live until the call ends.
        let call =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
        done(call)
    };
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // With the second flag, which kernels have from 5.19 on, a signal does not take a question back.
    let handle = with(listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).or_else(|_| with(listener))?;
    let handle = i32::try_from(handle).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made the descriptor for this process.
    let handle = unsafe { OwnedFd::from_raw_fd(handle) };
    listen_at_once(handle.as_fd());
    Ok(handle)
}

/// Has whoever listens run as soon as a question is asked, on the processor of the one who asks. Until the question is
/// received a signal takes it back, and a call that no program expects to be interrupted says `EINTR`: a shell whose first
/// child ends while it makes a second one would give up. Kernels before 6.6 cannot do it, and leave that moment longer.
fn listen_at_once(listener: BorrowedFd<'_>) {
    const SYNC_WAKE_UP: libc::c_ulong = 1;
    // SAFETY: the argument is a number, no address.
    let _ = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
}

/// A system call of the program that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) id: u64,
    /// The process or thread, by its number in the namespace of the listener.
    pub(super) process: i32,
    pub(super) call: libc::c_long,
    /// The first five arguments; no call that is asked about has a sixth that matters.
    pub(super) arguments: [u64; 5],
}

/// The answer to a question.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// The call is made.
    GoOn,
    /// The call was made for the program.
    Done,
    /// The call fails.
    Fail(Errno),
}

/// The next question of a listener. Fails with `ENOENT` when the asking process is gone meanwhile.
pub(super) fn question(listener: BorrowedFd<'_>) -> io::Result<Question> {
    // SAFETY: the kernel wants the structure zeroed, which is a value of it: all its fields are numbers.
    let mut question: libc::seccomp_notif = unsafe { zeroed() };
    // SAFETY: the kernel writes one structure of this type to the address.
    done(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut question) }.into())?;
    let [a, b, c, d, e, _] = question.data.args;
    let process = question.pid.cast_signed();
    Ok(Question { id: question.id, process, call: question.data.nr.into(), arguments: [a, b, c, d, e] })
}

/// Returns whether the process that asked still waits for the answer, and so still has its number.
pub(super) fn still_asks(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one number of this size from the address.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
}

/// Answers a question.
pub(super) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> io::Result<()> {
    const GO_ON: u32 = 1;
    let (error, flags) = match answer {
        Answer::GoOn => (0, GO_ON),
        Answer::Done => (0, 0),
        Answer::Fail(error) => (-error.raw_os_error(), 0),
    };
    let answer = libc::seccomp_notif_resp { id, val: 0, error, flags };
    // SAFETY: the kernel reads one structure of this type from the address.
    done(unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const answer) }.into())
        .map(drop)
}

/// Lets a descriptor stay open in the program.
pub(super) fn keep_open(handle: impl AsFd) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(handle, rustix::io::FdFlags::empty())?)
}

/// Copies a descriptor to one of the three standard ones.
pub(super) fn as_standard(handle: BorrowedFd<'_>, number: i32) -> io::Result<()> {
    // SAFETY: nothing of this process reads or writes the standard streams, so replacing one takes it from nobody.
    done(unsafe { libc::dup2(handle.as_raw_fd(), number) }.into()).map(drop)
}

/// Ends this process at once.
pub(super) fn exit(code: i32) -> ! {
    // SAFETY: it does not return, and runs nothing that was registered for the end of the program.
    unsafe { libc::_exit(code) }
}

/// The name under which the room is started; no program can be called so by its path.
pub(crate) const NAME: &CStr = c"starcell-room";

/// The name under which the porter is started.
pub(crate) const PORTER: &CStr = c"starcell-porter";

/// The result of a system call, or the error that it left.
fn done(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
