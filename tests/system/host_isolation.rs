//! `starcell host`: nothing of one tenant is seen by another, and an app may do no more than its tenant.

use std::fs;

use serde_json::Value;
use starcell_tests::log::{denied, lines};
use starcell_tests::node::{NodeFolder, ask};

/// Answers with what the app finds of everything that tenants must not share.
const LOOKS: &str = r#"
def put(req):
    kv.set("key", req.params["value"])
    return "kept"

def look(req):
    names = ["OWN", "STRIPE", "PATH", "HOME", "CANARY_OF_NODE"]
    found = {name: os.try_env(name).value for name in names}
    return {"kv": kv.get("key"), "keys": kv.list(), "env": found}

def files(req):
    results = {}
    for path in ["app.toml", "../other/app.toml", "../other/main.star", "main.star", "../../node.toml", "../../state"]:
        results[path] = fs.try_read_text(path).ok
    return results

def write(req):
    return {"ok": fs.try_write_text("app.toml", "tenant = 'root'").ok}

srv = http.server()
srv.handle("GET /put/{value}", put)
srv.handle("GET /look", look)
srv.handle("GET /files", files)
srv.handle("GET /write", write)
srv.serve(port=8080)
"#;

const TENANTS: &str = "
[profiles.shop]
base = \"allow-fs\"
allow = [\"http.server\"]

[profiles.wide]
base = \"allow-fs\"
allow = [\"http.server\", \"fs.read(/**)\", \"fs.write(/**)\"]

[profiles.quiet]
base = \"deny-all\"
allow = [\"http.server\"]

[tenants.acme]
profile = \"shop\"

[tenants.beta]
profile = \"shop\"

[tenants.root]
profile = \"wide\"
";

fn manifest(tenant: &str, host: &str, rest: &str) -> String {
    format!("tenant = {tenant:?}\nhosts = [\"{host}.example\"]\n{rest}")
}

#[test]
fn stores_and_environments_are_apart() {
    let node = NodeFolder::new(TENANTS);
    fs::write(node.path.join("stripe"), "sk_of_acme\n").unwrap();
    let secret = "env = { OWN = \"a\" }\nsecrets = { STRIPE = { file = \"../../stripe\" } }\n";
    node.app("orders", &manifest("acme", "a", secret), LOOKS);
    node.app("stock", &manifest("acme", "s", ""), LOOKS);
    node.app("other", &manifest("beta", "b", "env = { OWN = \"b\" }\n"), LOOKS);
    let looked = |port: u16, host: &str| -> Value { serde_json::from_str(ask(port, host, "/look").text()).unwrap() };
    let starcell = node.start(&[]);
    let port = starcell.port();
    assert_eq!(ask(port, "a.example", "/put/one").text(), "kept");
    assert_eq!(ask(port, "b.example", "/put/two").text(), "kept");
    let (orders, stock, other) = (looked(port, "a.example"), looked(port, "s.example"), looked(port, "b.example"));
    assert_eq!((&orders["kv"], &other["kv"], &stock["kv"]), (&"one".into(), &"two".into(), &Value::Null));
    assert_eq!(stock["keys"], serde_json::json!([]), "two apps of one tenant are apart too");
    assert_eq!((&orders["env"]["OWN"], &orders["env"]["STRIPE"]), (&"a".into(), &"sk_of_acme".into()));
    assert_eq!((&other["env"]["OWN"], &other["env"]["STRIPE"]), (&"b".into(), &Value::Null));
    for found in [&orders, &stock, &other] {
        assert_eq!((&found["env"]["PATH"], &found["env"]["HOME"]), (&Value::Null, &Value::Null));
    }
    // What an app keeps is there again after a restart, and nowhere else.
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(!ended.output.contains("sk_of_acme"), "{}", ended.output);
    let starcell = node.start(&[]);
    let (orders, other) = (looked(starcell.port(), "a.example"), looked(starcell.port(), "b.example"));
    assert_eq!((&orders["kv"], &other["kv"]), (&"one".into(), &"two".into()));
}

#[test]
fn files_of_the_node_are_under_no_grant() {
    let node = NodeFolder::new(TENANTS);
    node.app("other", &manifest("acme", "o", ""), LOOKS);
    node.app("curious", &manifest("root", "c", ""), LOOKS);
    let starcell = node.start(&[]);
    let files: Value = serde_json::from_str(ask(starcell.port(), "c.example", "/files").text()).unwrap();
    for (path, read) in [
        ("app.toml", false),
        ("../other/app.toml", false),
        ("../../node.toml", false),
        ("../../state", false),
        // Its grants are as wide as that, and the folder of another app is closed all the same.
        ("../other/main.star", false),
        ("main.star", true),
    ] {
        assert_eq!(files[path], read, "{path}");
    }
    assert_eq!(ask(starcell.port(), "c.example", "/write").text(), r#"{"ok":false}"#);
}

#[test]
fn an_app_narrows_its_tenant_and_cannot_widen_it() {
    let node = NodeFolder::new(TENANTS);
    let log = node.path.join("audit.jsonl");
    let script = r#"
def look(req):
    return {"kv": kv.try_set("a", 1).ok, "own": fs.try_read_text("main.star").ok, "far": fs.try_read_text("/etc/hostname").ok}

srv = http.server()
srv.handle("GET /", look)
srv.serve(port=8080)
"#;
    node.app("usual", &manifest("acme", "u", ""), script);
    node.app("narrow", &manifest("acme", "n", "profile = \"quiet\"\n"), script);
    node.app("greedy", &manifest("acme", "g", "profile = \"allow-all\"\n"), script);
    let starcell = node.start(&["--audit", log.to_str().unwrap()]);
    let port = starcell.port();
    let looked = |host: &str| -> Value { serde_json::from_str(ask(port, host, "/").text()).unwrap() };
    assert_eq!(looked("u.example"), serde_json::json!({"kv": true, "own": true, "far": false}));
    assert_eq!(looked("n.example"), serde_json::json!({"kv": false, "own": false, "far": false}));
    assert_eq!(looked("g.example"), serde_json::json!({"kv": true, "own": true, "far": false}));
    assert_eq!(starcell.stop().code(), 0);
    let refused = denied(&log);
    assert!(refused.len() >= 5, "{refused:?}");
    for call in lines(&log, "call") {
        let (node, tenant, revision) = (&call["node"], &call["tenant"], &call["revision"]);
        assert_eq!((node, tenant, revision), (&"node-1".into(), &"acme".into(), &1.into()), "{call}");
        assert!(["usual", "narrow", "greedy"].contains(&call["app"].as_str().unwrap()), "{call}");
    }
}

#[test]
fn the_permission_to_serve_is_asked_for_as_ever() {
    let node = NodeFolder::new("[tenants.acme]\nprofile = \"allow-fs\"\n[tenants.beta]\nprofile = \"allow-local\"\n");
    node.app("orders", &manifest("acme", "a", ""), LOOKS);
    node.app("other", &manifest("beta", "b", ""), &starcell_tests::node::says("other"));
    let mut starcell = node.spawn(&[]);
    // The log has a thread of its own, so either line may be the first.
    starcell.wait_for("serving ");
    while !starcell.seen().contains("permission denied: http.server") {
        starcell.wait_for("");
    }
    assert!(starcell.seen().contains("the app orders cannot be deployed"), "{}", starcell.seen());
    assert_eq!(ask(starcell.port(), "b.example", "/").text(), "other");
    let down = ask(starcell.port(), "a.example", "/");
    assert_eq!((down.status, down.text()), (503, "503 Service Unavailable: the app does not run\n"));
}
