//! The limits of the edge, by flag of the operator and by option of the script: each one met and passed, and the
//! operator's that wins.

use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::herd::Herd;
use starcell_tests::process::{SLACK, Starcell, binary, eventually, script};

fn server(options: &str) -> String {
    format!(
        r#"
def echo(req):
    return "got %d" % len(req.body)
srv = http.server({options})
srv.handle("POST /", echo)
srv.handle("GET /", lambda req: "got %d" % len(req.headers.get("X-Long", "")))
srv.handle("GET /large", lambda req: "x" * 8388608)
srv.serve()
"#
    )
}

/// The status of a request with so much of each.
fn status(port: u16, url: usize, header: usize, fields: usize, body: usize) -> u16 {
    let (target, long) = (format!("/{}", "u".repeat(url)), "h".repeat(header));
    let mut headers = vec![("X-Long", long.as_str())];
    headers.resize(fields, ("X-Some", "a"));
    let method = if body > 0 { "POST" } else { "GET" };
    let target = if body > 0 { "/" } else { target.as_str() };
    Client::connect(port).request(method, target, &headers, "b".repeat(body).as_bytes()).status
}

#[test]
fn sizes_have_defaults() {
    let starcell = Starcell::serve(&["--no-access-log"], &script(&server("")));
    for (url, header, fields, body, expected) in [
        (10, 10, 10, 10, 200),
        // The URL and the body are smaller than the limit by little, the header by the rest of the head.
        (16_383, 10, 10, 0, 200),
        (16_384, 10, 10, 0, 414),
        (10, 65_000, 1, 0, 200),
        (10, 65_536, 1, 0, 431),
        // Host is the hundredth.
        (10, 10, 99, 0, 200),
        (10, 10, 100, 0, 431),
        (10, 10, 1, 10 << 20, 200),
        (10, 10, 1, (10 << 20) + 1, 413),
    ] {
        assert_eq!(status(starcell.port(), url, header, fields, body), expected, "{url} {header} {fields} {body}");
    }
}

#[test]
fn the_smaller_of_two_sizes_holds() {
    for (flags, options) in [
        (&["--max-header-bytes", "8192", "--max-body-bytes", "1000", "--max-url-bytes", "100"][..], ""),
        (
            &["--max-header-bytes", "8192", "--max-body-bytes", "1000", "--max-url-bytes", "100"],
            "max_header_bytes=1000000, max_body_bytes=100000000",
        ),
        (&["--max-url-bytes", "100"], "max_header_bytes=8192, max_body_bytes=1000"),
    ] {
        let flags: Vec<&str> = ["--no-access-log"].iter().chain(flags).copied().collect();
        let starcell = Starcell::serve(&flags, &script(&server(options)));
        let port = starcell.port();
        for (url, header, body, expected) in
            [(99, 8000, 1000, 200), (99, 8000, 0, 200), (100, 10, 0, 414), (10, 8193, 0, 431), (10, 10, 1001, 413)]
        {
            assert_eq!(status(port, url, header, 1, body), expected, "{flags:?} {options}: {url} {header} {body}");
        }
    }
}

/// Nothing sent, half a head, and half a head after a request that was answered.
#[test]
fn a_head_has_its_time() {
    const LIMIT: Duration = Duration::from_secs(1);
    let starcell = Starcell::serve(&["--header-time", "1s", "--idle-time", "60s"], &script(&server("")));
    for opening in ["", "GET / HTTP/1.1\r\nHost: local", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT"] {
        let began = Instant::now();
        let _ = Herd::connect(starcell.port(), 3, opening.as_bytes()).outlasted(LIMIT, b"");
        assert!(began.elapsed() > LIMIT / 2, "{opening:?} was given time");
    }
    // An idle connection is not under this limit, and neither is a client that takes less for each of many heads.
    let mut client = Client::connect(starcell.port());
    let began = Instant::now();
    while began.elapsed() < LIMIT * 2 {
        assert_eq!(client.get("/").text(), "got 0");
        std::thread::sleep(LIMIT * 3 / 5);
    }
}

#[test]
fn an_idle_connection_has_its_time() {
    const LIMIT: Duration = Duration::from_secs(1);
    for (flags, options) in [
        (&["--idle-time", "1s"][..], ""),
        (&["--idle-time", "1s"], "idle_timeout=\"1h\""),
        (&[], "idle_timeout=\"1s\""),
    ] {
        let flags: Vec<&str> = ["--header-time", "60s"].iter().chain(flags).copied().collect();
        let starcell = Starcell::serve(&flags, &script(&server(options)));
        let mut client = Client::connect(starcell.port());
        client.patience(LIMIT + SLACK);
        assert_eq!(client.get("/").status, 200);
        let began = Instant::now();
        assert_eq!(client.rest().unwrap(), b"", "{flags:?} {options}");
        assert!(began.elapsed() > LIMIT / 2, "{:?}", began.elapsed());
    }
}

/// A body may take some time to stall, and as long as its bytes take at the least rate.
#[test]
fn a_body_has_its_time() {
    let flags = ["--stall-time", "1s", "--min-rate", "1000", "--no-access-log"];
    let starcell = Starcell::serve(&flags, &script(&server("")));
    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000\r\n\r\n";
    // Well above the rate, though for longer than the time to stall.
    let mut client = Client::connect(starcell.port());
    client.send(head).unwrap();
    for _ in 0..15 {
        client.send(&[b'b'; 200]).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(client.read(false).unwrap().text(), "got 3000");
    for said in Herd::connect(starcell.port(), 3, head).outlasted(Duration::from_secs(4), b"b") {
        let text = String::from_utf8_lossy(&said).to_lowercase();
        assert!(text.starts_with("http/1.1 408 ") && text.contains("\r\nconnection: close\r\n"), "{text}");
    }
}

/// The whole request, head and body, is under the script's own limit.
#[test]
fn read_timeout_bounds_a_request() {
    let starcell = Starcell::serve(&["--no-access-log"], &script(&server("read_timeout=\"1s\"")));
    for (opening, drip) in [
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", "b"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n", "X-a: b\r\n"),
    ] {
        let _ =
            Herd::connect(starcell.port(), 3, opening.as_bytes()).outlasted(Duration::from_secs(1), drip.as_bytes());
    }
}

/// So is the answer: an answer that nobody reads is given up.
#[test]
fn write_timeout_bounds_an_answer_that_is_not_read() {
    let starcell = Starcell::serve(&["--no-access-log"], &script(&server("write_timeout=\"1s\"")));
    let before = starcell.descriptors();
    let mut client = Client::connect(starcell.port());
    client.send(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    eventually(Duration::from_secs(1) + SLACK, "the server takes the connection", || starcell.descriptors() > before);
    eventually(Duration::from_secs(1) + SLACK, "the server gives it up", || starcell.descriptors() <= before);
    // One that is read whole takes as long as it needs.
    assert_eq!(Client::connect(starcell.port()).get("/large").body.len(), 8 << 20);
}

#[test]
fn connections_of_one_address_are_counted() {
    let flags = ["--max-connections", "100", "--max-connections-per-address", "10", "--no-access-log"];
    let starcell = Starcell::serve(&flags, &script(&server("")));
    let connect = || {
        let mut client = Client::connect(starcell.port());
        let answer = client.get("/");
        (client, answer)
    };
    let mut held: Vec<_> = (0..10).map(|_| connect()).collect();
    assert!(held.iter().all(|(_, answer)| answer.status == 200));
    let (mut client, answer) = connect();
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(client.rest().unwrap(), b"");
    // Another address has places of its own.
    let mut other = Client::connect_from([127, 0, 0, 2].into(), starcell.port()).unwrap();
    assert_eq!(other.get("/").status, 200);
    // One that goes makes room for one.
    drop(held.pop());
    eventually(SLACK, "there is room again", || {
        let (client, answer) = connect();
        let taken = answer.status == 200;
        held.extend(taken.then_some((client, answer)));
        taken
    });
    assert_eq!(connect().1.status, 503);
}

#[test]
fn wrong_values_are_errors_that_quote_them() {
    for (options, said) in [
        ("read_timeout=\"soon\"", "soon"),
        ("write_timeout=-1", "-1"),
        ("idle_timeout=\"1 fortnight\"", "1 fortnight"),
        ("shutdown_timeout=[]", "shutdown_timeout"),
        ("max_header_bytes=\"big\"", "max_header_bytes"),
        ("max_body_bytes=-5", "-5"),
        ("max_bodybytes=5", "max_bodybytes"),
        ("port=70000", "70000"),
        ("host=7", "host"),
    ] {
        for source in [
            format!("http.server({options})\n"),
            format!("http.server().start({options})\n"),
            format!("http.server().serve({options})\n"),
            format!("http.serve({{\"GET /\": lambda req: None}}, {options})\n"),
        ] {
            let ended = Starcell::run(&["--allow-local"], &script(&source));
            assert_eq!(ended.code(), 1, "{source}: {}", ended.output);
            assert!(ended.stderr.contains(said), "{source}: {}", ended.stderr);
        }
    }
}

#[test]
fn flags_are_checked_and_documented() {
    let path = script("");
    for (flag, value) in [
        ("--max-connections", "0"),
        ("--max-connections-per-address", "0"),
        ("--max-requests", "0"),
        ("--max-queue", "-1"),
        ("--queue-time", "soon"),
        ("--handshake-time", "0s"),
        ("--header-time", "0s"),
        ("--idle-time", "0s"),
        ("--stall-time", "0s"),
        ("--min-rate", "slow"),
        ("--max-header-bytes", "1"),
        ("--max-body-bytes", "many"),
        ("--max-url-bytes", "0"),
    ] {
        let argument = format!("{flag}={value}");
        let ended = Starcell::run(&[&argument], &path);
        assert_eq!(ended.code(), 2, "{argument}: {}", ended.output);
        assert!(ended.stderr.contains(flag), "{argument}: {}", ended.stderr);
    }
    let help = std::process::Command::new(binary()).args(["run", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let edge = help.split("\nEdge:\n").nth(1).unwrap();
    for flag in ["--max-connections", "--max-requests", "--h2c", "--trust-request-id", "--no-access-log"] {
        assert!(edge.contains(flag), "{flag}");
    }
}
