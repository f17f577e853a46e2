//! The four scripts that the documentation shows, unchanged, answered by the real binary over real sockets.

use std::process::Command;

use starcell_tests::client::Client;
use starcell_tests::process::{Starcell, fixture, script};

const TEXT: &str = "text/plain; charset=utf-8";

#[test]
fn the_fixtures_are_verbatim() {
    let hello = r#"def hello(req):
    name = req.query.get("name", "World")
    return {"status": 200, "body": "Hello, " + name}
srv = http.server()
srv.handle("GET /hello", hello)
srv.serve(port=8080)
"#;
    let create_user = r#"def create_user(req):
    body = json.decode(req.body)
    return {"status": 201, "body": json.encode({"created": body["name"]})}
srv = http.server()
srv.handle("POST /users", create_user)
srv.serve(port=8080)
"#;
    let routes = r#"http.serve({
    "GET /healthz": lambda req: {"status": 200, "body": "ok"},
    "GET /version": lambda req: {"status": 200, "body": "v1"},
}, port=8080)
"#;
    let middleware = r#"def hello(req):
    return {"status": 200, "body": "hello"}
def log_requests(next):
    def handler(req):
        log.info("request", {"method": req.method, "path": req.path})
        return next(req)
    return handler
srv = http.server(read_timeout="30s", write_timeout="60s")
srv.use(log_requests)
srv.handle("GET /hello", hello)
srv.serve(port=8080)
"#;
    for (name, text) in [
        ("hello.star", hello),
        ("create_user.star", create_user),
        ("routes.star", routes),
        ("middleware.star", middleware),
    ] {
        assert_eq!(std::fs::read_to_string(fixture(name)).unwrap(), text, "{name}");
    }
}

#[test]
fn hello() {
    let starcell = Starcell::serve(&["--no-access-log"], &fixture("hello.star"));
    let mut client = Client::connect(starcell.port());
    for (target, body) in [
        ("/hello", "Hello, World"),
        ("/hello?name=Bob", "Hello, Bob"),
        ("/hello?name=J%C3%BCrgen+X", "Hello, Jürgen X"),
        ("/hello?name=", "Hello, "),
        ("/hello?other=Bob", "Hello, World"),
    ] {
        let response = client.get(target);
        assert_eq!((response.status, response.text()), (200, body), "{target}");
        assert_eq!(response.header("content-type"), Some(TEXT), "{target}");
    }
    let ended = starcell.stop();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{}", ended.output);
}

#[test]
fn hello_answers_head_without_a_body() {
    let starcell = Starcell::serve(&[], &fixture("hello.star"));
    let mut client = Client::connect(starcell.port());
    let head = client.request("HEAD", "/hello?name=Bob", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-type"), Some(TEXT));
    assert_eq!(head.header("content-length"), Some("10"));
    // The connection is still in step: no body was sent.
    assert_eq!(client.get("/hello?name=Bob").text(), "Hello, Bob");
}

#[test]
fn what_no_route_answers() {
    let starcell = Starcell::serve(&[], &fixture("hello.star"));
    let mut client = Client::connect(starcell.port());
    let missing = client.get("/nowhere");
    assert_eq!((missing.status, missing.text()), (404, "404 page not found\n"));
    assert_eq!(missing.header("allow"), None);
    for method in ["POST", "DELETE", "OPTIONS", "BREW"] {
        let wrong = client.request(method, "/hello", &[], b"");
        assert_eq!((wrong.status, wrong.text()), (405, "Method Not Allowed\n"), "{method}");
        assert_eq!(wrong.header("allow"), Some("GET, HEAD"), "{method}");
    }
}

#[test]
fn allow_is_sorted() {
    let source = r#"
srv = http.server()
for method in ["PUT", "GET", "DELETE", "PATCH"]:
    srv.handle(method + " /x", lambda req: req.method)
srv.serve()
"#;
    let starcell = Starcell::serve(&[], &script(source));
    let mut client = Client::connect(starcell.port());
    assert_eq!(client.request("POST", "/x", &[], b"").header("allow"), Some("DELETE, GET, HEAD, PATCH, PUT"));
    assert_eq!(client.request("DELETE", "/x", &[], b"").text(), "DELETE");
}

#[test]
fn create_user() {
    let starcell = Starcell::serve(&[], &fixture("create_user.star"));
    let mut client = Client::connect(starcell.port());
    let json = [("Content-Type", "application/json")];
    let created = client.request("POST", "/users", &json, r#"{"name": "Ann \"A\" Ö", "age": 7}"#.as_bytes());
    assert_eq!((created.status, created.text()), (201, "{\"created\":\"Ann \\\"A\\\" Ö\"}"));
    assert_eq!(created.header("content-type"), Some(TEXT));
    let wrong = client.get("/users");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    // A body that is not JSON is the handler's error, and ends nothing but its own request.
    assert_eq!(client.request("POST", "/users", &json, b"{").status, 500);
    assert_eq!(client.request("POST", "/users", &json, br#"{"name": "Bo"}"#).text(), r#"{"created":"Bo"}"#);
}

#[test]
fn routes() {
    let starcell = Starcell::serve(&[], &fixture("routes.star"));
    let mut client = Client::connect(starcell.port());
    for (target, body) in [("/healthz", "ok"), ("/version", "v1"), ("/healthz", "ok")] {
        let response = client.get(target);
        assert_eq!((response.status, response.text()), (200, body), "{target}");
        assert_eq!(response.header("content-type"), Some(TEXT), "{target}");
    }
    assert_eq!(client.get("/").status, 404);
}

#[test]
fn middleware_logs_each_request() {
    let mut starcell = Starcell::serve(&["--no-access-log"], &fixture("middleware.star"));
    let mut client = Client::connect(starcell.port());
    assert_eq!(client.get("/hello").text(), "hello");
    let line = starcell.wait_for(" info  request ");
    assert!(line.contains(r#"attrs.method="GET" attrs.path="/hello""#), "{line}");
    assert!(line.contains("middleware.star:5\""), "{line}");
    assert_eq!(client.request("HEAD", "/hello?q=1", &[], b"").status, 200);
    assert_eq!(client.get("/other").status, 404);
    let ended = starcell.stop();
    assert!(ended.stderr.contains(r#"attrs.method="HEAD" attrs.path="/hello""#), "{}", ended.stderr);
    assert!(!ended.stderr.contains("/other"), "no route, no middleware: {}", ended.stderr);
    assert!(!ended.stdout.contains("method="), "logs go to standard error: {}", ended.stdout);
}

#[test]
fn none_is_no_content() {
    let source = "srv = http.server()\nsrv.handle(\"POST /x\", lambda req: None)\nsrv.serve()\n";
    let starcell = Starcell::serve(&[], &script(source));
    let mut client = Client::connect(starcell.port());
    let response = client.request("POST", "/x", &[], b"ignored");
    assert_eq!((response.status, response.body.len()), (204, 0));
    assert_eq!((response.header("content-type"), response.header("content-length")), (None, None));
    assert_eq!(client.request("POST", "/x", &[], b"").status, 204);
}

#[test]
fn curl_is_answered() {
    let starcell = Starcell::serve(&[], &fixture("hello.star"));
    let users = Starcell::serve(&[], &fixture("create_user.star"));
    let hello = format!("http://127.0.0.1:{}/hello", starcell.port());
    assert_eq!(curl(&[&format!("{hello}?name=Bob")]), "Hello, Bob");
    assert_eq!(curl(&["-G", "--data-urlencode", "name=a&b =c", &hello]), "Hello, a&b =c");
    assert_eq!(curl(&["-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", &hello]), "405");
    assert!(curl(&["-I", &hello]).starts_with("HTTP/1.1 200 OK\r\n"));
    let url = format!("http://127.0.0.1:{}/users", users.port());
    assert_eq!(curl(&["-d", r#"{"name":"Bo"}"#, "-w", " %{http_code}", &url]), r#"{"created":"Bo"} 201"#);
    // Two requests over one connection.
    assert_eq!(curl(&["-w", "%{num_connects}", &hello, &hello]), "Hello, World1Hello, World0");
}

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["-s", "-S", "--noproxy", "*", "-m", "60"]).args(arguments).output();
    let output = output.expect("curl is installed");
    assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
