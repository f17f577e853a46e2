//! `starcell app`, `starcell tenant` and `starcell top`: commands that speak to a node.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use starcell_tests::admin::operated_at;
use starcell_tests::log::{ask as command, ask_json};
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, Starcell, binary};
use starcell_tests::tls::replace;

const REST: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"unix:state/admin.sock\"\n\
                    [tenants.acme]\nprofile = \"allow-local\"\nquotas = { requests = \"1000/s\" }\n";
const ONE: &str = "tenant = \"acme\"\nhosts = [\"one.example\"]\n";

/// Says what a terminal would obey, in its log.
const HOSTILE: &str = "
def loud(req):
    log.info(\"loud \\x1b[2J\\u202eend\")
    return \"loud\"

srv = http.server()
srv.handle(\"GET /loud\", loud)
srv.handle(\"GET /\", lambda req: \"hostile\")
srv.serve()
";

fn node() -> NodeFolder {
    let node = NodeFolder::new("");
    node.configure(REST);
    node.app("one", ONE, &says("v1"));
    node.app("loud", "tenant = \"acme\"\nhosts = [\"loud.example\"]\n", HOSTILE);
    node.app("broken", "tenant = \"acme\"\nhosts = [\"x.example\"]\n", "fail(\"a\\x1b[2Jb\")\n");
    node
}

#[test]
fn apps_are_listed_shown_deployed_and_rolled_back() {
    let node = node();
    let starcell = node.start(&["--audit", "audit.jsonl"]);
    let port = starcell.port();
    let run = |arguments: &[&str]| {
        let ended = command(&node.path, &[arguments, &["--config", "node.toml"]].concat());
        assert!(!ended.output.contains(['\x1b', '\u{202e}']), "{arguments:?}: {:?}", ended.output);
        ended
    };
    let listed = run(&["app", "list"]);
    assert_eq!(listed.code(), 0, "{}", listed.output);
    assert!(listed.stdout.starts_with("APP "), "{}", listed.stdout);
    let line = listed.stdout.lines().find(|line| line.starts_with("one")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..4], ["one", "acme", "running", "1"], "{}", listed.stdout);
    assert!(words.contains(&"one.example/"), "{line}");
    let shown = run(&["app", "show", "broken"]);
    assert!(shown.stdout.contains("failed") && shown.stdout.contains("[2Jb"), "{}", shown.stdout);
    let shown = run(&["app", "show", "one"]);
    for told in ["running, revision 1", "quota", "profile allow-local", "revision   1 of 20"] {
        assert!(shown.stdout.contains(told), "{told}: {}", shown.stdout);
    }

    replace(&node.path.join("apps/one/main.star"), says("v2").as_bytes());
    let deployed = run(&["app", "deploy", "one"]);
    assert_eq!((deployed.code(), ask(port, "one.example", "/").text()), (0, "v2"), "{}", deployed.output);
    assert!(deployed.stdout.contains("one: deploy is done; revision 2 answers"), "{}", deployed.stdout);
    let back = run(&["app", "rollback", "one"]);
    assert_eq!(back.stdout, "one: rollback is done; revision 1 answers, revision 2 did before\n", "{}", back.output);
    assert_eq!(ask(port, "one.example", "/").text(), "v1");
    assert_eq!(run(&["app", "canary", "one", "2", "100"]).code(), 0);
    assert_eq!(ask(port, "one.example", "/").text(), "v2");
    assert_eq!(run(&["app", "canary", "one", "2", "0"]).code(), 0);
    assert_eq!(run(&["app", "stop", "one"]).stdout, "one: stop is done; stopped, revision 1 did before\n");
    assert_eq!(run(&["app", "start", "one"]).code(), 0);
    assert_eq!(run(&["app", "drain", "one"]).code(), 0);
    assert_eq!(ask(port, "one.example", "/").status, 503);
    assert_eq!(run(&["app", "start", "one"]).code(), 0);

    assert_eq!(ask(port, "loud.example", "/loud").text(), "loud");
    let logs = run(&["app", "logs", "loud"]);
    assert!(logs.stdout.contains("loud "), "{}", logs.stdout);
    for arguments in [&["app", "denials", "loud"][..], &["app", "profile", "loud"], &["tenant", "list"]] {
        assert_eq!(run(arguments).code(), 0, "{arguments:?}");
    }
    let tenant = run(&["tenant", "show", "acme"]);
    assert!(tenant.stdout.contains("quota") && tenant.stdout.contains("1000 in 1 s"), "{}", tenant.stdout);
    let top = run(&["top", "--once"]);
    assert!(top.stdout.starts_with("node-1 (") && top.stdout.contains("REQUESTS"), "{}", top.stdout);

    let json = |arguments: &[&str]| ask_json(&node.path, &[arguments, &["--config", "node.toml", "--json"]].concat());
    assert_eq!(json(&["app", "show", "one"])["name"], "one");
    assert_eq!(json(&["tenant", "list"])["tenants"][0]["name"], "acme");
    assert_eq!(json(&["top", "--once"])["apps"].as_array().unwrap().len(), 3);
    let over = ["--node", "unix:state/admin.sock", "--json"];
    assert_eq!(ask_json(&node.path, &[&["app", "list"][..], &over].concat())["apps"][2]["name"], "one");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_log_is_followed_until_its_reader_leaves() {
    let node = node();
    let starcell = node.start(&[]);
    let mut reader = Command::new(binary());
    reader.args(["app", "logs", "-f", "loud", "--tail", "0", "--config", "node.toml"]).current_dir(&node.path);
    let mut reader = Starcell::spawn_command(reader);
    // A line that comes before the reader is not shown, so there are lines until one is.
    let (shown, port) = (Arc::new(AtomicBool::new(false)), starcell.port());
    let asking = std::thread::spawn({
        let shown = Arc::clone(&shown);
        move || {
            let deadline = Instant::now() + PATIENCE;
            while !shown.load(Ordering::Relaxed) && Instant::now() < deadline {
                assert_eq!(ask(port, "loud.example", "/loud").text(), "loud");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    let line = reader.wait_for("loud");
    assert!(!line.contains('\x1b'), "{line:?}");
    shown.store(true, Ordering::Relaxed);
    asking.join().unwrap();
    assert_eq!(starcell.stop().code(), 0);
    assert_eq!(reader.wait().code(), 0);
}

#[test]
fn the_exit_code_says_what_went_wrong() {
    let node = node();
    let starcell = node.start(&[]);
    let code = |arguments: &[&str]| {
        let ended = command(&node.path, arguments);
        (ended.code(), ended.stderr.clone())
    };
    for (arguments, expected, told) in [
        (&["app", "list"][..], 2, "--config"),
        (&["app", "show", "absent", "--config", "node.toml"], 2, "there is no app absent"),
        (&["app", "deploy", "absent", "--config", "node.toml"], 2, "put its app.toml and main.star into the folder"),
        (&["app", "deploy", "absent", "--from", "apps/one", "--config", "node.toml"], 2, "a deploy makes no new one"),
        (&["app", "show", "../x", "--config", "node.toml"], 2, "is not the name of an app"),
        (&["app", "canary", "one", "1", "101", "--config", "node.toml"], 2, "0..=100"),
        (&["app", "deploy", "broken", "--config", "node.toml"], 1, "cannot be deployed"),
        (&["app", "list", "--config", "absent.toml"], 4, "cannot read absent.toml"),
        (&["app", "list", "--node", "unix:absent.sock"], 70, "cannot reach a node at unix:absent.sock"),
        (&["app", "list", "--node", "http://127.0.0.1:1"], 2, "add --token-file"),
        (&["app", "list", "--node", "http://192.0.2.1:1", "--token-file", "x"], 2, "over loopback"),
        (&["app", "list", "--node", "ftp://x"], 2, "unix:PATH or http://HOST:PORT"),
    ] {
        let (found, stderr) = code(arguments);
        assert_eq!(found, expected, "{arguments:?}: {stderr}");
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
    }
    assert_eq!(starcell.stop().code(), 0);
    let tokens = |text: &str| fs::write(node.path.join("tokens"), text).unwrap();
    tokens("watch read read-0123456789abc\n");
    node.configure(&REST.replace("\"unix:state/admin.sock\"", "\"127.0.0.1:0\"\ntoken_file = \"tokens\""));
    let starcell = node.start(&[]);
    let place = operated_at(&starcell);
    let over = ["--node", place, "--token-file", "tokens"];
    assert_eq!(code(&[&["app", "list"][..], &over].concat()).0, 0);
    let (found, stderr) = code(&[&["app", "stop", "one"][..], &over].concat());
    assert_eq!(found, 5, "{stderr}");
    tokens("watch read read-0123456789abd\n");
    assert_eq!(code(&[&["app", "list"][..], &over].concat()).0, 5);
    tokens("nobody\n");
    assert_eq!(code(&[&["app", "list"][..], &over].concat()).0, 4);
    assert_eq!(starcell.stop().code(), 0);
}
