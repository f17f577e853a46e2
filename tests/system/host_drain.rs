//! `starcell host --drain-delay`: between the signal to stop and the drain, load balancers learn that the node goes.

use std::time::{Duration, Instant};

use starcell_tests::client::{Client, get, refused};
use starcell_tests::node::{NodeFolder, ask, ask_on, says, watched_port};
use starcell_tests::process::{PATIENCE, Starcell, eventually};

/// A node that answers, and the ports of its apps and of its numbers.
fn serving(delay: &str) -> (Starcell, u16, u16) {
    let node = NodeFolder::new("[metrics]\naddress = \"127.0.0.1:0\"\n[tenants.acme]\nprofile = \"allow-local\"\n");
    node.app("one", "tenant = \"acme\"\n", &says("one"));
    let mut running = node.spawn(&["--drain-delay", delay]);
    let watched = watched_port(&mut running);
    running.wait_for("serving ");
    let port = running.port();
    eventually(PATIENCE / 2, "it is ready", || get(watched, "/readyz").status == 200);
    (running, port, watched)
}

#[test]
fn requests_are_answered_after_the_first_signal_and_a_second_one_begins_the_drain() {
    let (running, port, watched) = serving("1h");
    let mut kept = Client::connect(port);
    let answer = ask_on(&mut kept, "a.example", "/").unwrap();
    assert_eq!((answer.text(), answer.header("connection")), ("one", None));
    running.signal("TERM");
    eventually(PATIENCE / 2, "it says that it is not ready", || get(watched, "/readyz").status == 503);
    assert_eq!(get(watched, "/healthz").status, 200);
    // Connections of both kinds are answered, and end.
    eventually(PATIENCE / 2, "responses say that the connection ends", || {
        let answer = ask(port, "a.example", "/");
        assert_eq!((answer.status, answer.text()), (200, "one"));
        answer.header("connection") == Some("close")
    });
    let answer = ask_on(&mut kept, "a.example", "/").unwrap();
    assert_eq!((answer.text(), answer.header("connection")), ("one", Some("close")));
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.output.contains("the drain begins in 1h"), "{}", ended.output);
    assert!(refused(port) && refused(watched));
}

#[test]
fn the_drain_begins_by_itself_when_the_delay_is_over() {
    let (running, port, _) = serving("700ms");
    let asked = Instant::now();
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(asked.elapsed() >= Duration::from_millis(700), "{:?}", asked.elapsed());
    assert!(refused(port));
}

#[test]
fn a_delay_is_a_time() {
    let node = NodeFolder::new("[tenants.acme]\n");
    let ended = node.spawn(&["--drain-delay", "soon"]).wait();
    assert_eq!(ended.code(), 2, "{}", ended.output);
    assert!(ended.stderr.contains("write it like 250ms, 10s or 1m 30s"), "{}", ended.stderr);
}
