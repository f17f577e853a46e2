//! Failures: kind, message, place, report; denials and the host's stop, caught and uncaught.

use super::common::{Deployed, answer, deployed, failure, failure_on, prints, prints_on};
use starcell_interp::testing::NativeHost;
use starcell_interp::{Conditions, FailureKind, HostError, run_native};

#[test]
fn an_error_has_message_place_and_traceback() {
    let failure = failure("def f(x):\n    return 1 // x\n\ndef g():\n    f(0)\n\ng()\n");
    assert_eq!(failure.kind, FailureKind::Script);
    assert_eq!(failure.message, "Floor division by zero: 1 // 0");
    assert_eq!((failure.at.file.as_str(), failure.at.line, failure.at.column), ("app.star", 2, 12));
    let expected = "\
Traceback (most recent call last):
  * app.star:7, in <module>
      g()
  * app.star:5, in g
      f(0)
error: Floor division by zero: 1 // 0
 --> app.star:2:12
  |
2 |     return 1 // x
  |            ^^^^^^
  |";
    assert_eq!(failure.report, expected);
}

#[test]
fn fail_is_its_text() {
    let failure = failure("fail(\"no\", 1, \"more\\nlines\")");
    assert_eq!(failure.kind, FailureKind::Script);
    assert_eq!(failure.message, "no 1 more\\nlines");
}

#[test]
fn syntax_and_undefined_names_are_syntax() {
    let broken = failure("x = (1,\ny = ]\n");
    assert_eq!(broken.kind, FailureKind::Syntax);
    assert_eq!((broken.at.line, broken.at.column), (2, 3), "{}", broken.report);
    let undefined = failure("def f():\n    return nowhere\n");
    assert_eq!(undefined.kind, FailureKind::Syntax);
    assert_eq!((undefined.at.line, undefined.at.column), (2, 12));
    assert!(undefined.message.contains("nowhere"), "{}", undefined.message);
    assert_eq!(failure("while True:\n    pass\n").kind, FailureKind::Syntax);
}

#[test]
fn load_says_why_not() {
    let failure = failure("load(\"lib/x.star\", \"f\")\n");
    assert_eq!(failure.message, "cannot load \"lib/x.star\": there is no such file in the script's folder");
    assert_eq!((failure.kind, failure.at.line), (FailureKind::Syntax, 1), "{}", failure.report);
}

#[test]
fn endless_recursion_is_an_error() {
    let expected = "call stack overflow: more than 200 nested calls, the limit that --call-depth sets";
    let setup = failure("def f(n):\n    return f(n + 1)\nf(0)\n");
    assert_eq!((setup.kind, setup.message.as_str()), (FailureKind::Script, expected));
    assert_eq!(setup.at.line, 2);
    let request = answer("def f(n):\n    return f(n + 1)\nreturn f(0)").unwrap_err();
    assert_eq!(request.message, expected);
}

/// The maze of tidbyt/community needs 465 levels. Frames are larger here than in the guest, above all where nothing is optimised.
#[test]
fn the_operator_says_how_deep_calls_may_nest() {
    let source = "def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\n";
    let run = |call_depth: u32, n: u32| {
        let run = move || {
            let conditions = Conditions { call_depth, ..Conditions::default() };
            let host = NativeHost::under(conditions);
            let handler = format!("{source}http.serve({{'GET /': lambda req: str(f({n}))}}, port = 0)\n");
            let served = Deployed::on(NativeHost::under(host.conditions.clone()), &handler);
            let outcome = run_native(&host, "app.star", &format!("{source}print(f({n}))\n")).0;
            let answered = served.get("/").map(|response| String::from_utf8(response.body).unwrap());
            (outcome.map(|()| host.prints().concat()).map_err(|f| f.message), answered.map_err(|f| f.message))
        };
        std::thread::Builder::new().stack_size(64 << 20).spawn(run).unwrap().join().unwrap()
    };
    for (call_depth, n) in [(200, 190), (480, 465), (1000, 990), (1000, 465)] {
        let expected = Ok(n.to_string());
        assert_eq!(run(call_depth, n), (expected.clone(), expected), "{n} under {call_depth}");
    }
    for (call_depth, n) in [(200, 465), (464, 465), (998, 999), (10, 10)] {
        let message =
            format!("call stack overflow: more than {call_depth} nested calls, the limit that --call-depth sets");
        assert_eq!(run(call_depth, n), (Err(message.clone()), Err(message)), "{n} under {call_depth}");
    }
}

#[test]
fn a_caught_overflow_names_the_limit_too() {
    let printed = prints("def f(x):\n    return f(x)\nprint(retry.do(lambda: f(1), max_attempts = 1).error)\n");
    let [error] = printed.as_slice() else { panic!("{printed:?}") };
    assert!(error.ends_with("more than 200 nested calls, the limit that --call-depth sets"), "{error}");
}

#[test]
fn bounded_recursion_works() {
    assert_eq!(prints("def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\nprint(f(150))\n"), ["150"]);
}

fn denying() -> NativeHost {
    let mut host = NativeHost::new();
    let text = "permission denied: http.server(127.0.0.1:8080): not granted by deny-all";
    host.refuse_start = Some(HostError::Denied(text.to_owned()));
    host
}

#[test]
fn an_uncaught_denial_is_a_denial_however_deep() {
    for start in [
        "srv.start()",
        "srv.serve()",
        "[f() for f in [lambda: srv.serve()]]",
        "sorted([1, 2], key = lambda x: srv.start())",
        "map(lambda x: srv.start(), [1])",
        "max([1, 2], key = lambda x: srv.start())",
        "(lambda: (lambda: srv.start())())()",
        "partial(srv.start, port = 1)()",
    ] {
        let source = format!("srv = http.server()\nsrv.handle(\"/\", lambda r: None)\n{start}\n");
        let failure = failure_on(&denying(), &source);
        assert_eq!(failure.kind, FailureKind::Denied, "{start}: {}", failure.report);
        assert_eq!(failure.message, "permission denied: http.server(127.0.0.1:8080): not granted by deny-all");
        assert_eq!(failure.at.line, 3, "{start}");
    }
}

#[test]
fn a_denial_can_be_caught() {
    let source = r#"
srv = http.server()
srv.handle("/", lambda req: None)
for r in [srv.try_start(), srv.try_serve(port = 1), http.try_serve(lambda req: None)]:
    print(r.ok, bool(r), r.value, r.error)
"#;
    let line = "False False None permission denied: http.server(127.0.0.1:8080): not granted by deny-all";
    assert_eq!(prints_on(&denying(), source), [line; 3]);
}

#[test]
fn the_hosts_stop_cannot_be_caught() {
    let source = "r = http.try_serve(lambda req: None)\nprint(\"still here\", r)\n";
    let host = NativeHost::new();
    let failure = failure_on(&host, source);
    assert_eq!(failure.kind, FailureKind::Stopped);
    assert!(host.prints().is_empty());
}

#[test]
fn a_failed_start_is_a_script_error() {
    let mut host = NativeHost::new();
    host.refuse_start = Some(HostError::Failed("port 80 is in use".to_owned()));
    let failure = failure_on(&host, "http.serve(lambda req: None, port = 80)");
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Script, "port 80 is in use"));
}

#[test]
fn results_are_values() {
    let source = r#"
good = json.try_decode("[1]")
bad = json.try_decode("[1")
print(good, type(good), good.ok, good.value, good.error)
print("bad" if not bad else "good", bad.error)
mine = Result(True, value = 3)
print(mine, Result(False, error = "no"), dir(mine))
print(json.try_encode(b"x").error)
"#;
    assert_eq!(
        prints(source),
        [
            "Result(ok=True, value=[1], error=None) Result True [1] None",
            "bad json.decode: line 1, column 2: EOF while parsing a list",
            "Result(ok=True, value=3, error=None) Result(ok=False, value=None, error=\"no\") [\"error\", \"ok\", \"value\"]",
            "json.encode: $: JSON has no bytes; decode them to text first, as with str(b)",
        ]
    );
}

#[test]
fn huge_texts_are_shortened() {
    let failure = failure("fail(\"x\" * 1000000)");
    assert!(failure.message.len() < 5_000 && failure.report.len() < 70_000);
    assert!(failure.message.contains("bytes left out"));
}

#[test]
fn random_and_time_come_from_the_host() {
    let source = r#"
print(random.token(), random.token(2), random.token(n = 1))
print(time.unix(), time.unix_nano())
"#;
    assert_eq!(prints(source), ["000102030405060708090a0b0c0d0e0f 0001 00", "1700000000 1700000000123456789"]);
    for (n, got) in [("0", "0 (int)"), ("1025", "1025 (int)"), ("-1", "-1 (int)"), ("\"8\"", "\"8\" (string)")] {
        let expected = format!("random.token: n must be an int from 1 to 1024, got {got}");
        assert_eq!(failure(&format!("random.token({n})")).message, expected);
        let caught = prints(&format!("print(random.try_token({n}).error)"));
        assert_eq!(caught, [expected]);
    }
}

#[test]
fn a_failing_handler_names_its_place() {
    let app = deployed("x = {}\nreturn x[\"missing\"]");
    let failure = app.get("/").unwrap_err();
    assert_eq!((failure.at.line, failure.at.column), (3, 12));
    let expected = "\
error: Key `\"missing\"` was not found
 --> app.star:3:12
  |
3 |     return x[\"missing\"]
  |            ^^^^^^^^^^^^
  |";
    assert_eq!(failure.report, expected);
}
