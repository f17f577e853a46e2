//! Work that the host does for a request is charged to it, ends with it, and delays nobody else.

use std::cell::Cell;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::{Client, get};
use starcell_tests::process::{SLACK, Starcell, folder, script, until};

/// A folder of names that a pattern takes long to be held against.
const NAMES: usize = 20_000;

const PATTERN: &str = "srv = http.server()\n\
     srv.handle(\"GET /go\", lambda req: str(fs.try_glob(\"n/*\" + \"[\" * 200).ok))\n\
     srv.handle(\"GET /\", lambda req: \"fine\")\nsrv.serve()\n";

fn pattern(flags: &[&str]) -> Starcell {
    let folder = folder();
    fs::create_dir(folder.join("n")).unwrap();
    for number in 0..NAMES {
        fs::write(folder.join(format!("n/{number:0>45}")), "").unwrap();
    }
    let arguments = [&["--allow-local", "--port", "0", "--no-access-log"], flags].concat();
    let mut starcell = Starcell::spawn_in(&folder, &arguments, PATTERN);
    starcell.wait_for("serving ");
    starcell
}

/// A pattern ends with the CPU time of its request, or is quick.
#[test]
fn a_pattern_is_paid_for() {
    let starcell = pattern(&["--request-cpu", "50ms"]);
    let before = starcell.cpu_time();
    let answer = get(starcell.port(), "/go");
    assert!(matches!(answer.status, 200 | 500), "{}", answer.text());
    let used = starcell.cpu_time() - before;
    assert!(used < Duration::from_millis(250) + SLACK, "{used:?}");
    assert_eq!(get(starcell.port(), "/").text(), "fine");
}

/// Clients that leave take their work with them: it holds no more threads than the app may have, and ends.
#[test]
fn whoever_leaves_takes_the_work_along() {
    let starcell = pattern(&["--request-time", "300ms", "--request-cpu", "10s"]);
    for _ in 0..4 {
        let clients: Vec<_> = (0..33)
            .map(|_| {
                let mut client = Client::connect(starcell.port());
                client.send(b"GET /go HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
                client
            })
            .collect();
        thread::sleep(Duration::from_millis(50));
        drop(clients);
    }
    // 32 for the app, and what the process has beside them.
    let threads = fs::read_dir(format!("/proc/{}/task", starcell.id())).unwrap().count();
    assert!(threads < 64, "{threads} threads");
    assert_eq!(get(starcell.port(), "/").text(), "fine");
    let last = Cell::new(starcell.cpu_time());
    until("the work ended", || {
        thread::sleep(Duration::from_millis(100));
        let now = starcell.cpu_time();
        now - last.replace(now) < Duration::from_millis(20)
    });
}

/// Values are compared while others use the store.
#[test]
fn the_store_is_open_while_values_are_compared() {
    for state in [&[][..], &["--state", "state"]] {
        let source = "kv.set(\"big\", [[] for i in range(200000)])\nkv.set(\"small\", 1)\n\
             def compare(req):\n    \
             return str(kv.compare_and_set(\"big\", [[] for i in range(200000)] + [1], 1))\n\
             srv = http.server()\nsrv.handle(\"GET /go\", compare)\n\
             srv.handle(\"GET /small\", lambda req: str(kv.get(\"small\")))\nsrv.serve()\n";
        let folder = folder();
        let arguments = ["--allow-local", "--port", "0", "--request-cpu", "10s", "--setup-cpu", "60s"];
        let mut starcell = Starcell::spawn_in(&folder, &[&arguments[..], state].concat(), source);
        starcell.wait_for("serving ");
        let port = starcell.port();
        let comparing: Vec<_> = (0..8).map(|_| thread::spawn(move || get(port, "/go").text().to_owned())).collect();
        let mut longest = Duration::ZERO;
        while !comparing.iter().all(thread::JoinHandle::is_finished) {
            let began = Instant::now();
            assert_eq!(get(port, "/small").text(), "1");
            longest = longest.max(began.elapsed());
        }
        assert!(longest < Duration::from_millis(400) + SLACK, "{state:?}: {longest:?}");
        assert!(comparing.into_iter().all(|comparing| comparing.join().unwrap() == "False"), "{state:?}");
    }
}

/// A text of many bytes costs no more than a few times its size, and is quickly refused.
#[test]
fn long_texts_cost_their_length() {
    let source = "srv = http.server()\nsrv.handle(\"GET /go\", lambda req: fs.try_read_text(\"a/\" * 6000000).error[:20])\n\
         srv.handle(\"GET /\", lambda req: \"fine\")\nsrv.serve()\n";
    let starcell = Starcell::serve(&["--no-access-log"], &script(source));
    let port = starcell.port();
    assert_eq!(get(port, "/").text(), "fine");
    let idle = starcell.resident();
    let asking = thread::spawn(move || get(port, "/go").text().to_owned());
    let mut most = 0;
    while !asking.is_finished() {
        most = most.max(starcell.resident().saturating_sub(idle));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(asking.join().unwrap().contains("fs.read_text"));
    assert!(most <= 80 << 20, "{} MiB", most >> 20);
}
