//! The key-value store: values come back as they went in, changes are whole, quotas hold, and what was acknowledged
//! survives a kill.

use std::thread;

use starcell_tests::client::{Client, get};
use starcell_tests::process::{Starcell, folder};

fn run(arguments: &[&str], source: &str) -> String {
    let ended = Starcell::run_in(&folder(), arguments, source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    ended.stdout
}

pub(super) const EACH: &str = r#"
values = ["", "text ü", b"", b"\x00\xff", 0, -1, 1 << 100, 1.0, -0.5, True, False, [], {}, [1, [2.0, "x", None]],
          {"b": 1, "a": {"deep": [True]}, "": 0}]
for i, value in enumerate(values):
    kv.set("v%d" % i, value)
for i, value in enumerate(values):
    got = kv.get("v%d" % i)
    if type(got) != type(value) or repr(got) != repr(value):
        fail("%r came back as %r" % (value, got))
kv.set("null", None)
print(kv.get("null", 1), kv.exists("null"), kv.get("none"), kv.get("none", 1), kv.exists("none"))
print(kv.delete("null"), kv.delete("null"), kv.list("v1"), kv.list("v1", limit=2), kv.list("v1", after="v11", limit=2))
print(kv.incr("n"), kv.incr("n", 41), kv.incr("n", by=-2), kv.get("n"))
print(kv.compare_and_set("o", None, "me"), kv.compare_and_set("o", None, "you"), kv.compare_and_set("o", "me", "you"), kv.get("o"))
print(kv.compare_and_set("v14", {"a": {"deep": [True]}, "": 0, "b": 1}, "equal whatever the order"))
print(kv.update("list", lambda l: l + [1], default=[]), kv.update("list", lambda l: l + [2]), kv.get("list"))
kv.set("short", 1, ttl="1ns")
kv.set("long", 1, ttl="1h")
print(kv.get("short"), kv.get("long"), kv.list("short"))
"#;

#[test]
fn each_function_does_what_it_says() {
    let expected = "None True None 1 False\n\
        True False [\"v1\", \"v10\", \"v11\", \"v12\", \"v13\", \"v14\"] [\"v1\", \"v10\"] [\"v12\", \"v13\"]\n\
        1 42 40 40\nTrue False True you\nTrue\n[1] [1, 2] [1, 2]\nNone 1 []\n";
    assert_eq!(run(&["--allow-fs"], EACH), expected);
    let state = folder();
    assert_eq!(run(&["--allow-fs", "--state", state.to_str().unwrap()], EACH), expected);
}

#[test]
fn what_kv_cannot_keep_is_refused() {
    for (call, error) in [
        (
            "kv.set(\"k\", (1, 2))",
            "kv.set: a value that kv cannot keep: a tuple would come back as a list; use list(..)",
        ),
        (
            "kv.set(\"k\", [struct(a=1)])",
            "kv.set: a value that kv cannot keep: a struct would come back as a dict; use a dict",
        ),
        ("kv.set(\"k\", {\"a\": len})", "kv.set: a value that kv cannot keep: $.a: JSON has no value of type function"),
        (
            "kv.set(\"k\", [b\"x\"])",
            "kv.set: a value that kv cannot keep: $[0]: JSON has no bytes; decode them to text first, as with str(b)",
        ),
        ("kv.set(\"k\", {1: 2})", "kv.set: a value that kv cannot keep: $: a key must be a str, got 1 (int)"),
        ("kv.set(\"k\", float(\"inf\"))", "kv.set: a value that kv cannot keep: $: JSON has no inf"),
        ("kv.set(\"k\", \"x\" * ((1 << 20) + 1))", "kv.set(\"k\"): the value has 1048577 bytes, more than 1 MiB"),
        ("kv.set(\"\", 1)", "kv.set: key must be a non-empty string, got \"\" (string)"),
        ("kv.set(\"a\\nb\", 1)", "kv.set(\"a\\nb\"): a key cannot hold control characters"),
        (
            "kv.set(\"k\", 1, ttl=\"5\")",
            "kv.set: ttl must be a duration such as \"30s\", \"250ms\" or \"1m30s\" (units: ns, us, ms, s, m, h), got \"5\" (string)",
        ),
        ("kv.incr(\"s\")", "kv.incr(\"s\"): the value is not an int of 64 bits"),
        ("kv.incr(\"n\", by=(1 << 63) - 1) and kv.incr(\"n\")", "kv.incr(\"n\"): the sum does not fit into 64 bits"),
        ("kv.incr(\"n\", by=1.5)", "kv.incr: by must be an int of 64 bits, got 1.5 (float)"),
        ("kv.update(\"n\", lambda n: None)", "kv.update: fn returned None for None; it must return the new value"),
        ("kv.update(\"n\", 1)", "kv.update: fn must be a function, got 1 (int)"),
        ("kv.list(limit=0)", "kv.list: limit must be an int from 1 to 10000, got 0 (int)"),
    ] {
        let source = format!("kv.set(\"s\", \"1\")\n{call}\n");
        let ended = Starcell::run_in(&folder(), &["--allow-fs"], &source);
        assert_eq!(ended.code(), 1, "{call}: {}", ended.output);
        assert!(ended.stderr.contains(&format!("error: {error}\n")), "{call}: {}", ended.stderr);
    }
}

#[test]
fn rules_are_about_keys_and_functions() {
    let rules =
        ["--allow", "kv.read(public:*)", "--allow", "kv.write[set,increment](public:*)", "--deny", "kv.*(public:x*)"];
    let source = "kv.set(\"public:a\", 1)\nkv.incr(\"public:a\")\nprint(kv.get(\"public:a\"))\n\
                  for r in [kv.try_get(\"private\"), kv.try_set(\"public:x1\", 1), kv.try_delete(\"public:a\"),\n          \
                  kv.try_list(\"\"), kv.try_list(\"public:\"), kv.try_update(\"public:a\", lambda a: a),\n          \
                  kv.try_exists(\"p\"), kv.try_incr(\"q\"), kv.try_compare_and_set(\"public:a\", 2, 3)]:\n    print(r.error)\n";
    let out = run(&rules, source);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines.len(), lines[0]), (10, "2"), "{out}");
    for line in &lines[1..] {
        assert!(line.starts_with("permission denied: kv."), "{line}");
    }
    assert!(lines[5].contains("denied by the rule kv.*(public:x*)"), "a list would show what is denied: {}", lines[5]);
}

#[test]
fn the_quota_holds() {
    let source = "def fill():\n    for i in range(100):\n        r = kv.try_set(\"k%d\" % i, b\"x\" * (1 << 20))\n        if not r.ok:\n            \
                  return [i, r.error]\nprint(fill(), kv.delete(\"k0\"), kv.try_set(\"new\", b\"x\").ok)\n";
    assert_eq!(
        run(&["--allow-fs", "--memory", "256"], source),
        "[63, \"kv.set(\\\"k63\\\"): the store is full: its quota is 65536 KiB\"] True True\n"
    );
    let many = "for i in range(10001):\n    kv.set(\"k%d\" % i, 1)\nprint(kv.try_list().error)\nprint(len(kv.list(limit=10000)))\n";
    assert_eq!(
        run(&["--allow-fs", "--setup-cpu", "60s"], many),
        "kv.list(\"\"): there are more than 10000 keys; ask for pages with limit= and after=\n10000\n"
    );
}

const COUNTER: &str = r#"
def incr(req):
    return str(kv.incr("n"))
def update(req):
    return str(kv.update("m", lambda m: {"n": m["n"] + 1}, default={"n": 0})["n"])
def read(req):
    return [kv.get("n"), kv.get("m")]
srv = http.server()
srv.handle("POST /incr", incr)
srv.handle("POST /update", update)
srv.handle("GET /", read)
srv.serve()
"#;

/// Handlers run in forks that share nothing else; no increment of any of them is lost.
#[test]
fn state_is_shared_and_no_update_is_lost() {
    let state = folder();
    for arguments in [&[][..], &["--state", state.to_str().unwrap()]] {
        let starcell = Starcell::serve(arguments, &starcell_tests::process::script(COUNTER));
        let port = starcell.port();
        let clients: Vec<_> = (0..8)
            .map(|_| {
                thread::spawn(move || {
                    let mut client = Client::connect(port);
                    for _ in 0..50 {
                        assert_eq!(client.request("POST", "/incr", &[], b"").status, 200);
                        assert_eq!(client.request("POST", "/update", &[], b"").status, 200);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        assert_eq!(get(port, "/").text(), "[400,{\"n\":400}]");
        assert_eq!(starcell.stop().code(), 0);
    }
}

/// kill -9 at any moment: what a client was answered is there after the restart, time after time.
#[test]
fn no_acknowledged_write_is_lost_by_a_kill() {
    let state = folder();
    let arguments = ["--state", state.to_str().unwrap()];
    let script = starcell_tests::process::script(COUNTER);
    let mut acknowledged = 0;
    for round in 0..3 {
        let starcell = Starcell::serve(&arguments, &script);
        let port = starcell.port();
        let clients: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(move || {
                    let mut client = Client::connect(port);
                    let mut last = 0;
                    while let Ok(response) = client.try_request("POST", "/incr", &[], b"") {
                        last = response.text().parse::<u64>().unwrap();
                    }
                    last
                })
            })
            .collect();
        while count(port) < (round + 1) * 100 {}
        starcell.signal("KILL");
        acknowledged = clients.into_iter().map(|client| client.join().unwrap()).max().unwrap().max(acknowledged);
        let restarted = Starcell::serve(&arguments, &script);
        let found = count(restarted.port());
        assert!(found >= acknowledged && found <= acknowledged + 4, "{found} found, {acknowledged} acknowledged");
        acknowledged = found;
        assert_eq!(restarted.stop().code(), 0);
    }
    assert!(acknowledged >= 300);
}

/// What the counter says; it says nothing before it was first asked to count.
fn count(port: u16) -> u64 {
    let text = get(port, "/").text().to_owned();
    text.trim_start_matches('[').split(',').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn a_state_folder_belongs_to_one_process() {
    let state = folder();
    let arguments = ["--state", state.to_str().unwrap()];
    let first = Starcell::serve(&arguments, &starcell_tests::process::script(COUNTER));
    let second = Starcell::run_in(&folder(), &arguments, "kv.set(\"a\", 1)\n");
    assert_eq!(second.code(), 4, "{}", second.output);
    assert!(second.stderr.contains("cannot open the store") && second.stderr.contains("kv.redb"), "{}", second.stderr);
    drop(first);
    let file = folder().join("file");
    std::fs::write(&file, "").unwrap();
    let ended = Starcell::run_in(&folder(), &["--state", file.to_str().unwrap()], "print(1)\n");
    assert_eq!((ended.code(), ended.stdout.as_str()), (4, ""), "{}", ended.output);
}
