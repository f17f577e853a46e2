//! What scripts fetch, and what their clients ask for over one connection, stays within the budget of the process.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::{Client, get};
use starcell_tests::frames::{CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, frame, request, setting};
use starcell_tests::process::{Starcell, folder, until};
use starcell_tests::upstream::{Upstream, response};

const MIB: usize = 1 << 20;

/// Bytes of the budget under test, and what the process may hold beside it.
const BUDGET: usize = 128 * MIB;
const BESIDE: usize = 64 * MIB;

/// Serves a script with a small budget, in a folder of its own.
fn serve(folder: &Path, flags: &[&str], source: &str) -> Starcell {
    serve_within(BUDGET, folder, flags, source)
}

/// The same with another budget.
fn serve_within(budget: usize, folder: &Path, flags: &[&str], source: &str) -> Starcell {
    let budget = (budget / MIB).to_string();
    let common =
        ["--allow-local", "--port", "0", "--memory-budget", &budget, "--no-access-log", "--request-cpu", "20s"];
    let mut starcell = Starcell::spawn_in(folder, &[&common[..], flags].concat(), source);
    starcell.wait_for("serving ");
    starcell
}

/// The most that the process holds beside what it held idle, while clients ask for a path and others look at it.
fn held(starcell: &Starcell, idle: usize, clients: usize, path: &str) -> (usize, Vec<u16>) {
    let port = starcell.port();
    let path = path.to_owned();
    let asking: Vec<_> = (0..clients)
        .map(|_| {
            let path = path.clone();
            thread::spawn(move || get(port, &path).status)
        })
        .collect();
    let mut most = 0;
    while !asking.iter().all(thread::JoinHandle::is_finished) {
        most = most.max(starcell.resident());
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(get(port, "/").text(), "fine");
    (most.saturating_sub(idle), asking.into_iter().map(|asking| asking.join().unwrap()).collect())
}

/// Each handler fetches some MiB and waits: what finds no memory is an error that its script can catch.
#[test]
fn what_scripts_fetch() {
    let large = vec![b'x'; 10 * MIB];
    let answer = response(200, &[], &large);
    let upstream = Upstream::start(move |_| (answer.clone(), true));
    let folder = folder();
    fs::write(folder.join("large"), &large).unwrap();
    fs::write(folder.join("tool"), "#!/bin/sh\nexec cat large\n").unwrap();
    fs::set_permissions(folder.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    let source = format!(
        "URL = \"http://127.0.0.1:{}/\"\n\
         def told(r):\n    time.sleep(\"500ms\")\n    \
         return \"got\" if r.ok else {{\"status\": 503, \"body\": r.error}}\n\
         http.serve({{\n    \"GET /client\": lambda req: told(http.try_get(URL)),\n    \
         \"GET /program\": lambda req: told(os.try_exec([\"./tool\"])),\n    \
         \"GET /file\": lambda req: told(fs.try_read_bytes(\"large\")),\n    \"GET /\": lambda req: \"fine\",\n}})\n",
        upstream.port
    );
    let starcell = serve(&folder, &["--max-requests", "64"], &source);
    assert_eq!(get(starcell.port(), "/").text(), "fine");
    let idle = starcell.resident();
    for path in ["/client", "/program", "/file"] {
        let (most, statuses) = held(&starcell, idle, 40, path);
        assert!(most <= BUDGET + BESIDE, "{path}: {} MiB held", most / MIB);
        assert!(statuses.contains(&200), "{path}: {statuses:?}");
        assert!(statuses.iter().all(|status| matches!(status, 200 | 503)), "{path}: {statuses:?}");
        // Nothing stays taken.
        assert_eq!(get(starcell.port(), path).status, 200, "{path}");
    }
    assert_eq!(starcell.stop().code(), 0);
}

/// An answer of one byte a chunk costs what its bytes cost, from a server as from a cluster.
#[test]
fn an_answer_in_small_pieces() {
    let size = MIB;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut message = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        message.extend(b"1\r\na\r\n".repeat(size));
        message.extend(b"0\r\n\r\n");
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(&message));
        }
    });
    let source = format!(
        "http.serve({{\"GET /get\": lambda req: str(len(http.get(\"http://127.0.0.1:{port}/\").body)), \
         \"GET /\": lambda req: \"fine\"}})\n"
    );
    let starcell = serve(&folder(), &[], &source);
    assert_eq!(get(starcell.port(), "/").text(), "fine");
    let idle = starcell.resident();
    let (most, statuses) = held(&starcell, idle, 1, "/get");
    assert_eq!(statuses, [200]);
    // The guest has its own copy, as bytes and as text.
    assert!(most <= 2 * size + 16 * MIB + 3 * size, "{} MiB held for {} MiB", most / MIB, size / MIB);
}

/// One connection of many requests is one connection.
#[test]
fn streams_of_one_connection() {
    let source = "http.serve({\"GET /large\": lambda req: \"x\" * (15 * 1024 * 1024), \
                  \"POST /\": lambda req: str(len(req.body)), \"GET /\": lambda req: \"fine\"})\n";
    let starcell = serve(&folder(), &["--h2c", "--stall-time", "5s"], source);
    assert_eq!(get(starcell.port(), "/").text(), "fine");
    let idle = starcell.resident();
    let most = |time: Duration| {
        let (began, mut most) = (Instant::now(), 0);
        while began.elapsed() < time {
            assert_eq!(Client::connect(starcell.port()).get("/").text(), "fine");
            most = most.max(starcell.resident().saturating_sub(idle));
            thread::sleep(Duration::from_millis(20));
        }
        most
    };
    // Responses that have no window.
    let mut frames = Frames::connect(starcell.port(), &setting(4, 0));
    for stream in (1..120).step_by(2) {
        let ask = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request("GET", "/large", &[]));
        // A server that has enough may close.
        if frames.send(&ask).is_err() {
            break;
        }
    }
    let held = most(Duration::from_secs(2));
    assert!(held <= BUDGET + BESIDE, "{} MiB held by responses", held / MIB);
    drop(frames);
    // Bodies that lack their end.
    let mut frames = Frames::connect(starcell.port(), &[]);
    for stream in (1..200).step_by(2) {
        let begin = frame(HEADERS, END_HEADERS, stream, &request("POST", "/", &[]));
        // A server that has enough may close.
        if frames.send(&[begin, frame(DATA, 0, stream, &[b'x'; 16 << 10])].concat()).is_err() {
            break;
        }
    }
    let held = most(Duration::from_secs(1));
    assert!(held <= BUDGET + BESIDE, "{} MiB held by bodies", held / MIB);
}

/// Heads that never end, on as many connections as an address may have.
#[test]
fn heads_that_lack_their_end() {
    let starcell = serve(&folder(), &[], "http.serve({\"GET /\": lambda req: \"fine\"})\n");
    assert_eq!(get(starcell.port(), "/").text(), "fine");
    let idle = starcell.resident();
    let head = [&b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "[..], &[b'a'; 60_000]].concat();
    let streams: Vec<_> = (0..3000)
        .map_while(|_| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, starcell.port())).ok()?;
            // A server that has enough may close.
            let _ = stream.write_all(&head);
            Some(stream)
        })
        .collect();
    let held = starcell.resident().saturating_sub(idle);
    assert!(held <= BUDGET + BESIDE, "{} MiB held by {} heads", held / MIB, streams.len());
    drop(streams);
    assert_eq!(get(starcell.port(), "/").text(), "fine");
}

/// Heads over HTTP/2 are held for as long as their requests wait: many streams, each with as much as a head may have, and
/// heads that lack their end.
#[test]
fn heads_over_http2() {
    let source = "def slow(req):\n    time.sleep(\"2s\")\n    return \"slow\"\n\
                  http.serve({\"GET /slow\": slow, \"GET /\": lambda req: \"fine\"})\n";
    let starcell = serve(&folder(), &["--h2c", "--max-requests", "512", "--max-queue", "8192"], source);
    assert_eq!(get(starcell.port(), "/").text(), "fine");
    let idle = starcell.resident();
    let value = "v".repeat(15_000);
    let more = [("a", &*value), ("b", &*value), ("c", &*value), ("d", &*value)];
    let head = request("GET", "/slow", &more);
    let (first, rest) = head.split_at(16 << 10);
    let rests: Vec<&[u8]> = rest.chunks(16 << 10).collect();
    let mut connections = Vec::new();
    for _ in 0..60 {
        let Ok(mut frames) = Frames::try_connect(starcell.port(), &[]) else { continue };
        for stream in (1..160).step_by(2) {
            let mut message = frame(HEADERS, END_STREAM, stream, first);
            for (place, rest) in rests.iter().enumerate() {
                // The last stream lacks its end.
                let end = if place + 1 == rests.len() && stream < 159 { END_HEADERS } else { 0 };
                message.extend(frame(CONTINUATION, end, stream, rest));
            }
            // A server that has enough may close.
            if frames.send(&message).is_err() {
                break;
            }
        }
        connections.push(frames);
        let held = starcell.resident().saturating_sub(idle);
        assert!(held <= BUDGET + BESIDE, "{} MiB held by {} connections", held / MIB, connections.len());
    }
    drop(connections);
    until("a good client is answered", || get(starcell.port(), "/").status == 200);
}

/// What handlers keep in the store is in memory, and in the budget.
#[test]
fn a_store_that_is_filled() {
    let source = "def fill(req):\n    n = 0\n    for i in range(60):\n        \
                  r = kv.try_set(\"k\" + str(i), \"v\" * 1000000)\n        if not r.ok:\n            \
                  return {\"status\": 507, \"body\": r.error}\n    return \"kept\"\n\
                  http.serve({\"GET /fill\": fill, \"GET /\": lambda req: \"fine\"})\n";
    let starcell = serve_within(64 * MIB, &folder(), &[], source);
    let idle = starcell.resident();
    let answer = get(starcell.port(), "/fill");
    assert_eq!(answer.status, 507);
    assert!(answer.text().contains("--memory-budget"), "{}", answer.text());
    let held = starcell.resident().saturating_sub(idle);
    assert!(held <= 64 * MIB + BESIDE, "{} MiB held", held / MIB);
    assert_eq!(get(starcell.port(), "/").text(), "fine");
}

/// A request that fails only because the process has no memory for it may be sent again, and its client is told so. The log
/// and a failure of another kind are as ever.
#[test]
fn a_call_without_memory_is_no_fault_of_its_script() {
    let large = vec![b'x'; 10 * MIB];
    let folder = folder();
    fs::write(folder.join("large"), &large).unwrap();
    let source = "def take(req):\n    x = fs.read_bytes(\"large\")\n    time.sleep(\"1500ms\")\n    return str(len(x))\n\
                  http.serve({\"GET /take\": take, \"GET /bad\": lambda req: fail(\"the host has no memory left for \
                  this: see --memory-budget\"), \"GET /\": lambda req: \"fine\"})\n";
    let mut starcell = serve_within(64 * MIB, &folder, &["--max-requests", "64"], source);
    let port = starcell.port();
    let asking: Vec<_> = (0..24).map(|_| thread::spawn(move || get(port, "/take"))).collect();
    let answers: Vec<_> = asking.into_iter().map(|asking| asking.join().unwrap()).collect();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&503), "{statuses:?}");
    let refused = answers.iter().filter(|answer| answer.status == 503);
    assert!(refused.map(|answer| answer.header("retry-after")).all(|after| after.is_some()));
    starcell.wait_for("no memory for a request");
    // The words alone are no lack of memory.
    assert_eq!(get(port, "/bad").status, 500);
    assert_eq!(get(port, "/take").text(), large.len().to_string());
}

/// A script with much state starts as many servers as there is memory for.
#[test]
fn servers_of_one_script() {
    let source = "x = [\"a\" * 1000000 + str(i) for i in range(8)]\n\
                  servers = [http.server() for i in range(60)]\n\
                  [srv.handle(\"GET /\", lambda req: \"fine\") for srv in servers]\n\
                  started = [srv.try_start(port=0).ok for srv in servers]\n\
                  print(any(started), all(started))\n\
                  time.sleep(\"1s\")\n";
    let folder = folder();
    let budget = (BUDGET / MIB).to_string();
    let arguments = ["--allow-local", "--memory-budget", &budget, "--setup-cpu", "60s"];
    let mut starcell = Starcell::spawn_in(&folder, &arguments, source);
    starcell.wait_for("True ");
    let held = starcell.resident();
    assert!(held <= BUDGET + BESIDE, "{} MiB held", held / MIB);
    let ended = starcell.wait();
    assert!(ended.code() == 0 && ended.stdout.ends_with("True False\n"), "{}", ended.output);
}
