//! What a script answers, as it goes over the wire: the host speaks for the connection and for the length, the script for
//! the rest, and nothing that a script puts into a header becomes another header.

use starcell_tests::client::{Client, Response};
use starcell_tests::process::{Starcell, script};
use starcell_tests::tools::curl;

const SCRIPT: &str = r#"
FORGED = {"Content-Length": "3", "Transfer-Encoding": "chunked", "Connection": "close", "Keep-Alive": "timeout=1",
    "Proxy-Connection": "close", "TE": "trailers", "Trailer": "X-T", "Upgrade": "h2c", "X-Kept": "1"}
def status(req):
    return {"status": int(req.params["n"]), "headers": {"X-A": "1"}, "body": "body"}
def header(req):
    form = json.decode(req.body)
    return {"headers": {form["name"]: form["value"]}, "body": "body"}
def own(req):
    return http.get("http://127.0.0.1:%s/after" % req.params["port"]).status_code
srv = http.server()
srv.handle("/cookies", lambda req: {"headers": {"Set-Cookie": ["a=1", "b=2; Path=/"], "set-cookie": "c=3"}})
srv.handle("/forged", lambda req: {"headers": FORGED, "body": "hello"})
srv.handle("/status/{n}", status)
srv.handle("POST /header", header)
srv.handle("POST /echo", lambda req: {"body": req.body})
srv.handle("/fails", lambda req: fail("the password is hunter2"))
srv.handle("/own/{port}", lambda req: str(own(req)))
srv.handle("/after", lambda req: "after")
srv.serve()
"#;

fn serve(flags: &[&str]) -> Starcell {
    let flags: Vec<&str> = ["--no-access-log", "--h2c"].iter().chain(flags).copied().collect();
    Starcell::serve(&flags, &script(SCRIPT))
}

fn all<'a>(answer: &'a Response, name: &str) -> Vec<&'a str> {
    answer.headers.iter().filter(|(have, _)| have == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn several_cookies_stay_several() {
    let starcell = serve(&[]);
    let answer = Client::connect(starcell.port()).get("/cookies");
    assert_eq!((answer.status, all(&answer, "set-cookie")), (200, vec!["a=1", "b=2; Path=/", "c=3"]));
    let url = format!("http://127.0.0.1:{}/cookies", starcell.port());
    let said = curl(&["--http2-prior-knowledge", "-i", &url]).well();
    assert_eq!(said.matches("set-cookie: ").count(), 3, "{said}");
}

/// The connection, and with it the next request on it, is none the worse for what a script claims about it.
#[test]
fn a_script_does_not_speak_for_the_connection() {
    let starcell = serve(&[]);
    let mut client = Client::connect(starcell.port());
    let answer = client.get("/forged");
    assert_eq!((answer.status, answer.text(), answer.header("x-kept")), (200, "hello", Some("1")));
    assert_eq!(all(&answer, "content-length"), ["5"]);
    for name in ["transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(client.get("/after").text(), "after");
}

/// No body where none may be, though the script gave one, so that the next response begins where it should.
#[test]
fn statuses_without_a_body_have_none() {
    let starcell = serve(&[]);
    let mut client = Client::connect(starcell.port());
    for (status, length, body) in
        [(200, Some("4"), "body"), (204, None, ""), (205, Some("4"), "body"), (304, None, ""), (404, Some("4"), "body")]
    {
        let answer = client.get(&format!("/status/{status}"));
        assert_eq!((answer.status, answer.header("content-length"), answer.text()), (status, length, body));
        assert_eq!(answer.header("x-a"), Some("1"), "{status}");
        assert_eq!(client.get("/after").text(), "after", "{status}");
    }
    for (status, length) in [(200, Some("4")), (404, Some("4"))] {
        let answer = client.request("HEAD", &format!("/status/{status}"), &[], b"");
        assert_eq!((answer.status, answer.header("content-length")), (status, length), "HEAD");
        assert_eq!(client.get("/after").text(), "after", "HEAD {status}");
    }
}

#[test]
fn what_cannot_be_sent_is_a_500_that_says_nothing() {
    let mut starcell = serve(&[]);
    let port = starcell.port();
    for status in ["-1", "0", "99", "1000", "101", "103"] {
        let answer = Client::connect(port).get(&format!("/status/{status}"));
        assert_eq!(answer.status, 500, "{status}");
        let line = starcell.wait_for("status ");
        assert!(line.contains(" error ") && line.contains(status), "{line}");
        let id = answer.header("x-request-id").unwrap();
        assert_eq!(answer.text(), format!("500 Internal Server Error\nrequest id: {id}\n"));
    }
    for (name, value) in [
        ("X-A", "1\\r\\nX-B: 2"),
        ("X-A", "1\\nX-B: 2"),
        ("X-A", "1\\r"),
        ("X-A", "1\\u0000"),
        ("X-A\\r\\nX-B", "1"),
        ("X-A: 1\\r\\nX-B", "2"),
        ("X A", "1"),
        ("", "1"),
        ("X-\u{e9}", "1"),
    ] {
        let body = format!("{{\"name\": \"{name}\", \"value\": \"{value}\"}}");
        let answer = Client::connect(port).request("POST", "/header", &[], body.as_bytes());
        assert_eq!((answer.status, answer.header("x-b")), (500, None), "{body}: {answer:?}");
        assert!(starcell.wait_for("header").contains(" error "), "{body}");
    }
}

/// Bytes that are not text arrive and leave as they are.
#[test]
fn bodies_are_bytes() {
    let starcell = serve(&[]);
    let mut client = Client::connect(starcell.port());
    let every: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    for body in [&every[..], b"text", "\u{e9}\0".as_bytes(), b"\xff", b"\r\n\r\n0\r\n\r\n"] {
        let answer = client.request("POST", "/echo", &[], body);
        assert_eq!((answer.status, answer.body.as_slice()), (200, body));
    }
}

#[test]
fn a_failure_is_told_to_the_log_alone() {
    let mut starcell = serve(&[]);
    let answer = Client::connect(starcell.port()).get("/fails");
    assert_eq!(answer.status, 500);
    let whole = format!("{answer:?} {}", answer.text());
    for secret in ["hunter2", ".star", "lambda", "Traceback"] {
        assert!(!whole.contains(secret), "{whole}");
    }
    let line = starcell.wait_for("hunter2");
    assert!(line.contains(answer.header("x-request-id").unwrap()), "{line}");
}

/// A script that asks itself when all its places are taken waits for a place that it holds: it is told so in time, and
/// nobody hangs.
#[test]
fn a_script_that_waits_for_itself_is_told_so() {
    let starcell = serve(&["--max-requests", "1", "--queue-time", "300ms"]);
    let port = starcell.port();
    let answer = Client::connect(port).get(&format!("/own/{port}"));
    assert_eq!((answer.status, answer.text()), (200, "503"));
    assert_eq!(Client::connect(port).get("/after").text(), "after");
}
