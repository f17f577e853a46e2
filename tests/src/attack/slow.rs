//! Clients that take their time: with the first byte, the head, the body, the handshake, or with reading the answer.

use std::time::Duration;

use super::harness::Attack;
use crate::client::Client;
use crate::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, PREFACE, SETTINGS, frame, request, setting};
use crate::herd::Herd;
use crate::process::{SLACK, Starcell, eventually};

/// Brings every limit down to about a second.
const SECOND: &[&str] = &[
    "--header-time",
    "1s",
    "--handshake-time",
    "1s",
    "--idle-time",
    "1s",
    "--stall-time",
    "1s",
    "--min-rate",
    "8388608",
    "--h2c",
];

const LIMIT: Duration = Duration::from_secs(1);

/// The attacks of this file.
pub const SLOW: &[Attack] = &[
    Attack { name: "silent connections", flags: SECOND, tls: false, run: |at| outlasted(at, b"", b"") },
    Attack { name: "half preface", flags: SECOND, tls: false, run: |at| outlasted(at, b"PRI * HTT", b"") },
    Attack { name: "whole preface, then silence", flags: SECOND, tls: false, run: |at| outlasted(at, PREFACE, b"") },
    Attack { name: "HTTP/2 without a request", flags: SECOND, tls: false, run: no_request },
    Attack { name: "HTTP/2 head without an end", flags: SECOND, tls: false, run: half_head },
    Attack { name: "HTTP/2 streams without a body", flags: SECOND, tls: false, run: no_bodies },
    Attack { name: "HTTP/2 without a window", flags: SECOND, tls: false, run: no_window },
    Attack { name: "slow headers", flags: SECOND, tls: false, run: |at| outlasted(at, GET, b"X-a: b\r\n") },
    Attack { name: "blank lines", flags: SECOND, tls: false, run: |at| outlasted(at, b"", b"\r\n") },
    Attack { name: "slow body", flags: SECOND, tls: false, run: |at| outlasted(at, POST, b"b") },
    Attack { name: "slow chunks", flags: SECOND, tls: false, run: |at| outlasted(at, CHUNKED, b"1\r\nb\r\n") },
    Attack { name: "slow chunk extension", flags: SECOND, tls: false, run: |at| outlasted(at, CHUNKED, b"1;e=e") },
    Attack { name: "slow trailers", flags: SECOND, tls: false, run: |at| outlasted(at, TRAILERS, b"X-a: b\r\n") },
    Attack { name: "idle after an answer", flags: SECOND, tls: false, run: idle },
    Attack { name: "slow reader", flags: SECOND, tls: false, run: slow_reader },
    Attack { name: "silent TLS", flags: SECOND, tls: true, run: |at| outlasted(at, b"", b"") },
    Attack { name: "slow TLS handshake", flags: SECOND, tls: true, run: |at| outlasted(at, HELLO, b"\0") },
];

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
const TRAILERS: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";

/// The start of a ClientHello that says it is 512 bytes long.
const HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];

/// Connections of one attacker. Well below the default cap, and enough that each would be noticed.
const COUNT: usize = 200;

fn outlasted(server: &Starcell, opening: &[u8], drip: &[u8]) {
    // What the server says first, if anything, is refused requests: nobody got an answer of the script's.
    for said in Herd::connect(server.port(), COUNT, opening).outlasted(LIMIT, drip) {
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&said));
    }
}

fn no_request(server: &Starcell) {
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    outlasted(server, &opening, b"");
}

fn half_head(server: &Starcell) {
    let opening =
        [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, END_STREAM, 1, &request("GET", "/", &[]))].concat();
    let _ = Herd::connect(server.port(), COUNT, &opening).outlasted(LIMIT * 2, b"");
}

/// As many streams as the server takes, none of which ever sends the body that it announced.
fn no_bodies(server: &Starcell) {
    let head = request("POST", "/", &[("content-length", "1000")]);
    let mut opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in 0..100 {
        opening.extend(frame(HEADERS, END_HEADERS, stream * 2 + 1, &head));
    }
    let _ = Herd::connect(server.port(), 20, &opening).outlasted(LIMIT * 3, b"");
}

/// Asks for much and allows nothing to be sent.
fn no_window(server: &Starcell) {
    let mut all: Vec<Frames> = Vec::new();
    let before = server.descriptors();
    for _ in 0..2 {
        let mut frames = Frames::connect(server.port(), &setting(4, 0));
        for stream in [1, 3] {
            let head = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/large", &[]));
            frames.send(&head).expect("the server reads");
        }
        all.push(frames);
    }
    taken(server, before + all.len());
    // A second to stall, one for the size, one until an idle connection is closed.
    eventually(LIMIT * 3 + SLACK, "connections without a window are closed", || server.descriptors() <= before);
}

/// Waits until the server has accepted what was opened.
fn taken(server: &Starcell, descriptors: usize) {
    eventually(SLACK, "connections are accepted", || server.descriptors() >= descriptors);
}

/// Each has an answer, and then keeps its connection for nothing.
fn idle(server: &Starcell) {
    let opening = [GET, b"\r\n"].concat();
    for said in Herd::connect(server.port(), COUNT, &opening).outlasted(LIMIT * 2, b"") {
        assert!(said.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&said));
    }
}

/// Asks for more than the kernel's buffers take, and reads none of it.
fn slow_reader(server: &Starcell) {
    let before = server.descriptors();
    let clients: Vec<Client> = (0..6)
        .map(|_| {
            let mut client = Client::connect(server.port());
            client.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the server reads");
            client
        })
        .collect();
    taken(server, before + clients.len());
    eventually(LIMIT * 2 + SLACK, "connections that do not read are closed", || server.descriptors() <= before);
    drop(clients);
}
