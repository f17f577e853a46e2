//! Anchors that are sent to a server: a POST for each, with the line of the anchor as its body.
//!
//! The server adds each body to a file, which `verify --anchor` reads. An anchor is taken when the server answers with a
//! status of success. Each try has its time, so that a silent server holds up neither the interval for long nor the end of
//! the process; what it answers beyond its status line is not read.

#![expect(clippy::disallowed_methods, reason = "sends anchors to the server that the operator names, in bounded time")]

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream, ToSocketAddrs as _},
    time::{Duration, Instant},
};

use starcell_policy::{Host, Url};

/// The time of one try, once the address is known.
const TRY: Duration = Duration::from_secs(2);

/// Bytes of a status line.
const MAX_STATUS: usize = 1024;

/// Addresses of a name that are tried.
const MAX_ADDRESSES: usize = 4;

/// A server that anchors are sent to.
#[derive(Debug)]
pub(crate) struct AnchorServer {
    url: Url,
    /// The addresses of its name, until one of them does not take an anchor.
    addresses: Vec<SocketAddr>,
}

impl AnchorServer {
    /// The server of a URL that starts with `http://`. Asks nothing yet.
    pub(crate) fn new(url: Url) -> Self {
        Self { url, addresses: Vec::new() }
    }

    /// Sends the line of an anchor.
    pub(crate) fn add(&mut self, line: &str) -> io::Result<()> {
        if self.addresses.is_empty() {
            self.addresses = self.resolve()?;
        }
        let until = Instant::now() + TRY;
        let mut added = Err(io::Error::other("its name has no address"));
        for address in &self.addresses {
            added = self.post(*address, line, until);
            if added.is_ok() {
                return added;
            }
        }
        // The name may have moved.
        self.addresses.clear();
        added
    }

    fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let port = self.url.port();
        match self.url.host() {
            Host::Address(address) => Ok(vec![SocketAddr::new(*address, port)]),
            Host::Name(name) => Ok((name.as_str(), port).to_socket_addrs()?.take(MAX_ADDRESSES).collect()),
        }
    }

    fn post(&self, address: SocketAddr, line: &str, until: Instant) -> io::Result<()> {
        let origin = self.url.origin();
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             User-Agent: starcell/{}\r\nConnection: close\r\n\r\n",
            self.url.request_target(),
            line.len(),
            env!("CARGO_PKG_VERSION"),
        );
        let mut stream = TcpStream::connect_timeout(&address, left(until)?)?;
        stream.set_write_timeout(Some(left(until)?))?;
        stream.write_all([head.as_bytes(), line.as_bytes()].concat().as_slice())?;
        let mut answer = Vec::new();
        let mut piece = [0; MAX_STATUS];
        while !answer.contains(&b'\n') && answer.len() < MAX_STATUS {
            stream.set_read_timeout(Some(left(until)?))?;
            match stream.read(&mut piece)? {
                0 => return Err(io::Error::other("the server gave no answer")),
                count => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
            }
        }
        match status(&answer) {
            Some(200..=299) => Ok(()),
            Some(status) => Err(io::Error::other(format!("the server answered {status}"))),
            None => Err(io::Error::other("the server does not speak HTTP/1")),
        }
    }
}

/// The time that is left of a try.
fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// The status of an answer.
fn status(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.0 ").or_else(|| answer.strip_prefix(b"HTTP/1.1 "))?;
    let digits = rest.get(..3)?;
    let ends = rest.get(3).is_some_and(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    if ends { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_line_of_http_has_a_status() {
        for (answer, found) in [
            ("HTTP/1.1 204 No Content\r\n", Some(204)),
            ("HTTP/1.0 500\r\n", Some(500)),
            ("HTTP/1.1 2040 x\r\n", None),
            ("HTTP/1.1 20", None),
            ("HTTP/2 200 x\r\n", None),
            ("SSH-2.0-x\r\n", None),
            ("HTTP/1.1 \u{e9}20 x\r\n", None),
        ] {
            assert_eq!(status(answer.as_bytes()), found, "{answer:?}");
        }
    }

    #[test]
    fn a_time_that_is_over_is_an_error() {
        let error = left(Instant::now()).map_err(|error| error.kind());
        assert_eq!(error, Err(io::ErrorKind::TimedOut));
    }
}
