//! Middleware: both shapes, order, and what is refused.

use super::common::{Deployed, failure, text};

#[test]
fn the_first_is_outermost_and_shapes_mix() {
    let app = Deployed::new(
        r#"
def factory(name):
    def middleware(next):
        print("built", name)
        def handler(req):
            return name + "(" + next(req) + ")"
        return handler
    return middleware

def direct(req, next):
    req.params["seen"] = "direct"
    return "direct(" + next(req) + ")"

srv = http.server()
srv.use(factory("a"))
srv.use(direct)
srv.use(factory("b"))
srv.use(lambda req, next: "lambda(" + next(req) + ")")
srv.handle("GET /", lambda req: req.params["seen"])
srv.handle("GET /2", lambda req: "two")
srv.serve()
"#,
    );
    // Built once per route at start, never in a request.
    let built = ["built b", "built a", "built b", "built a"];
    assert_eq!(app.host.prints(), built);
    assert_eq!(text(&app.get("/").unwrap()), "a(direct(b(lambda(direct))))");
    assert_eq!(app.host.prints(), built);
}

#[test]
fn middleware_can_answer_itself_and_see_the_response() {
    let app = Deployed::new(
        r#"
def guard(req, next):
    if req.query_first("key") != "k":
        return {"status": 401, "body": "who are you"}
    response = next(req)
    response["headers"] = {"X-Guarded": "yes"}
    return response

srv = http.server()
srv.use(guard)
srv.handle("GET /", lambda req: {"body": "in"})
srv.serve()
"#,
    );
    assert_eq!(app.get("/").unwrap().status, 401);
    let inside = app.get("/?key=k").unwrap();
    assert_eq!((inside.status, text(&inside)), (200, "in"));
    assert_eq!(inside.headers[0], ("X-Guarded".to_owned(), "yes".to_owned()));
}

#[test]
fn optional_parameters_do_not_count() {
    let app = Deployed::new(
        r#"
def first(next, name = "first"):
    return lambda req: name + next(req)
def second(req, next, *, tag = "second"):
    return tag + next(req)
srv = http.server()
srv.use(first)
srv.use(second)
srv.handle("GET /", lambda req: "!")
srv.serve()
"#,
    );
    assert_eq!(text(&app.get("/").unwrap()), "firstsecond!");
}

#[test]
fn refusals() {
    let with = |middleware: &str| {
        failure(&format!(
            "def none(): pass\ndef three(a, b, c): pass\ndef named(*, next): pass\ndef many(*args): pass\n\
             def bad(next): return 5\nsrv = http.server()\nsrv.use({middleware})\nsrv.handle(\"/\", lambda req: None)\nsrv.serve()\n"
        ))
    };
    let neither = |signature: &str| {
        format!(
            "server.use: middleware must be fn(next), returning a handler, or fn(req, next), returning a response; {signature} is neither"
        )
    };
    assert_eq!(with("none").message, neither("none()"));
    assert_eq!(with("three").message, neither("three(a, b, c)"));
    assert_eq!(with("named").message, neither("named(*, next)"));
    assert_eq!(with("many").message, neither("many(*args)"));
    assert_eq!(with("7").message, "server.use: middleware must be callable, got 7 (int)");
    assert_eq!(with("bad").message, "server.serve: middleware bad must return a handler, returned 5 (int)");
    assert_eq!(
        with("type").message,
        "server.serve: middleware type must return a handler, returned \"function\" (string)"
    );
}

#[test]
fn an_error_in_a_handler_shows_the_whole_chain() {
    let app = Deployed::new(
        r#"
def outer(next):
    def wrapped(req):
        return next(req)
    return wrapped
def inner(req, next):
    return next(req)
def handler(req):
    fail("boom")
srv = http.server()
srv.use(outer)
srv.use(inner)
srv.handle("GET /", handler)
srv.serve()
"#,
    );
    let failure = app.get("/").unwrap_err();
    assert_eq!((failure.message.as_str(), failure.at.line), ("boom", 9));
    let expected = "\
Traceback (most recent call last):
  * app.star:4, in wrapped
      return next(req)
  * app.star:7, in inner
      return next(req)
  * app.star:9, in handler
      fail(\"boom\")
error: fail: boom
 --> app.star:9:5
  |
9 |     fail(\"boom\")
  |     ^^^^^^^^^^^^
  |";
    assert_eq!(failure.report, expected);
}
