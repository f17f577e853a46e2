//! Revisions that are kept: rolled back to, as canaries, in previews; stopped and drained apps. No request fails meanwhile.

use std::collections::BTreeMap;
use std::fs;

use serde_json::json;
use starcell_tests::admin::Operator;
use starcell_tests::client::Client;
use starcell_tests::good::Good;
use starcell_tests::node::{NodeFolder, ask, ask_on, says};
use starcell_tests::process::{PATIENCE, eventually};
use starcell_tests::tls::replace;

const REST: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"unix:state/admin.sock\"\n\
                    [tenants.acme]\nprofile = \"allow-local\"\n";
const ONE: &str = "tenant = \"acme\"\nhosts = [\"one.example\"]\n";

fn node() -> (NodeFolder, Operator) {
    let node = NodeFolder::new("");
    node.configure(REST);
    let operator = Operator::Unix(node.path.join("state/admin.sock"));
    (node, operator)
}

fn until(port: u16, text: &str) {
    eventually(PATIENCE / 2, text, || ask(port, "one.example", "/").text() == text);
}

/// Deploys versions from 1 on, each a revision.
fn versions(node: &NodeFolder, port: u16, last: usize) {
    for version in 2..=last {
        replace(&node.path.join("apps/one/main.star"), says(&format!("v{version}")).as_bytes());
        until(port, &format!("v{version}"));
    }
}

#[test]
fn a_revision_answers_again_with_what_it_had_loaded() {
    let (node, operator) = node();
    let loads = "load(\"lib/text.star\", \"text\")\nsrv = http.server()\nsrv.handle(\"GET /\", lambda req: text)\nsrv.serve()\n";
    fs::create_dir_all(node.path.join("apps/one/lib")).unwrap();
    fs::write(node.path.join("apps/one/lib/text.star"), "text = \"v1\"\n").unwrap();
    node.app("one", ONE, loads);
    let starcell = node.start(&[]);
    let port = starcell.port();
    until(port, "v1");
    replace(&node.path.join("apps/one/lib/text.star"), b"text = \"v2\"\n");
    until(port, "v2");
    let done = operator.post("/v1/apps/one/rollback", "");
    assert_eq!((&done["revision"], &done["previous"]), (&json!(1), &json!(2)));
    assert_eq!(ask(port, "one.example", "/").text(), "v1");
    assert_eq!(operator.get("/v1/apps/one")["pinned"], json!(1));
    // It stays so over a restart, as the folder has not changed since.
    assert_eq!(starcell.stop().code(), 0);
    let starcell = node.start(&[]);
    let port = starcell.port();
    until(port, "v1");
    let app = operator.get("/v1/apps/one");
    assert_eq!(
        (&app["revision"], &app["pinned"], app["revisions"].as_array().unwrap().len()),
        (&json!(1), &json!(1), 2)
    );
    // A change of the folder counts, also of a file that only the other revision has loaded in this process.
    replace(&node.path.join("apps/one/lib/text.star"), b"text = \"v3\"\n");
    until(port, "v3");
    let app = operator.get("/v1/apps/one");
    assert_eq!((&app["revision"], &app["pinned"]), (&json!(3), &json!(null)));
    // What is deployed from the folder once more is the same revision.
    assert_eq!(operator.post("/v1/apps/one/deploy", "")["revision"], json!(3));
}

#[test]
fn a_revision_that_cannot_be_set_up_replaces_nothing() {
    let (node, operator) = node();
    node.app("one", ONE, &says("v1"));
    let starcell = node.start(&[]);
    let port = starcell.port();
    until(port, "v1");
    fs::write(node.path.join("apps/one/main.star"), "1 // 0\n").unwrap();
    let (status, code, message) = operator.refused("POST", "/v1/apps/one/deploy", "");
    assert_eq!((status, code.as_str()), (422, "not_deployed"));
    assert!(message.contains("revision 1 stays") && message.contains("main.star:1"), "{message}");
    fs::write(node.path.join("apps/one/app.toml"), "tenat = 1\n").unwrap();
    let (status, code, message) = operator.refused("POST", "/v1/apps/one/deploy", "");
    assert_eq!((status, code.as_str()), (422, "bad_configuration"));
    assert!(message.contains("one/app.toml:1:1"), "{message}");
    let app = operator.get("/v1/apps/one");
    assert_eq!((&app["state"], &app["revision"]), (&json!("running"), &json!(1)));
    assert!(app["reason"].as_str().unwrap().contains("app.toml:1:1"), "{app}");
    assert_eq!(ask(port, "one.example", "/").text(), "v1");
}

#[test]
fn revisions_are_kept_by_count() {
    let (node, operator) = node();
    let rest = REST.replace("[admin]", "[node.revisions]\ncount = 3\nage = \"1d\"\n[admin]");
    node.configure(&rest);
    node.app("one", ONE, &says("v1"));
    let mut starcell = node.start(&[]);
    until(starcell.port(), "v1");
    versions(&node, starcell.port(), 5);
    let kept = |operator: &Operator| -> Vec<u64> {
        let app = operator.get("/v1/apps/one");
        app["revisions"].as_array().unwrap().iter().map(|revision| revision["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(kept(&operator), [5, 4, 3]);
    let folder = node.path.join("state/revisions/one");
    eventually(PATIENCE / 2, "the folders of the others are gone", || {
        !folder.join("1").exists() && !folder.join("2").exists()
    });
    assert_eq!(fs::read_to_string(folder.join("3/main.star")).unwrap(), says("v3"));
    // Another number counts from the next deploy on.
    node.configure(&rest.replace("count = 3", "count = 1"));
    starcell.signal("HUP");
    starcell.wait_for("the configuration was read again; apps set up anew: 0");
    replace(&node.path.join("apps/one/main.star"), says("v6").as_bytes());
    until(starcell.port(), "v6");
    eventually(PATIENCE / 2, "one is kept", || kept(&operator) == [6]);
}

#[test]
fn a_damaged_index_is_set_aside_and_the_app_runs_from_its_folder() {
    let (node, operator) = node();
    node.app("one", ONE, &says("v1"));
    let starcell = node.start(&[]);
    until(starcell.port(), "v1");
    versions(&node, starcell.port(), 2);
    operator.post("/v1/apps/one/rollback", "{\"revision\": 1}");
    operator.post("/v1/apps/one/stop", "");
    assert_eq!(starcell.stop().code(), 0);
    let folder = node.path.join("state/revisions/one");
    let index = folder.join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    let half = &text[..text.len() / 2];
    fs::write(&index, half).unwrap();
    let mut starcell = node.start(&[]);
    until(starcell.port(), "v2");
    if !starcell.seen().contains("the revisions of the app one are unknown") {
        starcell.wait_for("the revisions of the app one are unknown");
    }
    assert!(starcell.seen().contains("index.damaged.1"), "{}", starcell.seen());
    assert_eq!(fs::read_to_string(folder.join("index.damaged.1")).unwrap(), half);
    // Numbers that were given are not given again.
    assert_eq!(operator.get("/v1/apps/one")["revision"], json!(3));
    assert_eq!(starcell.stop().code(), 0);
    let starcell = node.start(&[]);
    until(starcell.port(), "v2");
    assert_eq!(operator.get("/v1/apps/one")["revision"], json!(3));
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn what_was_drained_before_its_tenant_changed_is_set_up_anew() {
    let (node, operator) = node();
    node.app("one", ONE, &says("v1"));
    let mut starcell = node.start(&[]);
    until(starcell.port(), "v1");
    operator.post("/v1/apps/one/drain", "");
    let changed = format!("{REST}quotas = {{ requests = \"1/h\" }}\n");
    node.configure(&changed);
    starcell.signal("HUP");
    starcell.wait_for("the configuration was read again; apps set up anew: 1");
    assert_eq!(operator.post("/v1/apps/one/start", "")["revision"], json!(2));
    let status = || ask(starcell.port(), "one.example", "/").status;
    assert_eq!([status(), status()], [200, 429]);
    // A tenant whose apps are drained stays.
    operator.post("/v1/apps/one/drain", "");
    node.configure(&changed.replace("acme", "other"));
    starcell.signal("HUP");
    let told = starcell.wait_for("tenants.acme stays as it is");
    assert!(told.contains("since it has apps: one"), "{told}");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_canary_has_its_part_and_no_request_fails() {
    let (node, operator) = node();
    node.app("one", ONE, &says("v1"));
    let starcell = node.start(&["--no-access-log"]);
    let port = starcell.port();
    until(port, "v1");
    versions(&node, port, 2);
    let load = |port: u16| {
        Good::keep(
            move || Client::connect(port),
            |client: &mut Client| {
                let answer = ask_on(client, "one.example", "/").expect("no request is dropped");
                assert!(answer.status == 200 && answer.text().starts_with('v'), "{answer:?}");
            },
        )
    };
    let clients = [load(port), load(port)];
    operator.post("/v1/apps/one/canary", "{\"revision\": 1, \"percent\": 25}");
    let app = operator.get("/v1/apps/one");
    assert_eq!(
        (&app["canary"]["revision"], &app["canary"]["percent"], &app["revision"]),
        (&json!(1), &json!(25), &json!(2))
    );
    for round in 0..10 {
        operator.post("/v1/apps/one/canary", &format!("{{\"revision\": 1, \"percent\": {}}}", 10 + round));
        operator.post("/v1/apps/one/rollback", "{\"revision\": 1}");
        assert_eq!(operator.get("/v1/apps/one")["canary"], json!(null), "a canary that answers is none");
        operator.post("/v1/apps/one/canary", "{\"revision\": 2, \"percent\": 50}");
        operator.post("/v1/apps/one/rollback", "{\"revision\": 2}");
        operator.post("/v1/apps/one/deploy", "");
    }
    let answers: usize = clients.into_iter().map(|client| client.finish().len()).sum();
    assert!(answers > 20, "{answers}");
    // Of every hundred requests exactly so many, wherever they begin.
    operator.post("/v1/apps/one/canary", "{\"revision\": 1, \"percent\": 25}");
    let mut client = Client::connect(port);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..200 {
        *counts.entry(ask_on(&mut client, "one.example", "/").unwrap().text().to_owned()).or_default() += 1;
    }
    assert_eq!(counts, BTreeMap::from([("v1".to_owned(), 50), ("v2".to_owned(), 150)]));
    let app = operator.get("/v1/apps/one");
    assert_eq!(app["canary"]["counted"]["requests"], json!(50));
    operator.post("/v1/apps/one/canary", "{\"revision\": 1, \"percent\": 0}");
    assert!((0..100).all(|_| ask_on(&mut client, "one.example", "/").unwrap().text() == "v2"));
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_preview_is_for_whoever_has_its_key() {
    let (node, operator) = node();
    let script = |text: &str| {
        format!(
            "srv = http.server()\nsrv.handle(\"GET /\", lambda req: {text:?} + str(req.headers.get(\"Starcell-Preview\")))\nsrv.serve()\n"
        )
    };
    let previewed = "preview = true\n";
    node.app("one", &format!("{ONE}{previewed}"), &script("v1 "));
    node.app("two", &format!("tenant = \"acme\"\nhosts = [\"two.example\"]\n{previewed}"), &script("two "));
    let starcell = node.start(&[]);
    let port = starcell.port();
    until(port, "v1 None");
    replace(&node.path.join("apps/one/main.star"), script("v2 ").as_bytes());
    until(port, "v2 None");
    let done = operator.post("/v1/apps/one/preview", "{\"revision\": 1, \"minutes\": 5}");
    let (header, key) = (done["preview"]["header"].as_str().unwrap(), done["preview"]["key"].as_str().unwrap());
    assert_eq!((header, key.len(), &done["revision"]), ("starcell-preview", 32, &json!(2)));
    let with = |host: &str, key: &str| {
        let mut client = Client::connect(port);
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{header}: {key}\r\n\r\n").as_bytes()).unwrap();
        let answer = client.read(false).unwrap();
        (answer.status, answer.text().to_owned())
    };
    // The script does not see the key.
    assert_eq!(with("one.example", key), (200, "v1 None".to_owned()));
    assert_eq!(ask(port, "one.example", "/").text(), "v2 None");
    for wrong in ["1", "", &key[1..], key.to_uppercase().as_str(), "0".repeat(32).as_str()] {
        if wrong != key {
            assert_eq!(with("one.example", wrong).0, 403, "{wrong}");
        }
    }
    // Nor does it open anything of another app.
    assert_eq!(with("two.example", key).0, 403);
    assert!(!operator.get("/v1/apps/one").to_string().contains(key), "a key is told once");
    // A new key of the same revision ends the old one, and so does a manifest that allows no previews.
    let again = operator.post("/v1/apps/one/preview", "{\"revision\": 1}");
    assert_eq!(with("one.example", key).0, 403);
    let key = again["preview"]["key"].as_str().unwrap();
    assert_eq!(with("one.example", key).1, "v1 None");
    replace(&node.path.join("apps/one/app.toml"), ONE.as_bytes());
    eventually(PATIENCE / 2, "the header is the script's again", || {
        with("one.example", key) == (200, format!("v2 {key}"))
    });
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn an_app_is_stopped_drained_and_started() {
    let (node, operator) = node();
    node.app("one", ONE, &says("v1"));
    node.app("two", "tenant = \"acme\"\n", &says("two"));
    let starcell = node.start(&[]);
    let port = starcell.port();
    until(port, "v1");
    let drained = operator.post("/v1/apps/one/drain", "");
    assert_eq!(
        (&drained["state"], &drained["previous"], &drained["note"]),
        (&json!("drained"), &json!(1), &json!(null))
    );
    assert_eq!(ask(port, "one.example", "/").status, 503);
    operator.post("/v1/apps/one/start", "");
    assert_eq!(ask(port, "one.example", "/").text(), "v1");
    let stopped = operator.post("/v1/apps/one/stop", "");
    assert_eq!(
        (&stopped["state"], &stopped["revision"], &stopped["previous"]),
        (&json!("stopped"), &json!(null), &json!(1))
    );
    // Its place is not another app's, and a change does not start it.
    assert_eq!(ask(port, "one.example", "/").status, 503);
    replace(&node.path.join("apps/one/main.star"), says("v2").as_bytes());
    assert_eq!(operator.refused("POST", "/v1/apps/one/deploy", "").1, "stopped");
    assert_eq!(starcell.stop().code(), 0);
    let starcell = node.start(&[]);
    let port = starcell.port();
    assert_eq!(ask(port, "any.example", "/").text(), "two");
    assert_eq!(operator.get("/v1/apps/one")["state"], json!("stopped"));
    assert_eq!(ask(port, "one.example", "/").status, 503);
    let started = operator.post("/v1/apps/one/start", "");
    assert_eq!((&started["state"], &started["revision"]), (&json!("running"), &json!(2)));
    assert_eq!(ask(port, "one.example", "/").text(), "v2");
}
