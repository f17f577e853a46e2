//! Mounts by handles: the calls of the kernel that build a view without looking a name up twice.

#![expect(unsafe_code, reason = "system calls that the libraries of this workspace do not cover; see each block")]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

/// Attributes of a mount, as bits of `mount_setattr`.
pub(super) const READ_ONLY: u64 = 1;
/// No setuid bits and no devices.
pub(super) const NO_PRIVILEGE: u64 = 2 | 4;
/// No programs.
pub(super) const NO_EXEC: u64 = 8;

/// `FSCONFIG_SET_STRING` and `FSCONFIG_CMD_CREATE`.
const SET_TEXT: libc::c_uint = 1;
const CREATE: libc::c_uint = 6;

/// The bit that all of these calls have for "close on exec", by the names of three of them.
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC as libc::c_uint;
const OPEN_TREE_CLONE: libc::c_uint = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// Has no mount of this namespace be seen outside, or the other way round.
pub(super) fn make_private() -> io::Result<()> {
    let (nothing, root) = (std::ptr::null(), c"/".as_ptr());
    // SAFETY: the one text lives as long as the program; the call reads nothing else.
    done(unsafe { libc::mount(nothing, root, nothing, libc::MS_PRIVATE | libc::MS_REC, nothing.cast()) }.into())
        .map(drop)
}

/// A new file system, mounted nowhere yet.
pub(super) fn file_system(kind: &str, options: &[(&str, &str)]) -> io::Result<OwnedFd> {
    let kind = text(kind)?;
    // SAFETY: the kernel reads a text that lives until the call returns.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
    for (name, value) in options {
        let (name, value) = (text(name)?, text(value)?);
        // SAFETY: the kernel reads two texts that live until the call returns.
        done(unsafe {
            libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), SET_TEXT, name.as_ptr(), value.as_ptr(), 0)
        })?;
    }
    let nothing = std::ptr::null::<u8>();
    // SAFETY: without addresses the call reads no memory.
    done(unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CREATE, nothing, nothing, 0) })?;
    // SAFETY: a system call with plain numbers.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, NO_PRIVILEGE) })
}

/// A copy of what is mounted at a path of a folder, mounted nowhere yet; `beneath` takes all mounts beneath along. An
/// empty path is the folder itself.
pub(super) fn copy(folder: impl AsFd, path: &str, beneath: bool) -> io::Result<OwnedFd> {
    let path = text(path)?;
    let mut flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
    if beneath {
        flags |= libc::AT_RECURSIVE as libc::c_uint;
    }
    if path.is_empty() {
        flags |= libc::AT_EMPTY_PATH.unsigned_abs();
    }
    // SAFETY: the kernel reads a text that lives until the call returns.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, folder.as_fd().as_raw_fd(), path.as_ptr(), flags) })
}

/// Mounts a tree at a path of a folder.
pub(super) fn attach(tree: impl AsFd, folder: impl AsFd, path: &str) -> io::Result<()> {
    let path = text(path)?;
    let (from, to) = (tree.as_fd().as_raw_fd(), folder.as_fd().as_raw_fd());
    // SAFETY: the kernel reads two texts that live until the call returns.
    done(unsafe { libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, path.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH) })
        .map(drop)
}

/// Sets attributes of a mount; `beneath` of all mounts beneath it, too.
pub(super) fn set_attributes(mount: impl AsFd, attributes: u64, beneath: bool) -> io::Result<()> {
    let change = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if beneath { libc::AT_RECURSIVE } else { 0 };
    let (mount, size) = (mount.as_fd().as_raw_fd(), size_of::<libc::mount_attr>());
    // SAFETY: the path is a text of the program, `change` lives until the call returns, and its size is passed with it.
    done(unsafe { libc::syscall(libc::SYS_mount_setattr, mount, c"".as_ptr(), flags, &raw const change, size) })
        .map(drop)
}

/// Takes away what is mounted at the current folder, once nobody uses it any more.
pub(super) fn detach_here() -> io::Result<()> {
    // SAFETY: the one text lives as long as the program.
    done(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
}

fn text(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    let handle = i32::try_from(done(result)?).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the kernel has just made the descriptor for this process.
    Ok(unsafe { OwnedFd::from_raw_fd(handle) })
}

/// The result of a system call, or the error that it left.
fn done(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
