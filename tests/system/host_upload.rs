//! Apps whose files are sent to the node: who may send what, what becomes of it, and that nothing acknowledged is lost.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;
use starcell_tests::admin::{Operator, admin_port};
use starcell_tests::client::Client;
use starcell_tests::log::{ask as command, lines};
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually};
use starcell_tests::tls::replace;

const OPERATE: &str = "operate-0123456789";
const ACME: &str = "acme-0123456789abc";
const ACME_READ: &str = "acme-read-0123456789";

const UNIX: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"unix:state/admin.sock\"\n";
const LOOPBACK: &str =
    "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n";
const TENANTS: &str = "[tenants.acme]\nprofile = \"allow-local\"\n[tenants.beta]\nprofile = \"allow-local\"\n";
const ONE: &str = "tenant = \"acme\"\nhosts = [\"one.example\"]\n";
const OTHER: &str = "tenant = \"beta\"\nhosts = [\"other.example\"]\n";

fn node(admin: &str) -> NodeFolder {
    let node = NodeFolder::new("");
    node.configure(&format!("{admin}{TENANTS}"));
    let tokens = format!("ci operate {OPERATE}\nshop operate acme {ACME}\nlook read acme {ACME_READ}\n");
    node.tokens(&tokens);
    node.app("one", ONE, &says("v1")).app("other", OTHER, &says("other"));
    node
}

fn over_socket(node: &NodeFolder) -> Operator {
    Operator::Unix(node.path.join("state/admin.sock"))
}

fn with(starcell: &Starcell, token: &str) -> Operator {
    Operator::Loopback(admin_port(starcell), Some(token.to_owned()))
}

/// The body that sends these files.
fn files(files: &[(&str, &str)]) -> String {
    let files: serde_json::Map<_, _> = files.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    json!({"files": files}).to_string()
}

fn answers(starcell: &Starcell) -> String {
    ask(starcell.port(), "one.example", "/").text().to_owned()
}

fn until(starcell: &Starcell, text: &str) {
    eventually(PATIENCE / 2, text, || answers(starcell) == text);
}

#[test]
fn what_is_sent_answers_and_stays_until_the_folder_changes() {
    let node = node(LOOPBACK);
    let log = node.path.join("audit.jsonl");
    let starcell = node.start(&["--audit", log.to_str().unwrap()]);
    let tenant = with(&starcell, ACME);
    until(&starcell, "v1");
    let script = "load(\"lib/text.star\", \"text\")\nsrv = http.server()\nsrv.handle(\"GET /\", lambda req: text)\nsrv.serve()\n";
    let sent = files(&[("main.star", script), ("lib/text.star", "text = \"sent\"\n"), ("unused.star", "1\n")]);
    let done = tenant.post("/v1/apps/one/deploy", &sent);
    assert_eq!(
        (&done["action"], &done["revision"], &done["previous"], &done["note"]),
        (&json!("deploy"), &json!(2), &json!(1), &json!(null))
    );
    assert_eq!(answers(&starcell), "sent");
    assert_eq!(tenant.get("/v1/apps/one")["pinned"], json!(2));
    assert_eq!(fs::read_to_string(node.path.join("apps/one/main.star")).unwrap(), says("v1"), "the folder is its own");
    let action = lines(&log, "action").into_iter().find(|action| action["action"] == "deploy").expect("a record");
    assert_eq!(
        (&action["actor"], &action["role"], &action["tenant"], &action["app"], &action["decision"]),
        (&json!("shop"), &json!("operate"), &json!("acme"), &json!("one"), &json!("allow"))
    );
    assert!(action["detail"].as_str().unwrap().starts_with("files=3 bytes="), "{action}");

    starcell.signal("KILL");
    drop(starcell.wait());
    let starcell = node.start(&[]);
    until(&starcell, "sent");
    let operator = with(&starcell, OPERATE);
    assert_eq!(operator.post("/v1/apps/one/rollback", "")["revision"], json!(1));
    assert_eq!(answers(&starcell), "v1");
    assert_eq!(operator.post("/v1/apps/one/rollback", "{\"revision\": 2}")["revision"], json!(2));
    assert_eq!(answers(&starcell), "sent");
    replace(&node.path.join("apps/one/main.star"), says("v3").as_bytes());
    until(&starcell, "v3");
    assert_eq!(operator.get("/v1/apps/one")["pinned"], json!(null));
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn what_is_sent_and_broken_replaces_nothing() {
    let node = node(UNIX);
    let starcell = node.start(&[]);
    let operator = over_socket(&node);
    until(&starcell, "v1");
    for (sent, code, told) in [
        (files(&[("main.star", "1 // 0\n")]), "not_deployed", "main.star:1"),
        (files(&[("main.star", "load(\"absent.star\", \"x\")\n")]), "not_deployed", "absent.star"),
        (files(&[("main.star", "x = 1\n")]), "not_deployed", "without serving"),
        (files(&[("main.star", &says("v2")), ("app.toml", "tenat = 1\n")]), "bad_configuration", "app.toml:1:1"),
        (
            files(&[("main.star", &says("v2")), ("app.toml", "tenant = \"none\"\n")]),
            "bad_configuration",
            "unknown tenant",
        ),
    ] {
        let (status, word, message) = operator.refused("POST", "/v1/apps/one/deploy", &sent);
        assert_eq!((status, word.as_str()), (422, code), "{message}");
        assert!(message.contains(told), "{told}: {message}");
        assert_eq!(answers(&starcell), "v1");
    }
    let beta = files(&[("main.star", &says("v2")), ("app.toml", OTHER)]);
    assert_eq!(operator.refused("POST", "/v1/apps/one/deploy", &beta).1, "other_tenant");
    let taken = files(&[("main.star", &says("v2")), ("app.toml", "tenant = \"acme\"\nhosts = [\"other.example\"]\n")]);
    let (status, _, message) = operator.refused("POST", "/v1/apps/one/deploy", &taken);
    assert!(status == 422 && message.contains("the app other answers at"), "{message}");
    let app = operator.get("/v1/apps/one");
    assert_eq!((&app["revision"], &app["state"], &app["reason"]), (&json!(1), &json!("running"), &json!(null)));
    let kept = || -> Vec<String> {
        let entries = fs::read_dir(node.path.join("state/revisions/one")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    eventually(PATIENCE / 2, "nothing of them stays", || kept().iter().all(|name| name == "1" || name == "index.json"));

    // A description that is right moves the app, in one step with the revision.
    let moved = files(&[("main.star", &says("v2")), ("app.toml", "tenant = \"acme\"\nhosts = [\"two.example\"]\n")]);
    operator.post("/v1/apps/one/deploy", &moved);
    assert_eq!(ask(starcell.port(), "two.example", "/").text(), "v2");
    assert_eq!(ask(starcell.port(), "one.example", "/").status, 421);
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn who_may_send_what() {
    let node = node(LOOPBACK);
    let log = node.path.join("audit.jsonl");
    let starcell = node.start(&["--audit", log.to_str().unwrap()]);
    let (tenant, reader, operator) = (with(&starcell, ACME), with(&starcell, ACME_READ), with(&starcell, OPERATE));
    let script = files(&[("main.star", &says("v2"))]);
    assert_eq!(tenant.refused("POST", "/v1/apps/other/deploy", &script).0, 404);
    assert_eq!(tenant.refused("POST", "/v1/apps/new/deploy", &script).0, 404);
    assert_eq!(reader.refused("POST", "/v1/apps/one/deploy", &script).0, 403);
    // It names the files that secrets come from, which may be anybody's.
    let stolen = format!("{ONE}secrets = {{ KEY = {{ file = \"../../tokens\" }} }}\n");
    let with_manifest = files(&[("main.star", &says("v2")), ("app.toml", &stolen)]);
    let (status, code, message) = tenant.refused("POST", "/v1/apps/one/deploy", &with_manifest);
    assert_eq!((status, code.as_str()), (403, "forbidden"));
    assert!(message.contains("shop is of the tenant acme"), "{message}");
    let denied = lines(&log, "action").into_iter().filter(|action| action["decision"] == "deny");
    let denied: Vec<_> = denied.map(|action| (action["actor"].clone(), action["app"].clone())).collect();
    assert_eq!(
        denied,
        [("shop", "other"), ("shop", "new"), ("look", "one"), ("shop", "one")].map(|(a, b)| (json!(a), json!(b)))
    );
    for (body, told) in [
        (files(&[("main.star", "1"), ("../one.star", "1")]), "is no name of a file"),
        (files(&[("main.star", "1"), ("/etc/x", "1")]), "is no name of a file"),
        (files(&[("main.star", "1"), ("a", "1"), ("a/b", "1")]), "a folder that is a file too"),
        (files(&[("other.star", "1")]), "has no main.star"),
        (files(&[]), "has no main.star"),
        (files(&[("main.star", &"a".repeat(5 << 20))]), "more than 4 MiB"),
        ("{\"files\": 5}".to_owned(), "invalid type"),
        ("{\"files\": {\"main.star\": 5}}".to_owned(), "invalid type"),
        ("{\"flies\": {}}".to_owned(), "flies"),
        ("[".repeat(100_000), "invalid type"),
        ("\u{fffd}".to_owned(), "expected value"),
    ] {
        let (status, code, message) = operator.refused("POST", "/v1/apps/one/deploy", &body);
        assert_eq!((status, code.as_str()), (400, "bad_body"), "{message}");
        assert!(message.contains(told), "{told}: {message}");
    }
    let large = files(&[("main.star", &"a".repeat(7 << 20))]);
    assert_eq!(operator.refused("POST", "/v1/apps/one/deploy", &large).0, 413);
    assert_eq!(answers(&starcell), "v1");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_page_of_somebody_else_may_not_ask() {
    let node = node(LOOPBACK);
    let log = node.path.join("audit.jsonl");
    let starcell = node.start(&["--audit", log.to_str().unwrap()]);
    let port = admin_port(&starcell);
    let asked = |method: &str, headers: &str| {
        let mut client = Client::connect(port);
        let head = format!(
            "{method} /v1/apps/one/stop HTTP/1.1\r\nAuthorization: Bearer {OPERATE}\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        client.send(head.as_bytes()).unwrap();
        client.read(false).unwrap()
    };
    for (headers, code) in [
        ("Host: evil.example\r\n".to_owned(), "foreign_host"),
        (format!("Host: evil.example:{port}\r\nOrigin: http://evil.example:{port}\r\n"), "foreign_host"),
        (format!("Host: localhost:{port}\r\nOrigin: http://evil.example\r\n"), "foreign_origin"),
        (format!("Host: localhost:{port}\r\nOrigin: http://localhost:1\r\n"), "foreign_origin"),
        (format!("Host: localhost:{port}\r\nOrigin: null\r\n"), "foreign_origin"),
        (format!("Host: localhost:{port}\r\nSec-Fetch-Site: cross-site\r\n"), "foreign_origin"),
    ] {
        for method in ["POST", "OPTIONS"] {
            let answer = asked(method, &headers);
            assert_eq!(answer.status, 403, "{headers}: {answer:?}");
            assert!(answer.text().contains(code), "{headers}: {answer:?}");
            assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control-")), "{answer:?}");
        }
    }
    assert_eq!(answers(&starcell), "v1");
    let strangers: Vec<_> = lines(&log, "action").into_iter().filter(|action| action["actor"] == "stranger").collect();
    assert!(strangers.iter().any(|action| action["decision"] == "deny"), "{strangers:?}");
    let own = asked("POST", &format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n"));
    assert_eq!(own.status, 200, "{own:?}");
    assert_eq!(ask(starcell.port(), "one.example", "/").status, 503);
    assert_eq!(starcell.stop().code(), 0);
}

/// Sends a request over a connection of its own; none where the node ended meanwhile.
fn try_deploy(socket: &std::path::Path, body: &str) -> Option<u16> {
    let mut stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = format!(
        "POST /v1/apps/one/deploy HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

#[test]
fn a_kill_in_the_middle_of_deploys_loses_nothing_acknowledged() {
    let node = node(UNIX);
    let socket = node.path.join("state/admin.sock");
    let mut version = 1;
    for round in 0..4 {
        let starcell = node.start(&[]);
        let (begun, done) = (Arc::new(AtomicUsize::new(version)), Arc::new(AtomicUsize::new(0)));
        let sending = thread::spawn({
            let (begun, done, socket) = (Arc::clone(&begun), Arc::clone(&done), socket.clone());
            move || loop {
                let next = begun.fetch_add(1, Ordering::SeqCst) + 1;
                match try_deploy(&socket, &files(&[("main.star", &says(&format!("v{next}")))])) {
                    Some(200) => done.store(next, Ordering::SeqCst),
                    Some(status) => panic!("status {status}"),
                    None => return,
                }
            }
        });
        // After the first of them, and in another moment of the next each time.
        eventually(PATIENCE, "one is acknowledged", || done.load(Ordering::SeqCst) > 0);
        thread::sleep(std::time::Duration::from_millis(13 * round));
        starcell.signal("KILL");
        drop(starcell.wait());
        sending.join().unwrap();
        let (begun, done) = (begun.load(Ordering::SeqCst), done.load(Ordering::SeqCst));
        let starcell = node.start(&[]);
        eventually(PATIENCE / 2, "it answers", || ask(starcell.port(), "one.example", "/").status == 200);
        let text = answers(&starcell);
        let found: usize = text.strip_prefix('v').and_then(|text| text.parse().ok()).unwrap();
        assert!((done..=begun).contains(&found), "{done} was acknowledged, {begun} was sent, {found} answers");
        assert_eq!(ask(starcell.port(), "other.example", "/").text(), "other");
        version = begun;
        assert_eq!(starcell.stop().code(), 0);
    }
}

#[test]
fn what_was_sent_answers_though_the_folder_has_no_script() {
    let node = node(UNIX);
    let starcell = node.start(&[]);
    until(&starcell, "v1");
    fs::remove_file(node.path.join("apps/one/main.star")).unwrap();
    over_socket(&node).post("/v1/apps/one/deploy", &files(&[("main.star", &says("v2"))]));
    until(&starcell, "v2");
    assert_eq!(starcell.stop().code(), 0);
    let starcell = node.start(&[]);
    until(&starcell, "v2");
    replace(&node.path.join("apps/one/main.star"), says("v3").as_bytes());
    until(&starcell, "v3");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_folder_is_sent_by_the_command() {
    let node = node(UNIX);
    let starcell = node.start(&[]);
    let work = node.path.join("work");
    fs::create_dir_all(work.join("lib")).unwrap();
    fs::create_dir_all(work.join(".git")).unwrap();
    fs::write(work.join(".git/x.star"), "hidden").unwrap();
    fs::write(work.join("notes.txt"), "not sent").unwrap();
    let script =
        "load(\"lib/t.star\", \"t\")\nsrv = http.server()\nsrv.handle(\"GET /\", lambda req: t)\nsrv.serve()\n";
    fs::write(work.join("main.star"), script).unwrap();
    fs::write(work.join("lib/t.star"), "t = \"from work\"\n").unwrap();
    let run = |more: &[&str]| command(&node.path, &[&["app", "deploy", "one", "--config", "node.toml"], more].concat());
    let sent = run(&["--from", "work"]);
    assert_eq!((sent.code(), answers(&starcell).as_str()), (0, "from work"), "{}", sent.output);
    assert!(sent.stdout.contains("one: deploy is done; revision 2 answers"), "{}", sent.stdout);
    let kept = node.path.join("state/revisions/one/2");
    assert!(kept.join("lib/t.star").is_file() && !kept.join("notes.txt").exists() && !kept.join(".git").exists());
    assert_eq!(fs::metadata(kept.join("main.star")).unwrap().permissions().mode() & 0o777, 0o600);
    for (more, code, told) in [
        (&["--from", "absent"][..], 2, "cannot read the folder absent"),
        (&["--from", "work", "--with-manifest"], 2, "app.toml"),
        (&["--with-manifest"], 2, "--from"),
        (&["--from", "work/lib"], 2, "has no main.star"),
    ] {
        let ended = run(more);
        assert_eq!(ended.code(), code, "{more:?}: {}", ended.output);
        assert!(ended.stderr.contains(told), "{more:?}: {}", ended.stderr);
    }
    fs::write(work.join("app.toml"), ONE.replace("one.example", "new.example")).unwrap();
    let moved = run(&["--from", "work", "--with-manifest"]);
    assert_eq!(moved.code(), 0, "{}", moved.output);
    assert_eq!(ask(starcell.port(), "new.example", "/").text(), "from work");
    assert_eq!(starcell.stop().code(), 0);
}
