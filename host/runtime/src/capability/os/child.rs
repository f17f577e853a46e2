//! A program from its start to its end, and nothing of it beyond.
//!
//! The program runs in a [`crate::room`]. The socket to it is the string that holds it: closing it ends the room
//! with all that is in there, and it comes to its end when nothing of the room lives any more.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use starcell_budget::Taken;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::Child;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::holding::{HeldBuffer, Holding, add};
use crate::os_words::os_words;
use crate::room;
use crate::room::plan::{Message, Order, Plan};

/// Most processes and threads that all programs of this process have together, those that keep them included. A call that
/// makes one and was let go on a moment ago is missed when they are counted, so this is some below the 512 that the
/// documentation names.
const MAX_PLACES: u32 = 480;

/// Processes of a room that are not the program's.
const KEEPERS: u32 = 2;

/// Places that a program has from its start.
const FIRST_PLACES: u32 = 4;

/// Bytes that are read from a program at a time: what a pipe of Linux holds.
const PIECE_BYTES: usize = 64 << 10;

/// Most bytes of what a room says about a failure.
const MAX_FAILURE: usize = 64 << 10;

/// What programs of this process may still take. Threads of the machine are the machine's, so this is one for all apps.
static PLACES: Semaphore = Semaphore::const_new(MAX_PLACES as usize);

/// What to run, all of it judged.
#[derive(Debug)]
pub(super) struct Program {
    /// The program itself.
    pub(super) handle: OwnedFd,
    /// The folder it runs in.
    pub(super) folder: OwnedFd,
    /// Its plan, but for the places.
    pub(super) plan: Plan,
    /// Room for it among all programs.
    pub(super) places: Places,
}

/// Places for the processes and threads of one program.
#[derive(Debug)]
pub(super) struct Places(SemaphorePermit<'static>);

/// What it left.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// The memory that the two streams take.
    pub(super) taken: [Taken; 2],
}

/// A running program with all it starts. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Running {
    socket: UnixStream,
    input: Sender,
    output: Receiver,
    errors: Receiver,
    places: Places,
    /// Waited for by the runtime when this is dropped; none for a room that somebody else started.
    _child: Option<Child>,
}

impl Places {
    /// Waits for the places that a program needs to start.
    pub(super) async fn first() -> Result<Self, String> {
        let permit = PLACES.acquire_many(KEEPERS + FIRST_PLACES).await;
        permit.map(Self).map_err(|_closed| "the host ends".to_owned())
    }

    /// Takes more, as many as there are.
    fn more(&mut self, wanted: u32) -> u32 {
        let mut count = wanted;
        while count > 0 {
            if let Ok(permit) = PLACES.try_acquire_many(count) {
                self.0.merge(permit);
                return count;
            }
            count /= 2;
        }
        0
    }
}

impl Program {
    /// Starts it. Blocks for as long as it takes to start a process.
    pub(super) fn start(mut self) -> Result<Running, String> {
        self.plan.places = FIRST_PLACES;
        self.start_room().map_err(|error| os_words(&error))
    }

    fn start_room(self) -> io::Result<Running> {
        let (socket, command) = room::open()?;
        let ((theirs_in, input), (output, theirs_out), (errors, theirs_errors)) = (pipe()?, pipe()?, pipe()?);
        // The other end of the socket is in the command.
        let child = command.map(|command| tokio::process::Command::from(command).spawn()).transpose()?;
        let handles =
            [self.handle.as_fd(), self.folder.as_fd(), theirs_in.as_fd(), theirs_out.as_fd(), theirs_errors.as_fd()];
        Order::Run(self.plan).send(socket.as_fd(), &handles)?;
        socket.set_nonblocking(true)?;
        Ok(Running {
            socket: UnixStream::from_std(socket)?,
            input: Sender::from_owned_fd(input.into())?,
            output: Receiver::from_owned_fd(output.into())?,
            errors: Receiver::from_owned_fd(errors.into())?,
            places: self.places,
            _child: child,
        })
    }
}

fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    io::pipe()
}

impl Running {
    /// Waits for its end, with at most `limit` bytes on each stream. It is over when the program is: what it started and
    /// left behind is killed.
    pub(super) async fn end(
        self,
        stdin: &[u8],
        (holding, limit): (&Holding, usize),
        time: Duration,
    ) -> Result<Ended, String> {
        let Self { socket, input, output, errors, places, _child } = self;
        let all = async {
            let (output, errors) =
                (read(output, holding.buffer(limit), limit), read(errors, holding.buffer(limit), limit));
            tokio::try_join!(converse(socket, places), feed(input, stdin), output, errors)
        };
        match timeout(time, all).await {
            Ok(Ok((code, (), (stdout, of_output), (stderr, of_errors)))) => {
                Ok(Ended { code, stdout, stderr, taken: [of_output, of_errors] })
            }
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(format!("killed: it took longer than {} s", time.as_secs_f64())),
        }
    }
}

/// Speaks with the room until nothing of it lives any more. The code that the program ended with.
async fn converse(mut socket: UnixStream, mut places: Places) -> Result<i32, String> {
    let mut end = Err("it was killed before it ended".to_owned());
    let mut message = [0; Message::BYTES];
    while socket.read_exact(&mut message).await.is_ok() {
        match Message::from_bytes(message) {
            Some(Message::Wanted(wanted)) => {
                let granted = Message::Granted(places.more(wanted));
                // A room that is gone needs none.
                let _ = socket.write_all(&granted.to_bytes()).await;
            }
            Some(Message::Ended(code)) => end = Ok(code),
            Some(Message::Failed(length)) => {
                let mut text = vec![0; (length as usize).min(MAX_FAILURE)];
                socket.read_exact(&mut text).await.map_err(|error| os_words(&error))?;
                end = Err(os_words(&String::from_utf8_lossy(&text)));
            }
            _ => return Err("its room said what no room says".to_owned()),
        }
    }
    end
}

/// Writes all of it, to a program that may not want it.
async fn feed(mut pipe: Sender, data: &[u8]) -> Result<(), String> {
    // A program that stops reading has closed the pipe.
    let _ = pipe.write_all(data).await;
    Ok(())
}

/// Reads all that a program writes to one stream. While there is no memory for it the program waits for its pipe.
async fn read(
    mut pipe: impl AsyncRead + Unpin,
    mut buffer: HeldBuffer<'_>,
    limit: usize,
) -> Result<(Vec<u8>, Taken), String> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = pipe.read(&mut piece).await.map_err(|error| os_words(&error))?;
        if count == 0 {
            return Ok(buffer.into_parts());
        }
        let too_large = || format!("it wrote more than {} MiB", limit >> 20);
        let added = add(&mut buffer, piece.get(..count).unwrap_or_default(), too_large).await;
        added.map_err(|text| format!("killed: {text}"))?;
    }
}
