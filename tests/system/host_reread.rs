//! `starcell host`: the configuration of a node that is read again while it serves.

use std::fs;

use starcell_tests::client::{Client, refused};
use starcell_tests::node::{NodeFolder, ask, ask_on, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually};

const WEB: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n";
const MANIFEST: &str = "tenant = \"acme\"\n";

fn acme(rest: &str) -> String {
    format!("{WEB}[tenants.acme]\nprofile = \"allow-local\"\n{rest}\n")
}

fn node(rest: &str) -> NodeFolder {
    let node = NodeFolder::new("");
    node.configure(&acme(rest));
    node.app("one", MANIFEST, &says("one"));
    node
}

/// Writes another configuration, asks the node to read it, and waits for what it says.
fn reread(node: &NodeFolder, running: &mut Starcell, config: &str, said: &str) -> String {
    node.configure(config);
    running.signal("HUP");
    running.wait_for(said)
}

#[test]
fn listeners_come_and_go_and_those_that_stay_keep_their_connections() {
    let node = node("");
    let mut running = node.start(&[]);
    let port = running.port();
    let mut kept = Client::connect(port);
    assert_eq!(ask_on(&mut kept, "a.example", "/").unwrap().text(), "one");
    let more = format!("[listeners.more]\naddress = \"127.0.0.1:0\"\n{}", acme(""));
    reread(&node, &mut running, &more, "serving the listener more");
    let second = *running.ports.last().unwrap();
    assert_eq!(ask(second, "a.example", "/").text(), "one");
    assert_eq!(ask_on(&mut kept, "a.example", "/").unwrap().text(), "one");
    // One that cannot be bound changes none.
    let taken = format!("[listeners.more]\naddress = \"127.0.0.1:{port}\"\n{}", acme(""));
    let line = reread(&node, &mut running, &taken, "the listeners stay as they are");
    assert!(line.contains("the listener more: cannot bind"), "{line}");
    assert_eq!(ask(second, "a.example", "/").text(), "one");
    reread(&node, &mut running, &acme(""), "the listener more leaves");
    eventually(PATIENCE / 2, "its port is closed", || refused(second));
    assert_eq!(ask_on(&mut kept, "a.example", "/").unwrap().text(), "one");
    let ended = running.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

#[test]
fn tenants_and_profiles_follow_the_file() {
    let node = node("quotas = { requests = \"2/h\" }");
    let counts = "
srv = http.server()
srv.handle(\"GET /\", lambda req: str(kv.incr(\"n\")))
srv.serve()
";
    node.app("one", MANIFEST, counts);
    let mut running = node.start(&[]);
    let port = running.port();
    let status = || ask(port, "a.example", "/").status;
    assert_eq!([status(), status(), status()], [200, 200, 429]);
    reread(&node, &mut running, &acme("quotas = { requests = \"1000/h\" }"), "apps set up anew: 1");
    running.wait_for("deployed revision 2 of the app one");
    assert_eq!(ask(port, "a.example", "/").text(), "3", "its store is the same one");
    // A profile that grants less is in force when the app was set up under it.
    let narrow = format!(
        "{WEB}[profiles.narrow]\nbase = \"deny-all\"\nallow = [\"http.server\"]\n[tenants.acme]\nprofile = \"narrow\"\n"
    );
    reread(&node, &mut running, &narrow, "deployed revision 3 of the app one");
    assert_eq!(status(), 500);
    // A new tenant has apps at once.
    reread(
        &node,
        &mut running,
        &format!("{}[tenants.other]\nprofile = \"allow-local\"\n", acme("")),
        "deployed revision 4",
    );
    node.app("two", "tenant = \"other\"\nhosts = [\"two.example\"]\n", &says("two"));
    running.wait_for("deployed revision 1 of the app two");
    assert_eq!(ask(port, "two.example", "/").text(), "two");
    assert_eq!(running.stop().code(), 0);
}

#[test]
fn what_needs_a_restart_is_named_and_a_mistake_changes_nothing() {
    let node = node("quotas = { kv = \"1MiB\" }");
    let mut running = node.start(&[]);
    let port = running.port();
    let text = format!(
        "[admin]\naddress = \"unix:state/admin.sock\"\n[metrics]\naddress = \"127.0.0.1:0\"\n[telemetry]\nendpoint = \"http://127.0.0.1:1\"\n{}",
        acme("quotas = { kv = \"2MiB\" }")
    );
    node.configure(&text);
    let config = fs::read_to_string(node.config()).unwrap().replace("state = \"state\"", "state = \"elsewhere\"");
    fs::write(node.config(), config).unwrap();
    for _ in 0..2 {
        running.signal("HUP");
        for name in ["node.state", "admin", "metrics", "telemetry", "tenants.acme.quotas.kv"] {
            running.wait_for(&format!("{name} has changed and needs a restart"));
        }
    }
    let line = reread(&node, &mut running, &acme("quota = 1"), "the configuration stays as it is");
    assert!(line.contains("unknown key `quota`"), "{line}");
    let line = reread(&node, &mut running, WEB, "tenants.acme stays as it is");
    assert!(line.contains("since it has apps: one"), "{line}");
    assert_eq!(ask(port, "a.example", "/").text(), "one");
    assert_eq!(running.stop().code(), 0);
}
