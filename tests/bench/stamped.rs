//! A connection that tells when an answer arrived, whenever its client came to read it.
//!
//! The client of a bench shares its core with those of an attacker, and a kernel that does not interrupt itself lets them read
//! a megabyte before it is the client's turn. That would be measured as the server's time. So the time of an answer is that
//! at which the kernel had it for the client, as the kernel itself noted it: on the loopback, in the server's call that sent it.

use std::io::{self, IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, SystemTime};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns};
use nix::sys::time::TimeSpec;

/// A connection with the time of its last arrival.
pub(crate) struct Stamped {
    socket: TcpStream,
    messages: Vec<u8>,
    /// When the last byte that was read arrived, since 1970.
    pub(crate) arrived: Duration,
}

impl Stamped {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        Ok(Self { socket, messages: nix::cmsg_space!(TimeSpec), arrived: Duration::ZERO })
    }
}

/// The clock that the kernel notes arrivals by.
pub(crate) fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970")
}

impl Read for Stamped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut slices = [IoSliceMut::new(buffer)];
        let received =
            recvmsg::<()>(self.socket.as_raw_fd(), &mut slices, Some(&mut self.messages), MsgFlags::empty())?;
        for message in received.cmsgs() {
            if let ControlMessageOwned::ScmTimestampns(time) = message {
                self.arrived = Duration::from(time);
            }
        }
        Ok(received.bytes)
    }
}

impl Write for Stamped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
