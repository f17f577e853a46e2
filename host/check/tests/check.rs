//! Whole checks: scripts, and what is found in them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]

use std::collections::HashMap;
use std::path::Path;

use starcell_check::{Report, ScriptFiles, Severity, check};

/// Files in memory.
struct Files(HashMap<String, Vec<u8>>);

impl ScriptFiles for Files {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "there is no such file in the script's folder".into())
    }
}

fn checked(files: &[(&str, &str)]) -> Report {
    let sources = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_owned())).collect();
    on_a_large_stack(move |files| check(files, "main.star", files.0.get("main.star").unwrap()), Files(sources))
}

/// A test file has assertions, and so has what it loads; no other file has.
#[test]
fn assertions_are_names_of_test_files() {
    let sources = [
        (
            "main_test.star",
            "load(\"lib.star\", \"same\")\ndef test_it(t):\n    same(t.get(\"/\").status, 200)\n    assert_nothing(1)\n",
        ),
        ("lib.star", "def same(got, want):\n    assert_eq(got, want)\n"),
    ];
    let sources = sources.map(|(name, text)| (name.to_owned(), text.as_bytes().to_owned()));
    let run = |files: &Files| check(files, "main_test.star", files.0.get("main_test.star").unwrap());
    let report = on_a_large_stack(run, Files(sources.into()));
    let unknown = report.diagnostics.iter().filter(|found| found.code == "unknown-name");
    let messages: Vec<_> = unknown.map(|found| found.message.as_str()).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].contains("assert_nothing"), "{messages:?}");
    let report = one("assert_eq(1, 1)\n");
    assert!(report.diagnostics.iter().any(|found| found.message.contains("`assert_eq` not found")));
}

fn on_a_large_stack(run: impl FnOnce(&Files) -> Report + Send + 'static, files: Files) -> Report {
    let thread = std::thread::Builder::new().stack_size(16 << 20);
    thread.spawn(move || run(&files)).unwrap().join().unwrap()
}

fn one(script: &str) -> Report {
    checked(&[("main.star", script)])
}

/// Severity, code and line of everything that is found.
fn codes(report: &Report) -> Vec<(Severity, &str, usize)> {
    let found = report.diagnostics.iter();
    found.map(|found| (found.severity, found.code.as_str(), found.at.resolve_span().begin.line + 1)).collect()
}

#[track_caller]
fn expect(script: &str, expected: &[(Severity, &str, usize)]) -> Report {
    let report = one(script);
    assert_eq!(codes(&report), expected, "{script}\n{}", report.text());
    report
}

use Severity::{Error, Warning};

#[test]
fn a_good_script_has_nothing() {
    let report = expect(
        "def f(req):\n    return \"hi\"\nhttp.serve({\"GET /\": f, \"GET /b\": lambda req: None}, port=0)\n",
        &[],
    );
    assert!(
        report.text().ends_with("lowest profile: allow-local\n1 file checked: 0 errors, 0 warnings\n"),
        "{}",
        report.text()
    );
}

#[test]
fn what_does_not_parse_is_told_with_its_place() {
    let report = expect("x = 1\ny = (2 +\n", &[(Error, "syntax", 3)]);
    assert!(report.broken);
    assert!(expect("while True:\n    pass\n", &[(Error, "syntax", 1)]).broken);
    let other = checked(&[("main.star", "load('a.star', 'x')\nx()\nnope()\n"), ("a.star", "x = 1 +\n")]);
    assert!(other.broken);
    assert_eq!(codes(&other), [(Error, "syntax", 1), (Error, "unknown-name", 3)], "{}", other.text());
}

#[test]
fn loads_are_followed() {
    type Case = (&'static [(&'static str, &'static str)], &'static str, &'static str);
    let cases: [Case; 7] = [
        (&[("main.star", "load('none.star', 'x')\nx()")], "load-missing", "none.star"),
        (&[("main.star", "load('../a.star', 'x')\nx()")], "load-path", "cannot leave the script's folder"),
        (&[("main.star", "load('/etc/passwd', 'x')\nx()")], "load-path", "relative to the script's folder"),
        (
            &[
                ("main.star", "load('a.star', 'x')\nx()"),
                ("a.star", "load('b.star', y = 'x')\nx = y"),
                ("b.star", "load('a.star', y = 'x')\nx = y"),
            ],
            "load-cycle",
            "a.star -> b.star -> a.star",
        ),
        (&[("main.star", "load('a.star', 'on')\non()"), ("a.star", "one = 1")], "unknown-name", "did you mean one?"),
        (
            &[("main.star", "load('a.star', '_x')\n_x()"), ("a.star", "_x = 1\nprint(_x)")],
            "unknown-name",
            "stays in its file",
        ),
        (&[("main.star", "load('a.star', 'x')"), ("a.star", "x = 1")], "unused-load", "x"),
    ];
    for (files, code, text) in cases {
        let report = checked(files);
        let [found] = &report.diagnostics[..] else { panic!("{files:?}\n{}", report.text()) };
        assert!(found.code == code && found.message.contains(text), "{files:?}\n{}", report.text());
    }
    let report = checked(&[
        ("main.star", "load('lib/a.star', 'a')\nload('lib/b.star', 'b')\nprint(a, b)"),
        ("lib/a.star", "load('./lib//b.star', c = 'b')\na = c"),
        ("lib/b.star", "b = fs.read_text('x')"),
    ]);
    assert_eq!(report.files, ["main.star", "lib/a.star", "lib/b.star"]);
    assert_eq!(codes(&report), []);
    assert_eq!(report.capabilities.len(), 1);
}

#[test]
fn names_are_resolved() {
    expect("def f():\n    return nowhere\nf()\n", &[(Error, "unknown-name", 2)]);
    expect("print(undefined_one)\n", &[(Error, "unknown-name", 1)]);
    expect("fs.raed_text(\"x\")\n", &[(Error, "unknown-name", 1)]);
    expect("def f():\n    x = 1\n    return 2\nf()\n", &[(Warning, "unused-assign", 2)]);
    expect("def f(x):\n    return 1\n    print(x)\n    return 2\nf(1)\n", &[(Warning, "unreachable", 3)]);
    let report = expect("srv = http.server()\nsrv.handel(\"/\", lambda r: r)\n", &[(Error, "unknown-name", 2)]);
    assert!(report.text().contains("did you mean handle?"), "{}", report.text());
    // A nearer binding is what a name means.
    expect("def f(fs):\n    return fs.raed_text(\"x\")\nf(1)\n", &[]);
}

#[test]
fn arguments_of_builtins_are_checked() {
    for (call, code) in [
        ("fs.read_text()", "missing-argument"),
        ("fs.read_text(\"a\", \"b\")", "too-many-arguments"),
        ("fs.read_text(\"a\", encoding=\"b\")", "unknown-argument"),
        ("fs.read_text(\"a\", path=\"b\")", "repeated-argument"),
        ("fs.try_read_text()", "missing-argument"),
        ("fs.mkdir(\"a\", True)", "too-many-arguments"),
        ("json.decode()", "missing-argument"),
        ("json.encode(1, idnent=2)", "unknown-argument"),
        ("url.parse()", "missing-argument"),
        ("url.parse(\"a\", \"b\")", "too-many-arguments"),
        ("url.try_parse()", "missing-argument"),
        ("http.server(prot=1)", "unknown-argument"),
        ("kv.set(\"k\")", "missing-argument"),
        ("len()", "missing-argument"),
        ("len([], [])", "too-many-arguments"),
        ("http.serve()", "missing-argument"),
    ] {
        expect(&format!("print({call})\n"), &[(Error, code, 1)]);
    }
    let report = one("json.encode(1, idnent=2)\n");
    assert!(report.text().contains("did you mean indent?"), "{}", report.text());
    expect("srv = http.server()\nsrv.handle(\"/\")\n", &[(Error, "missing-argument", 2)]);
    expect("def main():\n    srv = http.server()\n    srv.serve(prot=1)\nmain()\n", &[(Error, "unknown-argument", 3)]);
    // What a call gets from elsewhere is not known.
    expect("a = [\"x\"]\nk = {}\nprint(fs.read_text(*a), fs.read_text(**k), json.encode(*a, **k))\n", &[]);
    expect(
        "print(range(3), range(1, 3), range(1, 3, 2), max(1, 2), max([1], key=lambda x: x), dict(a=1), zip([1], [2]))\n",
        &[],
    );
    expect(
        "print(sorted([1], reverse=True), int(\"1\", 16), getattr(struct(a=1), \"a\", None), enumerate([1], 1), str(1))\n",
        &[],
    );
}

#[test]
fn annotated_types_are_checked() {
    expect("def f(x: int) -> str:\n    return x\nf(1)\n", &[(Error, "type", 2)]);
    expect("def f(x: int) -> int:\n    return x\ndef g():\n    return f(\"a\")\ng()\n", &[(Error, "type", 4)]);
    expect("def f(x: int) -> int:\n    return x\ndef g():\n    return f(1, 2)\ng()\n", &[(Error, "type", 4)]);
    let report = checked(&[
        ("main.star", "load('a.star', 'f')\ndef g():\n    return f(\"a\")\ng()\n"),
        ("a.star", "def f(x: int) -> int:\n    return x\n"),
    ]);
    assert_eq!(codes(&report), [(Error, "type", 3)], "{}", report.text());
}

#[test]
fn routes_are_judged_by_the_router() {
    let serve = |routes: &str| format!("def h(req):\n    return None\nhttp.serve({{\n{routes}\n}})\n");
    expect(&serve("\"GET /a/{x}\": h,\n\"GET /a/{y}\": h,"), &[(Error, "route-conflict", 5)]);
    expect(&serve("\"/a/{x}\": h,\n\"/{y}/b\": h,"), &[(Error, "route-conflict", 5)]);
    expect(&serve("\"nopath\": h,"), &[(Error, "bad-route", 4)]);
    expect(&serve("\"/{a}/{a}\": h,"), &[(Error, "bad-route", 4)]);
    expect(&serve("\"GET,POST /x\": h,"), &[(Error, "bad-route", 4)]);
    expect(&serve("\"/x/../y\": h,"), &[(Warning, "unreachable-route", 4)]);
    expect(&serve("\"/x//y\": h,"), &[(Warning, "unreachable-route", 4)]);
    expect(&serve("\"example.com:80/\": h,"), &[(Warning, "unreachable-route", 4)]);
    let tree = "\"/tree/\": h,\n\"/tree/{$}\": h,\n\"/tree/{x}\": h,\n\"/tree/{x}/\": h,";
    expect(&serve(tree), &[(Warning, "unreachable-route", 4)]);
    expect(&serve("\"get /x\": h,"), &[(Warning, "route-method", 4)]);
    let fine = [
        "/",
        "/a",
        "GET /a",
        "POST /a",
        "HEAD /a",
        "/tree/",
        "/tree/{$}",
        "/tree/{x}",
        "/exact/{$}",
        "GET /users/{id}",
        "GET /users/me",
        "/files/{rest...}",
        "example.com/",
        "GET example.com/a/{b}",
        "/a%2Fb",
        "/é",
    ];
    let fine: Vec<String> = fine.iter().map(|pattern| format!("\"{pattern}\": h,")).collect();
    expect(&serve(&fine.join("\n")), &[]);
}

#[test]
fn only_what_can_be_registered_in_one_run_conflicts() {
    let script = |body: &str| format!("srv = http.server()\ndef h(req):\n    return None\n{body}\n");
    expect(&script("srv.handle(\"/\", h)\nsrv.handle(\"/\", h)"), &[(Error, "route-conflict", 5)]);
    expect(&script("if srv:\n    srv.handle(\"/\", h)\nelse:\n    srv.handle(\"/\", h)"), &[]);
    expect(&script("if srv:\n    srv.handle(\"/\", h)\nsrv.handle(\"/\", h)"), &[(Warning, "route-conflict", 6)]);
    expect(&script("other = http.server()\nsrv.handle(\"/\", h)\nother.handle(\"/\", h)"), &[]);
    expect(
        &script("def add():\n    srv.handle(\"/\", h)\nsrv.handle(\"/\", h)\nadd()"),
        &[(Warning, "route-conflict", 6)],
    );
    expect(&script("for p in [\"/\"]:\n    srv.handle(p, h)\nsrv.handle(\"/\", h)"), &[]);
}

#[test]
fn handlers_take_the_request() {
    let with = |handler: &str| {
        format!(
            "def none():\n    return 1\ndef two(a, b):\n    return a + b\ndef more(req, x=1):\n    return x + len(req)\ndef any(*args):\n    return args\ndef named(req, *, x):\n    return req + x\nprint(none, two, more, any, named)\nhttp.serve({{\"/\": {handler}}})\n"
        )
    };
    for bad in ["none", "two", "named", "lambda: 1", "lambda a, b: 1", "\"text\"", "{}"] {
        expect(&with(bad), &[(Error, "handler", 12)]);
    }
    for good in ["more", "any", "lambda req: 1", "lambda req, x=1: 1", "str"] {
        expect(&with(good), &[]);
    }
}

/// Capability, what leads to it, line.
fn reached(script: &str) -> Vec<(String, String, usize)> {
    let report = one(script);
    let reached = report.capabilities.iter();
    reached.map(|r| (r.capability.to_string(), r.via.clone(), r.at.resolve_span().begin.line + 1)).collect()
}

/// Functions without their module, paths, and the files of formats ask for what they ask for under any other name.
#[test]
fn no_way_to_a_capability_is_left_out() {
    let of = |script: &str| {
        let found = reached(script).into_iter().map(|(capability, via, _)| format!("{capability} {via}"));
        let mut found: Vec<String> = found.collect();
        found.sort();
        found.join(", ")
    };
    for (script, expected) in [
        ("print(read_text(\"a\"))\n", "fs.read fs.read_text"),
        ("f = read_text\n", "fs.read fs.read_text"),
        ("print([read_text(p) for p in glob(\"*\")])\n", "fs.read fs.glob, fs.read fs.read_text"),
        ("write_text(\"a\", \"b\")\n", "fs.write fs.write_text"),
        ("exec(\"/bin/id\")\ntry_exec(\"/bin/id\")\n", "os.exec os.exec, os.exec os.try_exec"),
        ("print(env(\"A\"), which(\"sh\"))\n", "os.env os.env, os.exec os.which"),
        (
            "print(cwd(), os.cwd(), hostname(), os.hostname())\n",
            "fs.read os.cwd, fs.read os.cwd, os.env os.hostname, os.env os.hostname",
        ),
        ("def read_text(p):\n    return p\nread_text(\"a\")\n", ""),
        ("print(json.file(\"a\").decode(), hash.try_file(\"a\"))\n", "fs.read hash.try_file, fs.read json.file"),
        ("json.source([1]).write_file(\"a\")\n", "fs.write .write_file"),
        ("path(\"a\").write_text(\"b\")\n", "fs.write .write_text"),
        ("def f(p):\n    p.copy_to(\"b\")\nf(fs.path(\"a\"))\n", "fs.read .copy_to, fs.write .copy_to"),
        ("fs.path(\"a\").try_remove()\n", "fs.delete .try_remove"),
        // No path is made, so these are methods of something else.
        ("l = [1]\nl.remove(1)\n", ""),
        ("struct(exists = len).exists([])\n", ""),
        ("print(fs.path(\"a\").name, fs.path(\"a\").join(\"b\"))\n", ""),
    ] {
        assert_eq!(of(script), expected, "{script}");
    }
    let report = one("exec(\"/bin/id\")\n");
    assert!(report.text().contains("lowest profile: allow-local"), "{}", report.text());
}

/// Values of any types can be compared, so what is never equal is a warning; an int can be equal to a float.
#[test]
fn a_comparison_is_refused_nowhere() {
    for fine in [
        "print(1 == 1.0, 1.5 != 2, [1] == [1.5], {1: 2} == {1.0: 2.0}, (1,) == (1.0, 2))",
        "print(1 < 1.5, (1, \"a\") < (1, \"b\"), [1] < [1.5], [] < [1])",
        "l = [1]\nl += (2,)\nl += range(3)\nl += {\"a\": 1}\nprint(l)",
        "print([chr(c) for c in \"aé\".codepoints()])",
        "print(json.encode([1], indent = \"\\t\"), json.encode([1], indent = 2), json.encode([1], indent = None))",
        "print(http.response(\"a\", content_type = None, cookies = None), csv.decode(\"a\", sep = None))",
        "d = {1: \"a\"}\nprint(d[1.0])",
        "fail(\"a\", 1, sep = \"/\")",
    ] {
        expect(&format!("{fine}\n"), &[]);
    }
    for (never, types) in [
        ("print(1 == \"1\")", "`int` and `str`"),
        ("print([] == ())", "are never equal"),
        ("def f(x: str):\n    return x != 5\nf(\"a\")", "`str` and `int`"),
    ] {
        let report = one(&format!("{never}\n"));
        let [found] = &report.diagnostics[..] else { panic!("{never}\n{}", report.text()) };
        assert_eq!((found.severity, found.code.as_str()), (Warning, "never-equal"), "{never}");
        assert!(found.message.contains(types), "{}", found.message);
    }
    for wrong in [
        "print(1 < \"a\")",
        "print([1] < [\"a\"])",
        "l = [1]\nl += 5\nprint(l)",
        "print({\"a\": 1}[2])",
        "json.encode([1], indent = [])",
    ] {
        assert!(one(&format!("{wrong}\n")).diagnostics.iter().any(|found| found.severity == Error), "{wrong}");
    }
}

/// Names of other languages lead to those that there are.
#[test]
fn names_of_other_languages_lead_to_ours() {
    for (script, hint) in [
        ("print(json.loads(\"1\"))", "the module json has no loads; write json.decode(text)"),
        ("print(open(\"a\"))", "Variable `open` not found; read a file with fs.read_text(path)"),
        ("assert_equal(1, 1)", "only test files have it"),
        ("print(strings.upper(\"a\"))", "it is a method of str, as in s.upper(...)"),
    ] {
        let report = one(&format!("{script}\n"));
        assert!(report.diagnostics.iter().any(|found| found.message.contains(hint)), "{script}\n{}", report.text());
    }
}

#[test]
fn capabilities_are_listed_with_their_lines() {
    let row = |capability: &str, via: &str, line| (capability.to_owned(), via.to_owned(), line);
    assert_eq!(reached("print(json.encode(1), time.now(), random.token(8))\n"), []);
    assert_eq!(
        reached(
            "def f(req):\n    kv.update(\"n\", lambda n: n)\n    return fs.try_copy(\"a\", \"b\")\nhttp.serve(f)\n"
        ),
        [
            row("fs.read", "fs.try_copy", 3),
            row("fs.write", "fs.try_copy", 3),
            row("http.server", "http.serve", 4),
            row("kv.read", "kv.update", 2),
            row("kv.write", "kv.update", 2),
        ]
    );
    assert_eq!(
        reached("http.get(\"http://a/\")\nos.exec([\"/bin/id\"])\nos.env(\"HOME\")\nfs.remove(\"x\")\n"),
        [
            row("fs.delete", "fs.remove", 4),
            row("http.client", "http.get", 1),
            row("os.env", "os.env", 3),
            row("os.exec", "os.exec", 2),
        ]
    );
}

#[test]
fn a_server_counts_where_it_is_started() {
    assert_eq!(reached("srv = http.server()\nsrv.handle(\"/\", str)\n"), []);
    let started = reached("srv = http.server()\ndef main(s):\n    s.try_start(port=0)\nmain(srv)\n");
    assert_eq!(started, [("http.server".to_owned(), ".try_start".to_owned(), 3)]);
    // Without a server in the script, a method of that name is something else.
    assert_eq!(reached("x = struct(start=1)\nprint(x.start)\n"), []);
    let tls = reached("http.serve(str, tls_cert=\"a\", tls_key=\"b\")\n");
    assert_eq!(tls.iter().map(|(c, ..)| c.as_str()).collect::<Vec<_>>(), ["fs.read", "http.server"]);
    assert_eq!(reached("o = {}\nsrv = http.server(**o)\n").len(), 1);
    assert_eq!(reached("s = http.server()\nstart = s.start\nstart(tls_cert=\"a\", tls_key=\"b\")\n").len(), 2);
}

#[test]
fn a_folder_to_run_in_is_looked_into() {
    let capabilities =
        |script: &str| reached(script).into_iter().map(|(capability, ..)| capability).collect::<Vec<_>>();
    assert_eq!(capabilities("os.exec([\"/bin/id\"], env={}, timeout=\"1s\")\n"), ["os.exec"]);
    for script in [
        "os.try_exec([\"/bin/id\"], cwd=\"x\")\n",
        "o = {}\nos.exec([\"/bin/id\"], **o)\n",
        "e = os.exec\ne([\"/bin/id\"], cwd=\"x\")\n",
        "getattr(os, \"exec\")([\"/bin/id\"], cwd=\"x\")\n",
    ] {
        assert_eq!(capabilities(script), ["fs.read", "os.exec"], "{script}");
    }
    assert_eq!(capabilities("k8s.config(namespace=\"web\")\n"), ["k8s.config"]);
    for script in ["k8s.config(\"k.yaml\")\n", "k8s.config(kubeconfig=\"k.yaml\")\n", "c = k8s.try_config\nc()\n"] {
        assert_eq!(capabilities(script), ["fs.read", "k8s.config"], "{script}");
    }
    assert_eq!(capabilities("m = os\n"), ["fs.read", "os.env", "os.exec"]);
}

#[test]
fn whatever_hides_a_module_counts_as_all_of_it() {
    let all_fs = ["fs.delete", "fs.read", "fs.write"];
    for script in [
        "f = fs\nf.read_text(\"x\")\n",
        "def f(m):\n    return m.stat(\"x\")\nf(fs)\n",
        "x = [fs][0].read_text\n",
        "x = struct(f=fs)\n",
        "n = \"read\" + \"_text\"\ngetattr(fs, n)(\"x\")\n",
        "g = getattr\ng(fs, \"read_text\")\n",
        "x = f\"{fs}\"\n",
        "x = fs if True else None\n",
        "x = {fs: 1}\n",
        "def f(m=fs):\n    return m\nf()\n",
        "x = [m for m in [fs]]\n",
        "x = (lambda: fs)()\n",
        "fs()\n",
    ] {
        let reached = reached(script);
        let mut found: Vec<&str> = reached.iter().map(|(capability, ..)| capability.as_str()).collect();
        // A function that is named as well is a second way to what the module leads to.
        found.dedup();
        assert_eq!(found, all_fs, "{script}");
    }
    let through: Vec<String> = reached("s = http\n").into_iter().map(|(capability, ..)| capability).collect();
    assert_eq!(through, ["fs.read", "http.client", "http.server"]);
    assert_eq!(reached("getattr(fs, \"stat\")(\"x\")\n")[0].0, "fs.read");
    assert_eq!(reached("print(hasattr(kv, \"get\"), dir(fs), type(os))\n"), []);
    for script in [
        "s = http.server()\nn = \"st\" + \"art\"\ngetattr(s, n)()\n",
        "s = http.server()\ng = getattr\ng(s, \"start\")()\n",
        "s = http.server()\ngetattr(s, \"start\")()\n",
    ] {
        let found: Vec<String> = reached(script).into_iter().map(|(capability, ..)| capability).collect();
        assert_eq!(found, ["fs.read", "http.server"], "{script}");
    }
    // Names that mean something else are not the module.
    assert_eq!(reached("def f(fs):\n    return fs.read_text(\"x\")\nf(1)\nx = [kv.get(1) for kv in [{}]]\n"), []);
}

/// The files of a folder.
struct Folder(std::path::PathBuf);

impl ScriptFiles for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(path)).map_err(|error| error.to_string())
    }
}

#[test]
fn the_scripts_of_the_repository_and_their_tests_are_fine() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scripts");
    let mut folders = vec![scripts];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".star") {
                seen += 1;
                let (files, text) = (Folder(folder.clone()), std::fs::read(&path).unwrap());
                let thread = std::thread::Builder::new().stack_size(16 << 20);
                let report = thread.spawn(move || check(&files, &name, &text)).unwrap().join().unwrap();
                assert_eq!(codes(&report), [], "{}\n{}", path.display(), report.text());
            }
        }
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn json_has_everything_a_program_needs() {
    let report = one("srv = http.server()\nsrv.serve(prot=1)\n");
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    let expected = serde_json::json!({
        "version": 1, "files": ["main.star"], "left_out": 0, "places_left_out": 0, "profile": "allow-local",
        "diagnostics": [{
            "file": "main.star", "line": 2, "column": 11, "end": {"line": 2, "column": 17}, "severity": "error",
            "code": "unknown-argument", "message": "srv.serve: unknown argument prot; did you mean port?",
        }],
        "capabilities": [{
            "capability": "http.server", "profile": "allow-local", "via": ".serve", "file": "main.star", "line": 2,
            "column": 1, "end": {"line": 2, "column": 10},
        }],
    });
    assert_eq!(json, expected);
}

/// Whatever a script is, a check ends with a report.
#[test]
fn hostile_texts_are_survived() {
    let long = |text: &str, times: usize| text.repeat(times).into_bytes();
    let routes: String = (0..5000).map(|n| format!("srv.handle(\"/{n}\", str)\n")).collect();
    let texts: Vec<(&str, Vec<u8>, bool)> = vec![
        ("brackets", long("(", 1_000_000), true),
        ("lists", long("[", 1_000_000), true),
        ("not", [long("not ", 1_000_000), b"x".to_vec()].concat(), true),
        ("operators", [long("1+", 1_000_000), b"1".to_vec()].concat(), true),
        ("size", long("x = 1\n", (64 << 20) / 6), true),
        ("one line", long("a", 9 << 20), true),
        ("nul", b"x = 1\0".to_vec(), true),
        ("bom", b"\xef\xbb\xbfx = 1\n".to_vec(), true),
        ("not utf-8", b"x = \"\xff\"\n".to_vec(), true),
        ("crlf", b"def f(x):\r\n    return x\r\nf(1)\r\n".to_vec(), false),
        ("huge int", [b"x = ".to_vec(), long("9", 200_000), b"\n".to_vec()].concat(), false),
        ("many errors", long("nope()\n", 50_000), false),
        ("many calls", long("fs.read_text()\n", 50_000), false),
        ("many routes", format!("srv = http.server()\n{routes}").into_bytes(), false),
        (
            "same routes",
            format!("srv = http.server()\n{}", "srv.handle(\"/\", str)\n".repeat(20_000)).into_bytes(),
            false,
        ),
        ("many names", (0..50_000).flat_map(|n| format!("x{n} = {n}\n").into_bytes()).collect(), false),
        ("long text", [b"x = \"".to_vec(), long("a", 7 << 20), b"\"\n".to_vec()].concat(), false),
        ("self load", b"load(\"main.star\", \"x\")\n".to_vec(), false),
        ("empty", Vec::new(), false),
    ];
    for (name, text, broken) in texts {
        let begun = std::time::Instant::now();
        let report = on_a_large_stack(move |files| check(files, "main.star", &text), Files(HashMap::new()));
        assert_eq!(report.broken, broken, "{name}");
        assert!(report.text().len() + report.json().len() < 2_000_000, "{name}");
        assert!(begun.elapsed().as_secs() < 60, "{name} took {:?}", begun.elapsed());
    }
}

/// Containers of the module, and what changes them in a request: each line with a comment is an error.
#[test]
fn requests_cannot_change_the_module() {
    for handler in [
        "def h(req):\n    items.append(1)",
        "def h(req):\n    items[0] += 1",
        "def h(req):\n    table[\"a\"] = 1",
        "def h(req):\n    table[\"a\"][\"b\"] = 1",
        "def h(req):\n    items.pop()",
        "def h(req):\n    seen.add(1)",
        "def h(req):\n    table[\"a\"].append(1)",
        "def change():\n    items.append(1)\ndef h(req):\n    change()",
        "def change(list):\n    list.append(1)\ndef h(req):\n    change(items)",
        "def change(list):\n    list.append(1)\ndef pass_on(list):\n    change(list)\ndef h(req):\n    pass_on(items)",
        "h = lambda req: items.append(1)",
        "def make():\n    def inner(req):\n        items.append(1)\n    return inner\nh = make()",
    ] {
        let script = format!(
            "items = []\ntable = {{}}\nseen = set()\n{handler}\nsrv = http.server()\nsrv.handle(\"GET /\", h)\nsrv.serve()\n"
        );
        let report = one(&script);
        let found: Vec<_> = report.diagnostics.iter().filter(|found| found.code == "frozen-state").collect();
        assert_eq!(found.len(), 1, "{handler}: {:?}", report.diagnostics);
        assert!(found[0].message.contains("kv"), "{}", found[0].message);
    }
}

#[test]
fn middleware_of_both_forms_cannot_change_the_module() {
    for middleware in [
        "def m(next):\n    def inner(req):\n        items.append(1)\n        return next(req)\n    return inner",
        "def m(req, next):\n    items.append(1)\n    return next(req)",
        // Made once, by the setup, and frozen with it.
        "def m(next):\n    count = [0]\n    def inner(req):\n        count[0] += 1\n        return next(req)\n    return inner",
    ] {
        let script = format!(
            "items = []\n{middleware}\nsrv = http.server()\nsrv.use(m)\nsrv.handle(\"GET /\", lambda req: \"ok\")\nsrv.serve()\n"
        );
        let report = one(&script);
        assert!(report.diagnostics.iter().any(|found| found.code == "frozen-state"), "{middleware}: {report:?}");
    }
}

#[test]
fn what_the_setup_changes_and_what_a_request_makes_is_right() {
    let silent = "\
items = []
table = {}
def add(value):
    items.append(value)
    table[value] = len(items)
[add(value) for value in [\"a\", \"b\"]]
add(\"c\")
names = sorted(items, key = lambda item: table[item])
def register(srv):
    routes = []
    for name in items:
        routes.append(name)
        srv.handle(\"GET /\" + name, lambda req: name)
def h(req):
    own = []
    own.append(req.path)
    copy = list(items)
    copy.append(\"d\")
    mine = dict(table)
    mine[\"x\"] = 1
    for item in items:
        own.append(item)
    return {\"own\": own, \"copy\": copy, \"mine\": mine}
def m(req, next):
    seen = {}
    seen[\"a\"] = 1
    return next(req)
srv = http.server()
register(srv)
srv.use(m)
srv.handle(\"GET /h\", h)
srv.serve()
";
    let report = one(silent);
    assert!(!report.diagnostics.iter().any(|found| found.code == "frozen-state"), "{report:?}");
}

#[test]
fn a_loaded_file_is_frozen_for_whoever_calls_its_functions() {
    let report = checked(&[
        ("main.star", "load(\"lib.star\", \"add\")\nadd(1)\n"),
        ("lib.star", "items = []\ndef add(value):\n    items.append(value)\ndef own():\n    items.append(2)\nown()\n"),
    ]);
    let found: Vec<_> = report.diagnostics.iter().filter(|found| found.code == "frozen-state").collect();
    assert_eq!(found.len(), 1, "{report:?}");
    assert_eq!(found[0].at.resolve_span().begin.line + 1, 3);
}

/// The report of the first step is what is left of a check that was cut.
#[test]
fn the_first_step_tells_all_but_names_and_types() {
    let text = "items = []\nsrv = http.server()\nsrv.handle(\"GET /\", lambda req: items.append(nope))\nfs.read(1)\n";
    let run = move |files: &Files| {
        let mut steps = Vec::new();
        starcell_check::check_in_steps(files, "main.star", text.as_bytes(), |report| steps.push(report));
        assert_eq!(steps.len(), 2);
        let first: Vec<_> = steps[0].diagnostics.iter().map(|found| found.code.as_str()).collect();
        assert!(first.contains(&"unfinished") && first.contains(&"frozen-state"), "{first:?}");
        steps.pop().unwrap()
    };
    let last = on_a_large_stack(run, Files(HashMap::new()));
    assert!(!last.diagnostics.iter().any(|found| found.code == "unfinished"), "{last:?}");
}

/// The names that a check says a request cannot change, and the lines.
fn frozen(script: &str) -> Vec<(String, usize)> {
    let report = one(script);
    let found = report.diagnostics.iter().filter(|found| found.code == "frozen-state");
    found
        .map(|found| {
            assert!(found.severity == Error && found.message.contains("kv"), "{found:?}");
            let name = found.message.split('`').nth(1).unwrap().to_owned();
            (name, found.at.resolve_span().begin.line + 1)
        })
        .collect()
}

/// A script with a state of each kind, a server, and some lines between.
fn serving(lines: &str) -> String {
    format!(
        "items = []\ntable = {{}}\nseen = set()\nrows = [{{}}]\n{lines}\nsrv = http.server()\nsrv.handle(\"GET /\", h)\nsrv.serve()\n"
    )
}

#[test]
fn every_change_of_a_container_is_one() {
    for (change, name) in [
        ("items.append(1)", "items"),
        ("items.extend([1])", "items"),
        ("items.insert(0, 1)", "items"),
        ("items.remove(1)", "items"),
        ("items.clear()", "items"),
        ("items[0], x = 1, 2", "items"),
        ("items[0] *= 2", "items"),
        ("for items[0] in [1]:\n        pass", "items"),
        ("table.update({\"a\": 1})", "table"),
        ("table.update(a = 1)", "table"),
        ("table.setdefault(\"a\", 1)", "table"),
        ("table.popitem()", "table"),
        ("table[\"a\"] |= set([1])", "table"),
        ("table[\"a\"] += 1", "table"),
        ("seen.discard(1)", "seen"),
        ("seen.intersection_update([1])", "seen"),
        ("seen.difference_update([1])", "seen"),
        ("seen.symmetric_difference_update([1])", "seen"),
        ("rows[0][\"a\"] = 1", "rows"),
        ("[items.append(x) for x in range(3)]", "items"),
        ("sorted([1], key = lambda x: items.append(x))", "items"),
        ("x = [table.pop(k) for k in [\"a\"]] if req.path else None", "table"),
    ] {
        assert_eq!(frozen(&serving(&format!("def h(req):\n    {change}"))), [(name.to_owned(), 6)], "{change}");
    }
}

#[test]
fn other_names_and_parts_of_a_container_are_followed() {
    for (lines, name, line) in [
        ("def h(req):\n    x = items\n    x.append(1)", "items", 7),
        ("def h(req):\n    x = items\n    x += [1]", "items", 7),
        ("def h(req):\n    s = seen\n    s |= set([1])", "seen", 7),
        ("def h(req):\n    row = table[\"a\"]\n    row[\"b\"] = 1", "table", 7),
        ("def h(req):\n    row = table.get(\"a\")\n    row.append(1)", "table", 7),
        ("def h(req):\n    for row in rows:\n        row[\"seen\"] = True", "rows", 7),
        ("def h(req):\n    for k, row in table.items():\n        row.append(k)", "table", 7),
        ("def h(req):\n    [row.setdefault(\"a\", 1) for row in sorted(rows)]", "rows", 6),
        ("def add(to, x):\n    to += [x]\ndef h(req):\n    add(items, 1)", "items", 8),
        ("def add(x, to):\n    to.append(x)\ndef h(req):\n    add(to = items, x = 1)", "items", 8),
        ("def add(to):\n    to.append(1)\ndef h(req):\n    add(table[\"a\"])", "table", 8),
        ("def add(to):\n    also = to\n    also.append(1)\ndef h(req):\n    add(items)", "items", 9),
        ("def add(to):\n    to |= set([1])\ndef h(req):\n    add(seen)", "seen", 8),
        ("def make():\n    return {}\nmade = make()\ndef h(req):\n    made.update(a = 1)", "made", 9),
        ("def add(to, req):\n    to.append(1)\nh = partial(add, items)", "items", 7),
    ] {
        let script = serving(lines);
        assert!(frozen(&script).contains(&(name.to_owned(), line)), "{script}\n{:?}", frozen(&script));
    }
}

#[test]
fn whatever_a_request_can_run_is_followed() {
    let bad = "def bad(req):\n    items.append(1)\n";
    for rest in [
        "h = bad",
        "def h(req):\n    return bad(req)",
        "def h(req):\n    return deep(req)\ndef deep(req):\n    return bad(req)",
        "def h(req):\n    return (lambda r: bad(r))(req)",
        "steps = [bad]\ndef h(req):\n    return [step(req) for step in steps]",
        "steps = {\"a\": bad}\ndef h(req):\n    return steps[req.path](req)",
        "api = struct(list = bad)\nh = api.list",
        "def h(req):\n    return retry.do(lambda: bad(req))",
        "def h(req):\n    return call(bad, req)\ndef call(f, req):\n    return f(req)",
        "def wrap(f):\n    def inner(req):\n        return f(req)\n    return inner\nh = wrap(bad)",
        "def wrap(f):\n    return lambda req: f(req)\nh = wrap(wrap(bad))",
        "h = partial(bad)",
        "if time.unix() > 5:\n    def h(req):\n        return bad(req)\nelse:\n    def h(req):\n        return None",
        "h = lambda req: bad(req) if req.path else None",
        "routes = []\nroutes.append((\"GET /x\", bad))\ndef h(req):\n    return None\nother = http.server()\n[other.handle(p, f) for p, f in routes]",
        "def routes():\n    return {\"GET /y\": bad}\nh = None\nhttp.serve(routes())",
        "def main():\n    http.serve(bad)\nh = None",
    ] {
        let script = serving(&format!("{bad}{rest}"));
        assert_eq!(frozen(&script), [("items".to_owned(), 6)], "{script}");
    }
}

#[test]
fn functions_that_only_the_setup_runs_may_change_it() {
    for rest in [
        "steps = [add]\nfor step in steps:\n    step(1)",
        "def each(xs, f):\n    for x in xs:\n        f(x)\neach([1, 2], add)\neach([1], lambda x: table.update(a = x))",
        "names = sorted([\"b\"], key = lambda x: table.setdefault(x, 0))",
        "retry.do(lambda: add(1))",
        "def main():\n    add(1)\n    rows.append({})",
        "kinds = {\"add\": add}\nkinds[\"add\"](2)",
        "def build(f):\n    f(1)\n    return lambda req: len(items)\nother = build(add)",
        "ready = partial(add, 1)\nready()",
    ] {
        let script = serving(&format!(
            "def add(x):\n    items.append(x)\n{rest}\ndef h(req):\n    return [len(items), len(rows), table.get(\"a\")]"
        ));
        assert_eq!(frozen(&script), [], "{script}");
    }
}

#[test]
fn what_a_handler_makes_itself_it_may_change() {
    for body in [
        "x = list(items)\n    x.append(1)",
        "x = dict(table)\n    x[\"a\"] = 1",
        "x = items + [1]\n    x.append(2)\n    x += [3]",
        "x = items[:]\n    x.clear()",
        "x = [i for i in items]\n    x.pop()",
        "x = table.get(\"a\", [])\n    x = x + [1]\n    x.append(1)",
        "x = set(seen)\n    x |= set([1])\n    x.add(2)",
        "n = table[\"n\"]\n    n += 1",
        "for n in items:\n        n += 1",
        "total = len(items)\n    total += 1",
        "mine = []\n    also = mine\n    also.append(1)\n    fill(mine)\n    fill(to = [1])",
        "copy(items)",
        "x = [dict(row) for row in rows]\n    for row in x:\n        row[\"a\"] = 1",
        "req.params[\"a\"] = 1",
        "def inner(x):\n        mine.append(x)\n    mine = []\n    inner(1)",
        "when[\"a\"].add(\"1h\")\n    paths[0].remove()",
        "items = []\n    items.append(1)",
        "names = json.decode(req.body)\n    names.append(1)",
    ] {
        let script = serving(&format!(
            "when = {{\"a\": time.now()}}\npaths = [fs.path(\"x\")]\ndef fill(to):\n    to.append(1)\ndef copy(of):\n    of = list(of)\n    of.append(1)\ndef h(req):\n    {body}"
        ));
        assert_eq!(frozen(&script), [], "{script}");
    }
}

/// Functions that are handed on in circles end, and so do long chains of names.
#[test]
fn circles_of_functions_and_names_end() {
    let chain: String = (1..3000).map(|n| format!("f{n} = f{}\n", n - 1)).collect();
    let results: String = (1..60).map(|n| format!("g{n} = g{0}(g{0})\n", n - 1)).collect();
    for script in [
        format!("def f0(req):\n    items.append(1)\nitems = []\n{chain}http.serve(f2999)\n"),
        "def a(f):\n    return b(f)\ndef b(f):\n    return a(f)\nx = a(b)\nx = x(x)\nhttp.serve(x)\n".to_owned(),
        format!("g0 = lambda g: g\n{results}http.serve(g59)\n"),
        "x = y\ny = x\ndef h(req):\n    x.append(1)\n    z = z2\n    z2 = z\n    z.append(1)\nhttp.serve(h)\n"
            .to_owned(),
    ] {
        let found = frozen(&script);
        assert!(found.len() <= 2, "{found:?}");
    }
}

/// Code and line of the errors of names and types.
#[track_caller]
fn errors(script: &str, expected: &[(&str, usize)]) {
    let report = one(script);
    let found: Vec<_> = codes(&report).into_iter().filter(|(severity, ..)| *severity == Error).collect();
    let found: Vec<_> = found.into_iter().map(|(_, code, line)| (code, line)).collect();
    assert_eq!(found, expected, "{script}\n{}", report.text());
    assert!(!report.text().contains("Internal error"), "{}", report.text());
}

#[test]
fn unknown_names_are_told_wherever_they_are_and_the_rest_as_well() {
    for line in [
        "x = nope",
        "x = nope.a",
        "x, y = nope, 1",
        "x = nope[0]",
        "x = nope[0, 1]",
        "x = 1 + nope",
        "x = nope | None",
        "x = (nope, \"a\")",
        "x = [nope]",
        "x = {nope: 1}",
        "x = nope()",
        "x = [y for y in nope]",
        "x = lambda: nope",
        "x = f\"{nope}\"",
        "x: nope = 1",
        "nope.append(1)",
        "nope.extend([1])",
        "nope[0] = 1",
        "nope[0] += 1",
        "x = -nope",
        "x = 1 if nope else 2",
        "for x in nope:\n    pass",
        "if nope:\n    pass",
        "def f(x = nope):\n    return x",
        "def f(x: nope):\n    return x",
        "def f() -> nope:\n    return 1",
        "def f():\n    nope.append(1)",
        "x = nope if True else nope.b",
    ] {
        let name = line.lines().position(|line| line.contains("nope")).unwrap() + 2;
        let last = line.lines().count() + 3;
        let script = format!("print(first)\n{line}\ndef g() -> int:\n    return \"a\"\nprint(last)\n");
        let twice = line.matches("nope").count() == 2;
        let mut expected = vec![("unknown-name", 1), ("unknown-name", name)];
        expected.extend(twice.then_some(("unknown-name", name)));
        expected.extend([("type", last), ("unknown-name", last + 1)]);
        errors(&script, &expected);
    }
}

#[test]
fn statements_of_the_top_level_are_checked_as_those_of_functions() {
    for (wrong, line) in [
        ("x = 1 + \"a\"", 1),
        ("x = \"a\".foo()", 1),
        ("\"a\".foo()", 1),
        ("x = \"a\".foo", 1),
        ("x = 1\ny = x + \"a\"", 2),
        ("x = 1\nx += \"a\"", 2),
        ("x = \"a\"\nx -= \"b\"", 2),
        ("x = [1]\nx.foo()", 2),
        ("x = {}\nx.append(1)", 2),
        ("x = {\"a\": 1}\ny = x[\"a\"] + \"b\"", 2),
        ("x = {\"a\": 1}\nx[\"a\"] += \"b\"", 2),
        ("x = {\"a\": {}}\nx[\"a\"][\"b\"] = 1 + \"c\"", 2),
        ("x, y = 1, 2\nz = x.foo", 2),
        ("if True:\n    x = 1 + \"a\"", 2),
        ("if True:\n    pass\nelse:\n    for i in [1, 2]:\n        if i:\n            x = i + \"a\"", 6),
        ("for x in 5:\n    pass", 1),
        ("for x in [1]:\n    x.upper()", 2),
        ("x = [y + \"a\" for y in [1, 2]]", 1),
        ("x = {y: y.foo for y in [1, 2]}", 1),
        ("x = [y for y in [1] if y.foo]", 1),
        ("x = [z for y in [1] for z in y]", 1),
        ("x = lambda: 1 + \"a\"", 1),
        ("x = (lambda y: \"a\".foo)(1)", 1),
        ("x = len(5 // \"a\")", 1),
        ("x = 1 if 1 + \"a\" else 2", 1),
        ("if 1 + \"a\":\n    pass", 1),
        ("if True:\n    def f():\n        return 1 + \"a\"\n    f()", 3),
        ("def f(x = 1 + \"a\"):\n    return x", 1),
        ("def f(x: int) -> int:\n    return x\ny = f(\"a\")", 3),
        ("x: int = \"a\"", 1),
        ("x = -\"a\"", 1),
        ("x = 5[0]", 1),
        ("x = 5[1:]", 1),
    ] {
        let mut expected = vec![("type", line)];
        if wrong.contains("x: int") && wrong.starts_with("x:") {
            expected = vec![("type", 1)];
        }
        errors(&format!("{wrong}\n"), &expected);
    }
}

#[test]
fn the_top_level_of_a_right_script_has_no_type_errors() {
    let sound = "\
load(\"lib.star\", \"count\", \"names\", \"add\")
x = None
for i in [3, 1, 2]:
    if x == None or i < x:
        x = i
print(x + 1)
port = \"8080\"
port = int(port)
print(port + 1)
table = {}
for name in names:
    table[name] = len(name)
    table.setdefault(name, 0)
print(table[\"a\"] + 1)
mixed = {\"a\": 1}
mixed.update(b = \"x\")
print(mixed[\"b\"].upper())
more = {\"a\": 1}
other = {\"a\": 1}
def fill(into):
    into[\"b\"] = \"x\"
    other[\"b\"] = \"y\"
fill(more)
print(more[\"b\"].upper(), other[\"b\"].upper())
users = [{\"id\": 1}]
for user in users:
    user[\"name\"] = \"ann\"
print(users[0][\"name\"].upper())
list_ = None
for i in range(3):
    list_ = (i, list_)
tree = 1
for i in range(3):
    tree = (tree, tree)
held = [1]
alias = held
alias.append(\"a\")
print(held[1].upper())
later = lambda: defined.upper()
defined = \"a\"
print(later(), count + 1, add(1).anything, \"abc\"[None:2], [1, 2][None:])
value = json.decode(\"{}\")
print(value.get(\"a\", []) + [1], value[\"x\"][0] - 1)
parts = [[1], [\"a\"]]
print(parts[1][0].upper(), 1.5 // 2, 3 * \"a\", b\"a\" + b\"b\", \"%d\" % 1.5, set([1]) | set([\"a\"]))
nested = {\"a\": {\"b\": 1}}
nested[\"a\"][\"c\"] = \"d\"
print(nested[\"a\"][\"c\"].upper())
greeting = \"a\" if port else None
print(greeting.upper())
if port:
    late = 1
else:
    late = \"a\"
print(late + 1, late.upper())
";
    let report = checked(&[
        ("main.star", sound),
        ("lib.star", "count = 1\nnames = [\"a\"]\nnames.append(\"b\")\ndef add(x):\n    return x\n"),
    ]);
    let errors: Vec<_> = report.diagnostics.iter().filter(|found| found.severity == Error).collect();
    assert!(errors.is_empty(), "{}", report.text());
}

/// Fixtures that define functions which are wrong on purpose.
const WRONG_ON_PURPOSE: [&str; 2] = ["language_functions.star", "spec_names.star"];

/// What is refused although it runs, since what runs is the error: calls without an argument that a builtin must have.
const REFUSED: [&str; 3] = ["try_sha1()", "try_decode()", "try_get(kind"];

/// Each example of the interpreter's fixtures that runs has no error, in a function and at the top level.
#[test]
fn what_the_fixtures_run_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/interp/tests/fixtures");
    let mut wrong = String::new();
    let mut checked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if WRONG_ON_PURPOSE.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let setup = text.split(">>> ").next().unwrap().to_owned();
        let fixture = starcell_interp::testing::Fixture::parse(&text);
        let runs = fixture.examples.iter().filter(|example| !example.expected.starts_with("error: "));
        for example in runs.filter(|example| !REFUSED.iter().any(|part| example.code.contains(part))) {
            let (statements, value) = example.code.rsplit_once('\n').unwrap_or(("", &example.code));
            let body: String = statements.lines().map(|line| format!("    {line}\n")).collect();
            for script in [
                format!("{setup}\n{statements}\nprint({value})\n"),
                format!("{setup}\ndef example():\n{body}    return {value}\nprint(example())\n"),
            ] {
                checked += 1;
                let report = one(&script);
                for found in report.diagnostics.iter().filter(|found| found.severity == Error) {
                    wrong += &format!("{}:{}: {} {}\n", path.display(), example.line, found.message, example.code);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(checked > 500, "{checked}");
}
