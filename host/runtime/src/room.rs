//! A room: the process in which a program of `os.exec` runs behind its walls.
//!
//! **The decision.** The host does not put walls up between `fork` and `exec`, where next to nothing may be done. It starts
//! its own program file anew, with a socket as standard input and nothing else: no environment, no arguments, no
//! descriptors. That process, which has one thread and no secrets, makes the namespaces, the view of the file system and
//! the filters in ordinary code, and then stays as the [`keeper`] of the program.
//!
//! ```text
//! host ── socket ── room ── (in a process namespace: the keeper) ── program ── its children
//! ```
//!
//! **What it refuses.** A wall that cannot be put up ends the room before the program starts. Which walls a machine has is
//! found out once, by trying ([`means`]); the host decides by that whether a program may start at all.
//!
//! **The attack it answers.** A program that is run for a script, whoever wrote it, reaches for what the script may not
//! have: files, sockets, other processes, the host.
//!
//! - [`plan`]: what the host says to a room, and the room to the host
//! - [`view`]: namespaces of mounts, built of [`mounts`]; [`files`]: landlock; [`calls`]: filters of system calls
//! - [`attributes`]: modes, owners and times of files, where there is no view
//! - [`porter`]: who starts the rooms of a host that is behind landlock
//! - [`inside`]: the last steps before the program; [`keeper`]: the process beside it
//! - [`table`]: what is stopped, and by which means
//! - [`sys`]: system calls that no safe interface covers

mod attributes;
mod calls;
mod files;
mod inside;
mod keeper;
mod mounts;
pub(crate) mod plan;
pub mod porter;
mod sys;
pub mod table;
mod view;

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{DumpableBehavior, Signal, WaitOptions, waitpid};

use crate::privileges::{Capabilities, no_new_privileges};
pub(crate) use files::{DEVICES, KERNEL, SYSTEM, is_beneath};
use inside::Handles;
use keeper::{Keeper, tell};
pub use plan::Means;
use plan::{Message, Order, Plan, read_exact, write_all};
use porter::RoomTerms;

/// Whether the program of this process gives rooms their process, by calling [`serve_if_called`].
static HOUSES: AtomicBool = AtomicBool::new(false);

/// Most bytes of an answer to a probe.
const MAX_ANSWER: u32 = 64 << 10;

/// To be called first in a program that is to run programs for scripts: in the process of a room this does the work of
/// the room, and the program ends with the code that it gives. `None` in any other process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the name of the process decides before anything else is looked at")]
pub fn serve_if_called() -> Option<ExitCode> {
    HOUSES.store(true, Ordering::Relaxed);
    let mut arguments = std::env::args_os();
    let name = arguments.next()?;
    let terms = || arguments.map(|piece| piece.to_string_lossy().into_owned()).collect::<String>();
    let served = if name.as_bytes() == sys::NAME.to_bytes() {
        serve(&terms())
    } else if name.as_bytes() == sys::PORTER.to_bytes() {
        porter::serve(&terms(), command)
    } else {
        return None;
    };
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        // The host was told, or is gone.
        Err(_) => ExitCode::FAILURE,
    })
}

/// What this machine has for walls, found out by trying when it is first asked for. Blocks for some milliseconds then.
///
/// # Errors
/// Why no room could be started.
pub fn means() -> Result<&'static Means, String> {
    static MEANS: OnceLock<Result<Means, String>> = OnceLock::new();
    MEANS.get_or_init(|| ask().map_err(|error| error.to_string())).as_ref().map_err(Clone::clone)
}

/// Opens a room: the socket to it, and the command that starts it, unless the [`porter`] of this process does. The process
/// of the room ends when the socket is closed; the socket ends when nothing of the room lives any more, once the command is
/// dropped.
pub(crate) fn open() -> io::Result<(UnixStream, Option<Command>)> {
    if !HOUSES.load(Ordering::Relaxed) {
        return Err(io::Error::other("this program cannot run others: it does not call room::serve_if_called"));
    }
    let (mine, theirs) = UnixStream::pair()?;
    let theirs = OwnedFd::from(theirs);
    match porter::ask(&theirs) {
        Some(asked) => asked.map(|()| (mine, None)),
        None => Ok((mine, Some(command(theirs)))),
    }
}

/// The command that starts a room with this socket.
#[expect(clippy::disallowed_methods, reason = "runs this very program, for what a permit led to")]
fn command(socket: OwnedFd) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(OsStr::from_bytes(sys::NAME.to_bytes())).env_clear().current_dir("/");
    command.stdin(socket).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Asks a room what the machine has.
fn ask() -> io::Result<Means> {
    let (socket, command) = open()?;
    // The other end of the socket is in the command.
    let child = command.map(|mut command| command.spawn()).transpose()?;
    Order::Probe.send(socket.as_fd(), &[])?;
    let mut message = [0; Message::BYTES];
    read_exact(&socket, &mut message)?;
    let text = match Message::from_bytes(message) {
        Some(Message::Probed(length) | Message::Failed(length)) if length <= MAX_ANSWER => {
            let mut text = vec![0; length as usize];
            read_exact(&socket, &mut text)?;
            text
        }
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    drop(socket);
    child.map(|mut child| child.wait()).transpose()?;
    match Message::from_bytes(message) {
        Some(Message::Probed(_)) => Ok(serde_json::from_slice(&text)?),
        _ => Err(io::Error::other(String::from_utf8_lossy(&text).into_owned())),
    }
}

/// The whole life of a room, whose plan goes no further than the terms if there are any.
fn serve(terms: &str) -> io::Result<()> {
    sys::close_others()?;
    let socket = sys::standard_input();
    let admitted = |plan: &Plan| {
        if terms.is_empty() {
            return Ok(());
        }
        serde_json::from_str::<RoomTerms>(terms)?.admit(plan, sys::landlock()).map_err(io::Error::other)
    };
    let done = Order::receive(socket.as_fd()).and_then(|(order, handles)| match order {
        Order::Probe => {
            let means = serde_json::to_string(&probe())?;
            tell(socket.as_fd(), Message::Probed, &means)
        }
        Order::Run(plan) => {
            admitted(&plan)?;
            run(&plan, handles, &socket)
        }
    });
    if let Err(error) = &done {
        tell(socket.as_fd(), Message::Failed, &error.to_string())?;
    }
    done
}

/// Runs the program of a plan to its end.
fn run(plan: &Plan, handles: Vec<OwnedFd>, socket: &OwnedFd) -> io::Result<()> {
    let handles: [OwnedFd; 5] = handles.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
    let [program, folder, input, output, errors] = handles;
    let handles = Handles { program, folder, streams: [input, output, errors] };
    if !plan.walls.namespaces {
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Capabilities::default().keep_only()?;
        return keep(plan, handles, socket, false);
    }
    leave_namespaces()?;
    match sys::fork()? {
        None => sys::exit(i32::from(first(plan, handles, socket).is_err())),
        Some(child) => {
            drop(handles);
            waitpid(Some(child), WaitOptions::empty())?;
            Ok(())
        }
    }
}

/// The life of the first process of a process namespace.
fn first(plan: &Plan, mut handles: Handles, socket: &OwnedFd) -> io::Result<()> {
    let run = || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        handles.program = view::enter(plan, &handles.program)?;
        keep(plan, handles, socket, true)
    };
    run().inspect_err(|error| {
        // A host that is gone needs no answer.
        let _ = tell(socket.as_fd(), Message::Failed, &error.to_string());
    })
}

/// Starts the program and stays with it.
fn keep(plan: &Plan, handles: Handles, socket: &OwnedFd, is_first: bool) -> io::Result<()> {
    let (mine, theirs) = UnixStream::pair()?;
    let Some(child) = sys::fork()? else {
        drop(mine);
        match become_program(plan, handles, theirs.as_fd()) {
            Ok(never) => match never {},
            Err(error) => {
                // A keeper that is gone needs no answer.
                let _ = write_all(&theirs, error.to_string().as_bytes());
                sys::exit(1)
            }
        }
    };
    drop((handles, theirs));
    let socket = socket.try_clone()?;
    Keeper {
        socket,
        inside: mine.into(),
        child,
        is_first,
        places: plan.places,
        files: plan.files.clone(),
        code: Cell::new(None),
    }
    .stay()
}

fn become_program(plan: &Plan, handles: Handles, keeper: BorrowedFd<'_>) -> io::Result<Infallible> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    inside::become_program(plan, handles, keeper)
}

/// Leaves the namespaces of the host, and stays the user that this process is.
fn leave_namespaces() -> io::Result<()> {
    let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    sys::unshare().map_err(|error| io::Error::new(error.kind(), format!("namespaces: {error}")))?;
    // Without this no group may be named.
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1")),
        ("/proc/self/gid_map", format!("{group} {group} 1")),
    ] {
        let file = openat(CWD, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(&file, text.as_bytes())?;
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Tries each wall in a process of its own.
fn probe() -> Means {
    let filters = |count: bool| {
        move || -> io::Result<()> {
            let leave = calls::Leave { network: false, attributes: true };
            let said = |error: seccompiler::BackendError| io::Error::other(error.to_string());
            match count {
                true => {
                    no_new_privileges()?;
                    sys::filter_with_listener(&calls::asked(leave).map_err(said)?).map(drop)
                }
                false => seccompiler::apply_filter(&calls::allowed(leave).map_err(said)?)
                    .map_err(|error| io::Error::other(error.to_string())),
            }
        }
    };
    Means {
        namespaces: tried(|| {
            leave_namespaces()?;
            in_child(try_view)
        }),
        landlock: sys::landlock(),
        calls: tried(filters(false)),
        count: tried(filters(true)),
    }
}

/// Builds a view for a program that is this one.
fn try_view() -> io::Result<()> {
    // Anything will do that is on every machine.
    let path = "/";
    let program = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let files = plan::Files { granted: Vec::new(), closed: Vec::new() };
    let walls = plan::Walls { namespaces: true, landlock: 0, calls: false, count: false };
    let plan = Plan {
        program: path.to_owned(),
        argv: Vec::new(),
        environment: Vec::new(),
        folder: "/".to_owned(),
        files,
        network: false,
        cpu_seconds: 1,
        places: 1,
        walls,
    };
    view::enter(&plan, &program).map(drop)
}

/// Why a thing cannot be done, tried in a process of its own.
fn tried(what: impl FnOnce() -> io::Result<()>) -> Option<String> {
    in_child(what).err().map(|error| error.to_string())
}

/// Does something in a child process.
fn in_child(what: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let (mine, theirs) = UnixStream::pair()?;
    let Some(child) = sys::fork()? else {
        drop(mine);
        let done = what();
        // Filters may stand by now; writing is on all their lists.
        let text = done.as_ref().err().map(ToString::to_string).unwrap_or_default();
        let _ = write_all(&theirs, text.as_bytes());
        sys::exit(i32::from(done.is_err()));
    };
    drop(theirs);
    let mut text = Vec::new();
    let mut piece = [0; 512];
    while let Ok(count @ 1..) = rustix::io::read(&mine, &mut piece) {
        text.extend(piece.get(..count).unwrap_or_default());
    }
    let (_, status) = waitpid(Some(child), WaitOptions::empty())?.ok_or(io::ErrorKind::NotFound)?;
    match status.exit_status() {
        Some(0) => Ok(()),
        Some(_) => Err(io::Error::other(String::from_utf8_lossy(&text).into_owned())),
        None => Err(io::Error::other("the kernel killed the process that tried it")),
    }
}
