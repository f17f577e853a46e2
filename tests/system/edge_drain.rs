//! The end of a server with many requests under way: all of them are finished, and what hangs is cut in time.

use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::{Client, wait_until_refused};
use starcell_tests::frames::{DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, frame, request};
use starcell_tests::process::{Starcell, script};
use starcell_tests::tls::{self, Identity};

const SCRIPT: &str = r#"
srv = http.server(OPTIONS)
srv.handle("POST /", lambda req: "got %d" % len(req.body))
srv.handle("GET /", lambda req: "good")
srv.serve()
print("below serve")
"#;

fn serve(flags: &[&str], options: &str) -> Starcell {
    let flags: Vec<&str> = ["--no-access-log", "--h2c"].iter().chain(flags).copied().collect();
    Starcell::serve(&flags, &script(&SCRIPT.replace("OPTIONS", options)))
}

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";

/// A request that the server waits for the body of, and so has begun.
fn begin(port: u16) -> Client {
    let mut client = Client::connect(port);
    client.send(HEAD).unwrap();
    assert_eq!(client.read(false).unwrap().status, 100);
    client.send(b"01234").unwrap();
    client
}

#[test]
fn two_hundred_in_flight_are_finished() {
    let starcell = serve(&[], "shutdown_timeout=\"30s\"");
    let port = starcell.port();
    let mut clients: Vec<Client> = (0..200).map(|_| begin(port)).collect();
    starcell.signal("TERM");
    wait_until_refused(port);
    for client in &mut clients {
        client.send(b"56789").unwrap();
    }
    for client in &mut clients {
        let answer = client.read(false).unwrap();
        assert_eq!((answer.status, answer.text()), (200, "got 10"));
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(client.rest().unwrap(), b"");
    }
    let ended = starcell.wait();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.output);
    assert!(ended.stdout.ends_with("below serve\n"), "{}", ended.stdout);
}

#[test]
fn one_that_hangs_is_cut_and_logged() {
    let mut starcell = serve(&[], "shutdown_timeout=\"3s\"");
    let port = starcell.port();
    let (mut hanging, mut done) = (begin(port), begin(port));
    let began = Instant::now();
    starcell.signal("TERM");
    wait_until_refused(port);
    done.send(b"56789").unwrap();
    assert_eq!(done.read(false).unwrap().text(), "got 10");
    let line = starcell.wait_for("shutdown_timeout");
    assert!(line.contains(" warn ") && line.contains("cut 1 request"), "{line}");
    assert!(hanging.read(false).is_err());
    let ended = starcell.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let took = began.elapsed();
    assert!(took > Duration::from_millis(2900) && took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let starcell = serve(&[], "shutdown_timeout=\"60s\"");
    let port = starcell.port();
    let mut clients: Vec<Client> = (0..50).map(|_| begin(port)).collect();
    let began = Instant::now();
    starcell.signal("TERM");
    wait_until_refused(port);
    starcell.signal("TERM");
    let ended = starcell.wait();
    assert_eq!(ended.code(), 143, "{}", ended.output);
    assert!(!ended.stdout.contains("below serve"), "{}", ended.stdout);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    for client in &mut clients {
        assert!(client.read(false).is_err());
    }
}

/// Streams that are open are finished; new ones are refused by name, so that a client can go elsewhere with them.
#[test]
fn streams_in_flight_are_finished() {
    let starcell = serve(&[], "shutdown_timeout=\"30s\"");
    let mut frames = Frames::connect(starcell.port(), &[]);
    let head = request("POST", "/", &[("expect", "100-continue")]);
    for stream in 0..50 {
        frames.send(&frame(HEADERS, END_HEADERS, stream * 2 + 1, &head)).unwrap();
        frames.send(&frame(DATA, 0, stream * 2 + 1, b"01234")).unwrap();
    }
    // Answered in order: the server has seen what came before it.
    frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 101, &request("GET", "/", &[]))).unwrap();
    while frames.read_until(HEADERS).unwrap().stream != 101 {}
    starcell.signal("TERM");
    frames.read_until(GOAWAY).unwrap();
    wait_until_refused(starcell.port());
    for stream in 0..50 {
        frames.send(&frame(DATA, END_STREAM, stream * 2 + 1, b"56789")).unwrap();
    }
    let rest = frames.rest();
    let finished = rest.iter().filter(|frame| frame.kind == DATA && frame.payload == b"got 10").count();
    assert_eq!(finished, 50, "{rest:?}");
    let ended = starcell.wait();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.output);
}

/// Connections with nothing under way do not hold up the end, however they were opened.
#[test]
fn idle_connections_are_closed_at_once() {
    let identity = Identity::make();
    let options = format!("shutdown_timeout=\"60s\", {}", identity.options());
    let (plain, secure) = (serve(&[], "shutdown_timeout=\"60s\""), serve(&[], &options));
    let mut used = Client::connect(plain.port());
    assert_eq!(used.get("/").text(), "good");
    let silent = Client::connect(plain.port());
    let mut half = Client::connect(plain.port());
    half.send(b"GET / HT").unwrap();
    let streams = Frames::connect(plain.port(), &[]);
    let mut encrypted = tls::connect(secure.port(), &[&identity], &["http/1.1"]).unwrap();
    assert_eq!(encrypted.get("/").text(), "good");
    let shaking = Client::connect(secure.port());
    let began = Instant::now();
    let ends = [plain, secure].map(|starcell| thread::spawn(move || starcell.stop().code()));
    assert_eq!(ends.map(|end| end.join().unwrap()), [0, 0]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop((silent, half, streams, shaking));
}
