//! Requests that are too large, and too many connections.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::harness::Attack;
use crate::client::{Client, get};
use crate::frames::{CONTINUATION, END_HEADERS, END_STREAM, Frames, HEADERS, frame, request};
use crate::herd::Herd;
use crate::process::{SLACK, Starcell, eventually};

/// The attacks of this file.
pub const BOMBS: &[Attack] = &[
    Attack { name: "flood of connections", flags: FEW, tls: false, run: connections },
    Attack { name: "large header", flags: SMALL, tls: false, run: |at| refused(at, &large_header(66_000), 431) },
    Attack { name: "many headers", flags: SMALL, tls: false, run: |at| refused(at, &many_headers(101), 431) },
    Attack { name: "long URL", flags: SMALL, tls: false, run: |at| refused(at, &long_url(16_400), 414) },
    Attack { name: "endless header", flags: SMALL, tls: false, run: |at| endless(at, HEAD, &[b'a'; 8192]) },
    Attack {
        name: "endless headers",
        flags: SMALL,
        tls: false,
        run: |at| endless(at, HEAD, &b"a: b\r\nX-".repeat(999)),
    },
    Attack { name: "endless URL", flags: SMALL, tls: false, run: |at| endless(at, b"GET /", &[b'a'; 8192]) },
    Attack { name: "endless method", flags: SMALL, tls: false, run: |at| endless(at, b"G", &[b'E'; 8192]) },
    Attack { name: "body bomb by length", flags: SMALL, tls: false, run: |at| refused(at, LENGTH, 413) },
    Attack { name: "body bomb by chunks", flags: SMALL, tls: false, run: |at| endless(at, CHUNKED, &chunk()) },
    Attack {
        name: "endless chunk extension",
        flags: SMALL,
        tls: false,
        run: |at| endless(at, EXTENSION, &[b'a'; 8192]),
    },
    Attack {
        name: "endless trailers",
        flags: SMALL,
        tls: false,
        run: |at| endless(at, TRAILERS, &b"X-a: b\r\n".repeat(999)),
    },
    Attack { name: "HTTP/2 large header", flags: SMALL, tls: false, run: h2_header },
    Attack { name: "HPACK bomb", flags: SMALL, tls: false, run: hpack },
];

const FEW: &[&str] = &["--max-connections", "64", "--header-time", "1s", "--idle-time", "1s"];
const SMALL: &[&str] = &["--max-body-bytes", "1000000", "--h2c", "--header-time", "2s", "--idle-time", "1s"];

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-";
const LENGTH: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n";
const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
const EXTENSION: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;";
const TRAILERS: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";

fn large_header(size: usize) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "a".repeat(size)).into_bytes()
}

fn many_headers(count: usize) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-Some: a\r\n".repeat(count - 1)).into_bytes()
}

fn long_url(size: usize) -> Vec<u8> {
    format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(size)).into_bytes()
}

fn chunk() -> Vec<u8> {
    format!("4000\r\n{}\r\n", "b".repeat(0x4000)).into_bytes()
}

/// Each is told why, though it is refused before it was read to the end.
fn refused(server: &Starcell, bytes: &[u8], status: u16) {
    for _ in 0..100 {
        let mut client = Client::connect(server.port());
        client.send(bytes).expect("the server reads a little beyond its limit");
        let answer = client.read(false).expect("an answer");
        assert_eq!(answer.status, status, "{}", answer.text());
    }
}

/// Never ends of its own accord; whether the attacker can still read why it was cut off is its own affair.
fn endless(server: &Starcell, opening: &[u8], more: &[u8]) {
    /// Far beyond every limit and what the kernel buffers.
    const MOST: usize = 64 << 20;
    for _ in 0..10 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).expect("the kernel accepts");
        stream.set_write_timeout(Some(SLACK)).expect("above zero");
        stream.write_all(opening).expect("the server reads");
        let sent = (0..MOST / more.len()).take_while(|_| stream.write_all(more).is_ok()).count();
        assert!(sent < MOST / more.len(), "the server took {MOST} bytes");
    }
}

/// More connections than the server takes: those beyond are told to come back, and can once the others are gone.
fn connections(server: &Starcell) {
    const COUNT: usize = 300;
    let said = Herd::connect(server.port(), COUNT, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .outlasted(Duration::from_secs(1), b"");
    let count = |start: &str| said.iter().filter(|said| said.starts_with(start.as_bytes())).count();
    let (taken, excess) = (count("HTTP/1.1 200"), count("HTTP/1.1 503"));
    // One place is the good client's; a few more come free while the flood lasts.
    assert!((32..=200).contains(&taken) && taken + excess == COUNT, "{taken} taken, {excess} refused");
    for said in said.iter().filter(|said| said.starts_with(b"HTTP/1.1 503")) {
        let text = String::from_utf8_lossy(said).to_lowercase();
        assert!(text.contains("\r\nretry-after: ") && text.contains("\r\nconnection: close\r\n"), "{text}");
    }
    eventually(SLACK, "there is room again", || get(server.port(), "/").status == 200);
}

/// A head of 200 KB in frames: refused as a whole, or with the stream, or with the connection.
fn h2_header(server: &Starcell) {
    for _ in 0..20 {
        let mut frames = Frames::connect(server.port(), &[]);
        let long = "a".repeat(200_000);
        let block = request("GET", "/", &[("x-long", &long)]);
        let mut parts = block.chunks(16_384).collect::<Vec<_>>();
        let last = parts.pop().expect("some");
        let mut sent = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            sent.extend(match number {
                0 => frame(HEADERS, END_STREAM, 1, part),
                _ => frame(CONTINUATION, 0, 1, part),
            });
        }
        sent.extend(frame(CONTINUATION, END_HEADERS, 1, last));
        // The server may close before it has read all of it.
        let _ = frames.send(&sent);
        assert_refused(&mut frames);
    }
}

/// A head of 16 KB that stands for 64 MB: one large entry of the table, over and over.
fn hpack(server: &Starcell) {
    for _ in 0..20 {
        let mut frames = Frames::connect(server.port(), &[]);
        let mut block = request("GET", "/", &[]);
        // A field of 4,000 bytes, to be kept; then nothing but references to it.
        block.extend([0x40, 1, b'a', 0x7f, 0xa1, 0x1e]);
        block.extend([b'v'; 4000]);
        block.extend([0xbe; 12_000]);
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).expect("the server reads");
        assert_refused(&mut frames);
    }
}

/// The first request got a refusal or none at all.
fn assert_refused(frames: &mut Frames) {
    if let Ok((stream, status)) = frames.status() {
        assert_eq!((stream, status), (1, 431));
    }
}
