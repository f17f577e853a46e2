//! Requests that no route serves, and the middleware that runs for them.

use starcell_interp::testing::NativeHost;
use starcell_interp::{Failure, Miss, Misses, Response};

use super::common::{Deployed, failure, header, request, text};

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

fn not_allowed() -> Response {
    let headers = vec![pair("Content-Type", "text/plain; charset=utf-8"), pair("Allow", "GET, HEAD")];
    Response { status: 405, headers, body: b"Method Not Allowed\n".to_vec() }
}

fn preflight(app: &Deployed) -> Result<Response, Failure> {
    let miss = Miss { preflight: true, response: not_allowed() };
    app.serving.handle_miss(&app.host, &miss, request("OPTIONS", "/p/1"))
}

fn missed(app: &Deployed) -> Result<Response, Failure> {
    let response = Response { status: 404, headers: Vec::new(), body: b"404 page not found\n".to_vec() };
    app.serving.handle_miss(&app.host, &Miss { preflight: false, response }, request("GET", "/nowhere"))
}

fn misses(app: &Deployed) -> Misses {
    app.host.starts()[0].1.misses
}

const CORS: &str = r#"
def factory(next):
    def handler(req):
        if req.method == "OPTIONS":
            return {"status": 204, "headers": {"Access-Control-Allow-Methods": next(req)["headers"]["Allow"]}}
        return next(req)
    return handler
def direct(req, next):
    if req.method == "OPTIONS":
        return {"status": 204, "headers": {"Access-Control-Allow-Methods": next(req)["headers"]["Allow"]}}
    return next(req)
def outer(req, next):
    reply = next(req)
    reply["headers"]["X-Outer"] = "%s %s %s" % (req.method, req.path, req.params)
    return reply
srv = http.server()
srv.use(outer)
srv.use(MIDDLEWARE)
srv.handle("GET /p/{id}", lambda req: {"headers": {}, "body": req.method})
srv.serve()
"#;

#[test]
fn both_forms_of_middleware_answer_a_preflight() {
    for form in ["factory", "direct"] {
        let app = Deployed::new(&CORS.replace("MIDDLEWARE", form));
        assert_eq!(misses(&app), Misses::Preflights);
        let response = preflight(&app).unwrap();
        assert_eq!(response.status, 204, "{form}");
        assert_eq!(header(&response, "Access-Control-Allow-Methods"), ["GET, HEAD"], "{form}");
        assert_eq!(header(&response, "X-Outer"), ["OPTIONS /p/1 {}"], "{form}");
        // A request with a route still gets to its handler.
        assert_eq!(text(&app.get("/p/1").unwrap()), "GET", "{form}");
    }
}

#[test]
fn middleware_that_changes_nothing_gives_the_answer_of_the_host() {
    for middleware in ["lambda req, next: next(req)", "lambda next: next", "lambda next: lambda req: next(req)"] {
        let source = format!(
            "srv = http.server()\nsrv.use({middleware}, all = True)\nsrv.handle(\"GET /\", len)\nsrv.serve()\n"
        );
        let app = Deployed::new(&source);
        assert_eq!(preflight(&app).unwrap(), not_allowed(), "{middleware}");
        assert_eq!(missed(&app).unwrap().status, 404, "{middleware}");
    }
}

#[test]
fn all_decides_which_middleware_wraps_every_miss() {
    let source = r#"
def tag(name):
    def middleware(next):
        print("built", name)
        def handler(req):
            reply = next(req)
            reply["body"] = name + "(" + reply["body"].strip() + ")"
            return reply
        return handler
    return middleware
srv = http.server()
srv.use(tag("a"), all = True)
srv.use(tag("b"))
srv.use(tag("c"), all = True)
srv.use(tag("d"), all = False)
srv.handle("GET /", lambda req: {"body": "x"})
srv.serve()
"#;
    let app = Deployed::new(source);
    assert_eq!(misses(&app), Misses::All);
    assert_eq!(text(&app.get("/").unwrap()), "a(b(c(d(x))))");
    assert_eq!(text(&preflight(&app).unwrap()), "a(b(c(d(Method Not Allowed))))");
    assert_eq!(text(&missed(&app).unwrap()), "a(c(404 page not found))");
    // A factory runs once for each route, and once more for requests without one if it is for all.
    let built = ["d", "c", "b", "a", "c", "a"].map(|name| format!("built {name}"));
    assert_eq!(app.host.prints(), built);
}

#[test]
fn a_server_without_middleware_leaves_misses_to_the_host() {
    let app = Deployed::new("http.serve({\"GET /\": len})");
    assert_eq!(misses(&app), Misses::None);
    assert_eq!(missed(&app).unwrap_err().message, "the server has no middleware for requests without a route");
    let app = Deployed::new("srv = http.server()\nsrv.use(lambda n: n)\nsrv.handle(\"GET /\", len)\nsrv.serve()\n");
    assert!(missed(&app).is_err(), "this middleware is for routes and preflights");
    assert_eq!(preflight(&app).unwrap(), not_allowed());
}

#[test]
fn what_middleware_does_wrong_is_reported() {
    let app = |middleware: &str| {
        let setup = "srv = http.server()\nsrv.handle(\"GET /\", len)\n";
        Deployed::new(&format!("{setup}srv.use({middleware}, all = True)\nsrv.serve()\n"))
    };
    let message = missed(&app("lambda req, next: 5")).unwrap_err().message;
    assert!(message.starts_with("the middleware answered a request without a route and returned 5 (int)"), "{message}");
    assert_eq!(missed(&app("lambda req, next: fail(\"no\")")).unwrap_err().at.line, 3);
    assert!(missed(&app("lambda req, next: next()")).is_err(), "`next` takes the request");
    assert!(missed(&app("lambda req, next: next(req, x = 1)")).is_err(), "and nothing else");
}

#[test]
fn all_is_a_named_bool() {
    let with = |arguments: &str| failure(&format!("http.server().use({arguments})")).message;
    assert_eq!(with("len, all = 1"), "server.use: all must be bool, got 1 (int)");
    assert_eq!(with("len, every = True"), "server.use: unknown argument every, accepted: middleware, all");
    assert!(with("len, True").starts_with("server.use: "), "{}", with("len, True"));
}

/// The dict that `next` returns is made for its request: no request sees what another one did to it.
#[test]
fn each_request_has_its_own_answer_to_change() {
    let source = r#"
def add(req, next):
    reply = next(req)
    reply["headers"].setdefault("X-Count", [])
    reply["headers"]["X-Count"].append("1")
    return reply
srv = http.server()
srv.use(add)
srv.handle("GET /", len)
srv.serve()
"#;
    let app = Deployed::on(NativeHost::new(), source);
    for _ in 0..3 {
        assert_eq!(header(&preflight(&app).unwrap(), "X-Count"), ["1"]);
    }
}
