//! The process that stays with a program: it counts, it waits, and it ends all of it.
//!
//! It is the parent of the program, and every orphan of the program becomes its child. In a process namespace it is the
//! first process, so that nothing in there outlives it. Elsewhere it kills its descendants until it has none: from its end
//! on nobody answers who asks for a new process, so there are fewer each time.
//!
//! **Counting.** Each call that makes a process or a thread waits for its answer. It goes on while there are places; when
//! those are used up the keeper counts what really lives, then asks the host for more, and then the call fails with "try
//! again". A call that was let go on and is not yet done is missed by a count: the host keeps some places back for these.
//!
//! **The end.** The program's end ends all that it started. So does the host's end of the socket, closed for whatever
//! reason: a deadline, a request that is gone, a host that was killed.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, pidfd_open, wait};

use super::attributes;
use super::inside::STANDING;
use super::plan::{Files, Message, read_exact, receive_handles, write_all};
use super::sys::{self, Answer};

/// Most bytes that a process before the program says about its failure.
const MAX_FAILURE: usize = 4096;

/// Most places asked for at a time.
const MAX_WANTED: u32 = 64;

/// What a keeper is given.
#[derive(Debug)]
pub(super) struct Keeper {
    /// To the host.
    pub(super) socket: OwnedFd,
    /// To the process that becomes the program; it ends when that has happened.
    pub(super) inside: OwnedFd,
    /// That process.
    pub(super) child: Pid,
    /// True if all processes in sight but this one are the program's.
    pub(super) is_first: bool,
    /// Places for processes and threads.
    pub(super) places: u32,
    /// The files that the program may use.
    pub(super) files: Files,
    /// How the program ended, once it has.
    pub(super) code: Cell<Option<i32>>,
}

/// How a program came to its end.
enum End {
    /// It ended with this code, or by this signal, negative.
    Ended(i32),
    /// It never started.
    Failed(String),
    /// The host wants it no more.
    Unwanted,
}

impl Keeper {
    /// Stays with the program to its end, and tells the host.
    pub(super) fn stay(self) -> io::Result<()> {
        let end = match self.listener() {
            Ok(Ok(listener)) => self.wait_for_end(listener)?,
            Ok(Err(text)) => End::Failed(text),
            Err(error) => End::Failed(error.to_string()),
        };
        // A host that is gone needs no answer.
        let _ = match end {
            End::Ended(code) => write_all(&self.socket, &Message::Ended(code).to_bytes()),
            End::Failed(text) => tell(self.socket.as_fd(), Message::Failed, &text),
            End::Unwanted => Ok(()),
        };
        if !self.is_first {
            self.end_all()?;
        }
        Ok(())
    }

    /// What the process that becomes the program sends when its walls stand; or the text of its failure.
    fn listener(&self) -> io::Result<Result<Option<OwnedFd>, String>> {
        let mut first = [0];
        let Ok(handles) = receive_handles(self.inside.as_fd(), &mut first) else {
            return Ok(Err("it was killed before it started".to_owned()));
        };
        match first {
            [STANDING] => Ok(Ok(handles.into_iter().next())),
            other => Ok(Err(self.failure(&other))),
        }
    }

    /// The text of a failure that begins with these bytes.
    fn failure(&self, begin: &[u8]) -> String {
        let mut text = begin.to_vec();
        let mut piece = [0; 512];
        while let Ok(count @ 1..) = rustix::io::read(&self.inside, &mut piece) {
            text.extend(piece.get(..count).unwrap_or_default());
            if text.len() >= MAX_FAILURE {
                break;
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn wait_for_end(&self, mut listener: Option<OwnedFd>) -> io::Result<End> {
        let child = pidfd_open(self.child, PidfdFlags::empty())?;
        let mut inside = Some(self.inside.as_fd());
        // The program itself has one.
        let mut count = Count { places: self.places, taken: 1 };
        loop {
            let ready =
                ready([Some(self.socket.as_fd()), Some(child.as_fd()), inside, listener.as_ref().map(|l| l.as_fd())])?;
            let [from_host, _, from_inside, asked] = ready;
            if from_inside {
                let text = self.failure(&[]);
                if !text.is_empty() {
                    return Ok(End::Failed(text));
                }
                // It has become the program.
                inside = None;
            }
            if let Some(code) = self.reap() {
                return Ok(End::Ended(code));
            }
            // Outside of a conversation the host says nothing: this is its end.
            if from_host {
                return Ok(End::Unwanted);
            }
            if asked && let Some(on) = listener.take() {
                match self.answer(on.as_fd(), &mut count) {
                    Ok(true) => listener = Some(on),
                    // Nobody is left who could ask.
                    Ok(false) => {}
                    Err(_) => return Ok(End::Unwanted),
                }
            }
        }
    }

    /// Answers a question; false when none will come any more.
    fn answer(&self, listener: BorrowedFd<'_>, count: &mut Count) -> io::Result<bool> {
        let question = match sys::question(listener) {
            Ok(question) => question,
            Err(error) => match error.raw_os_error() {
                // The asking process is gone, or this call was interrupted.
                Some(libc::ENOENT | libc::EINTR | libc::EAGAIN) => return Ok(!self.is_quiet(listener)),
                _ => return Ok(false),
            },
        };
        let answer = if attributes::CALLS.contains(&question.call) {
            let still_asks = || sys::still_asks(listener, question.id);
            match attributes::change(&question, &self.files, still_asks) {
                Ok(()) => Answer::Done,
                Err(error) => Answer::Fail(error),
            }
        } else if self.has_place(count)? {
            Answer::GoOn
        } else {
            Answer::Fail(Errno::AGAIN)
        };
        // It fails when the asking process is gone meanwhile; then its place is found free at the next count.
        let _ = sys::answer(listener, question.id, answer);
        Ok(true)
    }

    /// Returns whether a listener only says that nobody uses its filter.
    fn is_quiet(&self, listener: BorrowedFd<'_>) -> bool {
        let mut polled = [PollFd::new(&listener, PollFlags::IN)];
        poll(&mut polled, None).is_ok() && polled.iter().all(|polled| polled.revents().contains(PollFlags::HUP))
    }

    /// Takes a place for a process or a thread, if there is one.
    fn has_place(&self, count: &mut Count) -> io::Result<bool> {
        if count.taken >= count.places {
            count.taken = self.alive()?;
        }
        if count.taken >= count.places {
            let wanted = count.places.clamp(1, MAX_WANTED);
            write_all(&self.socket, &Message::Wanted(wanted).to_bytes())?;
            let mut reply = [0; Message::BYTES];
            read_exact(&self.socket, &mut reply)?;
            if let Some(Message::Granted(more)) = Message::from_bytes(reply) {
                count.places = count.places.saturating_add(more);
            }
        }
        let has = count.taken < count.places;
        count.taken += u32::from(has);
        Ok(has)
    }

    /// Processes and threads of the program.
    fn alive(&self) -> io::Result<u32> {
        self.reap();
        Ok(descendants()?.values().sum())
    }

    /// Waits for all that has ended, orphans of the program too. The code of the program, once it has.
    fn reap(&self) -> Option<i32> {
        while let Ok(Some((id, status))) = wait(WaitOptions::NOHANG) {
            if id == self.child {
                self.code.set(Some(code(status)));
            }
        }
        self.code.get()
    }

    /// Kills all of the program, and waits until it is dead. Nobody listens any more, so nothing new is made but what was
    /// let go on a moment ago.
    fn end_all(&self) -> io::Result<()> {
        const MOMENT: Duration = Duration::from_millis(1);
        loop {
            for id in descendants()?.into_keys().filter_map(Pid::from_raw) {
                // A descendant that ended meanwhile is still to be waited for by this process or by a descendant, so its
                // number is nobody else's.
                let _ = kill_process(id, Signal::KILL);
            }
            match wait(WaitOptions::NOHANG) {
                Err(Errno::CHILD) => return Ok(()),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => pause(MOMENT),
            }
        }
    }
}

/// The processes that come from this one, with the number of their threads.
#[expect(clippy::disallowed_methods, reason = "looks at the processes that are the program's")]
fn descendants() -> io::Result<BTreeMap<i32, u32>> {
    let folder = openat(CWD, "/proc", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut all = BTreeMap::new();
    for entry in Dir::new(folder)? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // A process that ended meanwhile has no file.
        let Ok(text) = std::fs::read(format!("/proc/{id}/stat")) else { continue };
        all.extend(Stat::parse(&String::from_utf8_lossy(&text)).map(|stat| (id, stat)));
    }
    let mut known = BTreeSet::from([getpid().as_raw_nonzero().get()]);
    let mut found = BTreeMap::new();
    loop {
        let next: Vec<(i32, u32)> = all
            .iter()
            .filter(|(id, stat)| known.contains(&stat.parent) && !known.contains(id))
            .map(|(id, stat)| (*id, stat.threads))
            .collect();
        if next.is_empty() {
            return Ok(found);
        }
        known.extend(next.iter().map(|(id, _)| *id));
        found.extend(next);
    }
}

/// Waits without looking at anything.
fn pause(time: Duration) {
    let time = rustix::time::Timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) };
    // Being interrupted early does no harm.
    let _ = poll(&mut [], Some(&time));
}

struct Count {
    places: u32,
    taken: u32,
}

/// Sends a text with its kind.
pub(super) fn tell(socket: BorrowedFd<'_>, kind: impl Fn(u32) -> Message, text: &str) -> io::Result<()> {
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    write_all(socket, &kind(length).to_bytes())?;
    write_all(socket, text.as_bytes())
}

/// Waits until one of these can be read, or has come to its end.
fn ready<const N: usize>(handles: [Option<BorrowedFd<'_>>; N]) -> io::Result<[bool; N]> {
    let mut polled: Vec<PollFd<'_>> =
        handles.iter().flatten().map(|handle| PollFd::from_borrowed_fd(*handle, PollFlags::IN)).collect();
    match poll(&mut polled, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut results = polled.iter().map(|polled| !polled.revents().is_empty());
    Ok(handles.map(|handle| handle.is_some() && results.next().unwrap_or(false)))
}

fn code(status: WaitStatus) -> i32 {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| -signal)).unwrap_or(-1)
}

/// What `/proc/N/stat` says.
struct Stat {
    parent: i32,
    threads: u32,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name before may hold anything, brackets and spaces too.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self { parent: fields.get(1)?.parse().ok()?, threads: fields.get(17)?.parse().ok()? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_move_the_fields() {
        let line = "42 (a) b (c) S 1 42 41 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 7 0 12345 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.threads), (1, 7));
        assert!(Stat::parse("42 (a) S 1").is_none());
    }
}
