//! A sample of what Go's ServeMux did, over the socket: the whole way from request line to the pattern that answered. All
//! of it runs over the router in its own tests.

use std::fmt::Write as _;

use serde_json::Value;
use starcell_tests::client::{Client, Response};
use starcell_tests::process::{Starcell, script};

/// One case of this many is run: each costs a request over a socket.
const EVERY: usize = 40;

/// Says which pattern answered, and with what.
const PRELUDE: &str = r#"
def route(pattern):
    return lambda req: {"status": 200, "headers": {"X-Pattern": pattern, "X-Params": json.encode(req.params)}}
srv = http.server()
"#;

fn sample() -> impl Iterator<Item = Value> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/data/servemux.jsonl");
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<String> = text.lines().step_by(EVERY).map(str::to_owned).collect();
    lines.into_iter().map(|line| serde_json::from_str(&line).unwrap())
}

#[test]
fn agrees_with_go_over_the_socket() {
    let mut requests = 0;
    for case in sample() {
        let mut source = PRELUDE.to_owned();
        for pattern in case["register"].as_array().unwrap() {
            let text = &pattern["pattern"];
            writeln!(source, "print({text}, srv.try_handle({text}, route({text})).ok)").unwrap();
        }
        source.push_str("srv.serve(port=0)\n");
        let mut starcell = Starcell::spawn(&["--allow-local", "--no-access-log"], &script(&source));
        starcell.wait_for("serving ");
        for pattern in case["register"].as_array().unwrap() {
            let (text, ok) = (pattern["pattern"].as_str().unwrap(), pattern["ok"].as_bool().unwrap());
            let said = format!("{text} {}\n", if ok { "True" } else { "False" });
            assert!(starcell.seen().contains(&said), "{said} in {}", starcell.seen());
        }
        let mut client = Client::connect(starcell.port());
        for request in case["requests"].as_array().unwrap() {
            let answer = ask(&mut client, request);
            check(request, &answer);
            if answer.header("connection") == Some("close") {
                client = Client::connect(starcell.port());
            }
            requests += 1;
        }
    }
    assert_eq!(requests, 304);
}

fn ask(client: &mut Client, request: &Value) -> Response {
    let text = |key: &str| request[key].as_str().unwrap();
    let (method, target, host) = (text("method"), text("target"), text("host"));
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    client.read(method == "HEAD").unwrap()
}

fn check(request: &Value, answer: &Response) {
    assert_eq!(u64::from(answer.status), request["status"], "{request} {answer:?}");
    let header = |name: &str| answer.header(name).map_or(Value::Null, Value::from);
    assert_eq!(header("location"), request["location"], "{request}");
    assert_eq!(header("allow"), request["allow"], "{request}");
    if answer.status == 200 {
        assert_eq!(header("x-pattern"), request["pattern"], "{request}");
        let params: Value = serde_json::from_str(answer.header("x-params").unwrap()).unwrap();
        assert_eq!(params, request.get("params").cloned().unwrap_or_else(|| serde_json::json!({})), "{request}");
    }
}

/// What cannot be registered is an error of the script that quotes it, and names what it conflicts with.
#[test]
fn a_refused_pattern_is_an_error_of_the_script() {
    let mut refused = 0;
    for case in sample() {
        let patterns = case["register"].as_array().unwrap();
        let Some(bad) = patterns.iter().position(|pattern| pattern["ok"] == false) else { continue };
        let mut source = PRELUDE.to_owned();
        for pattern in &patterns[..=bad] {
            writeln!(source, "srv.handle({0}, route({0}))", pattern["pattern"]).unwrap();
        }
        let ended = Starcell::run(&[], &script(&source));
        let text = patterns[bad]["pattern"].as_str().unwrap();
        assert_eq!(ended.code(), 1, "{text}: {}", ended.output);
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
        refused += 1;
    }
    assert!(refused >= 5, "{refused} refused patterns in the sample");
}

/// Both patterns and the reason.
#[test]
fn a_conflict_names_both() {
    let source = format!("{PRELUDE}srv.handle(\"GET /a/{{x}}\", route(\"\"))\nsrv.handle(\"/{{y}}/b\", route(\"\"))\n");
    let ended = Starcell::run(&[], &script(&source));
    assert_eq!(ended.code(), 1, "{}", ended.output);
    for text in ["GET /a/{x}", "/{y}/b", "conflict"] {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
}

/// Patterns may name a host; the port and the case that a client writes make no difference.
#[test]
fn a_host_chooses() {
    let source = format!(
        "{PRELUDE}for host in [\"\", \"a.example\", \"b.example\"]:\n    \
         srv.handle(\"GET \" + host + \"/\", route(host or \"any\"))\nsrv.serve()\n"
    );
    let starcell = Starcell::serve(&["--no-access-log"], &script(&source));
    let mut client = Client::connect(starcell.port());
    for (host, pattern) in [
        ("a.example", "a.example"),
        ("a.example:8080", "a.example"),
        ("b.example", "b.example"),
        ("c.example", "any"),
        ("127.0.0.1", "any"),
        ("[::1]:80", "any"),
    ] {
        let request = serde_json::json!({"method": "GET", "target": "/", "host": host});
        assert_eq!(ask(&mut client, &request).header("x-pattern"), Some(pattern), "{host}");
    }
}
