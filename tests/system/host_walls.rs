//! `starcell host` behind its walls: apps that may do everything reach neither each other nor what says what the node runs,
//! and the process itself reads what its configuration named.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;
use starcell_tests::log::denied;
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::Starcell;

const TENANTS: &str = "
[profiles.everything]
base = \"allow-all\"

[tenants.acme]
profile = \"everything\"

[tenants.beta]
profile = \"everything\"
";

/// Answers with what the app and its programs can do with the paths of a query.
const ATTACK: &str = r#"
def reads(req):
    return {p: fs.try_read_text(p).ok or fs.try_listdir(p).ok for p in req.query_list("p")}

def writes(req):
    return {p: fs.try_write_text(p, "x").ok for p in req.query_list("p")}

def moves(req):
    found = {}
    for p in req.query_list("p"):
        found[p] = fs.try_rename(p, "moved").ok or fs.try_remove(p, recursive=True).ok
    return found

def sh(req):
    found = {}
    for p in req.query_list("p"):
        r = os.try_exec(["/bin/sh", "-c", "cat \"$0\" >/dev/null 2>&1 || ls \"$0\"/* >/dev/null 2>&1 || echo x 2>/dev/null > \"$0\"", p])
        found[p] = (r.value.code == 0) if r.ok else r.error
    return found

srv = http.server()
srv.handle("GET /reads", reads)
srv.handle("GET /writes", writes)
srv.handle("GET /moves", moves)
srv.handle("GET /sh", sh)
srv.serve(port=8080)
"#;

fn manifest(tenant: &str, host: &str, rest: &str) -> String {
    format!("tenant = {tenant:?}\nhosts = [\"{host}.example\"]\n{rest}")
}

/// What the app came to with paths below the node's folder.
fn asked(node: &NodeFolder, port: u16, what: &str, paths: &[&str]) -> Vec<(String, Value)> {
    let full = |path: &&str| node.path.join(path).to_str().unwrap().to_owned();
    let query: Vec<String> = paths.iter().map(|path| format!("p={}", full(path))).collect();
    let answer = ask(port, "a.example", &format!("/{what}?{}", query.join("&")));
    let found: BTreeMap<String, Value> =
        serde_json::from_str(answer.text()).unwrap_or_else(|_| panic!("{}", answer.text()));
    paths.iter().map(|path| ((*path).to_owned(), found[&full(path)].clone())).collect()
}

/// A node with two tenants that may do everything, and all that belongs to it.
fn furnished() -> NodeFolder {
    let node = NodeFolder::new("");
    for folder in ["certs", "keys", "elsewhere"] {
        fs::create_dir(node.path.join(folder)).unwrap();
    }
    fs::write(node.path.join("keys/stripe"), "sk_of_beta\n").unwrap();
    fs::write(node.path.join("certs/a.txt"), "beside the certificates").unwrap();
    fs::write(node.path.join("common.txt"), "anybody's").unwrap();
    node.configure(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"unix:state/admin.sock\"\n{TENANTS}"
    ));
    node.app(
        "victim",
        &manifest("beta", "b", "secrets = { KEY = { file = \"../../keys/stripe\" } }\n"),
        &says("victim"),
    );
    node.app("sibling", &manifest("acme", "s", ""), &says("sibling"));
    node.app("attacker", &manifest("acme", "a", ""), ATTACK);
    fs::write(node.path.join("apps/victim/data.txt"), "the victim's").unwrap();
    fs::write(node.path.join("apps/attacker/data.txt"), "its own").unwrap();
    node
}

/// What no app reads, writes, moves or executes.
const CLOSED: [&str; 16] = [
    "keys/stripe",
    "node.toml",
    "state",
    "state/kv",
    "state/admin.sock",
    "state/revisions/victim/1/main.star",
    "state/revisions/attacker/index.json",
    "apps",
    "apps/victim",
    "apps/victim/app.toml",
    "apps/victim/main.star",
    "apps/victim/data.txt",
    "apps/victim/new.txt",
    "apps/sibling/main.star",
    "apps/attacker/app.toml",
    "audit.jsonl",
];

#[test]
fn apps_that_may_do_everything_are_apart() {
    let node = furnished();
    let log = node.path.join("audit.jsonl");
    let starcell = node.start(&["--audit", log.to_str().unwrap()]);
    let port = starcell.port();
    for what in ["reads", "writes", "moves", "sh"] {
        for (path, could) in asked(&node, port, what, &CLOSED) {
            // A program that fails comes with its words.
            assert_ne!(could, true, "{what} {path}");
        }
    }
    for (what, path, could) in [
        ("reads", "apps/attacker/main.star", true),
        ("writes", "apps/attacker/main.star", false),
        ("moves", "apps/attacker/main.star", false),
        ("moves", "apps/attacker", false),
        ("reads", "apps/attacker/data.txt", true),
        ("writes", "apps/attacker/data.txt", true),
        ("sh", "apps/attacker/data.txt", true),
        ("reads", "common.txt", true),
        ("writes", "common.txt", true),
        ("sh", "common.txt", true),
    ] {
        assert_eq!(asked(&node, port, what, &[path])[0].1, could, "{what} {path}");
    }
    // Nothing was changed, and nothing deployed anew.
    assert_eq!(ask(port, "b.example", "/").text(), "victim");
    assert_eq!(ask(port, "s.example", "/").text(), "sibling");
    let ended = starcell.stop();
    assert!(!ended.output.contains("deployed revision 2"), "{}", ended.output);
    assert!(denied(&log).len() > CLOSED.len() * 2, "each refusal has a record");
}

#[test]
fn the_tokens_of_a_node_are_closed_to_its_apps() {
    let node = furnished();
    node.configure(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n{TENANTS}"
    ));
    let tokens = "ci operate operate-0123456789\n";
    node.tokens(tokens);
    let starcell = node.start(&[]);
    for what in ["reads", "writes", "moves", "sh"] {
        assert_ne!(asked(&node, starcell.port(), what, &["tokens"])[0].1, true, "{what}");
    }
    assert_eq!(fs::read_to_string(node.path.join("tokens")).unwrap(), tokens);
    assert_eq!(starcell.stop().code(), 0);
}

/// The walls hold for threads and programs, whatever the command.
#[test]
fn the_node_stands_behind_walls_and_goes_on_to_watch() {
    let node = furnished();
    fs::write(node.path.join("elsewhere/main.star"), says("elsewhere")).unwrap();
    fs::write(node.path.join("elsewhere/app.toml"), manifest("beta", "e", "")).unwrap();
    symlink("../elsewhere", node.path.join("apps/linked")).unwrap();
    let far = starcell_tests::process::folder();
    fs::write(far.join("main.star"), says("far")).unwrap();
    fs::write(far.join("app.toml"), manifest("beta", "f", "")).unwrap();
    // In the folder of another program: this one may read it, and the node has not been told of it.
    fs::set_permissions(&far, fs::Permissions::from_mode(0o755)).unwrap();
    // A tenant that may do everything leaves everything open.
    node.configure("[listeners.web]\naddress = \"127.0.0.1:0\"\n[tenants.acme]\nprofile = \"allow-local\"\n[tenants.beta]\nprofile = \"allow-local\"\n");
    let mut starcell = node.start(&[]);
    let port = starcell.port();
    behind_walls(&starcell);
    assert_eq!(ask(port, "e.example", "/").text(), "elsewhere", "an app behind a link that was there is read");
    // What changes and what comes within the folder of the apps is seen.
    node.app("sibling", &manifest("acme", "s", ""), &says("changed"));
    starcell.wait_for("deployed revision 2 of the app sibling");
    assert_eq!(ask(port, "s.example", "/").text(), "changed");
    fs::write(node.path.join("keys/late"), "later\n").unwrap();
    let script = "srv = http.server()\nsrv.handle(\"GET /\", lambda req: os.env(\"KEY\"))\nsrv.serve(port=8080)\n";
    node.app("late", &manifest("acme", "l", "secrets = { KEY = { file = \"../../keys/late\" } }\n"), script);
    starcell.wait_for("deployed revision 1 of the app late");
    assert_eq!(ask(port, "l.example", "/").text(), "later", "the folder of another secret is open");
    // What lies outside of all that was named at the start is not, as far as this kernel can tell.
    symlink(&far, node.path.join("apps/far")).unwrap();
    let told = starcell.wait_for("the app far");
    assert!(told.contains("cannot") || starcell.seen().contains("no landlock"), "{told}");
    assert_eq!(starcell.stop().code(), 0);
}

/// Where the numbers of all tenants are read, no script reads them.
#[test]
fn the_numbers_of_the_node_are_not_for_its_apps() {
    let node = NodeFolder::new("");
    node.configure(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[metrics]\naddress = \"127.0.0.1:0\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n{TENANTS}"
    ));
    node.tokens("ci operate operate-0123456789\n");
    let script = "srv = http.server()\nsrv.handle(\"GET /\", lambda req: [http.try_get(u).error for u in \
                  req.query_list(\"u\")])\nsrv.serve(port=8080)\n";
    node.app("curious", &manifest("acme", "c", ""), script);
    let mut starcell = node.spawn(&[]);
    let metrics = starcell.wait_for("metrics at http://");
    let address = metrics.rsplit_once("http://").and_then(|(_, url)| url.split_once('/')).unwrap().0.to_owned();
    let number = address.rsplit_once(':').unwrap().1;
    let operated = starcell.wait_for("operated at http://");
    let operated = operated.rsplit_once("http://").unwrap().1.to_owned();
    starcell.wait_for("serving ");
    let port = starcell.port();
    let urls = [
        format!("http://{operated}/v1/health"),
        format!("http://{address}/metrics"),
        format!("http://localhost:{number}/metrics"),
        format!("http://0.0.0.0:{number}/"),
    ];
    let query: Vec<String> = urls.iter().map(|url| format!("u={url}")).collect();
    let answer = ask(port, "c.example", &format!("/?{}", query.join("&")));
    let errors: Vec<Option<String>> = serde_json::from_str(answer.text()).unwrap();
    for (url, error) in urls.iter().zip(errors) {
        assert!(error.as_deref().is_some_and(|error| error.contains("the host's own")), "{url}: {error:?}");
    }
    let operator = starcell_tests::client::Client::connect(number.parse().unwrap()).get("/metrics");
    assert_eq!(operator.status, 200);
}

/// Every thread of a process gains nothing and has a list of system calls.
fn behind_walls(starcell: &Starcell) {
    for thread in fs::read_dir(format!("/proc/{}/task", starcell.id())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
    }
}
