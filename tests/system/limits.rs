//! Limits that a script or an operator sets, as a client meets them.

use std::time::Duration;

use starcell_runtime::{Failure, Limit, Limits};
use starcell_tests::client::{Client, get};
use starcell_tests::edge::{Deployed, interpreter, request};
use starcell_tests::process::{Starcell, script};

/// Answers with what it got, and says so in the log.
const ECHO: &str = r#"
def echo(req):
    log.info("handled")
    return "got %d" % len(req.body)
srv = http.server(max_body_bytes=1000, max_header_bytes=8192)
srv.handle("POST /", echo)
srv.handle("GET /", lambda req: "got %d" % len(req.headers.get("X-Long", "")))
srv.serve()
"#;

#[test]
fn a_large_body_is_413_and_the_handler_does_not_run() {
    let starcell = Starcell::serve(&[], &script(ECHO));
    for (size, status, text) in [
        (1000, 200, "got 1000"),
        (1001, 413, "413 Content Too Large: at most 1000 bytes\n"),
        (200_000, 413, "413 Content Too Large: at most 1000 bytes\n"),
    ] {
        let body = "a".repeat(size);
        let response = Client::connect(starcell.port()).request("POST", "/", &[], body.as_bytes());
        assert_eq!((response.status, response.text()), (status, text), "{size}");
    }
    let ended = starcell.stop();
    assert_eq!(ended.stderr.matches("handled").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_body_is_refused_by_its_announced_length_alone() {
    let starcell = Starcell::serve(&[], &script(ECHO));
    let mut client = Client::connect(starcell.port());
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999999\r\n\r\n").unwrap();
    assert_eq!(client.read(false).unwrap().status, 413);
}

#[test]
fn a_chunked_body_is_counted_as_it_comes() {
    let starcell = Starcell::serve(&[], &script(ECHO));
    const HEAD: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("1f4\r\n{}\r\n", "a".repeat(500));
    for (chunks, end, status, text) in [
        (2, "0\r\n\r\n", 200, "got 1000"),
        (2, "1\r\na\r\n0\r\n\r\n", 413, "413 Content Too Large: at most 1000 bytes\n"),
        // It need not end to be too long.
        (3, "", 413, "413 Content Too Large: at most 1000 bytes\n"),
    ] {
        let mut client = Client::connect(starcell.port());
        client.send(format!("{HEAD}{}{end}", chunk.repeat(chunks)).as_bytes()).unwrap();
        let response = client.read(false).unwrap();
        assert_eq!((response.status, response.text()), (status, text), "{chunks} chunks and {end:?}");
    }
    let ended = starcell.stop();
    assert_eq!(ended.stderr.matches("handled").count(), 1, "{}", ended.stderr);
}

#[test]
fn large_headers_are_431() {
    let starcell = Starcell::serve(&[], &script(ECHO));
    let port = starcell.port();
    for (size, status) in [(7000, 200), (9000, 431)] {
        let long = "a".repeat(size);
        let response = Client::connect(port).request("GET", "/", &[("X-Long", &long)], b"");
        assert_eq!(response.status, status, "{size}");
    }
    // Many small ones are as large.
    let many = vec![("X-Some", "0123456789"); 500];
    assert_eq!(Client::connect(port).request("GET", "/", &many, b"").status, 431);
    assert_eq!(get(port, "/").text(), "got 0");
    assert_eq!(starcell.stop().code(), 0);
}

/// Keeps as much as it is told to.
const HOLD: &str = r#"
def hold(req):
    kept = ("x" * 1000) * (int(req.query["n"]) // 1000)
    return "kept %d" % len(kept)
srv = http.server()
srv.handle("GET /", hold)
srv.serve()
"#;

#[test]
fn memory_is_what_the_operator_gives() {
    for (memory, size, kept) in [
        ("8", 1_000_000, true),
        ("8", 10_000_000, false),
        ("64", 10_000_000, true),
        ("64", 50_000_000, false),
        ("128", 50_000_000, true),
    ] {
        let mut starcell = Starcell::serve(&["--memory", memory], &script(HOLD));
        let response = get(starcell.port(), &format!("/?n={size}"));
        if kept {
            assert_eq!((response.status, response.text()), (200, format!("kept {size}").as_str()), "{memory} MiB");
        } else {
            assert_eq!(response.status, 500);
            starcell.wait_for(&format!("memory limit of {memory} MiB reached"));
            assert_eq!(get(starcell.port(), "/?n=1000").text(), "kept 1000");
        }
    }
}

/// Computes until it is stopped.
const SPIN: &str = r#"
def spin(req):
    for i in range(2147483647):
        pass
srv = http.server(OPTIONS)
srv.handle("GET /spin", spin)
srv.handle("GET /", lambda req: "fine")
srv.serve()
"#;

#[test]
fn write_timeout_and_request_time_bound_an_answer() {
    for (options, arguments, limit) in [
        ("write_timeout=\"200ms\"", &["--request-cpu", "20s"][..], "0.2"),
        ("write_timeout=\"20s\"", &["--request-cpu", "20s", "--request-time", "300ms"], "0.3"),
        ("", &["--request-cpu", "20s", "--request-time", "250ms"], "0.25"),
    ] {
        let mut starcell = Starcell::serve(arguments, &script(&SPIN.replace("OPTIONS", options)));
        let response = get(starcell.port(), "/spin");
        assert_eq!(response.status, 500, "{options}");
        let line = starcell.wait_for("path=\"/spin\"");
        assert!(line.contains(&format!("error time limit of {limit} s reached ")), "{line}");
        assert!(response.text().lines().any(|id| line.contains(id.trim_start_matches("request id: "))), "{line}");
        assert_eq!(get(starcell.port(), "/").text(), "fine");
    }
}

#[test]
fn read_timeout_bounds_a_body() {
    let starcell =
        Starcell::serve(&[], &script(&ECHO.replace("max_body_bytes", "read_timeout=\"200ms\", max_body_bytes")));
    let mut client = Client::connect(starcell.port());
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc").unwrap();
    assert_eq!(client.read(false).unwrap().status, 408);
    let ended = starcell.stop();
    assert_eq!(ended.stderr.matches("handled").count(), 0, "{}", ended.stderr);
}

/// What a script may hold, it may serve from: a fork hands over the whole memory, however large, and a request does not
/// pay for what it does not touch.
#[test]
fn a_large_state_is_served() {
    let source = "kept = [\"x\" * 1000000 for i in range(60)]\nsrv = http.server()\n\
                  srv.handle(\"GET /n\", lambda req: str(len(kept)) + kept[59][-1])\nsrv.serve(port=0)\n";
    let server = Starcell::serve(&["--memory", "256"], &script(source));
    assert_eq!(get(server.port(), "/n").text(), "60x");
    let before = server.cpu_time();
    (0..100).for_each(|_| assert_eq!(get(server.port(), "/n").status, 200));
    let spent = server.cpu_time() - before;
    assert!(spent < Duration::from_secs(1), "100 requests took {spent:?} of CPU time");
    assert_eq!(server.stop().code(), 0);
}

/// wasmtime tells in words alone that a call hands over more than it may. Fails when it words that in another way.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_is_too_much_for_one_call_is_a_limit() {
    let source = "srv = http.server()\nsrv.handle(\"GET /\", lambda req: \"x\" * 2000000)\nsrv.serve(port=0)\n";
    let limits = Limits { crossing_bytes: 1 << 20, ..Limits::default() };
    let app = Deployed::start(&interpreter(), source, limits).await.unwrap();
    let failure = app.serving.answer(0, request("/")).await.result.unwrap_err();
    assert!(matches!(failure, Failure::Limit(Limit::Crossing(bytes)) if bytes == 1 << 20), "{failure}");
    assert_eq!(failure.to_string(), "more than 1 MiB handed to the host in one call");
    app.stop().await.unwrap();
}
