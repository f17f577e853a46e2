//! The last steps of a process before it becomes the program: from here on it only gives things up.
//!
//! The order matters. Landlock and the filters need `no_new_privs`; the filters allow no more than the steps behind them
//! need; and the listener leaves by the socket before the program can make a process.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::Resource;

use super::calls::{self, Leave};
use super::plan::{Plan, send_handles};
use super::{files, sys};
use crate::privileges::{Capabilities, lower, no_new_privileges};

/// The first byte to the keeper: the walls stand, and the listener comes beside it if there is one.
pub(super) const STANDING: u8 = b'S';

/// Most memory that one process may name addresses of. It bounds also what is shared, which no limit on data does.
const ADDRESSES: u64 = 8 << 30;

/// Most memory that one process may have for itself.
const DATA: u64 = 4 << 30;

/// What comes from the host for the program.
#[derive(Debug)]
pub(super) struct Handles {
    pub(super) program: OwnedFd,
    pub(super) folder: OwnedFd,
    /// Standard input, output and error.
    pub(super) streams: [OwnedFd; 3],
}

/// Becomes the program, behind all walls of the plan. Returns only with an error.
#[expect(clippy::disallowed_methods, reason = "becomes what the permit led to, by its handle")]
pub(super) fn become_program(plan: &Plan, handles: Handles, keeper: BorrowedFd<'_>) -> io::Result<Infallible> {
    rustix::process::setsid()?;
    if !plan.walls.namespaces {
        rustix::process::fchdir(&handles.folder)?;
    }
    for (number, stream) in (0..).zip(&handles.streams) {
        sys::as_standard(stream.as_fd(), number)?;
    }
    // The kernel opens a script once more through the handle.
    sys::keep_open(&handles.program)?;
    for (resource, limit) in limits(plan.cpu_seconds) {
        lower(resource, limit)?;
    }
    Capabilities::default().keep_only()?;
    no_new_privileges()?;
    if plan.walls.landlock > 0 {
        files::restrict(plan, &handles.program)?;
    }
    let listener = filters(plan)?;
    match &listener {
        Some(listener) => send_handles(keeper, &[STANDING], &[listener.as_fd()])?,
        None => send_handles(keeper, &[STANDING], &[])?,
    }
    drop(listener);
    let mut command = Command::new(format!("/proc/self/fd/{}", handles.program.as_raw_fd()));
    let mut argv = plan.argv.iter();
    command.arg0(argv.next().map_or("", String::as_str)).args(argv);
    Err(command.env_clear().envs(plan.environment.iter().map(|(name, value)| (name, value))).exec())
}

/// Limits of each process.
fn limits(cpu_seconds: u64) -> [(Resource, u64); 7] {
    [
        // A program that waits uses none; one that computes on several cores is stopped by the deadline.
        (Resource::Cpu, cpu_seconds),
        (Resource::As, ADDRESSES),
        (Resource::Core, 0),
        (Resource::Data, DATA),
        (Resource::Fsize, 1 << 30),
        (Resource::Memlock, 1 << 20),
        (Resource::Nofile, 1024),
    ]
}

/// Puts the filters up, the one with the listener last: the calls that put up the others are not asked about.
fn filters(plan: &Plan) -> io::Result<Option<OwnedFd>> {
    let said = |error: seccompiler::BackendError| io::Error::other(format!("seccomp: {error}"));
    // Without a listener nobody can be asked. Then what would be asked about is as well allowed or refused for good.
    let leave = Leave { network: plan.network, attributes: plan.walls.namespaces || !plan.walls.count };
    if plan.walls.calls {
        for filter in [calls::allowed(leave).map_err(said)?, calls::absent().map_err(said)?] {
            seccompiler::apply_filter(&filter).map_err(|error| io::Error::other(format!("seccomp: {error}")))?;
        }
    }
    match plan.walls.count {
        true => sys::filter_with_listener(&calls::asked(leave).map_err(said)?).map(Some),
        false => Ok(None),
    }
}
