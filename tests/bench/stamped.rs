//! A connection that tells when a request left and when its answer arrived, whenever its client had its turns.
//!
//! The client of a bench shares its core with those of an attacker, and a kernel that does not interrupt itself lets them read
//! a megabyte, or close a connection that holds one, before it is the client's turn. That would be measured as the server's
//! time. So a request begins when the kernel gave it to the network, and ends when the kernel had the answer for the client,
//! as the kernel itself noted both: on the loopback, in the calls of the client and of the server that sent them.

use std::io::{self, IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::sockopt::{ReceiveTimestampns, Timestamping};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, TimestampingFlag, Timestamps, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;

/// Bytes of the message that comes with a time of departure: `sock_extended_err`, and an address.
type Departed = [u8; 32];

/// A connection with the times of what went and came last.
pub(crate) struct Stamped {
    socket: TcpStream,
    messages: Vec<u8>,
    /// When the last byte that was read arrived, since 1970.
    arrived: Duration,
}

impl Stamped {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        let departures = TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
            | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY;
        setsockopt(&socket, Timestamping, &departures)?;
        let messages = nix::cmsg_space!(TimeSpec, Timestamps, Departed);
        Ok(Self { socket, messages, arrived: Duration::ZERO })
    }

    /// How long the answer that was read last took, if it is that to all that was written since this was asked last.
    pub(crate) fn took(&mut self) -> Duration {
        let mut sent = None;
        let queue = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        while let Ok(told) = recvmsg::<()>(self.socket.as_raw_fd(), &mut [], Some(&mut self.messages), queue) {
            for message in told.cmsgs() {
                if let ControlMessageOwned::ScmTimestampsns(times) = message {
                    sent = Some(Duration::from(times.system));
                }
            }
        }
        self.arrived.checked_sub(sent.expect("the kernel notes when it sends")).expect("an answer follows its request")
    }
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
