//! HTTP/2, with TLS and without: the same answers as over HTTP/1, many at a time, and what only it can get wrong.

use starcell_tests::client::Client;
use starcell_tests::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, PREFACE, RST_STREAM, fields, frame, request,
    setting,
};
use starcell_tests::process::{Starcell, script};
use starcell_tests::tools::{curl, run};

const SCRIPT: &str = r#"
def echo(req):
    return {"status": 200, "headers": {"X-Length": str(len(req.body)), "X-Host": req.host, "X-Proto": req.proto,
        "X-Cookie": req.headers.get("Cookie", ""), "Connection": "close", "X-Path": req.path}, "body": req.body}
srv = http.server()
srv.handle("/{rest...}", echo)
srv.handle("GET /teapot", lambda req: {"status": 418})
srv.handle("GET /nothing", lambda req: None)
srv.handle("GET /fails", lambda req: fail("on purpose"))
srv.serve()
"#;

fn serve(flags: &[&str]) -> Starcell {
    let flags: Vec<&str> = ["--h2c", "--no-access-log"].iter().chain(flags).copied().collect();
    Starcell::serve(&flags, &script(SCRIPT))
}

/// The status that the first request of a connection gets; none if it is reset or the connection closed.
fn status(port: u16, block: &[u8]) -> Option<u16> {
    let mut frames = Frames::connect(port, &[]);
    frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, block)).unwrap();
    frames.answer().ok()?.status()
}

#[test]
fn curl_speaks_it_by_prior_knowledge() {
    let starcell = serve(&[]);
    let url = format!("http://127.0.0.1:{}/a/b", starcell.port());
    let said = curl(&["--http2-prior-knowledge", "-i", "-d", "hello", "-H", "Cookie: a=1", &url]).well();
    assert!(said.starts_with("HTTP/2 200"), "{said}");
    for text in ["x-length: 5", "x-proto: HTTP/2.0", "x-cookie: a=1", "x-path: /a/b", "x-request-id: ", "\r\n\r\nhello"]
    {
        assert!(said.contains(text), "{text} in {said}");
    }
    // What belongs to a connection of HTTP/1 is not passed on, and would be an error here.
    assert!(!said.contains("connection:"), "{said}");
    for (path, expected) in [("teapot", 418), ("nothing", 204), ("fails", 500), ("a/%00", 400), ("..//x", 307)] {
        let url = format!("http://127.0.0.1:{}/{path}", starcell.port());
        let said = curl(&["--http2-prior-knowledge", "--path-as-is", "-i", &url]).well();
        assert!(said.starts_with(&format!("HTTP/2 {expected}")), "{path}: {said}");
        assert!(said.contains("x-request-id: "), "{path}: {said}");
    }
    let said = curl(&["--http2-prior-knowledge", "--head", &url]).well();
    assert!(said.starts_with("HTTP/2 200"), "{said}");
}

#[test]
fn it_is_off_unless_asked_for() {
    let starcell = Starcell::serve(&["--no-access-log"], &script(SCRIPT));
    let mut client = Client::connect(starcell.port());
    client.send(PREFACE).unwrap();
    // No words that an HTTP/2 client could read are known here.
    assert_eq!(client.rest().unwrap(), b"");
}

/// The same port takes HTTP/1 still, also when the first bytes come one by one.
#[test]
fn both_share_a_port() {
    let starcell = serve(&[]);
    for text in ["GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n", "PRINT /a HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut client = Client::connect(starcell.port());
        for byte in text.as_bytes() {
            client.send(&[*byte]).unwrap();
        }
        assert_eq!(client.read(false).unwrap().header("x-proto"), Some("HTTP/1.1"), "{text}");
    }
    let opening =
        [PREFACE, &frame(4, 0, 0, &[]), &frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("GET", "/", &[]))];
    let mut client = Client::connect(starcell.port());
    for byte in opening.concat() {
        client.send(&[byte]).unwrap();
    }
    let mut frames = Frames { stream: client.stream };
    assert_eq!(frames.status().unwrap(), (1, 200));
}

#[test]
fn h2load_is_answered() {
    let starcell = serve(&[]);
    let url = format!("http://127.0.0.1:{}/a", starcell.port());
    let said = run("h2load", "nghttp2-client", ["-n", "1000", "-c", "4", "-m", "50", url.as_str()]).well();
    assert!(said.contains("1000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
}

#[test]
fn limits_hold() {
    let flags = ["--max-body-bytes", "1000", "--max-url-bytes", "100", "--max-header-bytes", "8192"];
    let starcell = serve(&flags);
    let (port, long) = (starcell.port(), "a".repeat(9000));
    let many: Vec<(&str, &str)> = std::iter::repeat_n(("x-some", "a"), 101).collect();
    assert_eq!(status(port, &request("GET", "/", &[])), Some(200));
    assert_eq!(status(port, &request("GET", "/", &[("x-long", &long)])), Some(431));
    assert_eq!(status(port, &request("GET", "/", &many)), Some(431));
    assert_eq!(status(port, &request("GET", &format!("/{}", &long[..100]), &[])), Some(414));
    for (length, expected) in [(Some("1001"), 413), (None, 413)] {
        let mut frames = Frames::connect(port, &[]);
        let more: Vec<_> = length.iter().map(|length| ("content-length", *length)).collect();
        frames.send(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &more))).unwrap();
        frames.send(&frame(DATA, END_STREAM, 1, &[b'b'; 1001])).unwrap();
        assert_eq!(frames.status().unwrap(), (1, expected), "{length:?}");
        // The connection is none the worse for it.
        frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("GET", "/", &[]))).unwrap();
        assert_eq!(frames.status().unwrap(), (3, 200), "{length:?}");
    }
}

/// Requests that the protocol calls malformed, or that two readers could read differently, get no answer of the script's.
#[test]
fn malformed_requests_are_refused() {
    let starcell = serve(&[]);
    let port = starcell.port();
    let get = |more: &[(&str, &str)]| request("GET", "/", more);
    let pseudo = |list: &[(&str, &str)]| fields(list);
    let (method, scheme, path, authority) =
        ((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost"));
    for (what, block) in [
        ("Host differs", get(&[("host", "other")])),
        ("Connection", get(&[("connection", "close")])),
        ("Transfer-Encoding", get(&[("transfer-encoding", "chunked")])),
        ("Upgrade", get(&[("upgrade", "h2c")])),
        ("Keep-Alive", get(&[("keep-alive", "5")])),
        ("Proxy-Connection", get(&[("proxy-connection", "x")])),
        ("TE other than trailers", get(&[("te", "gzip")])),
        ("upper case", get(&[("X-Upper", "a")])),
        ("line break in a value", get(&[("x-a", "b\r\nx-c: d")])),
        ("NUL in a value", get(&[("x-a", "b\0")])),
        ("space in a name", get(&[("x a", "b")])),
        ("colon in a name", get(&[("x:a", "b")])),
        ("empty name", get(&[("", "b")])),
        ("pseudo-header after a field", get(&[("x-a", "b"), (":path", "/other")])),
        ("unknown pseudo-header", get(&[(":other", "x")])),
        ("status in a request", get(&[(":status", "200")])),
        ("two methods", pseudo(&[method, method, scheme, path, authority])),
        ("two paths", pseudo(&[method, scheme, path, path, authority])),
        ("two authorities", pseudo(&[method, scheme, path, authority, authority])),
        ("no method", pseudo(&[scheme, path, authority])),
        ("no scheme", pseudo(&[method, path, authority])),
        ("no path", pseudo(&[method, scheme, authority])),
        ("empty path", pseudo(&[method, scheme, (":path", ""), authority])),
        ("relative path", pseudo(&[method, scheme, (":path", "a"), authority])),
        ("NUL in the path", pseudo(&[method, scheme, (":path", "/\0"), authority])),
        ("line break in the path", pseudo(&[method, scheme, (":path", "/ HTTP/1.1\r\n"), authority])),
        ("space in the path", pseudo(&[method, scheme, (":path", "/a b"), authority])),
        ("encoded NUL", pseudo(&[method, scheme, (":path", "/a%00b"), authority])),
        ("line break in the method", pseudo(&[(":method", "G\r\nT"), scheme, path, authority])),
        ("no host at all", pseudo(&[method, scheme, path])),
        ("user in the authority", pseudo(&[method, scheme, path, (":authority", "user@localhost")])),
        ("bad authority", pseudo(&[method, scheme, path, (":authority", "local host")])),
        ("two hosts", pseudo(&[method, scheme, path, ("host", "localhost"), ("host", "localhost")])),
        ("bad length", get(&[("content-length", "five")])),
        ("two lengths", get(&[("content-length", "0"), ("content-length", "1")])),
        ("a length without a body", get(&[("content-length", "5")])),
    ] {
        let status = status(port, &block);
        assert!(matches!(status, None | Some(400)), "{what}: {status:?}");
    }
    assert_eq!(status(port, &pseudo(&[method, scheme, path, ("host", "localhost")])), Some(200));
    assert_eq!(status(port, &get(&[("host", "localhost"), ("te", "trailers")])), Some(200));
}

/// A body that is not as long as it was said to be is never handed to the script.
#[test]
fn a_length_that_lies_is_refused() {
    let starcell = serve(&[]);
    for (length, body) in [("5", "hell"), ("5", "hello!"), ("0", "h")] {
        let mut frames = Frames::connect(starcell.port(), &[]);
        let head = request("POST", "/", &[("content-length", length)]);
        frames.send(&frame(HEADERS, END_HEADERS, 1, &head)).unwrap();
        frames.send(&frame(DATA, END_STREAM, 1, body.as_bytes())).unwrap();
        let answer = frames.answer().unwrap();
        assert!(answer.kind != HEADERS || answer.status() == Some(400), "{length} {body}: {answer:?}");
    }
}

/// A stream that breaks a rule of its own does not take its neighbours along; one of the connection does.
#[test]
fn errors_stay_where_they_belong() {
    let starcell = serve(&[]);
    let mut frames = Frames::connect(starcell.port(), &[]);
    frames.send(&frame(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]))).unwrap();
    frames
        .send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &request("GET", "/", &[("connection", "close")])))
        .unwrap();
    assert_eq!(frames.read_until(RST_STREAM).unwrap().stream, 3);
    frames.send(&frame(DATA, END_STREAM, 1, b"hello")).unwrap();
    assert_eq!(frames.status().unwrap(), (1, 200));
    for (what, bytes) in [
        ("CONTINUATION of nothing", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ("DATA on stream 0", frame(DATA, 0, 0, b"x")),
        ("an even stream", frame(HEADERS, END_HEADERS | END_STREAM, 2, &request("GET", "/", &[]))),
        ("a frame beyond the largest", frame(DATA, 0, 1, &[0; 16_385])),
        ("a broken head", frame(HEADERS, END_HEADERS | END_STREAM, 5, &[0xff, 0xff, 0xff, 0xff, 0xff])),
        ("half a PING", frame(6, 0, 0, &[0; 4])),
        ("a window beyond the largest", frame(8, 0, 0, &0x7fff_ffffu32.to_be_bytes())),
        ("a push", frame(5, END_HEADERS, 1, &[0, 0, 0, 2])),
    ] {
        let mut frames = Frames::connect(starcell.port(), &[]);
        frames.send(&bytes).unwrap();
        let rest = frames.rest();
        assert!(rest.iter().any(|frame| frame.kind == GOAWAY), "{what}: {rest:?}");
    }
}

const TURNS: &str = r#"
def slow(req):
    sum = 0
    for i in range(2000000):
        sum += i
    return str(sum)
srv = http.server()
srv.handle("GET /slow", slow)
srv.serve()
"#;

/// What needs a guest does not hold up what the edge answers by itself, nor another guest.
#[test]
fn requests_of_one_connection_do_not_wait_for_each_other() {
    let starcell = Starcell::serve(&["--h2c", "--no-access-log"], &script(TURNS));
    let mut frames = Frames::connect(starcell.port(), &[]);
    let ask = |stream, path| frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", path, &[]));
    frames.send(&[ask(1, "/slow"), ask(3, "/slow"), ask(5, "/none")].concat()).unwrap();
    assert_eq!(frames.status().unwrap(), (5, 404));
    let mut slow = [1, 2].map(|_| frames.read_until(HEADERS).unwrap().stream);
    slow.sort_unstable();
    assert_eq!(slow, [1, 3]);
    // As many as there may be, all at once.
    let asked: Vec<u32> = (0..100).map(|number| 7 + 2 * number).collect();
    frames.send(&asked.iter().map(|stream| ask(*stream, "/none")).collect::<Vec<_>>().concat()).unwrap();
    let mut answered: Vec<_> = asked.iter().map(|_| frames.read_until(HEADERS).unwrap().stream).collect();
    answered.sort_unstable();
    assert_eq!(answered, asked);
}

#[test]
fn an_answer_waits_for_a_client_that_does_not_take_it_yet() {
    let starcell = Starcell::serve(&["--h2c", "--no-access-log"], &script(TURNS));
    // No room for any byte of a body.
    let mut frames = Frames::connect(starcell.port(), &setting(4, 0));
    let ask = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/none", &[]));
    frames.send(&ask(1)).unwrap();
    assert_eq!(frames.status().unwrap(), (1, 404));
    // The connection goes on meanwhile.
    frames.send(&ask(3)).unwrap();
    assert_eq!(frames.read_until(HEADERS).unwrap().stream, 3);
    for stream in [3, 1] {
        frames.send(&frame(8, 0, stream, &100u32.to_be_bytes())).unwrap();
        let body = frames.read_until(DATA).unwrap();
        assert_eq!((body.stream, &*body.payload), (stream, &b"404 page not found\n"[..]));
    }
}
