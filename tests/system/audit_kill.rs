//! kill -9 in the middle of thousands of writes to files and to kv: what a client was told is done is there afterwards,
//! nothing was done without a line that says so beforehand, and the log goes on.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use starcell_tests::client::{Client, get};
use starcell_tests::log::{ask_json, lines};
use starcell_tests::process::{Starcell, folder};

const SCRIPT: &str = r#"
def put(req):
    n = req.params["n"]
    fs.write_text("f" + n, "content " + n)
    kv.set("k" + n, n)
    return n
srv = http.server()
srv.handle("POST /{n}", put)
srv.handle("GET /keys", lambda req: kv.list(limit=10000))
srv.serve()
"#;

const CLIENTS: usize = 4;

/// Writes of one round: many more than are waited for, as the clients go on until the signal comes.
const WRITES: usize = 5000;

const ARGUMENTS: [&str; 7] = ["--allow-local", "--port", "0", "--state", "state", "--audit", "audit.jsonl"];

fn start(folder: &Path) -> Starcell {
    let mut starcell = Starcell::spawn_in(folder, &ARGUMENTS, SCRIPT);
    starcell.wait_for("serving ");
    starcell
}

/// Kills the process once so many writes were acknowledged; returns those that were, the ones on their way included.
fn kill_after(starcell: Starcell, first: usize, acknowledgements: usize) -> Vec<usize> {
    let (port, done) = (starcell.port(), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let mut connection = Client::connect(port);
                let mut acknowledged = Vec::new();
                for n in (first + client..first + WRITES).step_by(CLIENTS) {
                    match connection.try_request("POST", &format!("/{n}"), &[], b"") {
                        Ok(response) => assert_eq!((response.status, response.text()), (200, n.to_string().as_str())),
                        Err(_) => break,
                    }
                    acknowledged.push(n);
                    done.fetch_add(1, Ordering::Relaxed);
                }
                acknowledged
            })
        })
        .collect();
    while done.load(Ordering::Relaxed) < acknowledgements {
        thread::yield_now();
    }
    starcell.signal("KILL");
    let acknowledged = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert_eq!(starcell.wait().code(), -1, "killed");
    acknowledged
}

#[test]
fn no_acknowledged_write_is_lost_and_none_is_done_without_a_line() {
    let folder = folder();
    let log = folder.join("audit.jsonl");
    let mut acknowledged: Vec<usize> = Vec::new();
    for (round, acknowledgements) in [37, 250, 611, 940].into_iter().enumerate() {
        let starcell = start(&folder);
        let done = kill_after(starcell, round * WRITES, acknowledgements);
        assert!(done.len() >= acknowledgements && done.len() < WRITES, "in the middle: {}", done.len());
        acknowledged.extend(done);

        // What the log said before anyone could mend it.
        let intended = intended(&log);
        for n in &acknowledged {
            let text = fs::read_to_string(folder.join(format!("f{n}"))).unwrap_or_default();
            assert_eq!(text, format!("content {n}"), "file {n} of {} was acknowledged", acknowledged.len());
        }
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.starts_with('f') {
                let wanted = ("fs.write_text".to_owned(), path.display().to_string());
                assert!(intended.contains(&wanted), "{name} was written without a line");
            }
        }
        let restarted = start(&folder);
        let keys: HashSet<String> = serde_json::from_str(get(restarted.port(), "/keys").text()).unwrap();
        assert_eq!(restarted.stop().code(), 0);
        for n in &acknowledged {
            assert!(keys.contains(&format!("k{n}")), "key {n} of {} was acknowledged", acknowledged.len());
        }
        for key in &keys {
            assert!(intended.contains(&("kv.set".to_owned(), key.clone())), "{key} was set without a line");
        }

        let seen = ask_json(&folder, &["audit", "verify", "--json", "audit.jsonl"]);
        assert_eq!((&seen["sound"], &seen["kills"]), (&true.into(), &(round + 1).into()), "{seen}");
        let summary = ask_json(&folder, &["audit", "summary", "--json", "audit.jsonl"]);
        let unknown = unfinished(&log);
        assert_eq!(summary["total"]["unknown"], unknown, "what has no outcome is unknown");
        // Every client had a request on its way.
        assert!(unknown > round, "{unknown}");
    }
}

/// Functions and resources of the calls in a log whose last line may be unfinished.
fn intended(log: &Path) -> HashSet<(String, String)> {
    let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let calls = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let calls = calls.filter(|call| call["kind"] == "call");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    calls.map(|call| (text(&call["capability"]), text(&call["resource"]))).collect()
}

/// How many calls of a log have no outcome, counted without our reader.
fn unfinished(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap();
    let mut open: HashMap<u64, ()> = HashMap::new();
    let mut unfinished = 0;
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let id = line["id"].as_u64();
        match (line["kind"].as_str().unwrap(), id) {
            ("call", Some(id)) if line["decision"] != "deny" => drop(open.insert(id, ())),
            ("outcome", Some(id)) => drop(open.remove(&id)),
            ("open", _) if line["after"] != "rotation" => {
                unfinished += open.len();
                open.clear();
            }
            _ => {}
        }
    }
    assert!(!lines(log, "close").is_empty());
    unfinished + open.len()
}
