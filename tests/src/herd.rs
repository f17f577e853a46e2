//! Many connections of one attacker, driven by one thread, and when the server closed each.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::SLACK;

/// A round over all connections, and the parts of it in which some of them have their turn: clients of the real world do
/// not keep step.
const ROUND: Duration = Duration::from_millis(50);
const TURNS: usize = 25;

/// Bytes of an answer that are kept.
const KEPT: usize = 4096;

/// Connections that were opened together.
#[derive(Debug)]
pub struct Herd {
    members: Vec<Member>,
    began: Instant,
}

#[derive(Debug)]
struct Member {
    stream: TcpStream,
    received: Vec<u8>,
    open: bool,
}

impl Herd {
    /// Opens connections and sends the same on each.
    #[must_use]
    pub fn connect(port: u16, count: usize, opening: &[u8]) -> Self {
        let began = Instant::now();
        let member = |_| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the kernel accepts");
            stream.write_all(opening).expect("it fits into the socket's buffer");
            stream.set_nonblocking(true).expect("sockets can");
            Member { stream, received: Vec::new(), open: true }
        };
        Self { members: (0..count).map(member).collect(), began }
    }

    /// Sends on each connection one byte of `drip` a round, over and over, until the server has closed them all, which
    /// must be within `limit` and some slack. Returns what the server said on each before that.
    #[must_use]
    pub fn outlasted(mut self, limit: Duration, drip: &[u8]) -> Vec<Vec<u8>> {
        let mut bytes = drip.iter().cycle();
        loop {
            let byte: Vec<u8> = bytes.next().copied().into_iter().collect();
            for turn in 0..TURNS {
                let some = self.members.iter_mut().skip(turn).step_by(TURNS);
                some.filter(|member| member.open).for_each(|member| member.go_on(&byte));
                thread::sleep(ROUND / TURNS as u32);
            }
            let open = self.members.iter().filter(|member| member.open).count();
            if open == 0 {
                return self.members.into_iter().map(|member| member.received).collect();
            }
            let spent = self.began.elapsed();
            assert!(spent < limit + SLACK, "{open} connections still open after {spent:?}; limit {limit:?}");
        }
    }
}

impl Member {
    fn go_on(&mut self, bytes: &[u8]) {
        let mut chunk = [0; KEPT];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.open = false,
            Ok(count) => {
                let room = KEPT.saturating_sub(self.received.len()).min(count);
                self.received.extend_from_slice(&chunk[..room]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.open = false,
        }
        // A connection that cannot be written to shows its end when it is read next.
        let _ = self.stream.write_all(bytes);
    }
}
