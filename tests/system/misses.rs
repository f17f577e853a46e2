//! Requests that no route serves: answered by the host, or inside the middleware that is for them.

use std::fs;

use starcell_tests::client::{Client, Response};
use starcell_tests::process::{Starcell, folder, script};
use starcell_tests::tools::{curl, run};

/// A server whose middleware says that it ran; `USE` registers it.
const SERVER: &str = r#"
def factory(next):
    def handler(req):
        reply = next(req)
        if type(reply) == "string":
            reply = http.response(reply)
        reply["headers"]["X-Seen"] = req.method + " " + req.path
        return reply
    return handler
def direct(req, next):
    return factory(next)(req)
def preflights(req, next):
    reply = next(req)
    if req.method == "OPTIONS" and reply["status"] == 405:
        return http.response(None, 204, {"Access-Control-Allow-Methods": reply["headers"]["Allow"]})
    return reply
srv = http.server()
USE
srv.handle("GET /p/{id}", lambda req: req.method + " " + req.params["id"])
srv.handle("PUT /p/{id}", lambda req: "put")
srv.handle("GET /dir/", lambda req: "dir")
srv.handle("OPTIONS /own", lambda req: "own")
srv.handle("POST /own", lambda req: "posted")
srv.handle("/any", lambda req: "any " + req.method)
srv.handle("GET a.example/host", lambda req: "host")
srv.serve()
"#;

fn server(uses: &str, flags: &[&str]) -> Starcell {
    let flags: Vec<&str> = ["--no-access-log"].iter().chain(flags).copied().collect();
    Starcell::serve(&flags, &script(&SERVER.replace("USE", uses)))
}

fn ask(starcell: &Starcell, method: &str, target: &str, host: &str) -> Response {
    let mut client = Client::connect(starcell.port());
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    client.read(method == "HEAD").unwrap()
}

/// Every kind of request: whether a route serves it, what the host says if none does, and whether it is a preflight.
const KINDS: [(&str, &str, &str, u16, Kind); 20] = [
    ("GET", "/p/1", "localhost", 200, Kind::Route),
    ("HEAD", "/p/1", "localhost", 200, Kind::Route),
    ("PUT", "/p/1", "localhost", 200, Kind::Route),
    ("OPTIONS", "/own", "localhost", 200, Kind::Route),
    ("OPTIONS", "/any", "localhost", 200, Kind::Route),
    ("GET", "/host", "a.example", 200, Kind::Route),
    ("OPTIONS", "/p/1", "localhost", 405, Kind::Preflight),
    ("OPTIONS", "/p/1?q=1", "localhost", 405, Kind::Preflight),
    ("OPTIONS", "/dir/", "localhost", 405, Kind::Preflight),
    ("OPTIONS", "/dir", "localhost", 405, Kind::Preflight),
    ("OPTIONS", "/host", "a.example:80", 405, Kind::Preflight),
    ("OPTIONS", "/host", "b.example", 404, Kind::Miss),
    ("OPTIONS", "/nowhere", "localhost", 404, Kind::Miss),
    ("OPTIONS", "//p/1", "localhost", 307, Kind::Miss),
    ("OPTIONS", "*", "localhost", 404, Kind::Miss),
    ("DELETE", "/p/1", "localhost", 405, Kind::Miss),
    ("GET", "/own", "localhost", 405, Kind::Miss),
    ("GET", "/dir", "localhost", 307, Kind::Miss),
    ("HEAD", "/nowhere", "localhost", 404, Kind::Miss),
    ("GET", "/p/%00", "localhost", 400, Kind::Illegal),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Route,
    Preflight,
    Miss,
    Illegal,
}

#[test]
fn middleware_runs_for_the_requests_that_it_is_for() {
    let plain = server("", &[]);
    for (uses, runs) in [
        ("", &[][..]),
        ("srv.use(factory)", &[Kind::Route, Kind::Preflight]),
        ("srv.use(direct)", &[Kind::Route, Kind::Preflight]),
        ("srv.use(factory, all = True)", &[Kind::Route, Kind::Preflight, Kind::Miss]),
        ("srv.use(direct, all = True)", &[Kind::Route, Kind::Preflight, Kind::Miss]),
        ("srv.use(direct, all = False)", &[Kind::Route, Kind::Preflight]),
    ] {
        let starcell = server(uses, &[]);
        for (method, target, host, status, kind) in KINDS {
            let answer = ask(&starcell, method, target, host);
            let case = format!("{uses}: {method} {target} {host}: {answer:?}");
            assert_eq!(answer.status, status, "{case}");
            assert_eq!(answer.header("x-seen").is_some(), runs.contains(&kind), "{case}");
            // But for what the middleware added, it is what the host says without any.
            let without = |answer: &Response| {
                let own = |name: &str| matches!(name, "x-seen" | "x-request-id" | "date");
                let mut fields: Vec<_> = answer.headers.iter().filter(|(name, _)| !own(name)).cloned().collect();
                fields.sort();
                (answer.body.clone(), fields)
            };
            assert_eq!(without(&answer), without(&ask(&plain, method, target, host)), "{case}");
        }
    }
}

#[test]
fn a_preflight_is_answered_over_each_protocol() {
    let starcell = server("srv.use(preflights)", &["--h2c"]);
    let answer = ask(&starcell, "OPTIONS", "/p/1", "localhost");
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some("GET, HEAD, PUT")));
    let url = format!("http://127.0.0.1:{}/p/1", starcell.port());
    let said = curl(&["--http2-prior-knowledge", "-i", "-X", "OPTIONS", &url]).well();
    assert!(said.starts_with("HTTP/2 204") && said.contains("access-control-allow-methods: GET, HEAD, PUT"), "{said}");
}

/// Without middleware no guest runs for a miss: one that loops would be noticed.
#[test]
fn a_miss_is_a_request_like_any_other_where_middleware_runs() {
    let loops = "def loops(req, next):\n    for i in range(1000000000):\n        pass\n";
    let source = |all: &str| {
        format!(
            "{loops}srv = http.server(max_body_bytes = 10)\nsrv.use(loops{all})\nsrv.handle(\"POST /x\", len)\nsrv.serve()\n"
        )
    };
    let flags = ["--request-cpu", "100ms", "--no-access-log"];
    let (some, all) =
        (Starcell::serve(&flags, &script(&source(""))), Starcell::serve(&flags, &script(&source(", all = True"))));
    for (method, target, of_some, of_all) in
        [("GET", "/nowhere", 404, 500), ("PUT", "/x", 405, 500), ("GET", "//x", 307, 500), ("OPTIONS", "/x", 500, 500)]
    {
        let status = |starcell: &Starcell| ask(starcell, method, target, "localhost").status;
        assert_eq!((status(&some), status(&all)), (of_some, of_all), "{method} {target}");
    }
    // A body over the limit is refused before middleware sees it.
    let status = |starcell: &Starcell| Client::connect(starcell.port()).request("PUT", "/x", &[], &[b'x'; 11]).status;
    assert_eq!((status(&some), status(&all)), (405, 413));
}

#[test]
fn a_test_sees_what_a_client_sees() {
    let folder = folder();
    let app = SERVER.replace("USE", "srv.use(preflights)\nsrv.use(direct, all = True)");
    fs::write(folder.join("app.star"), app).unwrap();
    let tests = r#"
def test_misses(t):
    reply = t.request("OPTIONS", "/p/1")
    assert_eq((reply.status, reply.headers["Access-Control-Allow-Methods"]), (204, "GET, HEAD, PUT"))
    assert_eq(t.request("OPTIONS", "/own").body, "own")
    for (method, path, status) in [("GET", "/nowhere", 404), ("DELETE", "/p/1", 405), ("GET", "/dir", 307)]:
        reply = t.request(method, path)
        assert_eq((reply.status, reply.headers["X-Seen"]), (status, method + " " + path))
    reply = t.get("/host", headers = {"Host": "a.example"})
    assert_eq((reply.body, reply.headers["X-Seen"]), ("host", "GET /host"))
"#;
    fs::write(folder.join("app_test.star"), tests).unwrap();
    let ended = Starcell::command(&folder, &["test"], "");
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

/// The recipe of the documentation, with a handler behind it.
fn recipe(origin: &str) -> Starcell {
    let page = include_str!("../../docs/script-api.md");
    let blocks = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let recipe = blocks.clone().find(|block| block.contains("Access-Control-Allow-Origin")).expect("a recipe");
    let (recipe, uses) = recipe.split_once("\nsrv.use(").expect("the recipe uses its middleware");
    let source = format!(
        "{recipe}\nORIGINS.append({origin:?})\nsrv = http.server()\nsrv.use({uses}\n\
         srv.handle(\"PUT /p/{{id}}\", lambda req: http.response({{\"id\": req.params[\"id\"], \"got\": req.json()}}))\n\
         srv.serve()\n"
    );
    Starcell::serve(&["--no-access-log"], &script(&source))
}

const ORIGIN: &str = "http://page.example";

#[test]
fn the_recipe_for_cors_answers_preflights_and_requests() {
    let starcell = recipe(ORIGIN);
    let asked = |origin| [("Origin", origin), ("Access-Control-Request-Method", "PUT")];
    let mut client = Client::connect(starcell.port());
    let answer = client.request("OPTIONS", "/p/1", &asked(ORIGIN), b"");
    assert_eq!((answer.status, answer.body.as_slice()), (204, &b""[..]));
    for (name, value) in [
        ("access-control-allow-origin", ORIGIN),
        ("access-control-allow-methods", "PUT"),
        ("access-control-allow-headers", "Authorization, Content-Type"),
        ("vary", "Origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let other = client.request("OPTIONS", "/p/1", &asked("http://other.example"), b"");
    assert_eq!((other.status, other.header("access-control-allow-origin")), (204, None));
    let plain = client.request("OPTIONS", "/p/1", &[], b"");
    assert_eq!((plain.status, plain.header("allow")), (405, Some("PUT")));
    let put = client.request("PUT", "/p/1", &[("Origin", ORIGIN)], b"[1]");
    assert_eq!((put.status, put.text()), (200, r#"{"id":"1","got":[1]}"#));
    assert_eq!(put.header("access-control-allow-origin"), Some(ORIGIN));
    let missing = client.request("GET", "/nowhere", &[("Origin", ORIGIN)], b"");
    assert_eq!((missing.status, missing.header("access-control-allow-origin")), (404, Some(ORIGIN)));
}

/// A page in a browser sends a request that needs a preflight to another origin, and reads the answer; a page of an
/// origin that is not listed cannot.
#[test]
fn chromium_lets_a_page_of_a_listed_origin_ask() {
    let page = |target: u16| {
        format!(
            "const ask = fetch('http://127.0.0.1:{target}/p/7', {{method: 'PUT', body: '[1]', \
             headers: {{'Content-Type': 'application/json'}}}});\n\
             ask.then(reply => reply.text()).catch(error => 'refused').then(text => document.title = text);"
        )
    };
    let serve_page = |target: &str| {
        let source = format!(
            "def page(req):\n    text = \"<!doctype html><title>waiting</title><script>%s</script>\" % {target}\n    \
             return http.response(text, content_type = \"text/html\")\nhttp.serve({{\"GET /\": page}})\n"
        );
        Starcell::serve(&["--no-access-log"], &script(&source))
    };
    // The page is told its target by its query, since each of the two servers has to know the port of the other.
    let by_query = format!("{:?}.replace(\"65535\", req.query[\"port\"])", page(65535));
    let listed = serve_page(&by_query);
    let other = serve_page(&by_query);
    let api = recipe(&format!("http://127.0.0.1:{}", listed.port()));
    for (server, expected) in [(&listed, r#"{"id":"7","got":[1]}"#), (&other, "refused")] {
        let url = format!("http://127.0.0.1:{}/?port={}", server.port(), api.port());
        let profile = format!("--user-data-dir={}", folder().join("profile").display());
        let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", &profile];
        let arguments = arguments.into_iter().chain(["--virtual-time-budget=5000", "--dump-dom", &url]);
        let said = run("chromium-headless-shell", "chromium-headless-shell", arguments);
        assert!(said.stdout.contains(&format!("<title>{expected}</title>")), "{expected}: {said:?}");
    }
}
