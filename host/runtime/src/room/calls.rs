//! The system calls that a program may make.
//!
//! A list of what is allowed, since a list of what is refused grows old: a call that a later kernel adds is refused. Three
//! filters stand one behind the other, and the strictest answer of the three counts:
//!
//! - [`allowed`]: ordinary calls; of those that reach further with some arguments, only the harmless ones. All else fails
//!   with "not permitted".
//! - [`absent`]: `clone3` and `openat2`, whose flags no filter can see, are answered as on a kernel without them. Every
//!   libc then uses `clone` and `openat`, whose flags are seen.
//! - [`asked`]: each call that makes a process or a thread waits for the keeper's answer; so do calls that change what is
//!   written about a file, where the program has no view of its own.
//!
//! What the list stops by itself, on any kernel: sockets but for a connected pair, namespaces, mounts, tracing, limits,
//! priorities and processors of other processes, modules, keys, BPF, io_uring, userfaultfd, performance counters, messages
//! and memory of System V, files without a name, setuid bits, calls of the 32-bit and x32 interfaces.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::attributes::{self, FCHMODAT2};

/// What decides on a few calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave {
    /// Sockets of the common families.
    pub(super) network: bool,
    /// Calls that change modes, owners, times and attributes of files: harmless where only the granted files can be named,
    /// which is where the program has a view of its own. Elsewhere the keeper is asked; see
    /// [`super::attributes`].
    pub(super) attributes: bool,
}

/// The filter of what is allowed.
pub(super) fn allowed(leave: Leave) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    let mut plain = |calls: &[c_long]| calls.iter().for_each(|call| drop(rules.insert(*call, Vec::new())));
    plain(ORDINARY);
    plain(OF_THIS_MACHINE);
    if leave.network {
        plain(NETWORK);
    }
    if leave.attributes {
        plain(ATTRIBUTES);
    } else {
        // What the keeper does not do itself stays refused; what it does must pass this filter to come to it.
        plain(attributes::CALLS);
    }
    for (call, alternatives) in with_arguments(leave) {
        let alternatives = alternatives.into_iter().map(|conditions| {
            let conditions =
                conditions.into_iter().map(|(index, is, value)| SeccompCondition::new(index, Width::Dword, is, value));
            SeccompRule::new(conditions.collect::<Result<_, _>>()?)
        });
        rules.insert(call, alternatives.collect::<Result<_, _>>()?);
    }
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, refused, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// The filter that answers as a kernel without these calls does.
pub(super) fn absent() -> Result<BpfProgram, BackendError> {
    let rules: BTreeMap<_, _> = [libc::SYS_clone3, libc::SYS_openat2].map(|call| (call, Vec::new())).into();
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, absent, std::env::consts::ARCH.try_into()?)?.try_into()
}

/// The filter that asks a listener about each new process and thread, and about attributes of files where these are not
/// allowed.
pub(super) fn asked(leave: Leave) -> Result<BpfProgram, BackendError> {
    /// `BPF_RET | BPF_K`, and two of the values that it returns.
    const RETURN: u16 = 6;
    const TRACE: u32 = 0x7ff0_0000;
    const ASK: u32 = 0x7fc0_0000;
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = NEW_PROCESS.iter().map(|call| (*call, Vec::new())).collect();
    if !leave.attributes {
        rules.extend(attributes::CALLS.iter().map(|call| (*call, Vec::new())));
    }
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trace(0), std::env::consts::ARCH.try_into()?)?;
    let mut program: BpfProgram = filter.try_into()?;
    // The crate has no name for the action that asks a listener, so it takes the place of the one for a tracer.
    for instruction in program.iter_mut().filter(|at| at.code == RETURN && at.k == TRACE) {
        instruction.k = ASK;
    }
    Ok(program)
}

/// One way in which a call is allowed: all of these hold. An argument by its index, counted from 0, and its lower half:
/// none of these arguments has another.
type Conditions = Vec<(u8, Is, u64)>;

/// Calls that are allowed with some arguments only.
fn with_arguments(leave: Leave) -> Vec<(c_long, Vec<Conditions>)> {
    let is = |index, value: c_long| (index, Is::Eq, value.cast_unsigned() & 0xffff_ffff);
    let isnt = |index, value: c_long| (index, Is::Ne, value.cast_unsigned() & 0xffff_ffff);
    let no_flag = |index, flags: c_long| (index, Is::MaskedEq(flags.cast_unsigned()), 0);
    let mut calls = vec![
        (libc::SYS_clone, vec![vec![no_flag(0, SPACES)]]),
        // Only stream and packet pairs: a datagram socket can be sent through to any name.
        (
            libc::SYS_socketpair,
            [libc::SOCK_STREAM, libc::SOCK_SEQPACKET]
                .map(|kind| vec![is(0, libc::AF_UNIX.into()), (1, Is::MaskedEq(0xf), u64::from(kind.unsigned_abs()))])
                .into(),
        ),
        // Process 0 is the calling one.
        (libc::SYS_prlimit64, vec![vec![is(0, 0)]]),
        (libc::SYS_sched_setaffinity, vec![vec![is(0, 0)]]),
        (libc::SYS_sched_setattr, vec![vec![is(0, 0)]]),
        (libc::SYS_sched_setparam, vec![vec![is(0, 0)]]),
        (libc::SYS_sched_setscheduler, vec![vec![is(0, 0)]]),
        (libc::SYS_setpriority, vec![vec![is(0, libc::PRIO_PROCESS.into()), is(1, 0)]]),
        // 1: a process, or thread.
        (libc::SYS_ioprio_set, vec![vec![is(0, 1), is(1, 0)]]),
        // Whom to send a signal when a file is ready: it could be anybody.
        (libc::SYS_fcntl, vec![SIGNALLING.iter().map(|command| isnt(1, *command)).collect()]),
        (libc::SYS_ioctl, vec![IOCTLS.iter().map(|command| isnt(1, *command)).collect()]),
        (libc::SYS_prctl, PRCTLS.iter().map(|option| vec![is(0, (*option).into())]).collect()),
        // 0: Linux; all ones: a question; the third: addresses that are not random.
        (libc::SYS_personality, [0, 0xffff_ffff, 0x0004_0000].map(|persona| vec![is(0, persona)]).into()),
    ];
    calls.extend(MAKING.iter().map(|(call, mode)| (*call, vec![vec![no_flag(*mode, SET_ID)]])));
    calls.extend(OPENING.iter().map(|(call, flags)| {
        // Without the flag that makes a file, the mode is whatever the register held.
        (
            *call,
            vec![
                vec![no_flag(*flags, libc::O_CREAT.into()), no_flag(*flags, TMPFILE)],
                vec![no_flag(flags + 1, SET_ID)],
            ],
        )
    }));
    calls.extend(CHANGING_MODE.iter().map(|(call, mode)| (*call, vec![vec![no_flag(*mode, SET_ID)]])));
    if leave.network {
        let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        calls.push((libc::SYS_socket, families.map(|family| vec![is(0, family.into())]).into()));
        calls.push((libc::SYS_socketpair, vec![vec![is(0, libc::AF_UNIX.into())]]));
    }
    calls
}

/// Flags of `clone` that make a namespace, or a process that is not a child of the program.
const SPACES: c_long = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PARENT
    | libc::CLONE_PTRACE) as c_long;

/// Bits of a mode with which a file lends the rights of its owner to whoever executes it.
const SET_ID: c_long = 0o6000;

/// The bit of `O_TMPFILE` that is its own.
const TMPFILE: c_long = 0o20_000_000;

/// Calls that make a file, with the index of their mode.
#[cfg(target_arch = "x86_64")]
const MAKING: &[(c_long, u8)] = &[(libc::SYS_creat, 1), (libc::SYS_mknod, 1), (libc::SYS_mknodat, 2)];
#[cfg(not(target_arch = "x86_64"))]
const MAKING: &[(c_long, u8)] = &[(libc::SYS_mknodat, 2)];

/// Calls that open a file and may make it, with the index of their flags. Their mode comes next.
#[cfg(target_arch = "x86_64")]
const OPENING: &[(c_long, u8)] = &[(libc::SYS_open, 1), (libc::SYS_openat, 2)];
#[cfg(not(target_arch = "x86_64"))]
const OPENING: &[(c_long, u8)] = &[(libc::SYS_openat, 2)];

/// Calls that change the mode of a file, with the index of it. `fchmodat2` has one number everywhere.
#[cfg(target_arch = "x86_64")]
const CHANGING_MODE: &[(c_long, u8)] =
    &[(libc::SYS_chmod, 1), (libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (FCHMODAT2, 2)];
#[cfg(not(target_arch = "x86_64"))]
const CHANGING_MODE: &[(c_long, u8)] = &[(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (FCHMODAT2, 2)];

/// `F_SETSIG`, `F_SETOWN_EX`, `F_SETOWN`, `F_NOTIFY`.
const SIGNALLING: [c_long; 4] = [10, 15, 8, 1026];

/// `TIOCSTI`, `TIOCSCTTY`, `TIOCLINUX`, `FIOSETOWN`, `SIOCSPGRP`, `FS_IOC_SETFLAGS`, `FS_IOC_FSSETXATTR`: keys typed for
/// somebody else, signals, and attributes of files that need no open for writing.
const IOCTLS: [c_long; 7] = [0x5412, 0x540e, 0x541c, 0x8901, 0x8902, 0x4008_6602, 0x401c_5820];

/// Settings of a process for itself.
const PRCTLS: [i32; 26] = [
    libc::PR_CAPBSET_READ,
    libc::PR_CAP_AMBIENT,
    libc::PR_GET_CHILD_SUBREAPER,
    libc::PR_GET_DUMPABLE,
    libc::PR_GET_KEEPCAPS,
    libc::PR_GET_NAME,
    libc::PR_GET_NO_NEW_PRIVS,
    libc::PR_GET_PDEATHSIG,
    libc::PR_GET_SECCOMP,
    libc::PR_GET_SECUREBITS,
    libc::PR_GET_SPECULATION_CTRL,
    libc::PR_GET_THP_DISABLE,
    libc::PR_GET_TID_ADDRESS,
    libc::PR_GET_TIMERSLACK,
    libc::PR_GET_TIMING,
    libc::PR_SET_CHILD_SUBREAPER,
    libc::PR_SET_DUMPABLE,
    libc::PR_SET_KEEPCAPS,
    libc::PR_SET_NAME,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_SET_PDEATHSIG,
    libc::PR_SET_SECCOMP,
    libc::PR_SET_SPECULATION_CTRL,
    libc::PR_SET_THP_DISABLE,
    libc::PR_SET_TIMERSLACK,
    libc::PR_SET_VMA,
];

/// Calls that make a process or a thread; `clone3` is [`absent`].
#[cfg(target_arch = "x86_64")]
const NEW_PROCESS: &[c_long] = &[libc::SYS_clone, libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const NEW_PROCESS: &[c_long] = &[libc::SYS_clone];

/// Sockets of one's own making.
const NETWORK: &[c_long] = &[libc::SYS_accept, libc::SYS_accept4, libc::SYS_bind, libc::SYS_connect, libc::SYS_listen];

/// Calls that change what is written about a file, not in it. They ask nobody but the owner's number, so landlock does
/// not stop them outside of the granted folders.
const ATTRIBUTES: &[c_long] = &[
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_setxattr,
    libc::SYS_utimensat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_futimesat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utime,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_utimes,
];

/// Calls that every program may make, with any arguments.
const ORDINARY: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_chdir,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_clone3,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fchdir,
    libc::SYS_fdatasync,
    libc::SYS_fgetxattr,
    libc::SYS_flistxattr,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_get_mempolicy,
    libc::SYS_get_robust_list,
    libc::SYS_getcpu,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getitimer,
    libc::SYS_getpeername,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpriority,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_getxattr,
    libc::SYS_io_cancel,
    libc::SYS_io_destroy,
    libc::SYS_io_getevents,
    libc::SYS_io_setup,
    libc::SYS_io_submit,
    libc::SYS_ioprio_get,
    libc::SYS_kill,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_lgetxattr,
    libc::SYS_linkat,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mbind,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mkdirat,
    libc::SYS_mlock,
    libc::SYS_mlock2,
    libc::SYS_mlockall,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_mseal,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munlockall,
    libc::SYS_munmap,
    libc::SYS_name_to_handle_at,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat2,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pipe2,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pselect6,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readahead,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_remap_file_pages,
    libc::SYS_renameat2,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getattr,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_sched_yield,
    libc::SYS_seccomp,
    libc::SYS_sendfile,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_set_mempolicy,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setitimer,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setpgid,
    libc::SYS_setreuid,
    libc::SYS_setsockopt,
    libc::SYS_setsid,
    libc::SYS_setuid,
    libc::SYS_shutdown,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_splice,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_sync,
    libc::SYS_syncfs,
    libc::SYS_sysinfo,
    libc::SYS_tee,
    libc::SYS_tgkill,
    libc::SYS_timer_create,
    libc::SYS_timer_delete,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_gettime,
    libc::SYS_timer_settime,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_gettime,
    libc::SYS_timerfd_settime,
    libc::SYS_times,
    libc::SYS_tkill,
    libc::SYS_truncate,
    libc::SYS_umask,
    libc::SYS_uname,
    libc::SYS_unlinkat,
    libc::SYS_vmsplice,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_write,
    libc::SYS_writev,
];

/// The older calls of this machine, which later ones have replaced elsewhere.
#[cfg(target_arch = "x86_64")]
const OF_THIS_MACHINE: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_alarm,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_fork,
    libc::SYS_get_thread_area,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
    libc::SYS_link,
    libc::SYS_lstat,
    libc::SYS_mkdir,
    libc::SYS_pause,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_select,
    libc::SYS_set_thread_area,
    libc::SYS_setrlimit,
    libc::SYS_signalfd,
    libc::SYS_stat,
    libc::SYS_symlink,
    libc::SYS_sync_file_range,
    libc::SYS_time,
    libc::SYS_unlink,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const OF_THIS_MACHINE: &[c_long] = &[];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const NONE: Leave = Leave { network: false, attributes: false };

    #[test]
    fn every_filter_compiles_with_every_leave() {
        for bits in 0..4 {
            let leave = Leave { network: bits & 1 != 0, attributes: bits & 2 != 0 };
            assert!(!allowed(leave).unwrap().is_empty());
        }
        assert!(!absent().unwrap().is_empty());
    }

    #[test]
    fn each_new_process_is_asked_about() {
        for attributes in [false, true] {
            let filter = asked(Leave { network: false, attributes }).unwrap();
            assert!(filter.iter().any(|at| at.code == 6 && at.k == 0x7fc0_0000));
            assert!(!filter.iter().any(|at| at.code == 6 && at.k == 0x7ff0_0000));
        }
    }

    #[test]
    fn no_list_names_what_reaches_others() {
        let reaching = [
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_open_by_handle_at,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_shmget,
            libc::SYS_mq_open,
            libc::SYS_memfd_create,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
        ];
        let lists = [ORDINARY, OF_THIS_MACHINE, NETWORK, ATTRIBUTES];
        assert!(lists.iter().all(|list| !reaching.iter().any(|call| list.contains(call))));
        // What is judged by its arguments stands on no list that takes all of them.
        for (call, _) in with_arguments(NONE) {
            assert!(lists.iter().all(|list| !list.contains(&call)), "{call}");
        }
    }
}
