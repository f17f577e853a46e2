//! A client that never sleeps: one that does must be woken for every response, and on a virtual machine the server pays
//! more for that than for the response.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use starcell_tests::tls::{Identity, connect};

/// Connections at once.
pub(crate) const CONNECTIONS: usize = 8;

/// What is asked, and what must come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) path: &'static str,
    pub(crate) status: &'static str,
    pub(crate) body: &'static str,
}

impl Ask {
    /// Answered by the handler.
    pub(crate) const HELLO: Self = Self { path: "/hello?name=Bob", status: "200", body: "Hello, Bob" };

    /// Answered by the edge alone.
    pub(crate) const NONE: Self = Self { path: "/none", status: "404", body: "404 page not found\n" };

    fn request(self, close: bool) -> Vec<u8> {
        let close = if close { "Connection: close\r\n" } else { "" };
        let Self { path, .. } = self;
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n{close}\r\n")
            .into_bytes()
    }

    /// Whether a response is whole; panics if it is not the right one.
    fn is_answered(self, response: &[u8]) -> bool {
        let whole = response.ends_with(self.body.as_bytes());
        let right = response.get(9..12).is_none_or(|status| status == self.status.as_bytes());
        assert!(right, "{}", String::from_utf8_lossy(response));
        whole
    }
}

/// Connections that are kept.
pub(crate) struct Load {
    ask: Ask,
    request: Vec<u8>,
    streams: Vec<(Box<dyn Stream>, Vec<u8>)>,
}

/// A socket, or TLS over it.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

impl Load {
    pub(crate) fn connect(port: u16, ask: Ask) -> Self {
        let request = ask.request(false);
        let open = |_| (Box::new(open(port, &request)) as Box<dyn Stream>, Vec::new());
        Self { ask, streams: (0..CONNECTIONS).map(open).collect(), request }
    }

    /// The same over TLS.
    pub(crate) fn connect_tls(port: u16, ask: Ask, identity: &Identity) -> Self {
        let request = ask.request(false);
        let open = |_| {
            let mut stream = connect(port, &[identity], &["http/1.1"]).unwrap().stream;
            stream.write_all(&request).unwrap();
            stream.sock.set_nonblocking(true).unwrap();
            (Box::new(stream) as Box<dyn Stream>, Vec::new())
        };
        Self { ask, streams: (0..CONNECTIONS).map(open).collect(), request }
    }

    /// Asks over and over for a while; returns how many responses came.
    pub(crate) fn run(&mut self, time: Duration) -> u64 {
        let (began, mut done) = (Instant::now(), 0);
        while began.elapsed() < time {
            for (stream, response) in &mut self.streams {
                assert!(read(stream, response), "the server closed a connection");
                if self.ask.is_answered(response) {
                    response.clear();
                    done += 1;
                    stream.write_all(&self.request).unwrap();
                }
            }
        }
        done
    }
}

/// Asks over and over, on a new connection each time; returns how many responses came.
pub(crate) fn anew(port: u16, ask: Ask, time: Duration) -> u64 {
    let request = ask.request(true);
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| (open(port, &request), Vec::new())).collect();
    let (began, mut done) = (Instant::now(), 0);
    while began.elapsed() < time {
        for (stream, response) in &mut streams {
            if !read(stream, response) {
                assert!(ask.is_answered(response), "{}", String::from_utf8_lossy(response));
                done += 1;
                (*stream, *response) = (open(port, &request), Vec::new());
            }
        }
    }
    done
}

pub(crate) fn open(port: u16, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(request).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

/// Reads what is there; says whether the connection is still open.
pub(crate) fn read(stream: &mut impl Read, response: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => return false,
        Ok(count) => response.extend_from_slice(&buffer[..count]),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => panic!("{error}"),
    }
    true
}
