//! A node that is restarted while clients ask: by a supervisor that keeps its sockets, or by a process that takes them over.
//! No client is refused, and nothing that was acknowledged is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use starcell_tests::client::{Client, Response, refused};
use starcell_tests::good::Good;
use starcell_tests::log::ask_json;
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{Ended, PATIENCE, Starcell, binary, folder, script, until};
use starcell_tests::supervisor::{Notices, activated};
use starcell_tests::tls::replace;

const TENANT: &str = "[tenants.acme]\nprofile = \"allow-local\"\n";
const MANIFEST: &str = "tenant = \"acme\"\n";

/// Counts in its store, which is on the disk.
const COUNTER: &str = "
srv = http.server()
srv.handle(\"POST /\", lambda req: str(kv.incr(\"n\")))
srv.handle(\"GET /\", lambda req: str(kv.get(\"n\", 0)))
srv.serve()
";

/// A client that keeps its connection until it is told that it ends.
struct Polite {
    port: u16,
    client: Option<Client>,
}

impl Polite {
    fn new(port: u16) -> Self {
        Self { port, client: None }
    }

    fn request(&mut self, method: &str) -> Response {
        let client = self.client.get_or_insert_with(|| Client::connect(self.port));
        let answer = client.try_request(method, "/", &[], b"").expect("no request is dropped");
        assert_eq!(answer.status, 200, "{answer:?}");
        if answer.header("connection") == Some("close") {
            self.client = None;
        }
        answer
    }
}

/// Clients of all kinds, until they are stopped.
struct Load {
    clients: Vec<Good>,
    acknowledged: Arc<AtomicU64>,
}

impl Load {
    fn start(port: u16) -> Self {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let kept = |_| Good::keep(move || Polite::new(port), |client: &mut Polite| drop(client.request("GET")));
        let mut clients: Vec<Good> = (0..3).map(kept).collect();
        let fresh = move |_: &mut ()| assert_eq!(ask(port, "localhost", "/").status, 200);
        clients.extend((0..2).map(|_| Good::keep(|| (), fresh)));
        let counted = Arc::clone(&acknowledged);
        let count = move |client: &mut Polite| {
            let sum: u64 = client.request("POST").text().parse().expect("a number");
            assert_eq!(sum, counted.fetch_add(1, Ordering::Relaxed) + 1, "what was acknowledged is counted once");
        };
        clients.push(Good::keep(move || Polite::new(port), count));
        Self { clients, acknowledged }
    }

    /// Waits until so many more were acknowledged.
    fn go_on(&self, more: u64) {
        let enough = self.acknowledged.load(Ordering::Relaxed) + more;
        until("requests are answered", || self.acknowledged.load(Ordering::Relaxed) >= enough);
    }

    /// Ends it; returns what was acknowledged.
    fn finish(self) -> u64 {
        self.clients.into_iter().for_each(|client| drop(client.finish()));
        self.acknowledged.load(Ordering::Relaxed)
    }
}

fn verified(node: &NodeFolder) {
    let seen = ask_json(&node.path, &["audit", "verify", "--json", "audit.jsonl"]);
    assert_eq!(seen["sound"], true, "{seen}");
}

fn counter() -> NodeFolder {
    let node = NodeFolder::new(TENANT);
    node.app("counter", MANIFEST, COUNTER);
    node
}

const AUDITED: [&str; 3] = ["--audit", "audit.jsonl", "--no-access-log"];

/// Starts a process that takes over, and waits until it serves.
fn take_over(node: &NodeFolder) -> Starcell {
    node.start(&[&AUDITED[..], &["--take-over"]].concat())
}

#[test]
fn a_process_takes_over_and_no_request_fails() {
    let node = counter();
    let mut running = node.start(&AUDITED);
    let port = running.port();
    let load = Load::start(port);
    for _ in 0..3 {
        load.go_on(50);
        let next = take_over(&node);
        assert_eq!(next.port(), port, "it has the socket, whose port was of the system's choice");
        let ended = running.wait();
        assert_eq!(ended.code(), 0, "{}", ended.output);
        assert!(ended.output.contains(&format!("the process {} has taken over", next.id())), "{}", ended.output);
        running = next;
    }
    load.go_on(50);
    let acknowledged = load.finish();
    assert_eq!(ask(port, "localhost", "/").text(), acknowledged.to_string());
    assert_eq!(running.stop().code(), 0);
    assert!(refused(port), "no process holds the socket");
    verified(&node);
}

#[test]
fn a_process_that_cannot_take_over_leaves_the_other_serving() {
    let node = counter();
    let mut running = node.start(&AUDITED);
    let port = running.port();
    let load = Load::start(port);
    // It fails with what the other one has given up already: it can make no audit log.
    let fails = |arguments: &[&str]| -> Ended { node.spawn(&[arguments, &["--take-over"]].concat()).wait() };
    let ended = fails(&["--audit", "no-such-folder/audit.jsonl"]);
    assert_eq!(ended.code(), 4, "{}", ended.output);
    running.wait_for("ended before it served: this one goes on");
    running.wait_for("serving the listener web");
    load.go_on(50);
    // It fails before it asks for anything.
    let config = fs::read_to_string(node.config()).unwrap();
    fs::write(node.config(), "[node]\n").unwrap();
    assert_eq!(fails(&AUDITED).code(), 4);
    fs::write(node.config(), config).unwrap();
    load.go_on(50);
    // And the next one succeeds.
    let next = take_over(&node);
    assert_eq!(running.wait().code(), 0);
    load.go_on(50);
    let acknowledged = load.finish();
    assert_eq!(ask(port, "localhost", "/").text(), acknowledged.to_string());
    assert_eq!(next.stop().code(), 0);
    verified(&node);
}

#[test]
fn a_process_that_is_killed_while_it_takes_over_leaves_the_other_serving() {
    let node = counter();
    let mut running = node.start(&AUDITED);
    let load = Load::start(running.port());
    // Its app sets itself up for a while, so that it is killed when the stores are its own.
    let slow = format!("time.sleep(\"30s\")\n{COUNTER}");
    let main = node.path.join("apps/counter/main.star");
    let before = fs::read(&main).unwrap();
    // The running node would deploy the change too, but looks for it only once it serves again.
    let next = node.spawn(&[&AUDITED[..], &["--take-over"]].concat());
    running.wait_for("takes over: connections end with their next response");
    replace(&main, slow.as_bytes());
    let state = node.path.join("state/kv/acme/counter.redb");
    until("the new process has the store", || holds(next.id(), &state));
    replace(&main, &before);
    next.signal("KILL");
    assert_eq!(next.wait().code(), -1);
    running.wait_for("ended before it served: this one goes on");
    load.go_on(50);
    let acknowledged = load.finish();
    assert_eq!(ask(running.port(), "localhost", "/").text(), acknowledged.to_string());
    assert_eq!(running.stop().code(), 0);
    verified(&node);
}

/// Whether a process has a file open.
fn holds(process: u32, file: &std::path::Path) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|path| path == file)
}

#[test]
fn where_no_node_runs_a_process_starts_as_usual() {
    let node = counter();
    let mut alone = node.spawn(&["--take-over"]);
    alone.wait_for("no node runs with this state folder");
    alone.wait_for("serving the listener web");
    let mode = fs::metadata(node.path.join("state")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else may ask for its sockets");
    // A process that was killed leaves its socket behind.
    alone.signal("KILL");
    assert_eq!(alone.wait().code(), -1);
    let again = node.start(&["--take-over"]);
    assert_eq!(again.stop().code(), 0);
    let ended = node.spawn(&["--check", "--take-over"]).wait();
    assert_eq!(ended.code(), 2, "{}", ended.output);
}

#[test]
fn a_supervisor_keeps_the_sockets_of_a_node_that_is_restarted() {
    let node = counter();
    let web = "[listeners.web]\naddress = \"127.0.0.1:1\"\n";
    node.configure(&format!("{web}[metrics]\naddress = \"127.0.0.1:2\"\n{TENANT}"));
    let mut command = activated(3, "web:metrics", &node.path);
    // A client that keeps its connection learns from a response that it ends.
    command.arg("host").args(AUDITED).args(["--drain-delay", "1s"]).arg(node.config());
    let mut supervisor = Starcell::spawn_command(command);
    let port: u16 = last_word(&supervisor.wait_for("socket web")).parse().unwrap();
    let metrics: u16 = last_word(&supervisor.wait_for("socket metrics")).parse().unwrap();
    let child = |supervisor: &mut Starcell| last_word(&supervisor.wait_for("child "));
    let mut process = child(&mut supervisor);
    supervisor.wait_for(&format!("serving the listener web on http://127.0.0.1:{port}"));
    let load = Load::start(port);
    for _ in 0..2 {
        load.go_on(50);
        assert_eq!(ask(metrics, "localhost", "/readyz").status, 200);
        assert!(Command::new("kill").args(["-s", "TERM", &process]).status().unwrap().success());
        supervisor.wait_for("ended 0");
        process = child(&mut supervisor);
    }
    load.go_on(50);
    let acknowledged = load.finish();
    assert_eq!(ask(port, "localhost", "/").text(), acknowledged.to_string());
    assert!(Command::new("kill").args(["-s", "TERM", &process]).status().unwrap().success());
    assert_eq!(supervisor.wait().code(), 0);
    verified(&node);
}

fn last_word(line: &str) -> String {
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_socket_that_is_for_no_listener_is_an_error() {
    let node = counter();
    let mut command = activated(1, "wbe", &node.path);
    command.arg("host").arg(node.config());
    let ended = Starcell::spawn_command(command).wait();
    assert!(ended.output.contains("the socket \"wbe\" at 127.0.0.1:"), "{}", ended.output);
    assert!(ended.output.contains("is for none of its tables: listeners.web"), "{}", ended.output);
    assert!(ended.stdout.ends_with("ended 4\n"), "{}", ended.stdout);
}

#[test]
fn a_script_serves_the_socket_of_a_supervisor() {
    let file = script(&says("activated"));
    let notices = Notices::new();
    let run = |names: &str, arguments: &[&str]| {
        let mut command = activated(1, names, &folder());
        notices.give(&mut command);
        command.arg("run").arg("--allow-local").args(arguments).arg(&file);
        Starcell::spawn_command(command)
    };
    let mut supervisor = run("any", &[]);
    let port: u16 = last_word(&supervisor.wait_for("socket any")).parse().unwrap();
    let child = last_word(&supervisor.wait_for("child "));
    assert_eq!(ask(port, "localhost", "/").text(), "activated");
    assert!(notices.wait_for("READY=1").contains("STATUS="));
    assert_eq!(notices.wait_for("WATCHDOG=1"), "WATCHDOG=1");
    assert!(Command::new("kill").args(["-s", "TERM", &child]).status().unwrap().success());
    let _ = notices.wait_for("STOPPING=1");
    supervisor.wait_for("ended 0");
    // The permission is checked as ever, and for the address of the socket.
    for (names, arguments, said) in [
        ("one:two", &[][..], "LISTEN_FDS passed 2"),
        ("any", &["--port", "9"], "leave --host and --port out"),
        ("any", &["--deny", "http.server"], "permission denied"),
    ] {
        let ended = run(names, arguments).wait();
        assert!(ended.output.contains(said), "{said}\n{}", ended.output);
        assert!(!ended.stdout.ends_with("ended 0\n"), "{}", ended.output);
    }
}

#[test]
fn a_supervisor_is_told_how_a_node_is() {
    let (node, notices) = (counter(), Notices::new());
    let mut command = Command::new(binary());
    notices.give(command.arg("host").arg(node.config()).current_dir(&node.path));
    let mut running = Starcell::spawn_command(command);
    let _ = notices.wait_for("READY=1");
    running.wait_for("serving the listener web");
    let _ = (notices.wait_for("WATCHDOG=1"), notices.wait_for("WATCHDOG=1"));
    running.signal("HUP");
    let reloading = notices.wait_for("RELOADING=1\nMONOTONIC_USEC=");
    assert!(reloading.rsplit('=').next().unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    let _ = notices.wait_for("READY=1");
    let next = node.start(&["--take-over"]);
    assert_eq!(notices.wait_for("MAINPID="), format!("MAINPID={}", next.id()));
    assert_eq!(running.wait().code(), 0);
    assert_eq!(next.stop().code(), 0);
}

#[test]
fn a_client_that_has_just_connected_is_answered() {
    let node = counter();
    let running = node.start(&["--no-access-log"]);
    let port = running.port();
    let mut connected = Client::connect(port);
    connected.patience(PATIENCE);
    // It is accepted before this one's request is answered.
    assert_eq!(ask(port, "localhost", "/").status, 200);
    running.signal("TERM");
    until("the node stops", || refused(port));
    let answer = connected.get("/");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(running.wait().code(), 0);
}
