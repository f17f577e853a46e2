//! Hostile sources and bodies, through the real binary: each ends in an error that names a limit or a place, in the guest,
//! and whoever comes next is served as ever.

use std::time::{Duration, Instant};

use starcell_tests::client::{Client, get};
use starcell_tests::process::{Starcell, script, script_bytes};

#[test]
fn sources_are_refused_with_a_reason() {
    let times = |text: &str, times: usize| text.repeat(times).into_bytes();
    for (what, source, expected) in [
        ("round", times("(", 1_000_000), "nested or chained too deeply"),
        ("square", times("[", 1_000_000), "nested or chained too deeply"),
        (
            "balanced",
            [times("(", 1_000_000), b"1".to_vec(), times(")", 1_000_000)].concat(),
            "nested or chained too deeply",
        ),
        ("curly", times("{1:", 1_000_000), "nested or chained too deeply"),
        ("calls", times("f(", 1_000_000), "nested or chained too deeply"),
        ("not", [times("not ", 1_000_000), b"1".to_vec()].concat(), "nested or chained too deeply"),
        ("size", times("x = 1\n", (64 << 20) / 6), "more than 8388608 bytes"),
        ("a line of that size", times("#", 64 << 20), "more than 8388608 bytes"),
        ("nul", b"x = 1\ny = \"\0\"\n".to_vec(), "NUL byte in the script"),
        ("byte order mark", b"\xef\xbb\xbfx = 1\n".to_vec(), "byte order mark"),
        ("utf-16", b"\xff\xfex\0 \0=\0 \x001\0".to_vec(), "not UTF-8: wrong byte at offset 0"),
        ("not utf-8", b"x = 1\ny = \"\xff\"\n".to_vec(), "not UTF-8: wrong byte at offset 11"),
        ("a cut character", b"x = \"\xe2\x82\"\n".to_vec(), "not UTF-8: wrong byte at offset 5"),
        ("a surrogate", b"x = \"\xed\xa0\x80\"\n".to_vec(), "not UTF-8: wrong byte at offset 5"),
    ] {
        let ended = Starcell::run(&[], &script_bytes(&source));
        assert_eq!(ended.code(), 3, "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected) && ended.stderr.len() < 100_000, "{what}: {}", ended.stderr);
    }
}

#[test]
fn line_ends_of_other_systems_are_line_ends() {
    let source = b"def f(x):\r\n    # a comment\r\n    return x + \\\r\n        1\r\n\r\nprint(f(1), \"a\\\r\nb\", \"\"\"c\r\nd\"\"\" == \"c\\nd\")\r\n";
    let ended = Starcell::run(&[], &script_bytes(source));
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "2 ab True\n"), "{}", ended.output);
    let wrong = Starcell::run(&[], &script_bytes(b"x = 1\r\n\r\nx = 1 // 0\r\n"));
    assert!(wrong.stderr.contains(".star:3:5"), "{}", wrong.stderr);
}

#[test]
fn values_without_bound_hit_a_limit() {
    for (what, source, code, expected) in [
        ("a huge shift", "x = 1 << 100001\n", 1, "Integer overflow computing left shift"),
        ("a huge literal", &format!("x = {}\nprint(x % 7)\n", "9".repeat(100_000)), 0, ""),
        ("a huge text", "x = \"abc\" * 100000000000\n", 1, "too big"),
        ("texts that double", "x = \"a\"\nfor i in range(40):\n    x += x\n", 6, "memory limit"),
        ("ints that square", "x = 10\nfor i in range(60):\n    x = x * x\n", 6, "limit"),
        ("a list that grows", "x = []\nfor i in range(1 << 30):\n    x.append([i])\n", 6, "limit"),
        ("recursion", "def f():\n    return f()\nf()\n", 1, "more than 200 nested calls"),
        ("a loop", "for i in range(2147483647):\n    pass\n", 6, "limit"),
        ("a text of digits", "x = str(7) * 100000\ny = int(x)\n", 1, ""),
    ] {
        let ended = Starcell::run(&["--setup-cpu", "2s"], &script(source));
        assert!(ended.stderr.contains(expected), "{what}: {}", ended.stderr);
        assert!(ended.code() == code || expected.is_empty(), "{what}: {} {}", ended.code(), ended.stderr);
        assert!([0, 1, 6].contains(&ended.code()), "{what}: {} {}", ended.code(), ended.stderr);
    }
}

/// Decodes what it gets by what the path says, and answers what became of it.
const DECODER: &str = r#"
def shown(result):
    return {"ok": result.ok, "error": result.error}
def patterns(req):
    return shown(regexp.try_match(req.body, "a" * 30000 + "b"))
def pages(req):
    return shown(template.try_render(req.body, {"n": 1000000, "list": list(range(1000))}))
decoders = {
    "json": lambda req: shown(json.try_decode(req.body)),
    "json-of-request": lambda req: shown(req.try_json()),
    "yaml": lambda req: shown(yaml.try_decode(req.body)),
    "toml": lambda req: shown(toml.try_decode(req.body)),
    "csv": lambda req: shown(csv.try_decode(req.body)),
    "gzip": lambda req: shown(gzip.try_decompress(req.body)),
    "regexp": patterns,
    "template": pages,
    "url": lambda req: shown(url.try_parse(req.body)),
    "form": lambda req: shown(req.try_form()),
    "type": lambda req: {"ok": True, "error": type(req.body)},
}
srv = http.server(max_body_bytes = 32 << 20)
for name, decode in decoders.items():
    srv.handle("POST /" + name, decode)
srv.handle("GET /", lambda req: "fine")
srv.serve()
"#;

fn ask(port: u16, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, serde_json::Value) {
    let response = Client::connect(port).request("POST", path, headers, body);
    let json = serde_json::from_slice(&response.body).unwrap_or_default();
    (response.status, json)
}

#[test]
fn bodies_are_refused_with_a_reason() {
    let times = |text: &str, times: usize| text.repeat(times).into_bytes();
    let around = |open: &str, close: &str, depth: usize| [times(open, depth), times(close, depth)].concat();
    let aliases = || {
        let mut text = "l0: &l0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = vec![format!("*l{}", level - 1); 9].join(", ");
            text += &format!("l{level}: &l{level} [{below}]\n");
        }
        text.into_bytes()
    };
    let starcell = Starcell::serve(&["--request-cpu", "5s", "--max-body-bytes", "33554432"], &script(DECODER));
    let port = starcell.port();
    for (what, path, body, expected) in [
        ("deep json", "/json", around("[", "]", 1_000_000), "nested"),
        ("deep objects", "/json", times("{\"a\":", 1_000_000), "nested"),
        ("deep json of a request", "/json-of-request", around("[", "]", 1_000_000), "nested"),
        (
            "wide json",
            "/json",
            [b"[".to_vec(), times("[],", 3_000_000), b"0]".to_vec()].concat(),
            "more than 1000000 values",
        ),
        ("a huge int", "/json", times("9", 1_000_000), "digits"),
        ("a huge exponent", "/json", b"1e999999999".to_vec(), ""),
        ("json that is cut", "/json", b"[1, 2".to_vec(), "line 1, column"),
        ("json that is no text", "/json", b"[\"\xff\"]".to_vec(), "not UTF-8"),
        ("nul in json", "/json", b"[1\0]".to_vec(), "line 1, column 3"),
        ("aliases", "/yaml", aliases(), "more than 200000 values, aliases counted in full"),
        ("an alias of itself", "/yaml", b"a: &a [*a]\n".to_vec(), "an alias inside of what it stands for"),
        ("deep yaml", "/yaml", around("[", "]", 100_000), "nested"),
        (
            "deep blocks of yaml",
            "/yaml",
            (0..2000).flat_map(|n| format!("{}a:\n", " ".repeat(n)).into_bytes()).collect(),
            "",
        ),
        ("wide yaml", "/yaml", times("- x\n", 500_000), "more than 200000 values"),
        ("yaml that is no text", "/yaml", b"a: \xff".to_vec(), "not UTF-8"),
        ("deep toml", "/toml", [b"a = ".to_vec(), around("[", "]", 100_000)].concat(), "nested"),
        ("toml that is no text", "/toml", b"a = \"\xff\"".to_vec(), "not UTF-8"),
        ("csv without an end", "/csv", [b"\"".to_vec(), times("a", 1_000_000)].concat(), ""),
        ("csv of many fields", "/csv", times(",", 3_000_000), "more than 1000000"),
        ("what is no gzip", "/gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec(), "gzip"),
        ("nested repetition", "/regexp", b"(a+)+$".to_vec(), ""),
        ("a counted pattern", "/regexp", b"((a{1000}){1000}){1000}".to_vec(), "regexp"),
        ("deep groups", "/regexp", around("(", ")", 10_000), "regexp"),
        ("a long pattern", "/regexp", times("a|", 1_000_000), "regexp"),
        (
            "loops in loops",
            "/template",
            b"{% for a in range(n) %}{% for b in range(n) %}x{% endfor %}{% endfor %}".to_vec(),
            "template",
        ),
        (
            "a text that doubles",
            "/template",
            b"{% for a in list %}{{ 'x' * 10000000 }}{% endfor %}".to_vec(),
            "template",
        ),
        ("a macro of itself", "/template", b"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_vec(), "template"),
        (
            "deep expressions",
            "/template",
            [b"{{ ".to_vec(), around("(", ")", 100_000), b" }}".to_vec()].concat(),
            "template",
        ),
        ("deep blocks", "/template", times("{% if 1 %}", 20_000), "template"),
        ("a url of megabytes", "/url", [b"http://a/".to_vec(), times("a", 1_000_000)].concat(), ""),
        ("a url that is no text", "/url", b"http://\xff/".to_vec(), "must be str"),
        ("bytes", "/type", b"\xff\xfe".to_vec(), "bytes"),
        ("nul", "/type", b"a\0b".to_vec(), "string"),
        ("a form of another type", "/form", b"a=1".to_vec(), "Content-Type"),
    ] {
        let begun = Instant::now();
        let (status, answer) = ask(port, path, &[], &body);
        assert_eq!(status, 200, "{what}");
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.to_lowercase().contains(&expected.to_lowercase()) && error.len() < 10_000, "{what}: {answer}");
        assert!(answer["ok"] == (path == "/type") || expected.is_empty(), "{what}: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{what} took {:?}", begun.elapsed());
    }
    assert_eq!(get(port, "/").text(), "fine");
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
}

#[test]
fn a_small_archive_of_gigabytes_is_refused() {
    // Each level compresses the one before a thousand times: 50 MB of zeros are 50 KB, and those are some hundred bytes.
    let source = r#"
BOMB = gzip.compress(gzip.compress("0" * 15000000))
def open(req):
    once = gzip.try_decompress(BOMB)
    twice = gzip.try_decompress(once.value) if once.ok else once
    return {"size": len(BOMB), "ok": twice.ok, "error": twice.error}
srv = http.server()
srv.handle("POST /open", open)
srv.handle("POST /body", lambda req: {"ok": False, "error": gzip.try_decompress(req.body).error})
srv.handle("GET /", lambda req: "fine")
srv.serve()
"#;
    let starcell = Starcell::serve(&["--memory", "128"], &script(source));
    let (status, answer) = ask(starcell.port(), "/open", &[], b"");
    assert_eq!((status, answer["ok"].as_bool()), (200, Some(false)), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("times"), "{answer}");
    assert_eq!(get(starcell.port(), "/").text(), "fine");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn forms_of_many_parts_are_refused() {
    let starcell = Starcell::serve(&["--max-body-bytes", "33554432"], &script(DECODER));
    let port = starcell.port();
    let part = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
    let many = format!("{}--X--\r\n", part.repeat(50_000));
    let head = format!("--X\r\n{}\r\n\r\n1\r\n--X--\r\n", "A: b\r\n".repeat(100_000));
    for (what, kind, body) in [
        ("many parts", "multipart/form-data; boundary=X", many.as_bytes()),
        ("many headers", "multipart/form-data; boundary=X", head.as_bytes()),
        ("no end", "multipart/form-data; boundary=X", b"--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"),
        ("no boundary", "multipart/form-data", b"--X--\r\n"),
        ("a long boundary", &format!("multipart/form-data; boundary={}", "X".repeat(1000)), b"--X--\r\n"),
        ("many fields", "application/x-www-form-urlencoded", "a=1&".repeat(500_000).as_bytes()),
    ] {
        let (status, answer) = ask(port, "/form", &[("Content-Type", kind)], body);
        assert_eq!((status, answer["ok"].as_bool()), (200, Some(false)), "{what}: {answer}");
        assert!(!answer["error"].as_str().unwrap().is_empty(), "{what}: {answer}");
    }
    assert_eq!(get(port, "/").text(), "fine");
    assert_eq!(starcell.stop().code(), 0);
}
