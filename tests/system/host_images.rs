//! `starcell host`: apps that are dropped from memory, and come back from their images.

mod damage;
mod restart;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread;

use starcell_tests::client::Client;
use starcell_tests::node::{NodeFolder, Running, ask, says};
use starcell_tests::process::{PATIENCE, eventually};
use starcell_tests::tls::replace;

/// A node whose apps are dropped after a fifth of a second.
pub(crate) fn node(tenants: &str) -> NodeFolder {
    node_with("idle = \"200ms\"\n", tenants)
}

pub(crate) fn node_with(of_node: &str, tenants: &str) -> NodeFolder {
    let node = NodeFolder::new("");
    let address = "address = \"127.0.0.1:0\"\n";
    node.configure(&format!("{of_node}[listeners.web]\n{address}[metrics]\n{address}{tenants}"));
    node
}

pub(crate) const TENANT: &str = "[tenants.acme]\nprofile = \"allow-local\"\n";

pub(crate) fn manifest(host: &str) -> String {
    format!("tenant = \"acme\"\nhosts = [\"{host}.example\"]\n")
}

/// The files of the images.
pub(crate) fn images(node: &NodeFolder) -> Vec<PathBuf> {
    let folder = fs::read_dir(node.path.join("state/images")).unwrap();
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap() != "key");
    files.sort();
    files
}

const COUNTS: &str = r#"
calls = len([1, 2])
secret = os.env("KEY")
place = var_str("place")

def count(req):
    return "%s %s %s %d %d" % (secret, place, os.env("KEY"), calls, kv.incr("calls"))

srv = http.server()
srv.handle("GET /{$}", count)
srv.handle("POST /{name...}", lambda req: req.params["name"])
srv.serve(port=8080, max_body_bytes=10)
print("below serve of", place)
"#;

#[test]
fn a_dropped_app_answers_as_before() {
    let node = node(TENANT);
    let rest = "env = { KEY = \"key\" }\nvars = { place = \"here\" }\n";
    node.app("one", &format!("{}{rest}", manifest("one")), COUNTS);
    node.app(
        "stays",
        &format!("{}{rest}resident = true\n", manifest("stays")),
        &COUNTS.replace("below", "still below"),
    );
    let running = Running::start(&node, &[]);
    assert_eq!(
        (running.text("one", "/"), running.text("stays", "/")),
        ("key here key 2 1".into(), "key here key 2 1".into())
    );
    for count in 2..5 {
        running.until("apps_dropped", 1);
        assert_eq!(running.text("one", "/"), format!("key here key 2 {count}"));
    }
    let recalled = running.number("images_recalled");
    assert!(recalled >= 3 && running.number("apps_running") == 2, "{recalled}");
    // What needs no guest is answered by what stays in memory.
    running.until("apps_dropped", 1);
    let status = |method: &str, path: &str, body: &str| {
        let mut client = Client::connect(running.port);
        let head = format!("{method} {path} HTTP/1.1\r\nHost: one.example\r\nContent-Length: {}\r\n\r\n", body.len());
        client.send((head + body).as_bytes()).expect("the server reads");
        client.read(false).expect("a response").status
    };
    assert_eq!((status("GET", "/none", ""), status("DELETE", "/", "")), (405, 405));
    assert_eq!((running.number("apps_dropped"), status("POST", "/a/b", "12345678901")), (1, 413));
    assert_eq!(running.number("images_recalled"), recalled);
    assert_eq!(status("POST", "/a/b", "1234567890"), 200);
    running.until("apps_dropped", 1);
    running.starcell.signal("TERM");
    let ended = running.starcell.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.output.contains("still below serve of here"), "{}", ended.output);
    assert!(!ended.output.contains("print=below") && !ended.output.contains("\nbelow serve"), "{}", ended.output);
}

#[test]
fn many_first_requests_bring_an_app_back_once() {
    // Long enough that none of them finds it dropped again.
    let node = node_with("idle = \"3s\"\n", TENANT);
    node.app("one", &manifest("one"), &says("one"));
    let running = Running::start(&node, &[]);
    running.until("apps_dropped", 1);
    let port = running.port;
    let asking: Vec<_> =
        (0..24).map(|_| thread::spawn(move || ask(port, "one.example", "/").text().to_owned())).collect();
    assert!(asking.into_iter().all(|asking| asking.join().unwrap() == "one"));
    assert_eq!((running.number("images_recalled"), running.number("images_dropped")), (1, 1));
}

#[test]
fn an_app_that_is_busy_below_its_start_is_not_dropped() {
    let node = node(TENANT);
    let busy = "srv = http.server()\nsrv.handle(\"GET /\", lambda req: \"busy\")\nsrv.start(port=8080)\n\
                for turn in range(1000000):\n    time.sleep(\"300ms\")\n    print(\"turn\", turn)\n";
    node.app("busy", &manifest("busy"), busy);
    node.app("one", &manifest("one"), &says("one"));
    let mut running = Running::start(&node, &[]);
    running.until("apps_dropped", 1);
    // Long after it would have been dropped it goes on.
    running.starcell.wait_for("turn 5");
    assert_eq!((running.number("apps_dropped"), running.text("busy", "/").as_str()), (1, "busy"));
    assert_eq!((running.number("apps_dropped"), images(&node).len()), (1, 1));
}

#[test]
fn a_dropped_app_survives_a_change_that_fails_and_takes_one_that_does_not() {
    let node = node(TENANT);
    node.app("one", &manifest("one"), &says("first"));
    let mut running = Running::start(&node, &[]);
    running.until("apps_dropped", 1);
    let main = node.path.join("apps/one/main.star");
    replace(&main, b"1 // 0\n");
    running.starcell.wait_for("the app one cannot be deployed; revision 1 stays");
    assert_eq!(running.text("one", "/"), "first");
    replace(&main, says("second").as_bytes());
    eventually(PATIENCE / 2, "the second", || running.text("one", "/") == "second");
    // An unchanged script is not evaluated again.
    replace(&main, says("first").as_bytes());
    eventually(PATIENCE / 2, "the first again", || running.text("one", "/") == "first");
    assert_eq!(running.number("images_found"), 1);
}

#[test]
fn apps_make_room_for_each_other_when_memory_is_short() {
    const APPS: u64 = 40;
    let node = node_with("idle = \"never\"\n", TENANT);
    for number in 0..APPS {
        let script =
            format!("DATA = [str(n) + \"{number}\" for n in range(40000)]\n{}", says(&format!("app {number}")));
        node.app(&format!("app{number}"), &manifest(&format!("a{number}")), &script);
    }
    let running = Running::start(&node, &["--memory-budget", "64"]);
    running.until("apps_running", APPS);
    // Those that were asked within the last second stay, so one may be told to come back.
    for number in (0..APPS).rev() {
        let (host, expected) = (format!("a{number}.example"), format!("app {number}"));
        eventually(PATIENCE / 2, &expected, || {
            let response = ask(running.port, &host, "/");
            assert!([200, 503].contains(&response.status), "{}", response.text());
            response.status == 200 && response.text() == expected
        });
    }
    let (dropped, limit) = (running.number("images_dropped"), running.number("memory_limit_bytes"));
    assert!(
        dropped > 0 && running.number("images_recalled") > 0 && running.number("memory_bytes") <= limit,
        "{dropped}"
    );
}

#[test]
fn no_script_reaches_an_image() {
    let looks = r#"
def look(req):
    found = {}
    for path in [".", "key", req.params["name"]]:
        path = "../../state/images/" + path
        found[path] = [fs.try_read_bytes(path).ok, fs.try_write_text(path, "x").ok, fs.try_listdir(path).ok]
    return found

srv = http.server()
srv.handle("GET /{name}", look)
srv.serve()
"#;
    let node = node("[tenants.acme]\nprofile = \"allow-all\"\n");
    node.app("one", &manifest("one"), looks);
    let running = Running::start(&node, &[]);
    running.until("apps_dropped", 1);
    let files = images(&node);
    assert_eq!(files.len(), 1, "{files:?}");
    let found = running.text("one", &format!("/{}", files[0].file_name().unwrap().to_str().unwrap()));
    assert!(!found.contains("true") && found.matches("false").count() == 9, "{found}");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let folder = node.path.join("state/images");
    assert_eq!((mode(folder.clone()), mode(folder.join("key")), mode(files[0].clone())), (0o700, 0o600, 0o600));
}
