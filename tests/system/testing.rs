//! `starcell test`: what it runs, what it says, and that no test can disturb another.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use starcell_tests::process::{Ended, Starcell, folder};

/// Writes files to a folder of the test's own and runs `starcell test` there.
fn test(files: &[(&str, &str)], arguments: &[&str]) -> Ended {
    run(&project(files), arguments)
}

fn project(files: &[(&str, &str)]) -> std::path::PathBuf {
    let folder = folder();
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Ended {
    Starcell::command(folder, &[&["test"], arguments].concat(), "")
}

/// Without its times.
fn told(ended: &Ended) -> String {
    let untimed = |line: &str| match line.rsplit_once(" (") {
        Some((before, time)) if time.ends_with(" ms)") => format!("{before}\n"),
        _ => format!("{line}\n"),
    };
    ended.stdout.lines().map(untimed).collect()
}

const APP: &str = r#"
def hello(req):
    return "Hello, " + req.params["name"]
def boom(req):
    log.warn("about to fail", n = 1)
    return 1 // 0
def count(req):
    return {"n": kv.incr("n")}
srv = http.server()
srv.handle("GET /hello/{name}", hello)
srv.handle("GET /boom", boom)
srv.handle("POST /count", count)
srv.serve(port = 8080)
"#;

#[test]
fn a_script_is_tested_without_a_socket_and_without_a_permission() {
    let tests = r#"
def test_hello(t):
    reply = t.get("/hello/Ann")
    assert_eq((reply.status, reply.body), (200, "Hello, Ann"))
    assert_eq(reply.headers["content-type"], "text/plain; charset=utf-8")
    assert_true(reply.headers["X-Request-Id"])
def test_what_the_router_answers(t):
    assert_eq([t.get(p).status for p in ["/", "/hello/", "/hello/a/b", "/hello/%61", "//hello/a"]], [404, 404, 404, 200, 307])
    refused = t.request("DELETE", "/boom")
    assert_eq((refused.status, refused.headers["Allow"]), (405, "GET, HEAD"))
    head = t.request("HEAD", "/hello/Ann")
    assert_eq((head.status, head.body, head.headers["Content-Length"]), (200, "", "10"))
def test_a_handler_that_fails(t):
    reply = t.get("/boom")
    assert_eq(reply.status, 500)
    assert_contains(reply.body, "request id: ")
    assert_not_contains(reply.body, "division")
    assert_contains(reply.error, "division by zero")
def test_what_cannot_be_sent(t):
    assert_fails(lambda: t.request("GE T", "/"), "cannot be sent")
    assert_fails(lambda: t.get("/", headers = {"a b": "c"}), "cannot be sent")
    assert_fails(lambda: t.get("/", server = 1), "has not started server 1")
"#;
    let ended = test(&[("app.star", APP), ("app_test.star", tests)], &[]);
    assert_eq!(
        told(&ended),
        "app_test.star\n  ok      test_hello\n  ok      test_what_the_router_answers\n  \
         ok      test_a_handler_that_fails\n  ok      test_what_cannot_be_sent\n4 passed, 0 failed\n",
        "{}",
        ended.stderr
    );
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
}

#[test]
fn a_test_that_fails_says_why_and_where_and_what_was_said() {
    let tests = "
def check(reply):
    assert_eq(reply.status, 200, \"status\")
def test_boom(t):
    t.log(\"asking\", 1)
    check(t.get(\"/boom\"))
def test_fine(t):
    t.log(\"not shown\")
def test_later(t):
    t.skip(\"not today\")
";
    let ended = test(&[("app.star", APP), ("app_test.star", tests)], &["app_test.star"]);
    assert_eq!(ended.code(), 1);
    let text = told(&ended);
    for part in [
        "app_test.star\n  FAILED  test_boom\n      Traceback (most recent call last):\n        * app_test.star:6, in test_boom\n",
        "      error: assert_eq: got 500, want 200 (status)\n       --> app_test.star:3:5\n",
        "      said:\n        asking 1\n        warn  about to fail at=\"app.star:5\" n=1\n        GET /boom failed: error: Floor division by zero: 1 // 0\n         --> app.star:6:12\n",
        "  ok      test_fine\n  skipped test_later: not today\n1 passed, 1 failed, 1 skipped\n",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
    assert!(!text.contains("not shown"), "{text}");
}

#[test]
fn tests_cannot_see_each_other() {
    let tests = r#"
made = []
def test_a(t):
    assert_eq([t.post("/count").json()["n"] for _ in range(3)], [1, 2, 3])
    assert_eq(kv.get("n"), 3)
    kv.set("mine", "a")
def test_b(t):
    assert_eq(t.post("/count").json()["n"], 1)
    assert_eq(kv.get("mine"), None)
def test_c(t):
    made.append(1)
"#;
    let ended = test(&[("app.star", APP), ("app_test.star", tests)], &["--allow-fs"]);
    assert_eq!(ended.code(), 1);
    assert!(ended.stdout.ends_with("2 passed, 1 failed\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("error: what the top level of a test file made is frozen"), "{}", ended.stdout);
}

#[test]
fn each_test_begins_with_what_the_setup_stored() {
    let app = "kv.set('users', ['ann'])\nhttp.serve({'GET /users': lambda req: kv.get('users'),\n\
               'POST /users': lambda req: kv.update('users', lambda u: u + [req.body])})\n";
    let tests = "
def test_a(t):
    assert_eq(t.post('/users', 'bo').json(), ['ann', 'bo'])
def test_b(t):
    assert_eq(t.get('/users').json(), ['ann'])
";
    let ended = test(&[("app.star", app), ("app_test.star", tests)], &["--allow", "kv.*"]);
    assert_eq!((ended.code(), ended.stdout.lines().last()), (0, Some("2 passed, 0 failed")), "{}", ended.output);
}

#[test]
fn what_is_not_granted_is_refused_in_a_test_too() {
    let tests = "
def test_app(t):
    reply = t.post('/count')
    assert_eq(reply.status, 500)
    assert_contains(reply.error, 'permission denied: kv.write(\"n\")')
def test_own(t):
    assert_fails(lambda: kv.get('n'), 'permission denied: kv.read')
    assert_fails(lambda: fs.read_text('/etc/passwd'), 'permission denied: fs.read')
    os.env('HOME')
";
    let ended = test(&[("app.star", APP), ("app_test.star", tests)], &[]);
    assert!(ended.stdout.ends_with("1 passed, 1 failed\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("error: permission denied: os.env(\"HOME\")"), "{}", ended.stdout);
    // What an operator denies outright stays denied: such a script could not serve anywhere.
    let ended = test(&[("app.star", APP), ("app_test.star", tests)], &["--deny", "http.server"]);
    assert_eq!(ended.code(), 1);
    assert!(ended.stdout.contains("FAILED  (top level)"), "{}", ended.stdout);
    assert!(ended.stdout.contains("denied by the rule http.server"), "{}", ended.stdout);
}

#[test]
fn a_limit_fails_one_test_alone() {
    let app = "
def loop(req):
    for i in range(1000000000):
        pass
http.serve({'GET /loop': loop, 'GET /': lambda req: 'fine'})
";
    let tests = "
def test_loops(t):
    for i in range(1000000000):
        pass
def test_hoards(t):
    x = []
    for i in range(1000000000):
        x.append('x' * 1000)
def test_recurses(t):
    test_recurses(t)
def test_app_loops(t):
    reply = t.get('/loop')
    assert_eq((reply.status, reply.error), (500, 'CPU time limit of 0.3 s reached'))
def test_fine(t):
    assert_eq(t.get('/').body, 'fine')
";
    let limits = ["--setup-cpu", "500ms", "--request-cpu", "300ms", "--memory", "16"];
    let ended = test(&[("app.star", app), ("app_test.star", tests)], &limits);
    let text = told(&ended);
    for part in [
        "  FAILED  test_loops\n      CPU time limit of 0.5 s reached\n",
        "  FAILED  test_hoards\n      memory limit of 16 MiB reached\n",
        "error: call stack overflow: more than 200 nested calls, the limit that --call-depth sets\n",
        "  ok      test_app_loops\n  ok      test_fine\n2 passed, 3 failed\n",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
}

/// What answers a test is charged to the app, so a test that asks a lot is not ended for it.
#[test]
fn time_of_the_app_is_not_time_of_the_test() {
    let app = "
def work(req):
    s = 0
    for i in range(100000):
        s += i
    return str(s)
http.serve({'GET /': work})
";
    let tests = "def test_many(t):\n    for i in range(100):\n        assert_eq(t.get('/').status, 200)\n";
    let ended = test(&[("app.star", app), ("app_test.star", tests)], &["--setup-cpu", "200ms"]);
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

#[test]
fn servers_that_are_only_started_count_and_have_numbers() {
    let app = "
first = http.server()
first.handle('GET /', lambda req: 'first %d %d' % (first.port(), second.port()))
second = http.server(max_body_bytes = 3)
second.handle('POST /', lambda req: 'second')
second.start()
first.start(port = 8000)
print('set up')
";
    let tests = "
def test_servers(t):
    assert_eq(t.get('/').body, 'first 8000 49153')
    assert_eq([t.post('/', body, server = 1).status for body in ['abc', 'abcd']], [200, 413])
    assert_eq(t.get('/', server = 1).status, 405)
";
    let ended = test(&[("app.star", app), ("app_test.star", tests)], &[]);
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

#[test]
fn a_handler_sees_a_request_as_over_a_socket() {
    let app = "
def show(req):
    return {
        'path': req.path, 'url': req.url, 'host': req.host, 'query': req.query, 'proto': req.proto, 'tls': req.tls,
        'type': type(req.body), 'names': req.headers.keys(), 'remote': req.remote_addr,
    }
srv = http.server()
srv.handle('POST api.example.com/{path...}', show)
srv.handle('POST /', lambda req: 'another host')
srv.serve()
";
    let tests = r#"
def test_request(t):
    headers = {"Host": "api.example.com:81", "x-a": "1"}
    assert_eq(t.post("/a%20b/é?x=1&x=2", b"\xff", headers = headers).json(), {
        "path": "/a b/é", "url": "http://api.example.com:81/a%20b/%C3%A9?x=1&x=2", "host": "api.example.com:81",
        "query": {"x": ["1", "2"]}, "proto": "HTTP/1.1", "tls": False, "type": "bytes",
        "names": ["Content-Type", "Host", "X-A"], "remote": "127.0.0.1:1",
    })
def test_host(t):
    assert_eq(t.post("/").body, "another host")
"#;
    let tests = tests
        .replace("/é?x", "/%C3%A9?x")
        .replace("\"names\": [\"Content-Type\", \"Host\", \"X-A\"]", "\"names\": [\"Content-Type\", \"X-A\"]");
    let ended = test(&[("app.star", app), ("app_test.star", &tests)], &[]);
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

#[test]
fn setup_and_teardown_share_the_test_s_world() {
    let app = "http.serve({'GET /': lambda req: str(kv.get('n'))})\n";
    let tests = "
def setup(t):
    kv.set('n', 7)
def teardown(t):
    print('after', t.name)
def test_a(t):
    assert_eq(t.get('/').body, '7')
def test_b(t):
    fail('no')
";
    let ended = test(&[("app.star", app), ("app_test.star", tests)], &["--allow", "kv.*"]);
    assert!(ended.stdout.ends_with("1 passed, 1 failed\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("      said:\n        after test_b\n"), "{}", ended.stdout);
}

#[test]
fn files_that_are_loaded_have_tests_too() {
    let files = [
        ("lib/double.star", "def double(x):\n    return 2 * x\n"),
        (
            "double_test.star",
            "load('lib/double.star', 'double')\ndef test_it():\n    assert_eq(double(2), 4)\ndef test_ask(t):\n    t.get('/')\n",
        ),
        ("plain.star", "x = 1\n"),
        ("plain_test.star", "def test_ask(t):\n    t.get('/')\n"),
    ];
    let ended = test(&files, &[]);
    assert!(ended.stdout.ends_with("1 passed, 2 failed\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("error: there is no script beside this file to ask\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("error: the app has started no server\n"), "{}", ended.stdout);
}

#[test]
fn what_does_not_come_to_a_test_fails_the_file() {
    for (app, tests, text) in [
        ("x = 1 +\n", "def test_a(t):\n    pass\n", "--> app.star:1:"),
        ("print('half way')\nfail('no')\n", "def test_a(t):\n    pass\n", "said:\n        half way\n"),
        ("x = 1\n", "y = nope\n", "--> app_test.star:1:5"),
        ("x = 1\n", "def check(t):\n    pass\n", "there is no test in this file"),
        ("x = 1\n", "for i in range(1000000000):\n    pass\n", "CPU time limit of 0.3 s reached"),
    ] {
        let ended = test(&[("app.star", app), ("app_test.star", tests)], &["--setup-cpu", "300ms"]);
        assert_eq!(ended.code(), 1, "{}", ended.output);
        assert!(ended.stdout.contains("  FAILED  (top level)"), "{}", ended.stdout);
        assert!(ended.stdout.contains(text), "{text}\nin\n{}", ended.stdout);
        assert!(ended.stdout.ends_with("0 passed, 1 failed\n"), "{}", ended.stdout);
    }
}

#[test]
fn paths_and_patterns_choose_what_runs() {
    let one = "def test_alpha(t):\n    pass\ndef test_beta(t):\n    pass\n";
    let folder = project(&[
        ("a.star", "x = 1\n"),
        ("a_test.star", one),
        ("sub/b_test.star", one),
        ("sub/.hidden/c_test.star", one),
        ("sub/deeper/d_test.star", one),
        ("empty/readme.txt", ""),
        ("untested.star", ""),
    ]);
    let files = |arguments: &[&str]| -> Vec<String> {
        let ended = run(&folder, arguments);
        assert_eq!(ended.code(), 0, "{arguments:?}: {}", ended.output);
        ended.stdout.lines().filter(|line| line.ends_with(".star")).map(str::to_owned).collect()
    };
    assert_eq!(files(&[]), ["a_test.star", "sub/b_test.star", "sub/deeper/d_test.star"]);
    assert_eq!(files(&["."]), files(&[]));
    assert_eq!(files(&["a.star"]), ["a_test.star"]);
    assert_eq!(
        files(&["sub", "./a_test.star", "sub/b_test.star"]),
        ["a_test.star", "sub/b_test.star", "sub/deeper/d_test.star"]
    );
    for (pattern, sum) in
        [("beta", "3 passed, 0 failed"), ("^test_(al|x)", "3 passed, 0 failed"), ("gamma", "0 passed, 0 failed")]
    {
        let ended = run(&folder, &["--run", pattern]);
        assert_eq!((ended.code(), ended.stdout.lines().last()), (0, Some(sum)), "{pattern}: {}", ended.output);
    }
    for (arguments, text) in [
        (&["none.star"][..], "cannot read none.star"),
        (&["empty"], "there is no file in empty whose name ends in _test.star"),
        (&["untested.star"], "untested.star has no test: there is no untested_test.star"),
        (&["empty/readme.txt"], "empty/readme.txt is no test file"),
        (&["--run", "("], "--run"),
    ] {
        let ended = run(&folder, arguments);
        assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{arguments:?}: {}", ended.output);
        assert!(ended.stderr.contains(text), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(run(&folder, &["--allow", "nonsense"]).code(), 4);
}

#[test]
fn results_can_be_had_as_junit_xml() {
    let tests = "
def test_a(t):
    pass
def test_b(t):
    print('<said> & \\x1b[0m')
    assert_eq('<a>', \"b & 'c'\")
def test_c(t):
    t.skip('later')
";
    let folder = project(&[("app.star", APP), ("app_test.star", tests)]);
    let ended = run(&folder, &["--junit", "out.xml"]);
    assert_eq!(ended.code(), 1, "{}", ended.output);
    let xml = std::fs::read_to_string(folder.join("out.xml")).unwrap();
    for part in [
        "<testsuite name=\"app_test.star\" tests=\"3\" skipped=\"1\" errors=\"0\" failures=\"1\"",
        "<testcase name=\"test_a\" classname=\"app_test.star\"",
        "&lt;said&gt; &amp; \\u001b[0m",
        "<skipped message=\"later\"",
        "message=\"assert_eq: got &quot;&lt;a&gt;&quot;, want &quot;b &amp; 'c'&quot;",
    ] {
        let plain = xml.replace("&apos;", "'");
        assert!(plain.contains(part), "{part}\nin\n{xml}");
    }
    assert!(!xml.contains('\u{1b}'));
    let ended = run(&folder, &["--junit", "no/such/folder.xml"]);
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("cannot write no/such/folder.xml"), "{}", ended.stderr);
}

/// The report goes to the file that was named, and not to where a program of the script has its name lead.
#[test]
fn a_report_is_written_where_it_was_asked_for() {
    let tool = "#!/bin/sh\nrm -f out.xml; mv out.xml gone; ln -s victim out.xml; ln -sf victim out.xml; true\n";
    let tests =
        "def test_it(t):\n    os.exec(['./tool'])\n    assert_eq(fs.try_write_text('out.xml', 'x').ok, False)\n";
    let folder = project(&[("app_test.star", tests), ("tool", tool), ("victim", "untouched")]);
    std::fs::set_permissions(folder.join("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let ended = run(&folder, &["--allow-local", "--junit", "out.xml"]);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert_eq!(std::fs::read_to_string(folder.join("victim")).unwrap(), "untouched");
    assert!(folder.join("out.xml").symlink_metadata().unwrap().is_file());
    assert!(std::fs::read_to_string(folder.join("out.xml")).unwrap().contains("<testcase name=\"test_it\""));
}

/// A script that serves on a port that is taken is tested all the same, beside the one that has it.
#[test]
fn nothing_is_bound() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let app = format!("http.serve({{'GET /': lambda req: 'fine'}}, port = {port})\n");
    let tests = "def test_it(t):\n    assert_eq(t.get('/').body, 'fine')\n";
    let ended = test(&[("app.star", &app), ("app_test.star", tests)], &[]);
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

/// The routes of a server that a test makes are those of any other, and nothing is bound and nothing needs a permission.
#[test]
fn a_test_makes_servers_of_its_own() {
    let tests = r#"
def serve(routes, **options):
    srv = http.server(**options)
    for pattern, handler in routes.items():
        srv.handle(pattern, handler)
    srv.start(port = 0)
    return http.url("http://localhost:%d" % srv.port()), srv

def at(srv, path):
    return http.url("http://127.0.0.1:%d%s" % (srv.port(), path))

def test_routes():
    _, srv = serve({
        "GET /users/{id}": lambda req: {"body": "user:" + req.params["id"]},
        "GET /files/{path...}": lambda req: req.params["path"] + "?" + req.query.get("v", ""),
        "POST /echo": lambda req: {"status": 201, "body": req.body},
        "GET /props": lambda req: [type(req), req.method, req.path, req.host, req.headers["X-A"]],
    }, max_body_bytes = 4)
    assert_equal(at(srv, "/users/a%2Fb").get().get_text(), "user:a/b")
    assert_equal(at(srv, "/files/x/y.txt?v=2").get().get_text(), "x/y.txt?2")
    assert_equal([at(srv, "/echo").post(body).status_code for body in ["ping", "pings"]], [201, 413])
    wrong = at(srv, "/echo").get()
    assert_equal((wrong.status_code, wrong.headers["Allow"]), (405, "POST"))
    assert_equal(at(srv, "/nowhere").get().get_text(), "404 page not found\n")
    assert_equal(at(srv, "//users/7").get().get_text(), "user:7", "a redirect to the clean path is followed")
    props = at(srv, "/props").get(headers = {"X-A": "1"}).json()
    assert_equal(props, ["http.request", "GET", "/props", "127.0.0.1:%d" % srv.port(), "1"])

def test_state_is_the_tests():
    seen = []
    url, srv = serve({"/": lambda req: seen.append(req.method) or str(len(seen))})
    assert_equal([url.get().get_text(), url.put("x").get_text()], ["1", "2"])
    assert_equal(seen, ["GET", "PUT"])
    srv.shutdown()
    assert_false(url.try_get().ok, "nobody answers any more")

def test_conflicts():
    srv = http.server()
    srv.handle("/a/{x}", lambda req: "")
    assert_fails(lambda: srv.handle("/a/{y}", lambda req: ""), "/a/{x}")
    assert_fails(lambda: srv.handle("nopath", lambda req: ""), "nopath")

def test_the_network_is_another_matter():
    serve({"/": lambda req: ""})
    assert_fails(lambda: http.get("http://127.0.0.1:1/"), "permission denied: http.client")
"#;
    let ended = test(&[("alone_test.star", tests)], &[]);
    assert_eq!(ended.stdout.lines().last(), Some("4 passed, 0 failed"), "{}", ended.output);
}
