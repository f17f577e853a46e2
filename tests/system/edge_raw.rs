//! What raw bytes get: each row is sent as it is on a connection of its own, and the table says what comes back and
//! whether the connection goes on. Whatever two parsers could understand in two ways is refused, and ends the connection,
//! so that nothing behind it can be taken for a request.

use starcell_tests::client::Client;
use starcell_tests::process::{Starcell, script};

const SERVER: &str = r#"
def echo(req):
    return "got %d" % len(req.body)
srv = http.server()
srv.handle("GET /{$}", lambda req: "root")
srv.handle("GET /a/{rest...}", lambda req: "rest " + req.params["rest"])
srv.handle("GET /after", lambda req: "after")
srv.handle("GET /smuggled", lambda req: "smuggled")
srv.handle("POST /{$}", echo)
srv.serve()
"#;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The next request is answered.
    Open,
    /// The server closed it.
    Closed,
    /// Either will do.
    Either,
}

/// Sends bytes, expects responses of these statuses in this order and no more, and then looks at the connection. Returns
/// what is wrong.
fn check(port: u16, bytes: &[u8], statuses: &[u16], end: End) -> Result<(), String> {
    let mut client = Client::connect(port);
    client.send(bytes).map_err(|error| format!("sending: {error}"))?;
    for expected in statuses {
        let answer = client.read(false).map_err(|error| format!("instead of {expected}: {error}"))?;
        if answer.status != *expected {
            return Err(format!("{} instead of {expected}: {}", answer.status, answer.text().trim_end()));
        }
        if *expected == 400 && answer.header("connection") != Some("close") {
            return Err("a refusal without Connection: close".into());
        }
    }
    let next = client.try_request("GET", "/after", &[], b"");
    match (end, next) {
        (End::Open | End::Either, Ok(answer)) if answer.text() == "after" => Ok(()),
        (End::Closed | End::Either, Err(_)) => Ok(()),
        (_, next) => Err(format!("{end:?} was expected, but the next request got {next:?}")),
    }
}

type Row<'a> = (&'a str, &'a [u16], End);

fn check_all(rows: &[Row<'_>]) {
    let starcell = Starcell::serve(&["--no-access-log"], &script(SERVER));
    let port = starcell.port();
    let check = |(text, statuses, end): &Row<'_>| {
        let wrong = check(port, text.as_bytes(), statuses, *end).err()?;
        Some(format!("{:?}: {wrong}", text.chars().take(160).collect::<String>()))
    };
    let wrong: Vec<String> = rows.iter().filter_map(check).collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert_eq!(starcell.stop().code(), 0);
}

const OPEN: End = End::Open;
const CLOSED: End = End::Closed;

/// A request behind one whose end is in doubt.
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn what_is_right_is_answered() {
    check_all(&[
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200], OPEN),
        ("GET / HTTP/1.1\r\nhOsT:localhost \t\r\n\r\n", &[200], OPEN),
        ("\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200], OPEN),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200, 200], OPEN),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", &[200], CLOSED),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: x, Close\r\n\r\n", &[200], CLOSED),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", &[200], OPEN),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX-Empty:\r\nX-Text: \u{e9} \"'<>\r\n\r\n", &[200], OPEN),
        ("GET / HTTP/1.0\r\n\r\n", &[200], CLOSED),
        ("GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n", &[200], OPEN),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", &[200], OPEN),
        ("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200], OPEN),
        ("GET HTTP://LOCALHOST/ HTTP/1.1\r\nHost: localhost\r\n\r\n", &[200], OPEN),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", &[200], OPEN),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", &[200], OPEN),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 005\r\n\r\nhello", &[200], OPEN),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[200], OPEN),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
             5;name=\"va;l\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-Trailer: a\r\nContent-Length: 3\r\n\r\n",
            &[200],
            OPEN,
        ),
        // The method, and then the route, decide; the connection is none the worse for it.
        ("get / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[405], OPEN),
        ("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[405], OPEN),
        ("GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n", &[404], OPEN),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", &[404], OPEN),
        ("GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400], CLOSED),
        ("GET /\u{e9} HTTP/1.1\r\nHost: localhost\r\n\r\n", &[400], CLOSED),
        // A body that nobody reads is not a request.
        (
            &format!("POST /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{HIDDEN}", HIDDEN.len()),
            &[404],
            End::Either,
        ),
    ]);
}

#[test]
fn a_length_in_doubt_is_refused() {
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{body}");
    let hidden = |fields: &str| post(fields, &format!("5\r\nhello\r\n0\r\n\r\n{HIDDEN}"));
    let rows = [
        post("Content-Length: 5\r\nTransfer-Encoding: chunked", &format!("0\r\n\r\n{HIDDEN}")),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5", &format!("0\r\n\r\n{HIDDEN}")),
        post("Content-Length: 5\r\nContent-Length: 5", "hello"),
        post("Content-Length: 5\r\nContent-Length: 6", "hello!"),
        post("Content-Length: 5, 5", "hello"),
        post("Content-Length: 5,", "hello"),
        post("Content-Length: +5", "hello"),
        post("Content-Length: -5", "hello"),
        post("Content-Length: 0x5", "hello"),
        post("Content-Length: 5 5", "hello"),
        post("Content-Length: \"5\"", "hello"),
        post("Content-Length: 5.0", "hello"),
        post("Content-Length:", "hello"),
        post("Content-Length: five", "hello"),
        post("Content-Length: \u{665}", "hello"),
        post("Content-Length: 18446744073709551616", "hello"),
        post("Content_Length: 5\r\nTransfer-Encoding: gzip", "hello"),
        hidden("Transfer-Encoding: gzip"),
        hidden("Transfer-Encoding: identity"),
        hidden("Transfer-Encoding: gzip, chunked"),
        hidden("Transfer-Encoding: chunked, gzip"),
        hidden("Transfer-Encoding: chunked, chunked"),
        hidden("Transfer-Encoding: chunked,"),
        hidden("Transfer-Encoding: xchunked"),
        hidden("Transfer-Encoding: chunked;q=1"),
        hidden("Transfer-Encoding: \"chunked\""),
        hidden("Transfer-Encoding: \u{b}chunked"),
        hidden("Transfer-Encoding:"),
        hidden("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        hidden("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        hidden("Transfer-Encoding : chunked"),
        hidden("Transfer-Encoding\t: chunked"),
        hidden(" Transfer-Encoding: chunked"),
        hidden("X-A: b\r\n Transfer-Encoding: chunked"),
        hidden("X-A: b\nTransfer-Encoding: chunked"),
        hidden("X-A: b\rTransfer-Encoding: chunked"),
        hidden("X-A: b\r\r\nTransfer-Encoding: chunked"),
        "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
    ];
    check_all(&rows.iter().map(|row| (row.as_str(), &[400][..], CLOSED)).collect::<Vec<_>>());
}

#[test]
fn a_broken_chunk_is_refused() {
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";a=b\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a=\0\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A : b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A: b\n\r\n",
        "5\r\nhello\r\n0\r\n X-A: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
    ];
    let rows: Vec<String> = bodies.iter().map(|body| format!("{head}{body}{HIDDEN}")).collect();
    check_all(&rows.iter().map(|row| (row.as_str(), &[400][..], CLOSED)).collect::<Vec<_>>());
}

#[test]
fn a_head_that_is_not_exactly_one_is_refused() {
    check_all(
        &[
            "GET / HTTP/1.1\nHost: localhost\n\n",
            "GET / HTTP/1.1\r\nHost: localhost\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\n\n",
            "GET / HTTP/1.1\rHost: localhost\r\r",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\rc\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n\tc\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A : b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX A: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX(A): b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-\u{e9}: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\0c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\u{1}c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\u{7f}c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX-\0A: b\r\n\r\n",
            "GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /\u{1} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /\u{7f} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /  HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET\t/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n",
            " GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/1\r\nHost: localhost\r\n\r\n",
            "GET / http/1.1\r\nHost: localhost\r\n\r\n",
            "GET / HTTP/1.10\r\nHost: localhost\r\n\r\n",
            "GET /\r\nHost: localhost\r\n\r\n",
            "GET\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GE\0T / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\r\n\r\n",
            "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "\n\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ]
        .map(|row| (row, &[400][..], CLOSED)),
    );
}

#[test]
fn a_host_in_doubt_is_refused() {
    let with = |host: &str| format!("GET / HTTP/1.1\r\n{host}\r\n\r\n");
    let rows = [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        with("X-Host: localhost"),
        with("Host: localhost\r\nHost: localhost"),
        with("Host: localhost\r\nhost: other"),
        with("Host:"),
        with("Host: a b"),
        with("Host: user@localhost"),
        with("Host: localhost/path"),
        with("Host: localhost?query"),
        with("Host: http://localhost"),
        with("Host: localhost:99999"),
        with("Host: localhost:http"),
        with("Host: localhost:80:80"),
        with("Host: localhost:-1"),
        with("Host: [::1"),
        with("Host: [zz]"),
        with("Host: local\\host"),
        with("Host: local%00host"),
        with("Host: <script>"),
        with("Host: \u{e9}.example"),
        "GET http://other/ HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET http://localhost:81/ HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET http://user@localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET http://localhost/ HTTP/1.1\r\n\r\n".to_owned(),
        "GET http:/// HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(),
    ];
    check_all(&rows.iter().map(|row| (row.as_str(), &[400][..], CLOSED)).collect::<Vec<_>>());
}

/// What decodes in two ways, or to a way up, is refused. What is encoded otherwise is decoded once, after the route was
/// chosen: an encoded slash is a part of a name and no separator, as it is to Go.
#[test]
fn a_path_means_one_thing() {
    let starcell = Starcell::serve(&["--no-access-log"], &script(SERVER));
    let get = |path: &str| Client::connect(starcell.port()).get(path);
    for path in [
        "/a/b%00c",
        "/a/b%",
        "/a/b%2",
        "/a/b%zz",
        "/a/b%%32f",
        "/a/b%5cc",
        "/a/b%5Cc",
        "/a\\..\\after",
        "/a/%2e%2e/after",
        "/a/%2E%2E/after",
        "/a/.%2e/after",
        "/a/%2e/b",
        "/a/%2E%2E%2Fafter",
        "/%2e%2e%2fa",
        "/a/..%2fb",
    ] {
        let answer = get(path);
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{path}");
    }
    for (path, rest) in [("/a/b%2fc", "b/c"), ("/a/b%252fc", "b%2fc")] {
        let answer = get(path);
        assert_eq!((answer.status, answer.text()), (200, format!("rest {rest}").as_str()), "{path}");
    }
    for path in ["/after%2f", "/a%2fb"] {
        assert_eq!(get(path).status, 404, "{path}");
    }
    let answer = get("/a/../a//b");
    assert_eq!((answer.status, answer.header("location")), (307, Some("/a/b")));
}

/// A tunnel is no request for a script.
#[test]
fn connect_is_refused() {
    let starcell = Starcell::serve(&[], &script(SERVER));
    for target in ["localhost:80", "/"] {
        let mut client = Client::connect(starcell.port());
        client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: localhost:80\r\n\r\n").as_bytes()).unwrap();
        assert!(matches!(client.read(false).unwrap().status, 400 | 405), "{target}");
    }
}

#[test]
fn continue_is_said_only_when_the_body_is_read() {
    let starcell = Starcell::serve(&["--max-body-bytes", "1000"], &script(SERVER));
    let ask = |target: &str, length: usize| {
        let mut client = Client::connect(starcell.port());
        let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n");
        client.send(format!("{head}Content-Length: {length}\r\n\r\n").as_bytes()).unwrap();
        let status = client.read(false).unwrap().status;
        (client, status)
    };
    let (mut client, status) = ask("/", 5);
    assert_eq!(status, 100);
    client.send(b"hello").unwrap();
    assert_eq!(client.read(false).unwrap().text(), "got 5");
    assert_eq!(client.get("/after").text(), "after");
    for (target, length, expected) in [("/none", 5, 404), ("/after", 5, 405), ("/", 1001, 413)] {
        let (mut client, status) = ask(target, length);
        assert_eq!(status, expected, "{target}");
        // The client may keep its body to itself, so the connection cannot be used for another request.
        assert_eq!(client.rest().unwrap(), b"", "{target}");
    }
}
