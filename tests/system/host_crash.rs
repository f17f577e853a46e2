//! `starcell host`: what a kill leaves of many apps of many tenants, and what a hundred redeploys leave of memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use starcell_tests::client::Client;
use starcell_tests::log::ask_json;
use starcell_tests::node::{NodeFolder, ask, ask_on, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually};
use starcell_tests::tls::replace;

/// Apps of as many tenants.
const APPS: usize = 4;

/// Every write is durable before it is acknowledged, and has a line in the audit log before it is done.
const COUNTS: &str = r#"
srv = http.server()
srv.handle("POST /", lambda req: str(kv.incr("count")))
srv.handle("GET /", lambda req: str(kv.get("count", 0)))
srv.serve(port=8080)
"#;

fn host(app: usize) -> String {
    format!("a{app}.example")
}

fn manifest(app: usize) -> String {
    format!("tenant = \"t{app}\"\nhosts = [{:?}]\n", host(app))
}

fn node(apps: usize, script: impl Fn(usize) -> String) -> NodeFolder {
    let tenants: String = (0..apps).map(|app| format!("[tenants.t{app}]\nprofile = \"allow-local\"\n")).collect();
    let node = NodeFolder::new(&tenants);
    for app in 0..apps {
        node.app(&format!("app{app}"), &manifest(app), &script(app));
    }
    node
}

#[test]
fn a_killed_node_comes_back_with_all_that_it_acknowledged() {
    let node = node(APPS, |_| COUNTS.to_owned());
    let mut acknowledged = [0; APPS];
    for round in 1..=3_u64 {
        let starcell = node.start(&["--audit", "audit.jsonl"]);
        for (app, counted) in kill_under_load(starcell, round * 150).into_iter().enumerate() {
            acknowledged[app] = counted.max(acknowledged[app]);
        }
        let restarted = node.start(&["--audit", "audit.jsonl"]);
        for (app, acknowledged) in acknowledged.iter_mut().enumerate() {
            let response = ask(restarted.port(), &host(app), "/");
            let found: u64 = response.text().parse().unwrap();
            // One that was on its way may be there too.
            assert!((*acknowledged..=*acknowledged + 1).contains(&found), "app {app}: {found} of {acknowledged}");
            *acknowledged = found;
        }
        assert_eq!(restarted.stop().code(), 0);
        let seen = verify(&node.path);
        assert_eq!((&seen["sound"], &seen["kills"]), (&true.into(), &round.into()), "{seen}");
    }
}

/// Has every app count, until together they counted so often, and kills the node; what each acknowledged last.
fn kill_under_load(starcell: Starcell, counts: u64) -> Vec<u64> {
    let (port, done) = (starcell.port(), Arc::new(AtomicU64::new(0)));
    let count = |app: usize| {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            let (mut client, mut last) = (Client::connect(port), 0);
            let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", host(app));
            while let Ok(response) = client.send(head.as_bytes()).and_then(|()| client.read(false)) {
                assert_eq!(response.status, 200, "{}", response.text());
                last = response.text().parse().unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
            last
        })
    };
    let clients: Vec<_> = (0..APPS).map(count).collect();
    eventually(PATIENCE, "the apps count", || done.load(Ordering::Relaxed) >= counts);
    starcell.signal("KILL");
    let last = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert_eq!(starcell.wait().code(), -1, "killed");
    last
}

fn verify(folder: &Path) -> serde_json::Value {
    ask_json(folder, &["audit", "verify", "--json", "audit.jsonl"])
}

/// Redeploys until what a deploy keeps for the next one is kept, and those after, which may add nothing.
const FIRST: u32 = 20;
const REDEPLOYS: u32 = 100;

/// What the allocator may keep for later.
const KEPT: usize = 12 << 20;

#[test]
fn a_hundred_redeploys_leave_nothing_behind() {
    let text = |app: usize, version: u32| format!("app {app} in version {version}");
    let node = node(8, |app| says(&text(app, 0)));
    let starcell = node.start(&[]);
    let mut client = Client::connect(starcell.port());
    let mut redeploy = |version: u32| {
        for app in 0..8 {
            replace(&node.path.join(format!("apps/app{app}/main.star")), says(&text(app, version)).as_bytes());
        }
        starcell.signal("HUP");
        for app in 0..8 {
            let current = text(app, version);
            eventually(PATIENCE, &current, || ask_on(&mut client, &host(app), "/").unwrap().text() == current);
        }
    };
    (1..=FIRST).for_each(&mut redeploy);
    let (memory, descriptors) = (starcell.own_memory(), starcell.descriptors());
    (FIRST + 1..=REDEPLOYS).for_each(&mut redeploy);
    eventually(PATIENCE, "descriptors go back", || starcell.descriptors() <= descriptors);
    let now = starcell.own_memory();
    assert!(now <= memory + KEPT, "its memory went from {memory} to {now}");
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
}
