//! The scripts and requests that are compared.

mod case;
mod values;

use std::path::Path;

use starcell_interp::testing::Fixture;
use starcell_interp::{Fields, Request};

use case::pairs;

pub(super) use case::Case;
pub(super) use values::values;

/// What handlers return, and what they are asked with.
pub(super) fn responses() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        // Shapes of a response.
        "return None",
        "return \"text ü\"",
        "return b\"\\x00\\xff\"",
        "return {}",
        "return {\"a\": [1, 2.5, None, True], \"ü\": {\"n\": \"\\\"\"}}",
        "return [1, (2, 3), struct(x = 4)]",
        "return {\"status\": 201}",
        "return {\"status\": 404, \"body\": {\"why\": \"none\"}, \"headers\": {\"X-A\": \"1\", \"Set-Cookie\": [\"a=1\", \"b=2\"]}}",
        "return {\"body\": b\"raw\", \"headers\": {\"Content-Type\": \"image/png\"}}",
        "return {\"status\": 200, \"other\": 1}",
        "return {\"body\": \"x\" * 100000}",
        // What is no response.
        "return 5",
        "return {\"status\": 99}",
        "return {\"status\": \"200\"}",
        "return {\"body\": 1.5}",
        "return {\"headers\": {\"a b\": \"x\"}}",
        "return {\"headers\": {\"X\": \"a\\r\\nY: b\"}}",
        "return {\"a\": {\"b\": [len]}}",
        "return [1.0, float(\"nan\")]",
        "return lambda req: None",
        "return req",
        // What a request says.
        "return [req.method, req.path, req.url, req.host, req.remote_addr, req.id, req.proto, req.tls]",
        "return [req.params, req.query, req.query_first(\"q\", 1), req.query_list(\"q\"), req.query_list(\"none\")]",
        "return [dict(req.headers.items()), req.headers.get(\"ACCEPT\"), req.headers.get_all(\"accept\"), \"accept\" in req.headers]",
        "return [req.headers[\"x-one\"], req.headers.keys(), len(req.headers), str(req.headers)]",
        "return req.headers[\"missing\"]",
        "return [type(req.body), str(req.body), len(req.body)]",
        "req.params[\"new\"] = 1\nreturn req.params",
        "req.path = \"/\"\nreturn None",
        "return req.nothing",
        "return [str(req), repr(req), type(req), dir(req)]",
        "return json.decode(req.body)",
        "return json.try_decode(req.body).error or \"valid\"",
    ]
    .map(|body| handler(body, requests()))
    .into();
    cases.push(handler("return \"%d\" % len(req.query)", vec![(0, Request::default())]));
    cases
}

/// Whole scripts.
pub(super) fn scripts() -> Vec<Case> {
    let fixtures = ["hello", "create_user", "routes", "middleware"].map(|name| {
        let path = starcell_tests::process::fixture(&format!("{name}.star"));
        std::fs::read_to_string(path).unwrap()
    });
    let written = [
        "x = 1\nprint(x)\n",
        r#"
log.debug("setup", {"big": 1 << 70, "f": 1.5, "none": None}, extra=[1, "ü"])
def outer(next):
    print("wrapping outer")
    def wrapped(req):
        log.info("outer before", {"path": req.path})
        response = next(req)
        log.info("outer after", attrs={"status": response["status"]})
        return response
    return wrapped
def inner(req, next):
    print("inner", req.method, sep=": ")
    if "q" not in req.query:
        return {"status": 403, "body": "no"}
    response = next(req)
    response["headers"] = {"X-Inner": "1"}
    return response
srv = http.server(read_timeout="1s")
srv.use(outer)
srv.use(inner)
srv.handle("GET /a", lambda req: {"status": 200, "body": "a"})
srv.handle("POST /b/{id}", lambda req: {"status": 201, "body": req.params})
srv.serve()
"#,
        r#"
def make(n):
    seen = [n]
    def handler(req):
        local = list(seen)
        local.append(req.path)
        return {"status": 200, "body": [local, seen, n]}
    return handler
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
table = {str(i): fib(i) for i in range(15)}
srv = http.server()
srv.handle("/first", make(1))
srv.handle("/second", make("two"))
srv.handle("/third", lambda req: table)
srv.serve()
"#,
        r#"
Point = record(x = int, y = field(int, 7))
Color = enum("red", "green")
def area(p: Point) -> int:
    return p.x * p.y
total = 0
for i in range(1000):
    if i % 7 == 0:
        continue
    total += i * i * i * i * i * i
    if i > 990:
        break
def handler(req):
    return {"area": area(Point(x = 6)), "color": Color("green").value, "index": Color("green").index, "total": total, "types": [str(Point), repr(Color)]}
http.serve({"/": handler, "/x": lambda req: f"{total} {req.method}"}, port=1)
"#,
        "if True:\n    srv = http.server()\n    srv.handle(\"/\", str)\n    srv.handle(\"/len\", lambda r: len(r.path))\n    print(srv)\n    srv.serve()\n",
    ];
    let sources = fixtures.into_iter().chain(written.map(str::to_owned));
    sources.map(|source| Case { source, requests: both_routes() }).collect()
}

/// Scripts that fail, in setup or in a handler.
pub(super) fn failures() -> Vec<Case> {
    let setup = [
        "def f(x):\n    return 1 // x\ndef g():\n    f(0)\ng()\n",
        "fail(\"no\", 1, \"more\\nlines\", \"ü\")\n",
        "x = (1,\ny = ]\n",
        "def f():\n    return nowhere\n",
        "while True:\n    pass\n",
        "print(\"é\", \"\u{1f600}\".nothing)\n",
        "def f(n):\n    return f(n + 1)\nf(0)\n",
        "srv = http.server(prot=1)\n",
        "srv = http.server(read_timeout=\"30\")\n",
        "http.serve({\"GET /\": 5})\n",
        "http.server().serve()\n",
        "srv = http.server()\nsrv.handle(\"/\", lambda: None)\n",
        "srv = http.server()\nsrv.use(lambda a, b, c: None)\n",
        "load(\"x.star\", \"y\")\n",
        "x = {}\nx[[]] = 1\n",
        "def f(x: int):\n    return x\nf(\"a\")\n",
        "x = [1, 2]\nfor i in x:\n    x.append(i)\n",
        "\u{feff}x = 1\n",
        "x = 1\n  y = 2\n",
        "x = \"unclosed\n",
        "x = 99999999999999999999999999999999 + None\n",
    ];
    let handlers = [
        "return {}[\"missing\"]",
        "return [1][5]",
        "return \"a\" + 1",
        "return int(\"x\")",
        "return STATE.append(1)",
        "STATE[0] = 1",
        "return json.decode(\"[1,\\n2,]\")",
        "return json.encode({\"a\": [len]})",
        "fail(\"on\", req.path)",
        "return deep(0)",
        "return sorted([1, \"a\"])",
        "return http.server()",
        "return random.token(0)",
        "return 1 << 2147483648",
        "return \"x\" * 4294967296",
        "return float(1 << 2000)",
        "a, b = [1, 2, 3]\nreturn a",
        "return \"%d\" % \"x\"",
        "return \"{}{}\".format(1)",
        "return struct(a = 1).b",
        "return chr(-1)",
        "return [deep(i) for i in range(1)]",
    ];
    let setup = setup.into_iter().map(|source| Case { source: source.to_owned(), requests: both_routes() });
    setup.chain(handlers.map(|body| handler(body, requests()))).collect()
}

/// The fixtures of the interpreter's modules, one request for each example.
pub(super) fn fixtures() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/interp/tests/fixtures");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let fixtures = files.map(|path| Fixture::parse(&std::fs::read_to_string(path).unwrap()));
    fixtures
        .map(|fixture| {
            let requests = (0..fixture.examples.len()).map(|index| (0, Fixture::request(index)));
            Case { requests: requests.collect(), source: fixture.source }
        })
        .collect()
}

fn handler(body: &str, requests: Vec<(u32, Request)>) -> Case {
    let body = body.replace('\n', "\n    ");
    let source = format!(
        "STATE = [1]\ndef deep(n):\n    return deep(n + 1)\ndef handler(req):\n    {body}\nhttp.serve(handler)\n"
    );
    Case { source, requests }
}

fn both_routes() -> Vec<(u32, Request)> {
    requests().into_iter().flat_map(|(_, request)| [(0, request.clone()), (1, request.clone()), (2, request)]).collect()
}

/// Requests of different kinds to the first route.
fn requests() -> Vec<(u32, Request)> {
    let plain = Request {
        method: "GET".into(),
        path: "/a".into(),
        url: "http://localhost/a?name=Bob&q=1&q=2".into(),
        params: pairs(&[("id", "7"), ("rest", "x/y")]),
        query: pairs(&[("name", "Bob"), ("q", "1"), ("q", "2"), ("", "ü")]),
        headers: Fields::from_iter([("Accept", "text/html"), ("X-One", "1"), ("Accept", "*/*")]).into_lines(),
        body: br#"{"name": "Ann", "big": 123456789012345678901234567890, "f": 1.50, "l": [1, {"x": null}]}"#.to_vec(),
        remote_addr: "127.0.0.1:5".into(),
        host: "localhost".into(),
        tls: false,
        id: "id-1".into(),
        proto: "HTTP/1.1".into(),
    };
    let binary =
        Request { method: "POST".into(), body: vec![0, 0xff, b'x'], query: Vec::new(), tls: true, ..plain.clone() };
    let empty =
        Request { headers: String::new(), params: Vec::new(), body: Vec::new(), path: "/ü".into(), ..plain.clone() };
    vec![(0, plain), (0, binary), (0, empty)]
}
