//! The scripts of the documentation, verbatim.

use super::common::{Deployed, header, request, text};
use starcell_interp::{Level, boot};

const HELLO: &str = r#"
def hello(req):
    name = req.query.get("name", "World")
    return {"status": 200, "body": "Hello, " + name}

srv = http.server()
srv.handle("GET /hello", hello)
srv.serve(port=8080)
"#;

#[test]
fn hello() {
    boot();
    let app = Deployed::new(HELLO);
    assert_eq!(app.host.routes(), [(0, "GET /hello".to_owned())]);
    assert_eq!(app.host.starts()[0].1.port, Some(8080));
    let response = app.get("/hello?name=Ada").unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(text(&response), "Hello, Ada");
    assert_eq!(header(&response, "Content-Type"), ["text/plain; charset=utf-8"]);
    assert_eq!(text(&app.get("/hello").unwrap()), "Hello, World");
}

#[test]
fn create_user() {
    let app = Deployed::new(
        r#"
def create_user(req):
    body = json.decode(req.body)
    return {"status": 201, "body": json.encode({"created": body["name"]})}

srv = http.server()
srv.handle("POST /users", create_user)
srv.serve(port=8080)
"#,
    );
    let mut post = request("POST", "/users");
    post.body = br#"{"name": "Grace"}"#.to_vec();
    let response = app.call(0, post).unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(text(&response), r#"{"created":"Grace"}"#);

    let mut post = request("POST", "/users");
    post.body = b"{oops".to_vec();
    let failure = app.call(0, post).unwrap_err();
    assert_eq!(failure.message, "json.decode: line 1, column 2: key must be a string");
    assert_eq!((failure.at.line, failure.at.column), (3, 12));
}

#[test]
fn routes_in_a_dict() {
    let app = Deployed::new(
        r#"
http.serve({
    "GET /healthz": lambda req: {"status": 200, "body": "ok"},
    "GET /version": lambda req: {"status": 200, "body": "v1"},
}, port=8080)
"#,
    );
    assert_eq!(text(&app.call(0, request("GET", "/healthz")).unwrap()), "ok");
    assert_eq!(text(&app.call(1, request("GET", "/version")).unwrap()), "v1");
}

#[test]
fn middleware() {
    let app = Deployed::new(
        r#"
def log_requests(next):
    def handler(req):
        log.info("request", {"method": req.method, "path": req.path})
        return next(req)
    return handler

def hello(req):
    return "hello"

srv = http.server(read_timeout="30s", write_timeout="60s")
srv.use(log_requests)
srv.handle("GET /hello", hello)
srv.serve(port=8080)
"#,
    );
    let options = app.host.starts()[0].1.clone();
    assert_eq!(options.read_timeout, Some(30_000_000_000));
    assert_eq!(options.write_timeout, Some(60_000_000_000));
    assert_eq!(text(&app.get("/hello").unwrap()), "hello");
    let logs = app.host.logs();
    let [record] = logs.as_slice() else {
        panic!("{logs:?}");
    };
    assert_eq!((record.level, record.message.as_str()), (Level::Info, "request"));
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(record.attributes, [pair("method", "\"GET\""), pair("path", "\"/hello\"")]);
    assert_eq!((record.at.file.as_str(), record.at.line), ("app.star", 4));
}
