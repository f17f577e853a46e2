//! The key-value store on servers: each does what the store of the process does, apps are apart, quotas hold, a server that
//! is away is an error and no more, and what was acknowledged is there afterwards.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::{Client, get};
use starcell_tests::node::{NodeFolder, ask};
use starcell_tests::process::{Starcell, folder, until};
use starcell_tests::servers::{PASSWORD, Server, free_port, password_file};
use starcell_tests::tls::Identity;

use crate::kv::EACH;

/// The flags of a run that keeps its pairs on a server.
fn on(server: &Server) -> Vec<String> {
    let password = server.password_file().display().to_string();
    ["--allow-fs", "--kv", &server.url(), "--kv-password-file", &password].map(str::to_owned).to_vec()
}

fn printed(flags: &[String], source: &str) -> String {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let ended = Starcell::run_in(&folder(), &flags, source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    ended.stdout
}

/// What the first script leaves out: keys that mean something elsewhere, pages, edges of numbers, times, refusals.
const HOSTILE: &str = r#"
keys = ["*", "?", "[a-z]", "a:b", "a::b", "{a}", "}", "a}:values", "'; DROP TABLE starcell.kv; --", "\"", "\\", "%", "_",
        "%s", "$1", "ü", "日本", "\U0001F600", "a b", "-", "(", "+", "[", "starcell:{local}:used", "x" * 1024]
for key in keys:
    kv.set(key, key)
print([key for key in keys if kv.get(key) != key], len(kv.list()), kv.list() == sorted(keys))
print(kv.list("a"), kv.list("%"), kv.list("*"), kv.list("["), kv.list("ü"))
print(len([key for key in keys if kv.delete(key)]), kv.list())

for i in range(250):
    kv.set(fmt.sprintf("page:%03d", i), i)
for i in range(0, 250, 5):
    kv.set(fmt.sprintf("page:%03d", i), i, ttl="1ns")
def pages():
    seen, after = [], None
    for _ in range(100):
        page = kv.list("page:", after=after, limit=30) if after else kv.list("page:", limit=30)
        if not page:
            return seen
        seen += page
        after = page[-1]
seen = pages()
print(len(seen), seen[0], seen[-1], seen == sorted(seen), kv.list("page:", after="page:248"), kv.list("page:", after="a", limit=1))

most = (1 << 63) - 1
print(kv.incr("most", most), kv.try_incr("most").error, kv.get("most"))
print(kv.incr("most", -most), kv.incr("least", -most - 1), kv.try_incr("least", -1).error, kv.incr("least", most), kv.incr("big", (1 << 53) + 1), kv.incr("big", 2))
kv.set("text", "1")
kv.set("long", 1 << 64)
kv.set("float", 1.5)
print(kv.try_incr("text").error, kv.try_incr("long").error, kv.try_incr("float").error)

kv.set("t", 1, ttl="1h")
print(kv.incr("t"), kv.compare_and_set("t", 2, 3, ttl="1ns"), kv.get("t"), kv.exists("t"), kv.compare_and_set("t", None, 4), kv.get("t"))
print(kv.incr("new", 1, ttl="1ns"), kv.incr("new", 1, ttl="1h"), kv.incr("new"), kv.delete("new"), kv.delete("new"))
print(kv.compare_and_set("c", 1, 2), kv.compare_and_set("c", None, {"b": 1, "a": [1, 2.5]}), kv.compare_and_set("c", {"a": [1, 2.5], "b": 2}, 0),
      kv.compare_and_set("c", {"a": [1, 2.5], "b": 1}, b"\x00\xff"), kv.compare_and_set("c", "\x00", 1), kv.compare_and_set("c", b"\x00\xff", "last"), kv.get("c"))
print(kv.get("c"), len(kv.get("v", "")), kv.set("v", "x" * (1 << 20)), len(kv.get("v")), kv.try_set("v", "x" * ((1 << 20) + 1)).error)
print(kv.try_get("").error, kv.try_set("a\nb", 1).error)
"#;

#[test]
fn every_store_does_the_same() {
    let (redis, postgres) = (Server::redis(), Server::postgres());
    for script in [EACH, HOSTILE] {
        let expected = printed(&["--allow-fs".to_owned()], script);
        assert!(!expected.is_empty());
        let kept = ["--allow-fs".to_owned(), "--kv".to_owned(), format!("file:{}", folder().display())];
        assert_eq!(printed(&kept, script), expected, "a file");
        for server in [&redis, &postgres] {
            let mut flags = on(server);
            flags.extend(["--kv-app".to_owned(), format!("same{}", script.len())]);
            assert_eq!(printed(&flags, script), expected, "{server:?}");
        }
    }
}

#[test]
fn connections_are_encrypted_to_the_server_that_was_named() {
    let identity = Identity::make();
    let roots = identity.cert.display().to_string();
    for server in [Server::redis_encrypted(&identity), Server::postgres_encrypted(&identity)] {
        let run = |roots: Option<&str>, flags: Vec<String>| {
            let mut command = std::process::Command::new(starcell_tests::process::binary());
            let source = "r = kv.try_incr(\"n\")\nprint(r.ok, r.error)\n";
            command.arg("run").args(flags).arg(starcell_tests::process::script(source)).current_dir(folder());
            command.env("SSL_CERT_FILE", roots.unwrap_or("/nonexistent"));
            Starcell::spawn_command(command).wait()
        };
        let well = run(Some(&roots), on(&server));
        assert!(well.stdout.starts_with("True"), "{}", well.output);
        // A server that nobody vouches for is not spoken to.
        let other = Identity::make();
        let refused = run(Some(&other.cert.display().to_string()), on(&server));
        assert!(refused.stdout.starts_with("False") && refused.output.contains("TLS"), "{}", refused.output);
        assert!(!refused.stdout.contains("127.0.0.1"), "{}", refused.stdout);
    }
}

#[test]
fn apps_on_one_server_are_apart() {
    for server in [Server::redis(), Server::postgres()] {
        let names = ["shop", "shop:values", "sho", "shop'--", "*", "{shop}", "%"];
        let as_app = |name: &str, source: &str| {
            let mut flags = on(&server);
            flags.extend(["--kv-app".to_owned(), name.to_owned()]);
            printed(&flags, source)
        };
        for name in names {
            let own = format!("kv.set(\"own\", {name:?})\nprint(kv.list(), kv.get(\"own\"))\n");
            assert_eq!(as_app(name, &own), format!("[\"own\"] {name}\n"));
        }
        for name in names {
            assert_eq!(as_app(name, "print(kv.get(\"own\"), kv.delete(\"own\"))\n"), format!("{name} True\n"));
        }
    }
}

const QUOTAS: &str = r#"
def fill(req):
    kept = 0
    for i in range(200):
        r = kv.try_set(fmt.sprintf("k%03d", i), "x" * 100)
        if not r.ok:
            return "%d %s" % (kept, r.error)
        kept += 1
    return "%d" % kept
def clear(req):
    return str(len([key for key in kv.list() if kv.delete(key)]))
def ending(req):
    for i in range(200):
        kv.set(fmt.sprintf("k%03d", i), "x" * 100, ttl="1ns")
    return "all"
srv = http.server()
srv.handle("GET /fill", fill)
srv.handle("GET /clear", clear)
srv.handle("GET /ending", ending)
srv.serve(port=8080)
"#;

#[test]
fn quotas_hold_on_a_server() {
    for server in [Server::redis(), Server::postgres()] {
        let (url, password) = (server.url(), server.password_file().display().to_string());
        let tenants = format!(
            "[kv]\nurl = {url:?}\npassword_file = {password:?}\n\
             [profiles.web]\nbase = \"allow-fs\"\nallow = [\"http.server\"]\n\
             [tenants.acme]\nprofile = \"web\"\nquotas = {{ kv = \"8KiB\" }}\n"
        );
        let node = NodeFolder::new(&tenants);
        for app in ["one", "two"] {
            node.app(app, &format!("tenant = \"acme\"\nprofile = \"web\"\nhosts = [\"{app}.test\"]\n"), QUOTAS);
        }
        let running = node.start(&[]);
        let text = |host: &str, target: &str| String::from_utf8(ask(running.port(), host, target).body).unwrap();
        // A pair takes 4 + 101 + 64 bytes.
        let full = "48 kv.set(\"k048\"): the store is full: its quota is 8 KiB";
        assert_eq!(text("one.test", "/fill"), full);
        let shared = "0 kv.set(\"k000\"): the stores of the tenant are full: its quota `kv` is 8 KiB for all its apps";
        assert_eq!(text("two.test", "/fill"), shared);
        assert_eq!(text("one.test", "/clear"), "48");
        assert_eq!(text("two.test", "/fill"), full);
        assert_eq!(text("two.test", "/clear"), "48");
        // What has ended makes room by itself: of 200 pairs, the few that no later change has cleared away still count.
        assert_eq!(text("one.test", "/ending"), "all");
        let filled = text("one.test", "/fill");
        let kept: usize = filled.split(' ').next().unwrap().parse().unwrap();
        assert!((30..=48).contains(&kept), "{filled}");
        assert_eq!(running.stop().code(), 0);
    }
}

const COUNTER: &str = r#"
def count(req):
    r = kv.try_incr("n")
    return {"status": 200 if r.ok else 503, "body": str(r.value) if r.ok else r.error}
def look(req):
    r = kv.try_get("n", 0)
    return {"status": 200 if r.ok else 503, "body": str(r.value) if r.ok else r.error}
srv = http.server()
srv.handle("POST /count", count)
srv.handle("GET /look", look)
srv.handle("GET /alive", lambda req: "alive")
srv.serve()
"#;

fn counting(server: &Server, more: &[&str]) -> Starcell {
    let mut flags = on(server);
    flags.retain(|flag| flag != "--allow-fs");
    flags.extend(["--kv-app".to_owned(), "counter".to_owned()]);
    flags.extend(more.iter().map(|&flag| flag.to_owned()));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Starcell::serve(&flags, &starcell_tests::process::script(COUNTER))
}

fn count(client: &mut Client) -> std::io::Result<(u16, String)> {
    client.send(b"POST /count HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")?;
    let response = client.read(false)?;
    Ok((response.status, String::from_utf8_lossy(&response.body).into_owned()))
}

#[test]
fn a_server_that_is_away_is_an_error_and_comes_back() {
    for mut server in [Server::redis(), Server::postgres()] {
        let audit = folder().join("audit.jsonl");
        let mut node = counting(&server, &["--audit", audit.to_str().unwrap()]);
        assert_eq!(get(node.port(), "/look").status, 200);
        server.kill();
        let began = Instant::now();
        let away = get(node.port(), "/look");
        assert!(began.elapsed() < Duration::from_secs(8), "the deadline is 3 s: {:?}", began.elapsed());
        let text = String::from_utf8(away.body).unwrap();
        assert_eq!(away.status, 503, "{text}");
        assert!(text.starts_with("kv.get(\"n\"): the server that keeps it is away"), "{text}");
        assert!(!text.contains(&server.port.to_string()) && !text.contains("127.0.0.1"), "{text}");
        assert_eq!(get(node.port(), "/alive").body, b"alive");
        node.wait_for(&format!(
            "cannot use {}",
            if server.url().starts_with("redis") { "redis://" } else { "postgres://" }
        ));
        server.restart();
        until("the store is used again", || get(node.port(), "/look").status == 200);
        node.wait_for("answers again");
        assert!(!node.seen().contains(PASSWORD));
        assert_eq!(node.stop().code(), 0);
        // Records say where a pair is kept.
        let records = std::fs::read_to_string(&audit).unwrap();
        let place = format!(":{}/", server.port);
        let stored = records.lines().filter(|line| line.contains("\"kv.get\"") && line.contains("\"store\":\""));
        assert!(stored.clone().count() > 0 && stored.clone().all(|line| line.contains(&place)), "{records}");
        assert!(!records.contains(PASSWORD));
    }
}

#[test]
fn a_wrong_password_is_said_in_the_log_and_not_to_scripts() {
    for server in [Server::redis(), Server::postgres()] {
        let wrong = password_file("hunter2");
        let (url, wrong) = (server.url(), wrong.display().to_string());
        let source = "r = kv.try_get(\"n\")\nprint(r.ok, r.error)\n";
        let ended = Starcell::run_in(&folder(), &["--allow-fs", "--kv", &url, "--kv-password-file", &wrong], source);
        assert_eq!(ended.code(), 0, "{}", ended.output);
        assert!(ended.stdout.starts_with("False kv.get(\"n\"): the server that keeps it is away"), "{}", ended.stdout);
        assert!(ended.stderr.contains("password"), "{}", ended.stderr);
        assert!(!ended.output.contains("hunter2"), "{}", ended.output);
    }
}

#[test]
fn a_denied_call_does_not_wait_for_the_store() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    let source = "r = kv.try_set(\"n\", 1)\nprint(r.error)\n";
    let ended = Starcell::run_in(&folder(), &["--deny-all", "--kv", &url], source);
    assert!(ended.stdout.starts_with("permission denied"), "{}", ended.output);
}

#[test]
fn the_password_file_and_the_folder_are_the_hosts() {
    let folder = folder();
    std::fs::write(folder.join("password"), PASSWORD).unwrap();
    let source = "print(fs.try_read_text(\"password\").error)\nprint(fs.try_write_text(\"kept/x\", \"\").error)\n";
    let url = format!("redis://127.0.0.1:{}", free_port());
    let read = Starcell::run_in(&folder, &["--allow-all", "--kv", &url, "--kv-password-file", "password"], source);
    assert!(read.stdout.lines().next().is_some_and(|line| line.contains("the file is the host's")), "{}", read.output);
    let written = Starcell::run_in(&folder, &["--allow-all", "--kv", "file:kept"], source);
    assert!(
        written.stdout.lines().nth(1).is_some_and(|line| line.contains("the file is the host's")),
        "{}",
        written.output
    );
    assert!(Path::new(&folder).join("kept/kv.redb").exists());
}

/// Three nodes count on one server, which is killed and started again; one of the nodes is killed too.
#[test]
fn no_acknowledged_change_is_lost() {
    for mut server in [Server::redis(), Server::postgres()] {
        let nodes: Vec<Starcell> = (0..3).map(|_| counting(&server, &[])).collect();
        let (acknowledged, unknown, stop) = (AtomicI64::new(0), AtomicI64::new(0), AtomicBool::new(false));
        let mut refusals = BTreeSet::new();
        thread::scope(|scope| {
            let clients: Vec<_> = nodes
                .iter()
                .map(|node| {
                    let (acknowledged, unknown, stop, port) = (&acknowledged, &unknown, &stop, node.port());
                    scope.spawn(move || {
                        let mut refusals = BTreeSet::new();
                        let mut client = Client::connect(port);
                        while !stop.load(Ordering::Relaxed) {
                            match count(&mut client) {
                                Ok((200, _)) => _ = acknowledged.fetch_add(1, Ordering::Relaxed),
                                Ok((503, text)) if text.contains("is away") => _ = refusals.insert(text),
                                Ok((503, text)) => {
                                    unknown.fetch_add(1, Ordering::Relaxed);
                                    refusals.insert(text);
                                }
                                Ok((status, text)) => panic!("{status} {text}"),
                                // The node was killed, with this call under way.
                                Err(_) => {
                                    unknown.fetch_add(1, Ordering::Relaxed);
                                    break;
                                }
                            }
                        }
                        refusals
                    })
                })
                .collect();
            let counted = |more: i64| {
                let goal = acknowledged.load(Ordering::Relaxed) + more;
                until("calls are acknowledged", || acknowledged.load(Ordering::Relaxed) >= goal);
            };
            counted(200);
            server.restart();
            counted(200);
            nodes[2].signal("KILL");
            counted(200);
            server.restart();
            counted(200);
            stop.store(true, Ordering::Relaxed);
            for client in clients {
                refusals.extend(client.join().unwrap());
            }
        });
        let found = get(nodes[0].port(), "/look");
        let found: i64 = String::from_utf8(found.body).unwrap().parse().unwrap();
        let (acknowledged, unknown) = (acknowledged.into_inner(), unknown.into_inner());
        assert!(
            (acknowledged..=acknowledged + unknown).contains(&found),
            "{found} found, {acknowledged} acknowledged, {unknown} unknown: {refusals:?}"
        );
        assert!(
            refusals.iter().all(|text| text.contains("is away") || text.contains("may have been done or not")),
            "{refusals:?}"
        );
    }
}
