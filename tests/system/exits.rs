//! Exit codes, each with the message that goes with it, and which stream a script's words go to.

use std::net::TcpListener;

use starcell_tests::process::{Starcell, fixture, script, script_bytes};

#[test]
fn a_script_that_ends_is_0() {
    let ended = Starcell::run(&["--port", "0"], &script("x = [i * i for i in range(5)]\nprint(x)\n"));
    assert_eq!((ended.code(), ended.stdout.as_str(), ended.stderr.as_str()), (0, "[0, 1, 4, 9, 16]\n", ""));
    let empty = Starcell::run(&[], &script(""));
    assert_eq!((empty.code(), empty.output.as_str()), (0, ""));
}

#[test]
fn a_server_that_is_only_made_needs_no_port_and_no_permission() {
    let source = "srv = http.server()\nsrv.use(lambda next: next)\nsrv.handle(\"/\", lambda req: None)\nprint(srv)\n";
    let ended = Starcell::run(&["--port", "1"], &script(source));
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "<http.server 0>\n"), "{}", ended.output);
}

#[test]
fn print_goes_to_stdout_and_log_to_stderr() {
    let source = "print(\"one\", 2, [3], sep=\"-\")\nlog.info(\"told\", {\"k\": \"v\"}, n=1)\nlog.error(\"bad\")\n";
    let ended = Starcell::run(&[], &script(source));
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "one-2-[3]\n"));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", ended.stderr);
    assert!(lines[0].contains(" info  told ") && lines[0].ends_with(" k=\"v\" n=1"), "{}", lines[0]);
    assert!(lines[0].contains(".star:2\""), "{}", lines[0]);
    assert!(lines[1].contains(" error bad ") && lines[1].contains(".star:3\""), "{}", lines[1]);
}

#[test]
fn log_lines_can_be_json() {
    let ended = Starcell::run(&["--log-format", "json"], &script("log.warn(\"a\\nb\", {\"k\": [1, 2.5, None]})\n"));
    let line: serde_json::Value = serde_json::from_str(&ended.stderr).unwrap();
    assert_eq!((&line["level"], &line["msg"]), (&"warn".into(), &"a\nb".into()));
    assert_eq!(line["attrs"]["k"].to_string(), "[1,2.5,null]");
}

#[test]
fn a_script_that_raises_is_1() {
    let source =
        "def inner(x):\n    return 1 // x\n\ndef outer():\n    return inner(0)\n\nprint(\"before\")\nouter()\n";
    let path = script(source);
    let ended = Starcell::run(&[], &path);
    let file = path.display();
    assert_eq!((ended.code(), ended.stdout.as_str()), (1, "before\n"));
    let expected = format!(
        "starcell: Traceback (most recent call last):
  * {file}:8, in <module>
      outer()
  * {file}:5, in outer
      return inner(0)
error: Floor division by zero: 1 // 0
 --> {file}:2:12
  |
2 |     return 1 // x
  |            ^^^^^^
  |
"
    );
    assert_eq!(ended.stderr, expected);
}

#[test]
fn fail_and_endless_recursion_are_1() {
    let ended = Starcell::run(&[], &script("fail(\"no\", 3)\n"));
    assert_eq!(ended.code(), 1);
    assert!(ended.stderr.contains("error: fail: no 3\n"), "{}", ended.stderr);
    let ended = Starcell::run(&[], &script("def f(n):\n    return f(n + 1)\nf(0)\n"));
    assert_eq!(ended.code(), 1, "{}", ended.output);
    assert!(ended.stderr.contains("call stack overflow: more than 200 nested calls"), "{}", ended.stderr);
    assert!(ended.stderr.contains(".star:2:12\n"), "{}", ended.stderr);
}

/// The maze of tidbyt/community needs 465 levels, and Python allows 1,000. The guest's stack carries as many in each form.
#[test]
fn call_depth_says_how_many_calls_may_be_nested() {
    let plain = "def f(n):\n    return 1 if n == 1 else 1 + f(n - 1)\n";
    let builtin = "def f(n):\n    return 1 if n <= 2 else 2 + max([n - 2], key = f)\n";
    let lambda = "f = lambda n: 1 if n == 1 else 1 + f(n - 1)\n";
    let many = "def f(n, *a, b = 2, **k):\n    return 1 if n == 1 else 1 + f(*[n - 1, 1, 2], **{\"c\": 3})\n";
    for form in [plain, lambda, many] {
        for (depth, levels) in [("480", 465), ("1000", 465), ("1000", 999)] {
            let ended = Starcell::run(&["--call-depth", depth], &script(&format!("{form}print(f({levels}))\n")));
            assert_eq!((ended.code(), ended.stdout), (0, format!("{levels}\n")), "{form}: {}", ended.stderr);
        }
    }
    let source = |form: &str| format!("{form}f(100000)\n");
    for form in [plain, lambda, many, builtin] {
        for depth in ["20", "465", "1000"] {
            let ended = Starcell::run(&["--call-depth", depth], &script(&source(form)));
            let message = format!("more than {depth} nested calls, the limit that --call-depth sets");
            assert_eq!(ended.code(), 1, "{form}: {}", ended.output);
            assert!(ended.stderr.contains(&message), "{form}: {}", ended.stderr);
        }
    }
    let ended = Starcell::run(&["--call-depth", "1001"], &script("print(1)\n"));
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{}", ended.stderr);
}

/// Of builtins that call back, and of what runs below the deepest call, the stacks carry what they carried with 200 calls.
#[test]
fn the_deepest_call_has_stack_left_for_a_builtin() {
    for last in [
        "json.decode('[' * 100 + ']' * 100)",
        "json.encode(json.decode('[' * 100 + ']' * 100))",
        "yaml.decode('a: {b: [1, {c: d}]}')",
        "regexp.replace('(a|b)+', 'abab', lambda m: 'c')",
        "template.render('{% for x in y %}{{ x }}{% endfor %}', {'y': [1, 2]})",
        "sorted([3, 1, 2], key = lambda n: n)",
    ] {
        let source = format!(
            "def f(n):\n    if n == 1:\n        {last}\n        return 0\n    return f(n - 1)\nprint(f(990))\n"
        );
        let ended = Starcell::run(&["--call-depth", "1000"], &script(&source));
        assert_eq!((ended.code(), ended.stdout.as_str()), (0, "0\n"), "{last}: {}", ended.stderr);
    }
    for through in ["regexp.replace('a', 'a', lambda m: f(n + 1))", "concur.map([n + 1], f)"] {
        let source = format!("def f(n):\n    {through}\nf(0)\n");
        let ended = Starcell::run(&["--call-depth", "1000"], &script(&source));
        assert_eq!(ended.code(), 1, "{through}: {}", ended.output);
        assert!(ended.stderr.contains("more than 1000 nested calls"), "{through}: {}", ended.stderr);
    }
}

#[test]
fn a_wrong_command_line_is_2() {
    let missing = Starcell::run(&[], std::path::Path::new("/nonexistent/x.star"));
    assert_eq!(missing.code(), 2);
    assert!(missing.stderr.starts_with("starcell: cannot read /nonexistent/x.star: "), "{}", missing.stderr);
    let folder = Starcell::run(&[], &std::env::temp_dir());
    assert_eq!(folder.code(), 2, "{}", folder.output);
    for (arguments, named) in [
        (["--port", "65536"], "65536"),
        (["--memory", "1"], "8..=256"),
        (["--request-cpu", "fast"], "250ms"),
        (["--setup-cpu", "0s"], "longer than 0"),
        (["--unknown", "x"], "--unknown"),
    ] {
        let ended = Starcell::run(&arguments, &fixture("hello.star"));
        assert_eq!(ended.code(), 2, "{arguments:?}: {}", ended.output);
        assert!(ended.stderr.contains(named), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn a_script_that_does_not_parse_is_3() {
    for (source, place, message) in [
        (&b"x = (1,\ny = ]\n"[..], "2:3", "Parse error: unexpected symbol '='"),
        (b"print(1)\nx = nope\n", "2:5", "Variable `nope` not found"),
        (b"while True:\n    pass\n", "1:1", "cannot use reserved keyword `while`"),
        (b"x = 1\ny = \xff\n", "2:5", "the script is not UTF-8: wrong byte at offset 10"),
        (b"\xfe\xff", "1:1", "the script is not UTF-8: wrong byte at offset 0"),
        (b"x = \"\0\"\n", "1:6", "NUL byte in the script"),
    ] {
        let path = script_bytes(source);
        let ended = Starcell::run(&[], &path);
        let text = String::from_utf8_lossy(source);
        assert_eq!(ended.code(), 3, "{text}: {}", ended.output);
        assert!(ended.stderr.contains(message), "{text}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("--> {}:{place}\n", path.display())), "{text}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "nothing of it ran: {text}");
    }
}

/// Nothing of the line is text then, so there is nothing to show but the place.
#[test]
fn a_line_that_begins_with_a_wrong_byte_is_named() {
    let path = script_bytes(b"x = 1\n\xff\n");
    let ended = Starcell::run(&[], &path);
    assert_eq!(ended.code(), 3);
    assert!(ended.stderr.contains(&format!("--> {}:2:1\n", path.display())), "{}", ended.stderr);
}

#[test]
fn a_refused_call_is_5() {
    let ended = Starcell::run(&[], &fixture("middleware.star"));
    assert_eq!(ended.code(), 5);
    assert!(ended.stderr.contains("permission denied: http.server("), "{}", ended.stderr);
    assert!(ended.stderr.contains("middleware.star:11:1\n"), "{}", ended.stderr);
}

#[test]
fn a_limit_during_setup_is_6() {
    let forever = "for i in range(1000000000):\n    pass\n";
    let ended = Starcell::run(&["--setup-cpu", "300ms"], &script(forever));
    assert_eq!((ended.code(), ended.stderr.as_str()), (6, "starcell: CPU time limit of 0.3 s reached\n"));
    let hoard = "x = []\nfor i in range(1000000000):\n    x.append([i])\n";
    for memory in ["16", "64"] {
        let ended = Starcell::run(&["--memory", memory], &script(hoard));
        let message = format!("starcell: memory limit of {memory} MiB reached\n");
        assert_eq!((ended.code(), ended.stderr), (6, message));
    }
    let nest = "x = []\nfor i in range(100000):\n    x = [x]\nstr(x)\n";
    let ended = Starcell::run(&[], &script(nest));
    let message = "starcell: stack limit reached: too many nested calls or too deeply nested values\n";
    assert_eq!((ended.code(), ended.stderr.as_str()), (6, message));
}

/// An allocation that no memory could hold ends as the memory limit, like one that is only too large.
#[test]
fn an_absurd_allocation_during_setup_is_6() {
    for expression in ["[0] * 2147483647", "list(range(n))"] {
        let ended = Starcell::run(&[], &script(&format!("n = 2000000000\nx = {expression}\n")));
        let message = "starcell: memory limit of 64 MiB reached\n";
        assert_eq!((ended.code(), ended.stderr.as_str()), (6, message), "{expression}");
    }
}

/// starlark computes constant expressions when it compiles a function, called or not, so an absurd one is met in the
/// setup, under the limits of the setup.
#[test]
fn a_constant_too_large_ends_the_setup_at_its_limit() {
    for expression in ["\"x\" * 2147483647", "\"x\" * 100000000"] {
        let source = format!("def unused():\n    return {expression}\nprint(\"set up\")\n");
        let ended = Starcell::run(&[], &script(&source));
        let message = "starcell: memory limit of 64 MiB reached\n";
        assert_eq!((ended.code(), ended.stdout.as_str(), ended.stderr.as_str()), (6, "", message), "{expression}");
    }
}

#[test]
fn the_code_comes_from_what_happened_and_not_from_words() {
    for (source, code) in [
        ("int(\"12a\")\n", 1),
        ("def f():\n    return int(\"12a\")\nf()\n", 1),
        ("fail(\"Parse error: cannot bind 127.0.0.1:80: address already in use\")\n", 1),
        ("x = (\n", 3),
        ("undefined_name\n", 3),
    ] {
        assert_eq!(Starcell::run(&[], &script(source)).code(), code, "{source:?}");
    }
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let source = format!(
        "srv = http.server()\nsrv.handle(\"/\", lambda req: None)\nr = srv.try_start(port={port})\nfail(r.error)\n"
    );
    assert_eq!(
        Starcell::run(&["--allow-local"], &script(&source)).code(),
        1,
        "it was caught, and then the script failed"
    );
    let source = format!("def start():\n    http.serve(lambda req: None, port={port})\nstart()\n");
    assert_eq!(Starcell::run(&["--allow-local"], &script(&source)).code(), 7);
}

#[test]
fn a_port_that_is_taken_is_7() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let port = address.port().to_string();
    let hello = fixture("hello.star");
    let ended = Starcell::run(&["--allow-local", "--port", &port], &hello);
    assert_eq!((ended.code(), ended.stdout.as_str()), (7, ""));
    let message = format!("error: cannot bind {address}: address already in use\n");
    assert!(ended.stderr.contains(&message), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("{}:6:1\n", hello.display())), "{}", ended.stderr);
}

#[test]
fn a_taken_port_can_be_caught_and_another_failure_stays_1() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let source = format!(
        "srv = http.server()\nsrv.handle(\"/\", lambda req: None)\nr = srv.try_start(port={port})\n\
         print(r.ok, r.error)\nfail(\"other\")\n"
    );
    let ended = Starcell::run(&["--allow-local"], &script(&source));
    assert_eq!(ended.stdout, format!("False cannot bind 127.0.0.1:{port}: address already in use\n"));
    assert_eq!(ended.code(), 1, "{}", ended.output);
}
