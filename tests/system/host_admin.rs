//! The API that a node is operated by: who may ask, what is answered, and what is recorded of it.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use serde_json::{Value, json};
use starcell_tests::admin::{Description, Operator};
use starcell_tests::client::Client;
use starcell_tests::log::{ask_json, lines};
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, eventually};
use starcell_tests::tls::replace;

pub(crate) const OPERATE: &str = "operate-0123456789";
pub(crate) const READ: &str = "read-0123456789abc";
pub(crate) const ACME: &str = "acme-0123456789abc";
pub(crate) const ACME_READ: &str = "acme-read-0123456789";

const TENANTS: &str = "
[profiles.shop]
base = \"allow-fs\"
allow = [\"http.server\"]

[tenants.acme]
profile = \"shop\"
quotas = { requests = \"1000/s\", cpu = \"500ms/s\", concurrency = 64, memory = \"512MiB\", kv = \"1MiB\", egress = \"9/s\", log = \"64KiB/s\" }

[tenants.beta]
profile = \"shop\"
";

const UNIX: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"unix:state/admin.sock\"\n";
pub(crate) const LOOPBACK: &str =
    "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n";

/// Keeps something, asks for what it may not have, and logs.
const WORKS: &str = "
def work(req):
    kv.set(\"a\", 1)
    log.info(\"worked\", {\"who\": req.query.get(\"who\", \"nobody\")})
    return {\"far\": fs.try_read_text(\"/etc/hostname\").ok}

srv = http.server()
srv.handle(\"GET /work\", work)
srv.handle(\"GET /\", lambda req: \"orders\")
srv.serve(port=8080)
";

fn manifest(tenant: &str, host: &str) -> String {
    format!("tenant = {tenant:?}\nhosts = [\"{host}.example\"]\n")
}

pub(crate) fn node(admin: &str) -> NodeFolder {
    let node = NodeFolder::new("");
    node.configure(&format!("{admin}{TENANTS}"));
    let tokens =
        format!("ci operate {OPERATE}\nwatch read {READ}\nshop operate acme {ACME}\nlook read acme {ACME_READ}\n");
    node.tokens(&tokens);
    let more = "env = { GREETING = \"hi\" }\nsecrets = { KEY = { file = \"../../key\" } }\nlimits = { memory = \"32MiB\" }\n\
                schedule = [{ every = \"1h\", path = \"/tick\" }]\n";
    fs::write(node.path.join("key"), "sk_live_1").unwrap();
    node.app("orders", &format!("{}{more}", manifest("acme", "o")), WORKS);
    node.app("other", &manifest("beta", "b"), &says("other"));
    node.app("broken", &manifest("acme", "x"), "1 // 0\n");
    node
}

fn actions(log: &Path) -> Vec<Value> {
    lines(log, "action")
}

#[test]
fn a_node_tells_of_itself_its_tenants_and_its_apps() {
    let node = node(UNIX);
    let log = node.path.join("audit.jsonl");
    let starcell = node.start(&["--audit", log.to_str().unwrap()]);
    let operator = Operator::of(&starcell, None);
    let socket = node.path.join("state/admin.sock");
    let about = fs::symlink_metadata(&socket).unwrap();
    assert_eq!((about.file_type().is_socket(), about.permissions().mode() & 0o777), (true, 0o600));

    eventually(PATIENCE / 2, "the node is ready", || operator.get("/v1/health")["ready"] == json!(true));
    let health = operator.get("/v1/health");
    assert_eq!((&health["node"], &health["running"], &health["down"]), (&json!("node-1"), &json!(2), &json!(1)));
    assert_eq!(health["audited"], json!(true));

    assert_eq!(ask(starcell.port(), "o.example", "/work?who=me").text(), r#"{"far":false}"#);
    let apps = operator.get("/v1/apps");
    let states: Vec<(&str, &str)> = apps["apps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| (app["name"].as_str().unwrap(), app["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, [("broken", "failed"), ("orders", "running"), ("other", "running")]);

    let orders = operator.get("/v1/apps/orders");
    assert_eq!((&orders["tenant"], &orders["revision"], &orders["path"]), (&json!("acme"), &json!(1), &json!("/")));
    assert_eq!(orders["limits"]["memory_bytes"], json!(32 << 20));
    assert_eq!((&orders["env"], &orders["secrets"]), (&json!(["GREETING"]), &json!(["KEY"])));
    assert_eq!((&orders["schedule"], &orders["counted"]["requests"]), (&json!(["/tick"]), &json!(1)));
    assert_eq!((&orders["revisions"][0]["number"], &orders["revisions"][0]["runs"]), (&json!(1), &json!(true)));
    assert!(orders["grants"][0]["allow"].as_array().unwrap().contains(&json!("http.server")), "{orders}");
    assert!(!orders.to_string().contains("sk_live_1"), "a secret is shown");
    let broken = operator.get("/v1/apps/broken");
    assert!(broken["reason"].as_str().unwrap().contains("main.star:1"), "{broken}");

    let acme = operator.get("/v1/tenants/acme");
    assert_eq!(acme["apps"], json!(["broken", "orders"]));
    let quotas: Vec<&str> = acme["quotas"].as_array().unwrap().iter().map(|q| q["name"].as_str().unwrap()).collect();
    assert_eq!(quotas, ["requests", "cpu", "egress", "log", "concurrency", "memory", "kv"]);
    let quota = |name: &str| acme["quotas"].as_array().unwrap().iter().find(|q| q["name"] == name).unwrap().clone();
    assert_eq!((&quota("kv")["limit"], &quota("cpu")["limit"]), (&json!(1048576.0), &json!(500.0)));
    assert!(quota("kv")["used"].as_f64().unwrap() > 0.0 && quota("memory")["used"].as_f64().unwrap() > 0.0, "{acme}");

    let denials = operator.get("/v1/apps/orders/denials");
    assert_eq!((&denials["total"], &denials["denials"][0]["resource"]), (&json!(1), &json!("/etc/hostname")));
    let profile = operator.get("/v1/apps/orders/profile");
    assert!(profile["toml"].as_str().unwrap().contains("[profiles.orders-least]"), "{profile}");
    assert!(profile["allow"].to_string().contains("kv.write"), "{profile}");
    let records = operator.get("/v1/audit?tail=2");
    assert_eq!(records["records"].as_array().unwrap().len(), 2);
    let logs = operator.get("/v1/apps/orders/logs?tail=5");
    assert!(logs["lines"].to_string().contains("worked"), "{logs}");
    assert_eq!(operator.get("/v1/openapi.json"), *Description::of_documents().json());
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(!socket.exists(), "its socket stays");
}

#[test]
fn a_token_has_a_role_and_a_tenant() {
    let node = node(LOOPBACK);
    let log = node.path.join("audit.jsonl");
    let starcell = node.start(&["--audit", log.to_str().unwrap()]);
    let with = |token: Option<&str>| Operator::of(&starcell, token);
    for (token, told) in [(None, "a token"), (Some("operate-0123456788"), "a token"), (Some(""), "a token")] {
        for (method, path) in [("GET", "/v1/health"), ("POST", "/v1/apps/orders/stop"), ("GET", "/nothing")] {
            let (status, code, message) = with(token).refused(method, path, "");
            assert_eq!((status, code.as_str()), (401, "unauthorized"), "{token:?}");
            assert!(message.contains(told), "{message}");
        }
    }
    let unknown = with(None).ask("GET", "/v1/health", "");
    assert_eq!(unknown.header("www-authenticate"), Some("Bearer"));

    let reader = with(Some(READ));
    assert_eq!(reader.get("/v1/apps")["apps"].as_array().unwrap().len(), 3);
    let (status, code, message) = reader.refused("POST", "/v1/apps/orders/stop", "");
    assert_eq!((status, code.as_str()), (403, "forbidden"));
    assert!(message.contains("watch has the role `read`; this takes `operate`"), "{message}");

    let tenant = with(Some(ACME));
    let apps = tenant.get("/v1/apps");
    assert_eq!(apps["apps"].as_array().unwrap().len(), 2, "{apps}");
    assert_eq!(tenant.get("/v1/tenants")["tenants"].as_array().unwrap().len(), 1);
    // Another tenant's app, and one that there is not, cannot be told apart.
    for path in ["", "/logs", "/denials", "/profile"] {
        let other = tenant.refused("GET", &format!("/v1/apps/other{path}"), "");
        let none = tenant.refused("GET", &format!("/v1/apps/absent{path}"), "");
        assert_eq!((other.0, other.1, other.2.replace("other", "absent")), none);
    }
    assert_eq!(tenant.refused("GET", "/v1/tenants/beta", "").0, 404);
    for action in ["stop", "deploy", "rollback", "drain", "start"] {
        assert_eq!(tenant.refused("POST", &format!("/v1/apps/other/{action}"), "").0, 404, "{action}");
    }
    assert_eq!(with(Some(ACME_READ)).refused("POST", "/v1/apps/orders/stop", "").0, 403);
    let done = tenant.post("/v1/apps/orders/deploy", "");
    assert_eq!((&done["revision"], &done["state"]), (&json!(1), &json!("running")));
    for record in tenant.get("/v1/audit?tail=1000")["records"].as_array().unwrap() {
        assert!(record["kind"] == "outcome" || record["tenant"] == "acme", "{record}");
    }

    // Everything that was asked for is recorded, with who did.
    let told: Vec<(String, String, String)> = actions(&log)
        .iter()
        .map(|action| {
            let text = |key: &str| action[key].as_str().unwrap_or_default().to_owned();
            (text("actor"), text("action"), text("decision"))
        })
        .collect();
    for (actor, action, decision) in [
        ("stranger", "request", "deny"),
        ("watch", "stop", "deny"),
        ("shop", "stop", "deny"),
        ("look", "stop", "deny"),
        ("shop", "deploy", "allow"),
    ] {
        let record = (actor.to_owned(), action.to_owned(), decision.to_owned());
        assert!(told.contains(&record), "{record:?} in {told:?}");
    }
    let text = fs::read_to_string(&log).unwrap();
    assert!([OPERATE, READ, ACME, ACME_READ].iter().all(|token| !text.contains(token)), "a token is recorded");

    // Tokens are read again when it is asked for.
    replace(&node.path.join("tokens"), format!("new operate {READ}-new\n").as_bytes());
    starcell.signal("HUP");
    eventually(PATIENCE / 2, "the old token is none any more", || {
        with(Some(OPERATE)).ask("GET", "/v1/health", "").status == 401
    });
    assert_eq!(with(Some(&format!("{READ}-new"))).get("/v1/health")["node"], json!("node-1"));
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert_eq!(ask_json(&node.path, &["audit", "verify", "audit.jsonl", "--json"])["closed"], json!(true));
}

#[test]
fn what_is_wrong_is_named() {
    let node = node(UNIX);
    let starcell = node.start(&[]);
    let operator = Operator::of(&starcell, None);
    for (method, target, body, status, code, told) in [
        ("GET", "/v1/apps/absent", "", 404, "unknown_app", "no app absent"),
        ("GET", "/v1/apps/%2e%2e", "", 404, "unknown_app", "no app"),
        ("GET", "/v1/tenants/absent", "", 404, "unknown_tenant", "no tenant absent"),
        ("GET", "/", "", 404, "unknown_path", "/v1/openapi.json"),
        ("GET", "/v1/apps/orders/stop", "", 405, "wrong_method", "POST"),
        ("DELETE", "/v1/apps/orders", "", 405, "wrong_method", "GET"),
        ("GET", "/v1/apps/orders/logs?tail=x", "", 400, "bad_query", "`tail` is a number"),
        ("GET", "/v1/apps?tail=1", "", 400, "bad_query", "it takes nothing"),
        ("POST", "/v1/apps/orders/deploy", "{", 400, "bad_body", "EOF"),
        ("POST", "/v1/apps/orders/rollback", "{\"revison\": 1}", 400, "bad_body", "revison"),
        ("POST", "/v1/apps/orders/canary", "{}", 400, "bad_body", "revision"),
        ("POST", "/v1/apps/orders/canary", "{\"revision\": 1, \"percent\": 101}", 400, "bad_body", "0 to 100"),
        ("POST", "/v1/apps/orders/canary", "{\"revision\": 1, \"percent\": 9}", 409, "is_current", "answers already"),
        ("POST", "/v1/apps/orders/canary", "{\"revision\": 9, \"percent\": 9}", 404, "unknown_revision", "kept are 1"),
        ("POST", "/v1/apps/orders/rollback", "{\"revision\": 9}", 404, "unknown_revision", "kept are 1"),
        ("POST", "/v1/apps/orders/rollback", "", 409, "no_revision", "no earlier revision"),
        ("POST", "/v1/apps/orders/preview", "{\"revision\": 1}", 409, "no_previews", "preview = true"),
        ("POST", "/v1/apps/broken/drain", "", 409, "not_running", "does not answer"),
        ("POST", "/v1/apps/broken/deploy", "", 422, "not_deployed", "main.star:1"),
        ("GET", "/v1/apps/orders/denials", "", 409, "no_audit_log", "--audit FILE"),
        ("GET", "/v1/audit", "", 409, "no_audit_log", "--audit FILE"),
    ] {
        let (found, word, message) = operator.refused(method, target, body);
        assert_eq!((found, word.as_str()), (status, code), "{method} {target} {body}: {message}");
        assert!(message.contains(told), "{method} {target} {body}: {message}");
    }
    let large = format!("{{\"revision\": 1}}{}", " ".repeat(80 << 10));
    assert_eq!(operator.refused("POST", "/v1/apps/orders/rollback", &large).0, 413);
    // It goes on for others while one client says nothing.
    let Operator::Unix(socket) = &operator else { panic!() };
    let _silent = std::os::unix::net::UnixStream::connect(socket).unwrap();
    assert_eq!(operator.get("/v1/health")["running"], json!(2));
}

#[test]
fn the_configuration_names_who_may_ask() {
    let node = node(UNIX);
    for (admin, code, told) in [
        ("address = \"127.0.0.1:0\"\n", 4, "add token_file"),
        ("address = \"0.0.0.0:0\"\ntoken_file = \"tokens\"\n", 4, "loopback"),
        ("address = \"127.0.0.1:0\"\ntoken_file = \"absent\"\n", 4, "cannot read"),
        ("address = \"127.0.0.1:0\"\ntoken_file = \"key\"\n", 4, "key:1:1: "),
        ("address = \"unix:open/admin.sock\"\n", 7, "others may write to"),
        ("address = \"unix:key\"\n", 7, "is no socket"),
    ] {
        let open = node.path.join("open");
        fs::create_dir_all(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        node.configure(&format!("[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\n{admin}{TENANTS}"));
        let ended = node.spawn(&[]).wait();
        assert_eq!(ended.code(), code, "{admin}: {}", ended.output);
        assert!(ended.stderr.contains(told), "{admin}: {}", ended.stderr);
        assert!(!ended.output.contains("sk_live_1"), "{}", ended.output);
    }
    // A socket that a killed node has left behind is replaced.
    node.configure(&format!("{UNIX}{TENANTS}"));
    let starcell = node.start(&[]);
    starcell.signal("KILL");
    drop(starcell.wait());
    assert!(node.path.join("state/admin.sock").exists());
    let starcell = node.start(&[]);
    assert_eq!(Operator::of(&starcell, None).get("/v1/health")["node"], json!("node-1"));
}

#[test]
fn a_log_is_followed() {
    let node = node(UNIX);
    let starcell = node.start(&[]);
    let Operator::Unix(socket) = Operator::of(&starcell, None) else { panic!() };
    let stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::over(stream);
    client.send(b"GET /v1/apps/orders/logs?tail=0&follow=true HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let head = client.read(true).unwrap();
    assert_eq!((head.status, head.header("content-type")), (200, Some("application/x-ndjson")));
    assert_eq!(ask(starcell.port(), "o.example", "/work?who=first").status, 200);
    assert_eq!(ask(starcell.port(), "b.example", "/").status, 200);
    assert_eq!(ask(starcell.port(), "o.example", "/work?who=second").status, 200);
    // The node ends the answer when it ends.
    assert_eq!(starcell.stop().code(), 0);
    let rest = String::from_utf8(client.rest().unwrap()).unwrap();
    let lines: Vec<Value> = rest.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let lines: Vec<&Value> = lines.iter().filter(|line| line.is_object()).collect();
    assert_eq!(lines.len(), 2, "{rest}");
    assert!(lines[0]["line"].as_str().unwrap().contains("first") && lines[1].to_string().contains("second"), "{rest}");
    lines.iter().for_each(|line| Description::of_documents().shape("LogLineView", line));
}
