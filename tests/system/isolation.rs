//! Every request runs in a fork of its own: nothing it does is found by a later one, and one that uses up its limits ends
//! alone, while its neighbours are answered.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::{Client, Response, get};
use starcell_tests::process::{RaiseAtEnd, Starcell, script};

const FROZEN: &str = "module state is frozen while serving: every request runs in its own fork; keep state in kv";

/// Each of `TRICKS` tries to leave the request's body where a later request could see it; `/look` looks everywhere.
const CANARY: &str = r#"
names = ["initial"]
table = {"list": [], "inner": {"deep": []}}
seen = set(["initial"])
things = struct(list = [], dict = {})

def cell():
    box = [[], {}]
    def put(value):
        box[0].append(value)
    def get():
        return box
    return put, get

put, get = cell()
def default(value=None, kept=[]):
    if value != None:
        kept.append(value)
    return kept
def counter(n=[0]):
    return n[0]
def bump(n=[0]):
    n[0] += 1
    return n[0]
aliases = [names, table["inner"], default]
adders = [names.append, table.update, lambda value: things.list.append(value)]

def set_key(target, value):
    target["kept"] = value
def set_item(target, value):
    target[0] = value

TRICKS = {
    "append": lambda v: names.append(v),
    "extend": lambda v: names.extend([v]),
    "item": lambda v: set_item(names, v),
    "alias": lambda v: aliases[0].append(v),
    "key": lambda v: set_key(table, v),
    "deep": lambda v: table["inner"]["deep"].append(v),
    "setdefault": lambda v: table.setdefault("kept", v),
    "set": lambda v: seen.add(v),
    "struct": lambda v: set_key(things.dict, v),
    "closure": lambda v: put(v),
    "closure result": lambda v: get()[0].append(v),
    "default": lambda v: default(v),
    "default result": lambda v: default().append(v),
    "bound method": lambda v: adders[0](v),
    "bound update": lambda v: adders[1]({"kept": v}),
    "stored lambda": lambda v: adders[2](v),
    "comprehension": lambda v: [names.append(x) for x in [v]],
    "the counter": lambda v: bump(),
}

def plant(req):
    return str(TRICKS[req.query["trick"]](req.body))
def leak(req):
    kept = [req.body * 1000 for i in range(100)] + [{req.body: [req.body]}]
    return str(len(kept))
def look(req):
    everything = [names, table, seen, things, get(), default(), aliases, adders, dir(things)]
    text = str(everything) + repr(everything)
    found = ("CAN" + "ARY") in text or text != CLEAN
    def local(n=[0]):
        n[0] += 1
        return n[0]
    return "found %s" % text if found or counter() != 0 or local() != 1 else "clean"

everything = [names, table, seen, things, get(), default(), aliases, adders, dir(things)]
CLEAN = str(everything) + repr(everything)
srv = http.server()
srv.handle("POST /plant", plant)
srv.handle("POST /leak", leak)
srv.handle("GET /tricks", lambda req: TRICKS.keys())
srv.handle("GET /look", look)
srv.serve()
"#;

/// The first failure of a version has the advice, with the line of the variable; the others have what happened alone.
#[test]
fn what_to_do_about_frozen_state_is_said_once() {
    let source = "items = []\nseen = {}\ndef add(req):\n    items.append(req.path)\ndef see(req):\n    seen[req.path] = 1\n\
                  srv = http.server()\nsrv.handle(\"GET /add\", add)\nsrv.handle(\"GET /see\", see)\nsrv.serve()\n";
    for forks in FORKS {
        let starcell = Starcell::serve(forks, &script(source));
        let mut client = Client::connect(starcell.port());
        let ids: Vec<String> = ["/add", "/add", "/see"].iter().map(|path| hidden(&client.get(path))).collect();
        let ended = starcell.stop();
        let line = |id: &String| ended.stderr.lines().find(|line| line.contains(id.as_str()) && line.contains(FROZEN));
        let lines: Vec<&str> = ids.iter().map(|id| line(id).unwrap_or_else(|| panic!("{}", ended.stderr))).collect();
        assert!(lines[0].contains("hint: `items` is bound at ") && lines[0].contains(".star:1,"), "{}", lines[0]);
        assert!(lines[0].contains("kv.set("), "{}", lines[0]);
        assert_eq!(ended.stderr.matches("hint: ").count(), 1, "{}", ended.stderr);
    }
}

/// Every way to keep forks.
const FORKS: [&[&str]; 3] = [&[], &["--compare-every", "1"], &["--fresh"]];

#[test]
fn a_canary_is_not_found_by_10000_requests() {
    FORKS.into_iter().for_each(look_for_canaries);
}

fn look_for_canaries(forks: &[&str]) {
    let mut starcell = Starcell::serve(forks, &script(CANARY));
    let port = starcell.port();
    let mut client = Client::connect(port);
    assert_eq!(client.get("/look").text(), "clean");
    let tricks: Vec<String> = serde_json::from_slice(&client.get("/tricks").body).unwrap();
    assert_eq!(tricks.len(), 18);
    for trick in &tricks {
        let response = plant(&mut client, trick);
        let id = hidden(&response);
        let line = starcell.wait_for(&id);
        assert!(line.contains(FROZEN), "{trick}: {line}");
        assert!(line.contains(".star:"), "{trick}: no place: {line}");
        assert!(line.contains("path=\"/plant\""), "{trick}: {line}");
    }
    thread::scope(|scope| {
        for worker in 0..4 {
            let tricks = &tricks;
            scope.spawn(move || {
                let mut client = Client::connect(port);
                for request in 0..2500 {
                    if request % 50 == worker {
                        let leaked = client.request("POST", "/leak", &[], b"CANARY-0123456789abcdef");
                        assert_eq!(leaked.text(), "101");
                        plant(&mut client, &tricks[(request / 50) % tricks.len()]);
                    }
                    assert_eq!(client.get("/look").text(), "clean", "request {request} of connection {worker}");
                }
            });
        }
    });
    let ended = starcell.stop();
    assert!(!ended.output.contains("not put back"), "{}", ended.output);
}

fn plant(client: &mut Client, trick: &str) -> Response {
    client.request("POST", &format!("/plant?trick={}", trick.replace(' ', "+")), &[], b"CANARY-body")
}

/// Checks that a 500 says nothing but the request id, and returns that.
fn hidden(response: &Response) -> String {
    let lines: Vec<&str> = response.text().lines().collect();
    assert_eq!((response.status, lines.len(), lines[0]), (500, 2, "500 Internal Server Error"), "{}", response.text());
    lines[1].strip_prefix("request id: ").expect("the id").to_owned()
}

#[test]
fn the_client_sees_a_traceback_only_with_dev() {
    let path = script(CANARY);
    let starcell = Starcell::serve(&["--dev"], &path);
    let mut client = Client::connect(starcell.port());
    let response = plant(&mut client, "closure");
    let text = response.text();
    assert_eq!(response.status, 500);
    assert!(text.starts_with("500 Internal Server Error\nrequest id: "), "{text}");
    assert!(text.contains("Traceback (most recent call last):\n"), "{text}");
    assert!(text.contains(&format!("error: {FROZEN}\n  --> {}:10:9\n", path.display())), "{text}");
    assert!(text.contains("box[0].append(value)"), "{text}");
}

/// Handlers that use up a limit. Sizes come with the request, so that nothing is computed before it.
const HOSTILE: &str = r#"
def rec(n):
    return rec(n + 1)
def forever(req):
    for i in range(2147483647):
        pass
def forever_nested(req):
    for i in range(2147483647):
        for j in range(2147483647):
            pass
def hoard(req):
    kept = []
    for i in range(2147483647):
        kept.append([i] * 10000)
def double(req):
    s = "x"
    for i in range(60):
        s = s + s
    return s
def square(req):
    n = 3
    for i in range(60):
        n = n * n
    return str(n)
def nested(req):
    x = []
    for i in range(100000):
        x = [x]
    return x
HANDLERS = {
    "forever": forever,
    "forever-nested": forever_nested,
    "recurse": lambda req: str(rec(0)),
    "hoard": hoard,
    "double": double,
    "square": square,
    "multiply": lambda req: "x" * int(req.query["n"]),
    "shift": lambda req: str(1 << int(req.query["n"])),
    "list": lambda req: [0] * int(req.query["n"]),
    "range": lambda req: list(range(int(req.query["n"]))),
    "join": lambda req: "a".join(["x" * int(req.query["n"])] * int(req.query["n"])),
    "str": lambda req: str(nested(req)),
    "json": lambda req: nested(req),
    "hash": lambda req: {str(nested(req)): 1},
    "equal": lambda req: str(nested(req) == nested(req)),
}
srv = http.server()
srv.handle("GET /ok", lambda req: "fine " + req.query["n"])
for name, handler in HANDLERS.items():
    srv.handle("GET /bad/" + name, handler)
srv.serve()
"#;

const CPU: &str = "error CPU time limit of 0.5 s reached script=";
const MEMORY: &str = "error memory limit of 64 MiB reached script=";
const STACK: &str = "error stack limit reached: too many nested calls or too deeply nested values script=";
const TOO_BIG: &str = "Integer value is too big to fit in i32: 2147483648\\n";

/// What each is asked with, and what the one log line about it says.
const ATTACKS: [(&str, &str); 18] = [
    ("forever", CPU),
    ("forever-nested", CPU),
    ("recurse", "error: call stack overflow: more than 200 nested calls, the limit that --call-depth sets\\n"),
    ("hoard", MEMORY),
    ("double", MEMORY),
    ("square", CPU),
    ("multiply?n=2147483647", MEMORY),
    ("multiply?n=2147483648", TOO_BIG),
    ("multiply?n=100000000", MEMORY),
    ("shift?n=2000000000", "Integer overflow computing left shift\\n"),
    ("list?n=100000000", MEMORY),
    ("list?n=2147483648", TOO_BIG),
    ("range?n=100000000", MEMORY),
    ("join?n=20000", MEMORY),
    ("str", STACK),
    ("json", "nested more than 500 deep\\n"),
    ("hash", STACK),
    ("equal", "Too many recursion levels\\n"),
];

#[test]
fn what_uses_up_a_limit_ends_alone() {
    FORKS.into_iter().for_each(attack);
}

fn attack(forks: &[&str]) {
    let arguments = [forks, &["--request-cpu", "500ms", "--no-access-log"]].concat();
    let mut starcell = Starcell::serve(&arguments, &script(HOSTILE));
    let port = starcell.port();
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let raised = RaiseAtEnd(&over);
        let neighbour = scope.spawn(|| {
            let mut client = Client::connect(port);
            while !over.load(Ordering::Relaxed) {
                let n = answered.load(Ordering::Relaxed);
                let response = client.get(&format!("/ok?n={n}"));
                assert_eq!((response.status, response.text()), (200, format!("fine {n}").as_str()));
                answered.store(n + 1, Ordering::Relaxed);
            }
        });
        for (attack, message) in ATTACKS {
            let (before, began) = (answered.load(Ordering::Relaxed), Instant::now());
            let response = get(port, &format!("/bad/{attack}"));
            let took = began.elapsed();
            let id = hidden(&response);
            // The deadline is of CPU time, which the neighbours of this test share.
            assert!(took < Duration::from_secs(5), "{attack} took {took:?}");
            let line = starcell.wait_for(&id);
            assert!(line.contains(message), "{attack}: {line}");
            assert!(!line.contains("trap"), "{attack}: {line}");
            let meanwhile = answered.load(Ordering::Relaxed) - before;
            assert!(took < Duration::from_millis(400) || meanwhile > 0, "{attack}: {meanwhile} in {took:?}");
            assert_eq!(get(port, "/ok?n=x").text(), "fine x", "after {attack}");
        }
        drop(raised);
        neighbour.join().unwrap();
    });
    let ended = starcell.stop();
    assert_eq!(ended.stderr.lines().count(), ATTACKS.len(), "one line each: {}", ended.stderr);
}

/// More than an address can span: refused before any memory is asked for, and named all the same.
#[test]
fn an_absurd_allocation_is_the_memory_limit() {
    let mut starcell = Starcell::serve(&["--request-cpu", "500ms"], &script(HOSTILE));
    for attack in ["list?n=2147483647", "range?n=2000000000"] {
        let id = hidden(&get(starcell.port(), &format!("/bad/{attack}")));
        let line = starcell.wait_for(&id);
        assert!(line.contains(MEMORY), "{attack}: {line}");
    }
}

#[test]
fn many_attacks_at_once_end_alone() {
    let starcell = Starcell::serve(&["--request-cpu", "300ms"], &script(HOSTILE));
    let port = starcell.port();
    thread::scope(|scope| {
        for attack in ["forever", "hoard", "str", "forever", "double", "multiply?n=2147483647", "square", "recurse"] {
            scope.spawn(move || hidden(&get(port, &format!("/bad/{attack}"))));
        }
        scope.spawn(move || {
            let mut client = Client::connect(port);
            for n in 0..200 {
                assert_eq!(client.get(&format!("/ok?n={n}")).text(), format!("fine {n}"));
            }
        });
    });
    assert_eq!(get(port, "/ok?n=end").text(), "fine end");
}

#[test]
fn no_two_forks_share_randomness_or_a_clock() {
    let source = "first = random.token(16)\nbegan = time.unix_nano()\n\
                  srv = http.server()\n\
                  srv.handle(\"GET /\", lambda req: [random.token(16), time.unix_nano(), first, began])\nsrv.serve()\n";
    for forks in FORKS {
        let starcell = Starcell::serve(forks, &script(source));
        unlike_each_other(&mut Client::connect(starcell.port()));
    }
}

fn unlike_each_other(client: &mut Client) {
    let (mut tokens, mut last) = (HashSet::new(), 0);
    for _ in 0..1000 {
        let (token, now, first, began): (String, u64, String, u64) =
            serde_json::from_slice(&client.get("/").body).unwrap();
        assert_eq!(token.len(), 32);
        assert!(now > last && now > began, "{now} after {last}, set up at {began}");
        last = now;
        tokens.insert(first);
        assert!(tokens.insert(token.clone()), "{token} came twice");
    }
    assert_eq!(tokens.len(), 1001, "a thousand, and the one of the setup");
}
