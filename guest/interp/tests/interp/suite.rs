//! Test files: which functions are tests, what they are given, how they end.

use starcell_interp::testing::NativeHost;
use starcell_interp::{Failure, FailureKind, HostError, Question, Reply, Suite};

fn collect(source: &str) -> (NativeHost, Suite) {
    let host = NativeHost::new();
    let suite = Suite::collect(&host, "app_test.star", source.as_bytes()).unwrap();
    (host, suite)
}

/// What becomes of a test with this body.
fn run(body: &str) -> Result<Option<String>, Failure> {
    let (host, suite) = collect(&format!("def test_it(t):\n    {}\n", body.replace('\n', "\n    ")));
    suite.run(&host, "test_it")
}

fn message(body: &str) -> String {
    run(body).unwrap_err().message
}

#[test]
fn tests_are_the_functions_that_are_called_so_in_their_order() {
    let (_, suite) = collect(
        "def test_b(t):\n    pass\ndef helper(t):\n    pass\ntest_data = [1]\ndef test_a():\n    pass\ntest_c = lambda t: 1\n\
         def _test_d(t):\n    pass\n",
    );
    assert_eq!(suite.tests(), ["test_b", "test_a", "test_c"]);
}

#[test]
fn a_test_that_raises_nothing_passes() {
    assert_eq!(run("assert_eq(1 + 1, 2)").unwrap(), None);
    let (host, suite) = collect("def test_it():\n    print('ran')\n");
    assert_eq!(suite.run(&host, "test_it").unwrap(), None);
    assert_eq!(host.prints(), ["ran"]);
}

#[test]
fn a_failed_assertion_has_both_values_and_its_place() {
    let failure = run("x = 1\nassert_eq(x, 2)").unwrap_err();
    assert_eq!(failure.kind, FailureKind::Script);
    assert_eq!(failure.message, "assert_eq: got 1, want 2");
    assert_eq!((failure.at.file.as_str(), failure.at.line), ("app_test.star", 3));
    assert!(failure.report.contains("assert_eq(x, 2)"), "{}", failure.report);
}

#[test]
fn each_assertion_says_what_it_wanted() {
    for (passing, failing, text) in [
        (
            "assert_eq([1], [1])",
            "assert_eq({'a': 1}, {'a': 2}, 'ages')",
            "assert_eq: got {\"a\": 1}, want {\"a\": 2} (ages)",
        ),
        ("assert_equal('a', 'a')", "assert_equal(1, '1')", "assert_equal: got 1, want \"1\""),
        ("assert(1 + 1 == 2, 'text %d', 2)", "assert(1 + 1 == 3, 'text %d', 2)", "assert: got False (text 2)"),
        ("assert ([0])", "assert([])", "assert: got []"),
        ("test.assert(True, 'a')", "test.assert(None, 'got %d' % 7)", "assert: got None (got 7)"),
        (
            "test.assert_equal(1, 1)",
            "test.assert_equal(1, 2, 'seen by %s and %d', 'Ann', 3)",
            "assert_equal: got 1, want 2 (seen by Ann and 3)",
        ),
        ("assert_true(1, '50% done')", "assert_true(0, '50% done')", "assert_true: got 0 (50% done)"),
        (
            "assert_not_equal(1, 2, 'x')",
            "assert_ne(1, 1, 'n is %v', [1])",
            "assert_ne: got 1, want anything else (n is [1])",
        ),
        (
            "assert_contains('ab', 'a', msg = 'x')",
            "assert_contains('ab', 'c', msg = 'x')",
            "assert_contains: \"c\" is not in \"ab\" (x)",
        ),
        ("assert_fails(lambda: assert(False), 'assert: got False')", "test.fail('because %d', 3)", "fail: because 3"),
        ("assert_ne(1, 2)", "assert_ne(1, 1)", "assert_ne: got 1, want anything else"),
        ("assert_not_equal(1, 2)", "assert_not_equal(1, 1)", "assert_not_equal: got 1, want anything else"),
        ("assert_true([0])", "assert_true([])", "assert_true: got []"),
        ("assert_false(None)", "assert_false('no', msg = 'why')", "assert_false: got \"no\" (why)"),
        ("assert_contains('abc', 'b')", "assert_contains([1, 2], 3)", "assert_contains: 3 is not in [1, 2]"),
        (
            "assert_not_contains({'a': 1}, 'b')",
            "assert_not_contains('abc', 'b')",
            "assert_not_contains: \"b\" is in \"abc\"",
        ),
        (
            "assert_eq(assert_fails(lambda: fail('no')), 'no')",
            "assert_fails(lambda: 7)",
            "assert_fails: nothing was raised, got 7",
        ),
        (
            "assert_fails(lambda: 1 // 0, 'zero')",
            "assert_fails(lambda: fail('no'), 'yes')",
            "assert_fails: got the error \"no\", want one with \"yes\"",
        ),
    ] {
        assert_eq!(run(passing).unwrap(), None, "{passing}");
        assert_eq!(message(failing), text, "{failing}");
    }
}

/// `assert` is a reserved word of the language, so it has another name inside; nobody sees that.
#[test]
fn an_assertion_is_shown_as_it_was_written() {
    let failure = run("assert(1 == 2, 'an assert')").unwrap_err();
    assert!(failure.report.contains("    assert(1 == 2, 'an assert')\n"), "{}", failure.report);
    assert!(!failure.report.contains("SSERT") && !failure.message.contains("SSERT"), "{failure:?}");
    let failure = super::common::failure("assert(1)");
    assert_eq!(failure.kind, FailureKind::Syntax);
    assert!(failure.message.contains("reserved keyword"), "{}", failure.message);
}

#[test]
fn long_texts_are_shown_from_where_they_differ() {
    let text = message("assert_eq('a' * 100 + 'é1', 'a' * 100 + 'é2')");
    assert!(text.ends_with("; from character 101 on: got \"1\", want \"2\""), "{text}");
}

#[test]
fn assertions_are_for_test_files_and_what_they_load() {
    let failure = super::common::failure("assert_eq(1, 1)");
    assert_eq!(failure.kind, FailureKind::Syntax);
    assert!(failure.message.contains("assert_eq"), "{}", failure.message);
    let mut host = NativeHost::new();
    host.sources.insert("lib.star".into(), b"def check(x):\n    assert_eq(x, 2)\n".to_vec());
    let source = b"load('lib.star', 'check')\ndef test_it(t):\n    check(1)\n";
    let suite = Suite::collect(&host, "app_test.star", source).unwrap();
    let report = suite.run(&host, "test_it").unwrap_err().report;
    assert!(report.contains("app_test.star:3, in test_it"), "{report}");
    assert!(report.contains("--> lib.star:2:5"), "{report}");
}

#[test]
fn setup_and_teardown_run_around_each_test() {
    let source = "
def setup(t):
    print('setup', t.name)
def teardown():
    print('teardown')
def test_a(t):
    print('a')
def test_b(t):
    fail('b')
def test_c(t):
    t.skip('later')
";
    let (host, suite) = collect(source);
    assert_eq!(suite.run(&host, "test_a").unwrap(), None);
    assert_eq!(suite.run(&host, "test_b").unwrap_err().message, "b");
    assert_eq!(suite.run(&host, "test_c").unwrap().as_deref(), Some("later"));
    let printed = ["setup test_a", "a", "teardown", "setup test_b", "teardown", "setup test_c", "teardown"];
    assert_eq!(host.prints(), printed);

    let (host, suite) = collect("def setup(t):\n    fail('no')\ndef test_a(t):\n    print('ran')\n");
    assert_eq!(suite.run(&host, "test_a").unwrap_err().message, "no");
    let (host, suite) = collect("def teardown(t):\n    fail('after')\ndef test_a(t):\n    pass\n");
    assert_eq!(suite.run(&host, "test_a").unwrap_err().message, "after");
    assert!(host.prints().is_empty());
}

#[test]
fn a_skip_passes_through_what_catches() {
    assert_eq!(run("t.skip()").unwrap().as_deref(), Some(""));
    assert_eq!(run("skip('linux %s', 'only')").unwrap().as_deref(), Some("linux only"));
    assert_eq!(run("skip('why')").unwrap().as_deref(), Some("why"));
    assert_eq!(run("test.skip()").unwrap().as_deref(), Some(""));
    assert_eq!(run("assert_fails(lambda: t.skip('x'))").unwrap().as_deref(), Some("x"));
    assert_eq!(run("retry.try_do(lambda: t.skip('y'), max_attempts = 1)").unwrap().as_deref(), Some("y"));
}

#[test]
fn what_the_top_level_made_is_frozen_in_a_test() {
    let (host, suite) = collect("seen = []\ndef test_it(t):\n    seen.append(1)\n");
    let failure = suite.run(&host, "test_it").unwrap_err();
    assert!(failure.message.starts_with("what the top level of a test file made is frozen"), "{}", failure.message);
}

#[test]
fn what_is_no_test_is_told() {
    let (host, suite) = collect("def test_it(a, b):\n    pass\n");
    let failure = suite.run(&host, "test_it").unwrap_err();
    assert!(failure.message.contains("a test takes one argument, the test, or none; test_it(a, b)"), "{failure:?}");
    assert_eq!(suite.run(&host, "test_none").unwrap_err().message, "there is no test test_none");
    for (source, text) in [
        ("srv = http.server()", "a test file makes servers inside of its tests"),
        ("http.serve({'/': lambda r: 1})", "a test file makes servers inside of its tests"),
        ("x = ", "Parse error"),
        ("def test_a(t):\n    nope()", "`nope` not found"),
    ] {
        let failure = Suite::collect(&host, "app_test.star", source.as_bytes()).unwrap_err();
        assert!(failure.message.contains(text), "{source}: {}", failure.message);
    }
}

#[test]
fn a_request_is_what_the_test_says() {
    let (host, suite) = collect(
        "def test_it(t):
    t.request('GET', '/a?b=1')
    t.post('/j', {'x': [1]}, headers = {'X-A': '1'}, server = 2)
    t.put('/f', form = {'a': '1 &', 'b': [2, 3]})
    t.patch('/t', 'text', headers = {'content-type': 'text/csv'})
    t.delete('/d')
    t.get('/g', headers = None)
",
    );
    assert_eq!(suite.run(&host, "test_it").unwrap(), None);
    let asked = |method: &str, target: &str, server, headers: &[(&str, &str)], body: &str| Question {
        server,
        method: method.into(),
        target: target.into(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: body.into(),
    };
    let form = "application/x-www-form-urlencoded";
    let expected = [
        asked("GET", "/a?b=1", 0, &[], ""),
        asked("POST", "/j", 2, &[("Content-Type", "application/json"), ("X-A", "1")], "{\"x\":[1]}"),
        asked("PUT", "/f", 0, &[("Content-Type", form)], "a=1+%26&b=2&b=3"),
        asked("PATCH", "/t", 0, &[("content-type", "text/csv")], "text"),
        asked("DELETE", "/d", 0, &[], ""),
        asked("GET", "/g", 0, &[], ""),
    ];
    assert_eq!(host.tool.asked(), expected);
}

#[test]
fn a_wrong_request_names_what_is_wrong() {
    for (body, text) in [
        ("t.get('users')", "t.get: path must be a path such as \"/users?page=2\", got \"users\" (string)"),
        ("t.get()", "t.get: missing argument path"),
        ("t.request('', '/')", "t.request: method must be a non-empty string, got \"\" (string)"),
        ("t.post('/', 'a', form = {})", "t.post: give body or form, not both"),
        ("t.post('/', form = 1)", "t.post: form must be a dict or a list of pairs of a name and a value, got 1 (int)"),
        ("t.post('/', 1)", "t.post: body must be str, bytes, a dict or a list, got 1 (int)"),
        ("t.get('/', server = 'a')", "t.get: server must be the number of a server, from 0, got \"a\" (string)"),
        ("t.get('/', query = {})", "t.get: unknown argument query, accepted: path, body, form, headers, server"),
    ] {
        assert_eq!(message(body), text, "{body}");
    }
}

#[test]
fn a_reply_has_what_a_client_would_get() {
    let (mut host, suite) = collect(
        "def test_it(t):
    r = t.get('/')
    assert_eq(r.status, 201)
    assert_eq(r.headers['content-type'], 'application/json')
    assert_eq(r.headers.get_all('Set-Cookie'), ['a=1; Path=/', 'b=x=y'])
    assert_eq(r.cookies, {'a': '1', 'b': 'x=y'})
    assert_eq(r.json(), {'n': [1]})
    assert_eq(r.body, '{\"n\":[1]}')
    assert_eq(r.error, 'it broke')
    assert_eq(repr(r), '<test.reply 201>')
def test_bytes(t):
    r = t.get('/')
    assert_eq(r.body, b'\\xff')
    assert_eq(r.error, None)
    assert_false(r.try_json().ok)
    r.nothing
def test_failing(t):
    t.get('/')
",
    );
    let headers = [("Content-Type", "application/json"), ("Set-Cookie", "a=1; Path=/"), ("Set-Cookie", "b=x=y")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    host.tool.answer =
        Ok(Reply { status: 201, headers, body: b"{\"n\":[1]}".to_vec(), failure: Some("it broke".into()) });
    assert_eq!(suite.run(&host, "test_it").unwrap(), None);
    host.tool.answer = Ok(Reply { body: b"\xff".to_vec(), ..Reply::default() });
    let failure = suite.run(&host, "test_bytes").unwrap_err();
    assert!(failure.message.contains("has no attribute `nothing`"), "{}", failure.message);
    host.tool.answer = Err(HostError::Failed("there is no app.star to ask".into()));
    assert_eq!(suite.run(&host, "test_failing").unwrap_err().message, "there is no app.star to ask");
}

/// A test that makes a server is its only client: nothing is bound, and no request leaves the instance.
#[test]
fn a_test_makes_servers_and_asks_them() {
    let (mut host, suite) = collect(
        r#"
def start(routes, **options):
    srv = http.server(**options)
    for pattern, handler in routes.items():
        srv.handle(pattern, handler)
    srv.start(port = 0)
    return srv

def url(srv, path):
    return http.url("http://localhost:%d%s" % (srv.port(), path))

def test_answers():
    srv = start({
        "GET /users/{id}": lambda req: {"body": "user:" + req.params["id"]},
        "POST /echo": lambda req: {"status": 201, "body": "echo:" + req.body},
        "/none": lambda req: None,
        "/json": lambda req: {"name": "Ann"},
    })
    assert(srv.port() > 0, "port is %d", srv.port())
    reply = url(srv, "/users/7").get()
    assert_eq((reply.status_code, reply.status, reply.get_text()), (200, "200 OK", "user:7"))
    assert_eq(url(srv, "/echo").post("ping").get_text(), "echo:ping")
    assert_eq(url(srv, "/none").get().status_code, 204)
    assert_eq(http.get("http://127.0.0.1:%d/json" % srv.port()).json(), {"name": "Ann"})
    assert_eq(url(srv, "/nowhere").get().status_code, 404)
    assert_eq(url(srv, "/users/7").head().body, "")
    srv.shutdown()

def test_closures():
    calls = [0]
    def flaky(req):
        calls[0] += 1
        if calls[0] == 1:
            fail("the first one")
        return "recovered"
    srv = start({"/": flaky})
    assert_eq([url(srv, "/").get().status_code for _ in range(2)], [500, 200])
    assert_eq(calls, [2])

def test_middleware():
    def marked(req, next):
        resp = next(req)
        resp["headers"]["X-Mark"] = "yes"
        return resp
    srv = http.server(port = 8080)
    srv.use(marked)
    srv.handle("/", lambda req: {"status": 200, "headers": {}, "body": "ok"})
    srv.start()
    assert_eq((srv.port(), http.get("http://localhost:8080/").headers["X-Mark"]), (8080, "yes"))

def test_two():
    one, two = start({"/": lambda req: "one"}), start({"/": lambda req: "two"})
    assert_eq([url(srv, "/").get().get_text() for srv in [one, two]], ["one", "two"])
    one.shutdown()
    assert_fails(lambda: url(one, "/").get(), "the network")
    assert_eq(url(two, "/").get().get_text(), "two")
    one.start(port = 0)
    assert_eq(url(one, "/").get().get_text(), "one")

def test_redirects():
    srv = start({"/a": lambda req: http.redirect("/b", 303), "GET /b": lambda req: req.method + req.body})
    assert_eq(url(srv, "/a").post("x").get_text(), "GET")
    assert_eq(url(srv, "/a").post("x", redirects = 0).status_code, 303)

def test_refusals():
    srv = http.server()
    assert_fails(lambda: srv.start(), "no handlers registered")
    assert_fails(lambda: srv.handle("nopath", lambda req: 1), "no slash")
    srv.handle("/", lambda req: req)
    assert_fails(lambda: srv.serve(), "a test starts a server with start()")
    assert_fails(lambda: http.serve({"/": lambda req: 1}), "a test starts a server with start()")
    assert_fails(lambda: srv.port(), "call start() first")
    srv.start(port = 8080)
    assert_fails(lambda: srv.start(), "already running")
    other = http.server()
    other.handle("/", lambda req: "")
    assert_fails(lambda: other.start(port = 8080), "another server of this test has port 8080")
    assert_eq(http.get("http://localhost:8080/").status_code, 500)

def test_skips():
    srv = start({"/": lambda req: skip("from a handler")})
    url(srv, "/").get()
"#,
    );
    host.client.answer = Err(HostError::Failed("the network was asked".into()));
    for test in ["test_answers", "test_closures", "test_middleware", "test_two", "test_redirects", "test_refusals"] {
        assert_eq!(suite.run(&host, test).unwrap(), None, "{test}");
    }
    assert_eq!(suite.run(&host, "test_skips").unwrap().as_deref(), Some("from a handler"));
    assert!(host.prints().contains(&"GET / failed: the first one".to_owned()), "{:?}", host.prints());
}
