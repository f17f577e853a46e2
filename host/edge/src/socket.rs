//! What the edge asks of a socket besides bytes.

use std::os::fd::AsFd;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A socket that can be looked at and given up.
pub(crate) trait Socket {
    /// Gives the socket up: what it still holds for the client is thrown away with it. Merely closing it would leave
    /// that to the kernel, which waits for a client that reads a byte now and then for as long as it likes.
    fn abandon(&self);

    /// Bytes that were written and that the client has not taken yet, as far as the system tells.
    fn untaken(&self) -> u64;
}

impl Socket for TcpStream {
    fn abandon(&self) {
        // A socket that refuses is closed the slow way.
        let _ = self.set_zero_linger();
    }

    fn untaken(&self) -> u64 {
        queued(self).unwrap_or_default()
    }
}

impl Socket for TlsStream<TcpStream> {
    fn abandon(&self) {
        self.get_ref().0.abandon();
    }

    fn untaken(&self) -> u64 {
        self.get_ref().0.untaken()
    }
}

#[cfg(test)]
impl Socket for tokio::io::DuplexStream {
    fn abandon(&self) {}

    fn untaken(&self) -> u64 {
        0
    }
}

/// Bytes in the send queue of a socket: not sent yet, or not acknowledged.
#[expect(unsafe_code, reason = "see the argument at the block")]
fn queued(socket: impl AsFd) -> rustix::io::Result<u64> {
    /// `SIOCOUTQ` of Linux, see tcp(7): the same number as `TIOCOUTQ` on all machines that this runs on.
    const SIOCOUTQ: rustix::ioctl::Opcode = 0x5411;
    // SAFETY: for a TCP socket SIOCOUTQ writes one `int` to the pointer it is given, and does nothing else.
    let bytes = unsafe {
        let getter = rustix::ioctl::Getter::<SIOCOUTQ, std::ffi::c_int>::new();
        rustix::ioctl::ioctl(socket.as_fd(), getter)?
    };
    Ok(u64::try_from(bytes).unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_a_client_has_not_taken_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, mut server) = (client.unwrap(), accepted.unwrap().0);
        assert_eq!(server.untaken(), 0);
        // More than both kernels' buffers take at once.
        let mut written = 0;
        while let Ok(more) = server.try_write(&[0; 64 << 10]) {
            written += more;
        }
        let before = server.untaken();
        assert!(before > 0 && before <= written as u64, "{before} of {written}");
        let mut rest = vec![0; written];
        client.read_exact(&mut rest).await.unwrap();
        server.write_all(b"x").await.unwrap();
        client.read_exact(&mut rest[..1]).await.unwrap();
        assert!(server.untaken() < before);
    }
}
