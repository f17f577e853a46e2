//! `starcell host`: words that one tenant keeps in every place there is, and a neighbour and its operator who look everywhere.

use std::collections::HashSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use starcell_tests::admin::{Operator, admin_port};
use starcell_tests::client::{Client, get};
use starcell_tests::node::{NodeFolder, ask, watched_port};
use starcell_tests::process::{PATIENCE, eventually, folder};
use starcell_tests::tls::Identity;

/// In every word that must stay where it is.
const CANARY: &str = "canary-";

const BETA: &str = "beta-0123456789abc";

const REST: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n[metrics]\naddress = \"127.0.0.1:0\"\n\
    [admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n\
    [profiles.shop]\nbase = \"allow-fs\"\nallow = [\"http.server\", \"http.client(http://127.0.0.1:*)\"]\n\
    [tenants.acme]\nprofile = \"shop\"\n[tenants.beta]\nprofile = \"shop\"\n";

/// Keeps words wherever an app can.
const KEEPS: &str = r#"
GLOBAL = "canary-global-" * 1000

def keep(req):
    kv.set("key", "canary-value")
    log.info("canary-log", {"canary-attribute": "canary-word"})
    print("canary-print")
    fs.write_text("kept.txt", "canary-content")
    fs.try_read_text("/etc/canary-refused")
    os.try_env("CANARY_UNKNOWN")
    return [GLOBAL, os.env("WORD"), os.env("SECRET"), vars.var_str("word"), req.path, req.headers.get("X-Canary")]

def fails(req):
    fail("canary-error " + GLOBAL)

srv = http.server()
srv.handle("GET /keep/{word}", keep)
srv.handle("GET /fails", fails)
srv.serve(port=8080)
"#;

/// Answers with all that an app can find out.
const LOOKS: &str = r#"
def look(req):
    names = ["WORD", "SECRET", "PATH", "HOME"]
    found = {name: os.try_env(name).value for name in names}
    texts = [fs.try_read_text(path).value for path in ["kept.txt", "../keeps/kept.txt", "../keeps/main.star"]]
    return [kv.list(), kv.get("key"), found, texts, vars.names(), vars.var_str("word", "none"), str(req.headers)]

def fails(req):
    os.env("WORD")

srv = http.server()
srv.handle("GET /look", look)
srv.handle("GET /fails", fails)
srv.serve(port=8080)
"#;

fn node() -> NodeFolder {
    let node = NodeFolder::new("");
    node.configure(REST);
    fs::write(node.path.join("secret"), "canary-secret\n").unwrap();
    node.tokens(&format!("theirs operate beta {BETA}\n"));
    let own = "tenant = \"acme\"\nhosts = [\"keeps.example\"]\nenv = { WORD = \"canary-env\" }\n\
               vars = { word = \"canary-var\" }\nsecrets = { SECRET = { file = \"../../secret\" } }\n";
    node.app("keeps", own, KEEPS);
    node.app("looks", "tenant = \"beta\"\nhosts = [\"looks.example\"]\n", LOOKS);
    node
}

/// What a text says of the neighbour: its words, its name, its app.
fn told<'a>(text: &'a str, words: &[&str]) -> Option<&'a str> {
    text.split('\n').find(|line| words.iter().any(|word| line.contains(word)))
}

#[test]
fn no_word_of_a_tenant_is_seen_by_its_neighbour() {
    let node = node();
    let log = node.path.join("audit.jsonl");
    let mut starcell = node.spawn(&["--audit", log.to_str().unwrap()]);
    let metrics = watched_port(&mut starcell);
    starcell.wait_for("serving ");
    let port = starcell.port();
    // What the owner finds is there, so the words are where others must not find them.
    let keep = || {
        let mut client = Client::connect(port);
        let headers = "Host: keeps.example\r\nX-Canary: canary-header\r\nCookie: a=canary-cookie\r\n";
        client.send(format!("GET /keep/canary-path?q=canary-query HTTP/1.1\r\n{headers}\r\n").as_bytes()).unwrap();
        client.read(false).unwrap()
    };
    let kept = keep();
    for word in ["canary-global", "canary-env", "canary-secret", "canary-var", "/keep/canary-path", "canary-header"] {
        assert!(kept.text().contains(word), "{word}: {kept:?}");
    }
    assert_eq!(ask(port, "keeps.example", "/fails").status, 500);
    starcell.wait_for("canary-print");

    // In scripts, in the answers of the node, and in forks that ran before.
    for _ in 0..20 {
        let _ = keep();
        for path in ["/look", "/fails", "/nothing", "/keep/x"] {
            let answer = ask(port, "looks.example", path);
            let text = format!("{:?}{}", answer.headers, answer.text());
            assert_eq!(told(&text, &[CANARY]), None, "{path}");
        }
    }
    for host in ["nobody.example", "127.0.0.1", ""] {
        let answer = ask(port, host, "/keep/canary-path");
        assert!(answer.status == 421 || answer.status == 404 || answer.status == 400, "{answer:?}");
        assert_eq!(told(answer.text(), &["acme", "keeps.example", "canary-v"]), None, "{host}");
    }

    // The numbers have names of tenants and apps, and nothing that a client or a script chose.
    assert_eq!(told(get(metrics, "/metrics").text(), &[CANARY]), None);

    // For the operator of the neighbour there is nobody else.
    let others = [CANARY, "acme", "keeps.example"];
    let admin = admin_port(&starcell);
    let theirs = Operator::Loopback(admin, Some(BETA.to_owned()));
    for target in [
        "/v1/apps",
        "/v1/tenants",
        "/v1/apps/looks",
        "/v1/tenants/beta",
        "/v1/audit",
        "/v1/apps/looks/denials",
        "/v1/apps/looks/profile",
        "/v1/apps/looks/logs",
    ] {
        assert_eq!(told(theirs.get(target).to_string().as_str(), &others), None, "{target}");
    }
    let seen: HashSet<String> = ["keeps", "nothing"]
        .iter()
        .flat_map(|app| ["", "/denials", "/profile", "/logs"].map(|rest| (app, format!("/v1/apps/{app}{rest}"))))
        .map(|(app, target)| {
            let (status, code, message) = theirs.refused("GET", &target, "");
            format!("{status} {code} {}", message.replace(app, "APP"))
        })
        .collect();
    assert_eq!(seen.len(), 1, "another's app is answered as one that is not there: {seen:?}");
    let cookie = sign_in(admin);
    for path in [
        "",
        "/apps/looks",
        "/apps/looks/permissions",
        "/tenants/beta",
        "/audit",
        "/audit?q=canary-",
        "/apps/keeps",
        "/tenants/acme",
    ] {
        let answer = Client::connect(admin).request("GET", &format!("/console{path}"), &[("Cookie", &cookie)], b"");
        let text = answer
            .text()
            .replace("value=\"canary-\"", "")
            .replace("keeps", if path.contains("keeps") { "" } else { "keeps" });
        let text = if path.contains("acme") { text.replace("acme", "") } else { text };
        assert_eq!(told(&text, &others), None, "{path}");
    }

    // Secrets are nowhere at all.
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    for text in [&ended.output, &fs::read_to_string(&log).unwrap()] {
        assert_eq!(told(text, &["canary-secret"]), None);
    }
}

/// Signs in to the console, and returns the cookie.
fn sign_in(admin: u16) -> String {
    let headers = [("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin")];
    let answer =
        Client::connect(admin).request("POST", "/console/login", &headers, format!("token={BETA}&next=").as_bytes());
    let cookie = answer.header("set-cookie").expect("a cookie");
    cookie.split(';').next().expect("a cookie").to_owned()
}

/// A connection that one app opened, with what the server keeps for it, answers no request of another.
#[test]
fn connections_to_a_server_are_an_apps_own() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = listener.local_addr().unwrap().port();
    let asked: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    let connections = AtomicUsize::new(0);
    let noted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (number, noted) = (connections.fetch_add(1, Ordering::SeqCst), Arc::clone(&noted));
            thread::spawn(move || serve(stream, number, &noted));
        }
    });
    let node = NodeFolder::new(
        "[tenants.acme]\nprofile = \"out\"\n[tenants.beta]\nprofile = \"out\"\n\
                                [profiles.out]\nbase = \"allow-local\"\nallow = [\"http.client(http://127.0.0.1:*)\"]\n",
    );
    for (app, tenant) in [("one", "acme"), ("two", "acme"), ("three", "beta")] {
        let script = format!(
            "srv = http.server()\nsrv.handle(\"GET /\", lambda req: http.get(\"http://127.0.0.1:{server}/{app}\").body)\n\
             srv.serve(port=8080)\n"
        );
        node.app(app, &format!("tenant = \"{tenant}\"\nhosts = [\"{app}.example\"]\n"), &script);
    }
    let starcell = node.start(&[]);
    for _ in 0..5 {
        for app in ["one", "two", "three"] {
            let answer = ask(starcell.port(), &format!("{app}.example"), "/");
            assert_eq!((answer.status, answer.text()), (200, "served"));
        }
    }
    let asked = asked.lock().unwrap();
    let apps: HashSet<(usize, &str)> = asked.iter().map(|(number, path)| (*number, path.as_str())).collect();
    let numbers: HashSet<usize> = apps.iter().map(|(number, _)| *number).collect();
    assert_eq!(apps.len(), numbers.len(), "a connection was used by two apps: {asked:?}");
    assert!(numbers.len() < asked.len(), "and an app uses its own again: {asked:?}");
}

/// Answers the requests of one connection, and notes the path of each.
fn serve(mut stream: std::net::TcpStream, number: usize, noted: &Mutex<Vec<(usize, String)>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        let head = String::from_utf8_lossy(&buffer[..count]).into_owned();
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        noted.lock().unwrap().push((number, path));
        if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nserved").is_err() {
            return;
        }
    }
}

/// A session that was begun under one name is not gone on with under another: the certificate would not be looked at.
#[test]
fn a_tls_session_belongs_to_its_name() {
    let node = NodeFolder::new("");
    node.configure(
        "[listeners.secure]\naddress = \"127.0.0.1:0\"\ncertificates = \"certs\"\n\
         [tenants.acme]\nprofile = \"allow-local\"\n[tenants.beta]\nprofile = \"allow-local\"\n",
    );
    fs::create_dir(node.path.join("certs")).unwrap();
    for (app, tenant) in [("a", "acme"), ("b", "beta")] {
        let file = node.path.join("certs").join(format!("{app}.example"));
        let _ = Identity::of(
            &format!("{app}.example"),
            file.with_extension("example.crt"),
            file.with_extension("example.key"),
        );
        let manifest = format!("tenant = \"{tenant}\"\nhosts = [\"{app}.example\"]\n");
        node.app(app, &manifest, &starcell_tests::node::says(app));
    }
    let starcell = node.start(&[]);
    let session = folder().join("session");
    // TLS 1.3 sends the session after the handshake, so a request is made over it.
    let ask = |name: &str, with: &str| {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", starcell.port()), "-servername", name, with])
            .arg(&session)
            .arg("-ign_eof")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("openssl");
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        child.stdin.take().expect("a pipe").write_all(request.as_bytes()).unwrap();
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
    };
    eventually(PATIENCE / 2, "a session", || {
        ask("a.example", "-sess_out");
        session.exists()
    });
    let again = ask("a.example", "-sess_in");
    assert!(again.contains("Reused, "), "its own session goes on: {again}");
    let other = ask("b.example", "-sess_in");
    assert!(other.contains("New, ") && !other.contains("Reused, "), "{other}");
    assert!(other.contains("CN = b.example") || other.contains("CN=b.example"), "{other}");
}
