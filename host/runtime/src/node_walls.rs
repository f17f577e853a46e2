//! Walls around the node itself: what the host gives up before it runs a script.
//!
//! **The decision.** The guest is the wall that counts. These stand behind it, for the day on which somebody runs code of
//! their own in the process of the host: it then finds no privileges to gain, no capability beyond those that files and low
//! ports need, none of the kernel's interfaces that the host has no use for, and nobody finds its memory in a core dump.
//!
//! **What it refuses.** To start where one of them cannot be put up, unless the operator accepts that.
//!
//! **When.** Before the first thread is made: all of it holds for the calling thread and those that come from it.
//!
//! Landlock comes last, to the [`ground`] of the node. A process behind landlock cannot mount anything, and the rooms of its
//! programs need to: a [porter](crate::room::porter) that is started before it starts them. A kernel without landlock is
//! told of, and no error: the guest and the gate stand without it.

mod ground;

use std::io;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::Resource;
use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter};

pub use self::ground::NodeGround;
use crate::privileges::{
    Capabilities, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, NET_BIND_SERVICE, SETFCAP, lower, no_new_privileges,
};
use crate::room::porter::{RoomTerms, station};

/// What to do where a wall cannot be put up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeWalls {
    /// The node does not start.
    #[default]
    Strict,
    /// It starts without, and says so.
    BestEffort,
}

/// What became of the walls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The capabilities that a privileged process has kept; `None` for one that had none.
    pub kept: Option<Vec<&'static str>>,
    /// Walls that could not be put up, with the reason.
    pub missing: Vec<String>,
    /// Whether the kernel has no landlock for a node that has a ground.
    pub without_landlock: bool,
}

/// What a node stands on: its own ground, and the terms of its rooms if scripts may run programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stand {
    /// The files and connections of the node itself.
    pub ground: NodeGround,
    /// The terms of rooms; none where no program may run.
    pub rooms: Option<RoomTerms>,
}

/// Capabilities that a node needs which has them, and what for.
const NEEDED: [(u32, &str); 5] = [
    // Files that a script may use, whoever owns them.
    (DAC_OVERRIDE, "DAC_OVERRIDE"),
    (DAC_READ_SEARCH, "DAC_READ_SEARCH"),
    (FOWNER, "FOWNER"),
    // Ports below 1024.
    (NET_BIND_SERVICE, "NET_BIND_SERVICE"),
    // Without it the kernel lets user 0 make no user namespace in which it stays user 0: the rooms of programs.
    (SETFCAP, "SETFCAP"),
];

/// What a node has no use for: memory that cannot be paged out, queues of messages, a priority over others. The memory and
/// the threads that it uses are bounded where they are made.
const LIMITS: [(Resource, u64); 4] =
    [(Resource::Memlock, 1 << 20), (Resource::Msgqueue, 0), (Resource::Nice, 0), (Resource::Rtprio, 0)];

/// Puts the walls up, around the calling thread and all that it starts.
///
/// # Errors
/// The sentence for whoever started the node.
pub fn put_up(demand: NodeWalls, stand: &Stand) -> Result<Standing, String> {
    let mut standing = Standing::default();
    let mut put = |name: &str, result: io::Result<()>| {
        standing.missing.extend(result.err().map(|error| format!("{name}: {error}")));
    };
    put("no core dumps", no_core_dumps());
    put("limits", LIMITS.iter().try_for_each(|(resource, limit)| lower(*resource, *limit)));
    put("no_new_privs", no_new_privileges());
    let kept = give_up_capabilities();
    let (kept, failed) = kept.map_or_else(|error| (None, Err(error)), |kept| (kept, Ok(())));
    put("capabilities", failed);
    put("system calls", no_foreign_calls());
    // The porter is outside of landlock, and behind all that stands by now.
    let stationed = stand.rooms.as_ref().map_or(Ok(()), station);
    let restricted = stationed.and_then(|()| ground::restrict(&stand.ground));
    let (whole, failed) = restricted.map_or_else(|error| (true, Err(error)), |whole| (whole, Ok(())));
    put("landlock", failed);
    standing.without_landlock = !whole;
    standing.kept = kept;
    match demand {
        NodeWalls::Strict if !standing.missing.is_empty() => Err(format!(
            "a wall around the host cannot be put up: {}; --node-walls best-effort starts without",
            standing.missing.join("; ")
        )),
        _ => Ok(standing),
    }
}

/// Neither a file nor a program of the system gets the memory of a host that crashed.
fn no_core_dumps() -> io::Result<()> {
    lower(Resource::Core, 0)?;
    // The limit does not bind a program that takes core dumps through a pipe. It gets one without any memory.
    let filter = openat(CWD, "/proc/self/coredump_filter", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&filter, b"0")?;
    Ok(())
}

/// Gives up what is not needed. The names of what is kept, if there was anything.
fn give_up_capabilities() -> io::Result<Option<Vec<&'static str>>> {
    if Capabilities::permitted()? == Capabilities::default() {
        return Ok(None);
    }
    let kept = Capabilities::of(NEEDED.iter().map(|(number, _)| *number)).keep_only()?;
    Ok(Some(NEEDED.iter().filter(|(number, _)| kept.has(*number)).map(|(_, name)| *name).collect()))
}

/// System calls that neither the host nor a room has a use for: they fail with "not permitted". What a room needs for its
/// namespaces stays; its programs have a list of their own.
const FOREIGN: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

fn no_foreign_calls() -> io::Result<()> {
    let filter = filter().map_err(|error| io::Error::other(error.to_string()))?;
    seccompiler::apply_filter(&filter).map_err(|error| io::Error::other(error.to_string()))
}

fn filter() -> Result<BpfProgram, BackendError> {
    let rules = FOREIGN.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?.try_into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_leaves_rooms_what_they_need() {
        assert!(!filter().unwrap().is_empty());
        let rooms = [
            libc::SYS_unshare,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_open_tree,
            libc::SYS_move_mount,
            libc::SYS_fsopen,
            libc::SYS_fsmount,
            libc::SYS_mount_setattr,
            libc::SYS_seccomp,
            libc::SYS_landlock_restrict_self,
        ];
        assert!(rooms.iter().all(|call| !FOREIGN.contains(call)));
    }
}
