//! The porter: a process that starts rooms for a host that is behind landlock itself.
//!
//! **The decision.** A process behind landlock cannot mount anything, and neither can those that it starts; rooms need to.
//! So a host that restricts itself starts this process before, and sends it the socket of each room that it wants. The
//! porter starts the room; host and room speak with each other as ever.
//!
//! **What it refuses.** A room with more than the [`RoomTerms`], which the porter was started with before any script ran:
//! each room holds the plan of its program against them. The porter itself understands nothing but a descriptor.
//!
//! **The attack it answers.** Whoever runs code of their own in the process of the host could else have the porter run a
//! program without walls, and so be past the wall around the host.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::files::is_beneath;
use super::plan::{Means, Plan, Walls, receive_handles, send_handles};
use super::{sys, table};

/// The byte that a descriptor comes with.
const ROOM: u8 = b'R';

/// How often the porter looks for rooms that have ended, while there are any.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Bytes of one argument of a process; the kernel takes twice as many.
const MAX_ARGUMENT: usize = 64 << 10;

/// The socket to the porter of this process, if it has one.
static PORTER: OnceLock<Mutex<UnixStream>> = OnceLock::new();

/// The most that a program of this host may have, whatever its plan says.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct RoomTerms {
    /// Places that may be read; none for all there are.
    pub read: Option<Vec<RoomPlace>>,
    /// Places that may be written; none for all there are.
    pub write: Option<Vec<RoomPlace>>,
    /// The files of the host.
    pub closed: Vec<String>,
    /// True if sockets may be made.
    pub network: bool,
    /// True if programs run although the machine cannot stop all that they must not do.
    pub best_effort: bool,
}

/// A file or a folder that programs may use.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct RoomPlace {
    /// Its path, without links.
    pub path: String,
    /// True if all that lies beneath it is meant.
    pub beneath: bool,
}

/// Starts the porter of this process, which then starts all of its rooms. To be called before landlock stands around it.
///
/// # Errors
/// No process can be started.
#[expect(clippy::disallowed_methods, reason = "starts this program again, for its rooms")]
pub fn station(terms: &RoomTerms) -> io::Result<()> {
    let (mine, theirs) = UnixStream::pair()?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(OsStr::from_bytes(sys::PORTER.to_bytes())).args(pieces(&serde_json::to_string(terms)?));
    command.env_clear().current_dir("/");
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    // It ends by itself when this process does: nobody waits for it.
    command.spawn().map(drop)?;
    PORTER.set(Mutex::new(mine)).map_err(|_| io::Error::other("there is a porter already"))
}

/// Has the porter start a room with this socket. `None` for a process without one.
pub(super) fn ask(room: &OwnedFd) -> Option<io::Result<()>> {
    let porter = PORTER.get()?;
    Some(send_handles(porter.lock().as_fd(), &[ROOM], &[room.as_fd()]))
}

/// The whole life of the porter: starts a room for each descriptor, until its host is gone.
pub(super) fn serve(terms: &str, room: impl Fn(OwnedFd) -> Command) -> io::Result<()> {
    sys::close_others()?;
    let socket = sys::standard_input();
    let mut rooms: Vec<Child> = Vec::new();
    loop {
        rooms.retain_mut(|room| matches!(room.try_wait(), Ok(None)));
        let patience = if rooms.is_empty() { None } else { Some(&LOOK) };
        match poll(&mut [PollFd::new(&socket, PollFlags::IN)], patience) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let handles = match receive_handles(socket.as_fd(), &mut [0]) {
            Ok(handles) => handles,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        // A room that cannot be started closes its socket, which is how the host learns of it.
        rooms.extend(handles.into_iter().filter_map(|handle| room(handle).args(pieces(terms)).spawn().ok()));
    }
}

/// A text as arguments of a process, none of which is longer than the kernel takes.
fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while let Some((piece, rest)) = text.split_at_checked(text.floor_char_boundary(MAX_ARGUMENT)) {
        pieces.push(piece);
        text = rest;
        if text.is_empty() {
            break;
        }
    }
    pieces
}

impl RoomTerms {
    /// Refuses a plan that goes beyond the terms. `landlock` is the version that the kernel has.
    pub(super) fn admit(&self, plan: &Plan, landlock: u32) -> Result<(), String> {
        let files = &plan.files;
        for granted in &files.granted {
            if (granted.read && !holds(self.read.as_deref(), &granted.path))
                || (granted.write && !holds(self.write.as_deref(), &granted.path))
            {
                return Err(format!("no program of this host may use all of {}", granted.path));
            }
            let open = |closed: &&String| {
                (**closed == granted.path || is_beneath(closed, &granted.path)) && !files.closed.contains(closed)
            };
            if let Some(open) = self.closed.iter().find(open) {
                return Err(format!("{open} is a file of the host, and open to the program"));
            }
        }
        if plan.network && !self.network {
            return Err("no program of this host may make sockets".to_owned());
        }
        let lacks = table::lacks(&means(plan.walls));
        match plan.walls.landlock > landlock || (!self.best_effort && !lacks.is_empty()) {
            true => Err("its walls are fewer than this host demands".to_owned()),
            false => Ok(()),
        }
    }
}

/// Returns whether a folder with all beneath it lies in one of these places.
fn holds(places: Option<&[RoomPlace]>, folder: &str) -> bool {
    let within = |place: &RoomPlace| place.beneath && (place.path == folder || is_beneath(folder, &place.path));
    places.is_none_or(|places| places.iter().any(within))
}

/// A machine that has no more than these walls.
fn means(walls: Walls) -> Means {
    let why = |has: bool| (!has).then(String::new);
    let (namespaces, calls, count) = (why(walls.namespaces), why(walls.calls), why(walls.count));
    Means { namespaces, landlock: walls.landlock, calls, count }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::plan::{Files, Granted};
    use super::*;

    const WALLS: Walls = Walls { namespaces: true, landlock: 6, calls: true, count: true };

    fn plan(path: &str, write: bool, closed: &[&str]) -> Plan {
        let granted = vec![Granted { path: path.to_owned(), read: true, write }];
        let files = Files { granted, closed: closed.iter().map(|path| (*path).to_owned()).collect() };
        Plan {
            program: "/bin/true".to_owned(),
            argv: Vec::new(),
            environment: Vec::new(),
            folder: "/".to_owned(),
            files,
            network: false,
            cpu_seconds: 1,
            places: 1,
            walls: WALLS,
        }
    }

    #[test]
    fn long_terms_are_several_arguments() {
        for text in ["{}".to_owned(), "é".repeat(100_000), "a".repeat(MAX_ARGUMENT)] {
            let pieces = pieces(&text);
            assert!(pieces.iter().all(|piece| piece.len() <= MAX_ARGUMENT && !piece.is_empty()));
            assert_eq!(pieces.concat(), text);
        }
    }

    #[test]
    fn a_plan_stays_within_the_terms() {
        let place = |path: &str| RoomPlace { path: path.to_owned(), beneath: true };
        let terms = RoomTerms {
            read: Some(vec![place("/srv/app"), RoomPlace { path: "/etc/x".to_owned(), beneath: false }]),
            write: Some(vec![place("/srv/app/out")]),
            closed: vec!["/srv/app/log".to_owned()],
            network: false,
            best_effort: false,
        };
        let log = ["/srv/app/log"];
        for plan in [plan("/srv/app", false, &log), plan("/srv/app/in", false, &[]), plan("/srv/app/out", true, &[])] {
            assert_eq!(terms.admit(&plan, 6), Ok(()), "{plan:?}");
        }
        for beyond in [
            plan("/", false, &log),
            plan("/srv/app", true, &log),
            plan("/srv/apple", false, &log),
            plan("/etc/x", false, &[]),
            plan("/srv/app", false, &[]),
            Plan { network: true, ..plan("/srv/app", false, &log) },
            Plan { walls: Walls { calls: false, ..WALLS }, ..plan("/srv/app", false, &log) },
            Plan { walls: Walls { landlock: 7, ..WALLS }, ..plan("/srv/app", false, &log) },
        ] {
            assert!(terms.admit(&beyond, 6).is_err(), "{beyond:?}");
        }
        let accepting = RoomTerms { best_effort: true, ..RoomTerms::default() };
        let unwalled = Walls { namespaces: false, landlock: 0, calls: false, count: false };
        assert_eq!(accepting.admit(&Plan { walls: unwalled, ..plan("/", true, &[]) }, 0), Ok(()));
    }
}
