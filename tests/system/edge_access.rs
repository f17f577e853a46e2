//! The access log and request ids: one line a request that a machine can read whatever a client sends.

use std::collections::HashSet;

use serde_json::Value;
use starcell_tests::client::{Client, Response};
use starcell_tests::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, frame, request};
use starcell_tests::process::{Starcell, script};

const SCRIPT: &str = r#"
def work(req):
    total = 0
    for i in range(200000):
        total += i
    return "done"
srv = http.server(max_body_bytes=1000)
srv.handle("GET /hello/{name}", lambda req: "hello " + req.params["name"])
srv.handle("POST /hello/{name}", lambda req: {"status": 201, "body": req.id})
srv.handle("GET /work", work)
srv.handle("GET /fails", lambda req: fail("on purpose"))
srv.handle("GET /large", lambda req: "x" * 100000)
srv.serve()
"#;

fn serve(flags: &[&str]) -> Starcell {
    Starcell::serve(flags, &script(SCRIPT))
}

/// The access lines of JSON of a server that is ended for it.
fn lines(starcell: Starcell) -> Vec<Value> {
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let parse = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    ended.stderr.lines().map(parse).filter(|line| line["msg"] == "access").collect()
}

fn id(answer: &Response) -> &str {
    answer.header("x-request-id").unwrap_or_else(|| panic!("no X-Request-Id: {answer:?}"))
}

#[test]
fn each_request_has_its_line() {
    let starcell = serve(&["--log-format", "json"]);
    let mut client = Client::connect(starcell.port());
    let mut answers = Vec::new();
    for (method, path, body) in [
        ("GET", "/hello/a%20b?secret=1", ""),
        ("POST", "/hello/x", "body"),
        ("HEAD", "/hello/x", ""),
        ("GET", "/none", ""),
        ("PUT", "/hello/x", ""),
        ("GET", "//hello/x", ""),
        ("GET", "/fails", ""),
        ("GET", "/large", ""),
    ] {
        answers.push((method, path, client.request(method, path, &[], body.as_bytes())));
    }
    answers.push(("POST", "/hello/x", client.request("POST", "/hello/x", &[], &[b'b'; 1001])));
    let lines = lines(starcell);
    assert_eq!(lines.len(), answers.len(), "{lines:#?}");
    let routes =
        ["GET /hello/{name}", "POST /hello/{name}", "GET /hello/{name}", "", "", "", "GET /fails", "GET /large"];
    let routes = routes.iter().chain(["POST /hello/{name}"].iter());
    for ((line, (method, path, answer)), route) in lines.iter().zip(&answers).zip(routes) {
        let path = path.split('?').next().unwrap();
        assert_eq!((&line["method"], &line["path"]), (&Value::from(*method), &Value::from(path)), "{line}");
        assert_eq!(line["status"], answer.status, "{line}");
        assert_eq!(line["bytes"], answer.body.len(), "{line}");
        assert_eq!(line["request"], id(answer), "{line}");
        assert_eq!(line["route"].as_str().unwrap_or_default(), *route, "{line}");
        assert_eq!(line["proto"], "HTTP/1.1", "{line}");
        assert!(line["remote"].as_str().unwrap().starts_with("127.0.0.1"), "{line}");
        assert!(line["duration_us"].is_u64() && line["time"].is_string(), "{line}");
        assert!(!line.to_string().contains("secret"), "a query may hold what is nobody's business: {line}");
    }
}

#[test]
fn cpu_time_is_the_guests() {
    let starcell = serve(&["--log-format", "json"]);
    let mut client = Client::connect(starcell.port());
    for path in ["/work", "/none"] {
        let _ = client.get(path);
    }
    let lines = lines(starcell);
    let cpu = lines[0]["cpu_us"].as_u64().unwrap();
    assert!(cpu > 500 && cpu <= lines[0]["duration_us"].as_u64().unwrap() + 1000, "{}", lines[0]);
    assert_eq!(lines[1]["cpu_us"].as_u64().unwrap_or_default(), 0, "{}", lines[1]);
}

/// Nothing that a client can send makes a second line, a second field, or something that a terminal obeys.
#[test]
fn a_line_cannot_be_forged() {
    for format in ["json", "text"] {
        let starcell = serve(&["--log-format", format, "--trust-request-id"]);
        let port = starcell.port();
        let forged = [
            "/%0a2026-01-01T00:00:00Z info access status=200",
            "/%1b[31m",
            "/\"status\":200,\"x\":\"",
            "/a status=999",
        ];
        for path in forged.iter().map(|path| path.replace(' ', "%20")) {
            let _ = Client::connect(port).try_request("GET", &path, &[("X-Request-Id", "a\tb status=1")], b"");
        }
        let mut frames = Frames::connect(port, &[]);
        let _ = frames.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &request("G\u{1b}[31mT", "/x\n", &[])));
        let mut client = Client::connect(port);
        client.send("GET /\u{1b}[31m\u{202e} HTTP/1.1\r\nHost: \u{1b}[31m\r\n\r\n".as_bytes()).unwrap();
        let _ = client.read(false);
        let ended = starcell.stop();
        for line in ended.stderr.lines() {
            assert!(!line.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{line:?}");
            match format {
                "json" => {
                    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                    assert!(value["status"].as_u64().is_none_or(|status| status >= 400), "{line}");
                }
                // The time of the year in which it was written, and one status, where it belongs.
                _ => {
                    assert!(line.starts_with("20") && !line.starts_with("2026-01-01T00:00:00Z"), "{line}");
                    let quoted: String = line.split('"').skip(1).step_by(2).collect();
                    let status = line.matches(" status=").count() - quoted.matches(" status=").count();
                    assert!(status <= 1, "{line}");
                }
            }
        }
    }
}

#[test]
fn it_can_be_turned_off() {
    let starcell = serve(&["--no-access-log"]);
    assert_eq!(Client::connect(starcell.port()).get("/hello/x").status, 200);
    let ended = starcell.stop();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
}

#[test]
fn text_lines_have_the_same_fields() {
    let starcell = serve(&[]);
    let answer = Client::connect(starcell.port()).get("/hello/x");
    let ended = starcell.stop();
    let line = ended.stderr.lines().next().unwrap();
    assert!(line.contains(" info  access "), "{line}");
    for field in [
        "method=\"GET\"",
        "path=\"/hello/x\"",
        "route=\"GET /hello/{name}\"",
        "status=200",
        "bytes=7",
        "duration_us=",
        "cpu_us=",
        &format!("request=\"{}\"", id(&answer)),
        "remote=\"127.0.0.1",
        "proto=\"HTTP/1.1\"",
    ] {
        assert!(line.contains(&format!(" {field}")), "{field} in {line}");
    }
}

#[test]
fn an_id_is_the_servers_own_unless_trusted() {
    let own = |answer: &Response, sent: &str| id(answer) != sent;
    for (flags, trusted) in [(&[][..], false), (&["--trust-request-id"], true)] {
        let flags: Vec<&str> = ["--no-access-log"].iter().chain(flags).copied().collect();
        let starcell = serve(&flags);
        let mut client = Client::connect(starcell.port());
        for sent in ["abc-123", "0123456789abcdef", "a"] {
            let answer = client.request("POST", "/hello/x", &[("X-Request-Id", sent)], b"b");
            assert_eq!(own(&answer, sent), !trusted, "{sent}");
            // The script sees what the client gets.
            assert_eq!(answer.text(), id(&answer));
        }
        let long = "a".repeat(1000);
        for sent in ["", "a b", "a\tb", "a\"b", "<script>", "\u{e9}", &long, "a=b;c"] {
            let answer = client.request("POST", "/hello/x", &[("X-Request-Id", sent)], b"b");
            assert!(own(&answer, sent), "{sent}");
        }
        let twice = client.request("POST", "/hello/x", &[("X-Request-Id", "one"), ("X-Request-Id", "two")], b"b");
        assert!(own(&twice, "one") && own(&twice, "two") || trusted && id(&twice) == "one", "{twice:?}");
    }
}

#[test]
fn ids_are_never_the_same() {
    let (first, second) = (serve(&["--no-access-log"]), serve(&["--no-access-log"]));
    let mut seen = HashSet::new();
    for starcell in [&first, &second] {
        let mut client = Client::connect(starcell.port());
        for path in ["/hello/x", "/none", "/fails", "//x"].iter().cycle().take(1000) {
            let answer = client.get(path);
            assert!(seen.insert(id(&answer).to_owned()), "{answer:?}");
        }
    }
}
