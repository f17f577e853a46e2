//! The words between the host and a room: the plan that a room is started with, and the messages that follow.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};

/// Most bytes of a plan: twice the arguments and variables, for their escapes, and the paths.
const MAX_PLAN: usize = 4 << 20;

/// Most descriptors with one message.
const MAX_HANDLES: usize = 5;

/// What a room is asked to do.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    /// To find out what the machine has.
    Probe,
    /// To run a program.
    Run(Plan),
}

/// A program, and the walls around it. Beside the plan come the handles of the program, of the folder it runs in, and of
/// its three streams.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    /// The path of the program, without links.
    pub(crate) program: String,
    /// The program's name for itself, then its arguments.
    pub(crate) argv: Vec<String>,
    /// All of its environment.
    pub(crate) environment: Vec<(String, String)>,
    /// The folder it runs in.
    pub(crate) folder: String,
    /// Files that it may use.
    pub(crate) files: Files,
    /// True if it may make sockets.
    pub(crate) network: bool,
    /// Seconds of processor time that each of its processes may use.
    pub(crate) cpu_seconds: u64,
    /// Processes and threads it may have without asking for more.
    pub(crate) places: u32,
    /// The walls to put up.
    pub(crate) walls: Walls,
}

/// Files that a program may use, besides those that programs are made of.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Files {
    /// Folders with all that lies beneath them. A deeper one adds to those above it.
    pub(crate) granted: Vec<Granted>,
    /// Files and folders that are out of reach, although they lie beneath a granted folder: those of the host.
    pub(crate) closed: Vec<String>,
}

/// A folder with all that lies beneath it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Granted {
    /// Its path, without links.
    pub(crate) path: String,
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// The walls to put up: all that the machine has.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Walls {
    /// Namespaces of users, mounts, processes and messages.
    pub(crate) namespaces: bool,
    /// The version of landlock; 0 for none.
    pub(crate) landlock: u32,
    /// The list of system calls.
    pub(crate) calls: bool,
    /// The listener that counts processes.
    pub(crate) count: bool,
}

/// What a machine has for walls, found out by trying.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Means {
    /// Why there are no namespaces; `None` when there are.
    pub namespaces: Option<String>,
    /// The version of landlock; 0 for none.
    pub landlock: u32,
    /// Why there is no filter of system calls; `None` when there is.
    pub calls: Option<String>,
    /// Why no listener can count processes; `None` when one can.
    pub count: Option<String>,
}

/// A message of five bytes: its kind and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Host to room: so many more places, or none.
    Granted(u32),
    /// Room to host: so many more places are asked for.
    Wanted(u32),
    /// Room to host: the program ended with this code, or by the signal of this number, negative.
    Ended(i32),
    /// Room to host: the program did not start; a text of so many bytes follows.
    Failed(u32),
    /// Room to host: an answer to a probe; a text of so many bytes follows.
    Probed(u32),
}

impl Message {
    /// Bytes of a message.
    pub(crate) const BYTES: usize = 5;

    /// The message as it is sent.
    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let (kind, number) = match self {
            Self::Granted(count) => (b'G', count),
            Self::Wanted(count) => (b'W', count),
            Self::Ended(code) => (b'E', code.cast_unsigned()),
            Self::Failed(length) => (b'F', length),
            Self::Probed(length) => (b'P', length),
        };
        let [a, b, c, d] = number.to_le_bytes();
        [kind, a, b, c, d]
    }

    /// The message that was sent, if it is one.
    pub(crate) fn from_bytes([kind, a, b, c, d]: [u8; Self::BYTES]) -> Option<Self> {
        let number = u32::from_le_bytes([a, b, c, d]);
        Some(match kind {
            b'G' => Self::Granted(number),
            b'W' => Self::Wanted(number),
            b'E' => Self::Ended(number.cast_signed()),
            b'F' => Self::Failed(number),
            b'P' => Self::Probed(number),
            _ => return None,
        })
    }
}

impl Order {
    /// Sends the order with the descriptors that belong to it, over a socket that blocks.
    pub(crate) fn send(&self, socket: BorrowedFd<'_>, handles: &[BorrowedFd<'_>]) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        send_handles(socket, &length.to_le_bytes(), handles)?;
        write_all(socket, &text)
    }

    /// Takes an order from a socket that blocks.
    pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<(Self, Vec<OwnedFd>)> {
        let mut length = [0; 4];
        let handles = receive_handles(socket, &mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_PLAN {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = vec![0; length];
        read_exact(socket, &mut text)?;
        Ok((serde_json::from_slice(&text)?, handles))
    }
}

/// Sends a few bytes with descriptors.
pub(crate) fn send_handles(socket: BorrowedFd<'_>, bytes: &[u8], handles: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !handles.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(handles)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Such few bytes are sent whole or not at all.
    rustix::net::sendmsg(socket, &[io::IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes exactly so many bytes, and the descriptors that came with them.
pub(crate) fn receive_handles(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<Vec<OwnedFd>> {
    let mut handles = Vec::new();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let into = &mut [io::IoSliceMut::new(bytes)];
    let received = rustix::net::recvmsg(socket, into, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            handles.extend(rights);
        }
    }
    match bytes.get_mut(received.bytes..) {
        _ if received.bytes == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(rest) => read_exact(socket, rest).map(|()| handles),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Writes all of it.
pub(crate) fn write_all(socket: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::net::send(&socket, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads until the buffer is full.
pub(crate) fn read_exact(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(&socket, rest) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn messages_arrive_as_they_were_sent() {
        let all = [
            Message::Granted(7),
            Message::Wanted(0),
            Message::Ended(-9),
            Message::Failed(u32::MAX),
            Message::Probed(1),
        ];
        for message in all {
            assert_eq!(Message::from_bytes(message.to_bytes()), Some(message));
        }
        assert_eq!(Message::from_bytes(*b"X0000"), None);
    }

    #[test]
    fn an_order_arrives_with_its_handles() {
        let (one, other) = UnixStream::pair().unwrap();
        let (pipe, _kept) = std::io::pipe().unwrap();
        Order::Probe.send(one.as_fd(), &[pipe.as_fd()]).unwrap();
        let (order, handles) = Order::receive(other.as_fd()).unwrap();
        assert!(matches!(order, Order::Probe));
        assert_eq!(handles.len(), 1);
        drop(one);
        assert_eq!(Order::receive(other.as_fd()).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
