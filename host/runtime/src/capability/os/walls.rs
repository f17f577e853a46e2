//! What a program that a script runs cannot do, whoever wrote it.
//!
//! - It gains no privileges: setuid bits mean nothing.
//! - It reaches files no further than the script (landlock, where the kernel has it): reading everywhere only where the
//!   script may read everywhere, else what programs are made of; writing everywhere likewise, else beneath `$CWD` if the
//!   script may write there. Nor can it look into a process outside.
//! - It cannot leave its process group, so that killing the group kills all of it, and it cannot use the parts of the
//!   kernel that ordinary programs have no use for (seccomp).
//! - Its processor time, file sizes, memory and descriptors are bounded.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use starcell_policy::{CanonicalPath, DenyReason, PathFunction};

use crate::caller::Caller;

/// The walls of one child, ready to be put up.
#[derive(Debug)]
pub(super) struct Walls {
    /// The program, which has to stay open until it runs.
    pub(super) program: OwnedFd,
    pub(super) limits: [(Resource, Rlimit); 5],
    pub(super) landlock: Option<OwnedFd>,
    pub(super) calls: BpfProgram,
}

/// Where programs and what they are made of are found.
const SYSTEM: [&str; 10] = [
    "/bin",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/lib",
    "/lib32",
    "/lib64",
    "/sbin",
    "/usr",
    "/nix/store",
];

/// Devices that give nothing away.
const DEVICES: [&str; 5] = ["/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];

/// How much of the file system a program may use.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    cwd: CanonicalPath,
    read_all: bool,
    write_all: bool,
    read_cwd: bool,
    write_cwd: bool,
}

impl Reach {
    /// What the grants of a script come to for programs that know nothing of rules.
    pub(super) fn of(caller: &Caller) -> Self {
        let cwd = caller.app.config.cwd.clone();
        let whole = CanonicalPath::absolute("/").ok();
        let all = |function| whole.as_ref().is_some_and(|whole| beneath(caller, function, whole));
        let here = |function| beneath(caller, function, &cwd);
        let (read, write) =
            ((PathFunction::ReadBytes, PathFunction::RenameFrom), (PathFunction::WriteBytes, PathFunction::Rename));
        Self {
            read_all: all(read),
            write_all: all(write),
            read_cwd: here(read),
            write_cwd: here(write),
            cwd: cwd.clone(),
        }
    }
}

/// Whether all that lies beneath a folder is granted: a name no rule was made for is, and no deny rule is about any part.
fn beneath(caller: &Caller, (one, tree): (PathFunction, PathFunction), folder: &CanonicalPath) -> bool {
    let Ok(any) = CanonicalPath::absolute(&format!("{folder}/.starcell-any/name")) else { return false };
    let refusal = caller.gate.authority().grants().decide(tree, folder.clone()).err();
    let denied = refusal.is_some_and(|denial| denial.reason() == DenyReason::DeniedByRule);
    caller.gate.covers(one, any) && !denied
}

impl Walls {
    /// Builds the walls for a program.
    pub(super) fn new(program: OwnedFd, reach: &Reach, time: Duration) -> Result<Self, String> {
        let landlock = landlock(&program, reach).map_err(|error| format!("landlock: {error}"))?;
        let calls = calls().map_err(|error| format!("seccomp: {error}"))?;
        Ok(Self { limits: limits(time), landlock, calls, program })
    }
}

fn limits(time: Duration) -> [(Resource, Rlimit); 5] {
    let at_most = |value| Rlimit { current: Some(value), maximum: Some(value) };
    [
        // A program that waits uses none; one that computes on several cores is stopped by the deadline.
        (Resource::Cpu, at_most(time.as_secs().saturating_add(1))),
        (Resource::Core, at_most(0)),
        (Resource::Data, at_most(4 << 30)),
        (Resource::Fsize, at_most(1 << 30)),
        (Resource::Nofile, at_most(1024)),
    ]
}

/// The file system as the program will see it; `None` where the kernel has no landlock.
fn landlock(program: &OwnedFd, reach: &Reach) -> Result<Option<OwnedFd>, RulesetError> {
    let abi = ABI::V5;
    let (all, read) = (AccessFs::from_all(abi), AccessFs::from_read(abi));
    let mut rules = Ruleset::default().handle_access(all)?.create()?;
    let mut grant = |paths: &[&str], access: BitFlags<AccessFs>| {
        // Of these, what is not there needs no rule.
        (&mut rules).add_rules(path_beneath_rules(paths, access)).map(|_| ())
    };
    let cwd = reach.cwd.as_str();
    grant(&SYSTEM, read)?;
    grant(&DEVICES, read | AccessFs::WriteFile)?;
    for (granted, path, access) in [
        (reach.read_all, "/", read),
        (reach.write_all, "/", AccessFs::from_write(abi)),
        (reach.read_cwd, cwd, read),
        (reach.write_cwd, cwd, AccessFs::from_write(abi)),
    ] {
        if granted {
            grant(&[path], access)?;
        }
    }
    let itself = PathBeneath::new(program, AccessFs::Execute | AccessFs::ReadFile);
    Ok((&mut rules).add_rule(itself).map(|_| ()).map(|()| rules)?.into())
}

/// System calls that fail with "not permitted": what would leave the process group, and what reaches other processes,
/// mounts, namespaces, modules, keys and the kernel's own programs.
const REFUSED: [libc::c_long; 26] = [
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

fn calls() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules: BTreeMap<i64, Vec<_>> = REFUSED.into_iter().map(|call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, std::env::consts::ARCH.try_into()?)?.try_into()
}
