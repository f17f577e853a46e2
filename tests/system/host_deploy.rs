//! `starcell host`: apps that come, change, break and go while the others are served.

use std::fs;
use std::path::Path;

use starcell_tests::client::{Client, get};
use starcell_tests::good::Good;
use starcell_tests::node::{NodeFolder, ask, ask_on, says};
use starcell_tests::process::{PATIENCE, eventually};
use starcell_tests::tls::replace;

const TENANT: &str = "[tenants.acme]\nprofile = \"allow-local\"\n";

fn manifest(host: &str) -> String {
    format!("tenant = \"acme\"\nhosts = [\"{host}.example\"]\n")
}

fn until(port: u16, host: &str, text: &str) {
    eventually(PATIENCE / 2, text, || ask(port, host, "/").text() == text);
}

#[test]
fn one_bad_app_never_keeps_the_others_down() {
    let node = NodeFolder::new(TENANT);
    node.app("good", &manifest("good"), &says("good"));
    node.app("syntax", &manifest("syntax"), "def (:\n");
    node.app("raises", &manifest("raises"), "1 // 0\n");
    node.app("ends", &manifest("ends"), "print(\"done\")\n");
    node.app("loops", &manifest("loops"), "def f():\n    for a in range(1000000000):\n        pass\nf()\n");
    node.app("unknown", "tenant = \"acmee\"\n", &says("x"));
    node.app("typo", "tenant = \"acme\"\nhost = []\n", &says("x"));
    node.app("taken", &manifest("good"), &says("taken"));
    node.app("secret", &format!("{}secrets = {{ A = {{ file = \"missing\" }} }}\n", manifest("secret")), &says("x"));
    fs::create_dir(node.path.join("apps/empty")).unwrap();
    fs::create_dir(node.path.join("apps/Bad Name")).unwrap();
    let mut starcell = node.start(&["--setup-cpu", "200ms"]);
    let port = starcell.port();
    assert_eq!(ask(port, "good.example", "/").text(), "good");
    for (host, status) in
        [("syntax.example", 503), ("raises.example", 503), ("ends.example", 503), ("loops.example", 503)]
    {
        assert_eq!(ask(port, host, "/").status, status, "{host}");
    }
    // What was missing comes, and the app with it.
    replace(&node.path.join("apps/syntax/main.star"), says("mended").as_bytes());
    until(port, "syntax.example", "mended");
    starcell.signal("HUP");
    starcell.wait_for("the app ends cannot be deployed");
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    for reason in [
        "the app syntax cannot be deployed: ",
        "the app raises cannot be deployed: ",
        "the app ends cannot be deployed: the script ended without serving",
        "the app loops cannot be deployed: ",
        "the app unknown cannot be deployed: unknown/app.toml:1:10: unknown tenant ",
        "the app typo cannot be deployed: typo/app.toml:2:1: unknown key `host`",
        "the app taken cannot be deployed: the app good answers at good.example/ already",
        "the app secret cannot be deployed: the secret A: cannot read ",
        "the app empty cannot be deployed: empty/app.toml: there is no such file",
        "not the names of apps",
    ] {
        assert!(ended.output.contains(reason), "{reason}\n{}", ended.output);
    }
}

#[test]
fn apps_come_move_and_go() {
    let node = NodeFolder::new(TENANT);
    node.app("one", &manifest("one"), &says("one"));
    let mut starcell = node.start(&[]);
    let port = starcell.port();
    assert_eq!(ask(port, "two.example", "/").status, 421);
    node.app("two", &manifest("two"), &says("two"));
    until(port, "two.example", "two");
    // Other hosts, in one step with the script.
    node.app("two", &manifest("three"), &says("moved"));
    until(port, "three.example", "moved");
    assert_eq!(ask(port, "two.example", "/").status, 421);
    // A place that another app has is refused, and the old one stays.
    node.app("two", &manifest("one"), &says("robber"));
    starcell.wait_for("the app one answers at one.example/ already");
    assert_eq!((ask(port, "one.example", "/").text(), ask(port, "three.example", "/").text()), ("one", "moved"));
    fs::remove_dir_all(node.path.join("apps/two")).unwrap();
    starcell.wait_for("the app two is gone");
    eventually(PATIENCE / 2, "its place is free", || ask(port, "three.example", "/").status == 421);
    node.app("four", &manifest("three"), &says("four"));
    until(port, "three.example", "four");
    assert_eq!(ask(port, "one.example", "/").text(), "one");
}

#[test]
fn a_change_that_fails_replaces_nothing() {
    let node = NodeFolder::new(TENANT);
    node.app("one", &manifest("one"), &says("first"));
    let mut starcell = node.start(&[]);
    let (port, main) = (starcell.port(), node.path.join("apps/one/main.star"));
    for broken in ["def (:\n", "1 // 0\n", "load(\"lib.star\", \"text\")\nprint(text)\n"] {
        replace(&main, broken.as_bytes());
        let line = starcell.wait_for("the app one cannot be deployed");
        assert!(line.contains("revision 1 stays"), "{line}");
        assert_eq!(ask(port, "one.example", "/").text(), "first");
    }
    replace(&node.path.join("apps/one/app.toml"), b"tenant = \"acme\"\nhosts = [\"*\"]\n");
    starcell.wait_for("is no host");
    assert_eq!(ask(port, "one.example", "/").text(), "first");
    // A file that the script loads is watched too, even where it was not there.
    replace(&node.path.join("apps/one/app.toml"), manifest("one").as_bytes());
    let loads =
        "load(\"lib.star\", \"text\")\nsrv = http.server()\nsrv.handle(\"GET /\", lambda req: text)\nsrv.serve()\n";
    replace(&main, loads.as_bytes());
    starcell.wait_for("cannot be deployed");
    replace(&node.path.join("apps/one/lib.star"), b"text = \"loaded\"\n");
    until(port, "one.example", "loaded");
    replace(&node.path.join("apps/one/lib.star"), b"text = \"changed\"\n");
    until(port, "one.example", "changed");
}

#[test]
fn files_that_a_script_writes_deploy_nothing() {
    let node = NodeFolder::new(TENANT);
    let script = "
def write(req):
    fs.write_text(\"data.txt\", \"x\")
    fs.write_text(\"more.star\", \"x = 1\")
    return \"written\"

srv = http.server()
srv.handle(\"GET /\", write)
srv.serve()
";
    node.app("one", &manifest("one"), script);
    let mut starcell = node.start(&[]);
    assert_eq!(ask(starcell.port(), "one.example", "/").text(), "written");
    node.app("two", &manifest("two"), &says("two"));
    starcell.wait_for("deployed revision 1 of the app two");
    assert!(!starcell.seen().contains("deployed revision 2"), "{}", starcell.seen());
}

/// A number in the text of an answer that must be a version's.
fn number(text: &str) -> usize {
    text.strip_prefix("version ").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

fn reload(path: &Path, version: usize) {
    replace(path, says(&format!("version {version}")).as_bytes());
}

#[test]
fn no_request_fails_while_apps_are_deployed() {
    const RELOADS: usize = 40;
    let node = NodeFolder::new(TENANT);
    node.app("one", &manifest("one"), &says("version 0"));
    node.app("two", &manifest("two"), &says("two"));
    let starcell = node.start(&["--no-access-log"]);
    let port = starcell.port();
    let kept = Good::keep(
        move || (Client::connect(port), 0),
        |(client, seen): &mut (Client, usize)| {
            let answer = ask_on(client, "one.example", "/").expect("no request is dropped");
            assert_eq!(answer.status, 200, "{answer:?}");
            let now = number(answer.text());
            assert!(now >= *seen, "version {now} after {seen}");
            *seen = now;
        },
    );
    let fresh = Good::keep(
        || (),
        move |()| {
            let answer = ask(port, "one.example", "/");
            assert_eq!(answer.status, 200, "{answer:?}");
        },
    );
    let neighbour = Good::keep(
        move || Client::connect(port),
        |client: &mut Client| {
            let answer = ask_on(client, "two.example", "/").expect("no request is dropped");
            assert_eq!((answer.status, answer.text()), (200, "two"));
        },
    );
    let main = node.path.join("apps/one/main.star");
    for version in 1..=RELOADS {
        reload(&main, version);
        until(port, "one.example", &format!("version {version}"));
    }
    let answers: usize = [kept, fresh, neighbour].into_iter().map(|client| client.finish().len()).sum();
    assert!(answers > RELOADS, "{answers} answers");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_script_goes_on_below_serve_when_it_is_replaced_and_at_the_end() {
    let node = NodeFolder::new(TENANT);
    let script = |text: &str| format!("{}print({:?})\n", says(text), format!("after {text}"));
    node.app("one", &manifest("one"), &script("first"));
    let mut starcell = node.start(&[]);
    node.app("one", &manifest("one"), &script("second"));
    starcell.wait_for("after first");
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.stdout.contains("after second"), "{}", ended.output);
}

#[test]
fn requests_in_flight_are_answered_at_the_end() {
    let node = NodeFolder::new(TENANT);
    let script = "
def slow(req):
    print(\"begun\")
    time.sleep(\"500ms\")
    return \"answered\"

srv = http.server()
srv.handle(\"GET /\", slow)
srv.serve()
";
    node.app("one", &manifest("one"), script);
    let mut starcell = node.start(&[]);
    let port = starcell.port();
    let asking = std::thread::spawn(move || ask(port, "one.example", "/").text().to_owned());
    starcell.wait_for("begun");
    let ended = starcell.stop();
    assert_eq!((ended.code(), asking.join().unwrap().as_str()), (0, "answered"), "{}", ended.output);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let node = NodeFolder::new(TENANT);
    let first = node.start(&[]);
    node.configure(&format!("[listeners.web]\naddress = \"127.0.0.1:{}\"\n", first.port()));
    let ended = node.spawn(&[]).wait();
    assert_eq!(ended.code(), 7, "{}", ended.output);
    assert!(ended.stderr.contains("the listener web: cannot bind 127.0.0.1:"), "{}", ended.stderr);
    assert_eq!(get(first.port(), "/").status, 421);
}
