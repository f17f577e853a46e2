//! Every way to an address that was not granted: spelled out, behind a name, behind a redirect. Each is refused, and each
//! refusal is in the log.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use starcell_audit::{Audit, Options, Subject};
use starcell_policy::{CanonicalPath, Grants, Host, HostName, Profile, Roots, Rule};
use starcell_runtime::Client;
use starcell_runtime::client::resolve::Resolve;
use starcell_runtime::host::BoxFuture;
use starcell_tests::edge::{Deployed, interpreter, request};
use starcell_tests::log::{denied, lines};
use starcell_tests::process::{Starcell, folder};
use starcell_tests::upstream::{Upstream, response};

/// Hosts that lead where public addresses are all that was granted: literal, numeric, mapped, translated; and a name.
const FORBIDDEN: [&str; 68] = [
    // Loopback.
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.0.01",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "localhost",
    // The machine itself.
    "0.0.0.0",
    "0",
    "0x0",
    "[::]",
    "0.1.2.3",
    // Private.
    "10.0.0.1",
    "10.1",
    "0x0a000001",
    "167772161",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.1",
    "100.64.0.1",
    "[fd00::1]",
    "[fc00::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[2002:a00:1::]",
    "[2600::5efe:10.0.0.1]",
    // Link-local and metadata.
    "169.254.1.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]",
    "[fe80::1]",
    "[febf::1]",
    "[fd00:ec2::254]",
    "[2002:a9fe:a9fe::]",
    // Neither here nor there.
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "240.0.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "[ff02::1]",
    "[2001:db8::1]",
    // In other letters.
    "LOCALHOST",
    "localhost.",
    "[::FFFF:A9FE:A9FE]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "0x7F000001",
    "00000177.0.0.1",
    "4294967295",
];

/// What is no host at all, or holds more than a host, with what is left of it in the log.
const MALFORMED: [(&str, &str); 12] = [
    ("[fe80::1%25eth0]", "http://[fe80::1%25eth0]/"),
    ("1.2.3.4.5", "http://1.2.3.4.5/"),
    ("256.1.1.1", "http://256.1.1.1/"),
    ("08.0.0.1", "http://08.0.0.1/"),
    ("127.0.0.1@10.0.0.1", "http://***@10.0.0.1/"),
    ("user:secret@169.254.169.254", "http://***@169.254.169.254/"),
    ("１２７.0.0.1", "http://１２７.0.0.1/"),
    ("ⓛocalhost", "http://ⓛocalhost/"),
    ("a..b", "http://a..b/"),
    ("[::1", "http://[::1/"),
    ("%31%32%37.0.0.1", "http://%31%32%37.0.0.1/"),
    ("127.0.0.1\\\\.example.com", "http://127.0.0.1\\.example.com/"),
];

/// All of a log's refusals are of requests.
fn refused(log: &Path) -> Vec<Value> {
    let refused = denied(log);
    assert!(refused.iter().all(|call| call["category"] == "http.client"), "{refused:?}");
    refused
}

#[test]
fn no_spelling_leads_to_a_forbidden_address() {
    let folder = folder();
    let source: String = FORBIDDEN
        .iter()
        .map(|host| format!("print(http.try_get(\"http://{host}/\", timeout=\"5s\").error)\n"))
        .collect();
    let ended = Starcell::run_in(&folder, &["--allow-net", "--audit", "audit.jsonl"], &source);
    assert_eq!(ended.stdout.lines().count(), FORBIDDEN.len(), "{}", ended.output);
    for (line, host) in ended.stdout.lines().zip(FORBIDDEN) {
        assert!(line.starts_with("permission denied: http.client(\"http://"), "{host}: {line}");
    }
    let refused = refused(&folder.join("audit.jsonl"));
    for (at, host) in FORBIDDEN.iter().enumerate() {
        // Each by the line of the script that asked.
        let found = refused.iter().filter(|call| call["line"] == at + 1).count();
        assert_eq!(found, 1, "{host}");
    }
    // Names are allowed before they are resolved; what they lead to is not.
    let allowed: BTreeSet<String> = lines(&folder.join("audit.jsonl"), "call")
        .iter()
        .filter(|call| call["decision"] == "allow")
        .map(|call| call["resource"].to_string())
        .collect();
    assert!(allowed.iter().all(|resource| resource == "\"http://localhost/\""), "{allowed:?}");
}

/// What no profile could judge is refused under every one, and the attempt is recorded without its secrets.
#[test]
fn what_is_no_url_is_refused_and_recorded() {
    let folder = folder();
    let source: String =
        MALFORMED.iter().map(|(host, _)| format!("print(http.try_get(\"http://{host}/\").error)\n")).collect();
    let ended = Starcell::run_in(&folder, &["--allow-all", "--audit", "audit.jsonl"], &source);
    assert_eq!(ended.stdout.lines().count(), MALFORMED.len(), "{}", ended.output);
    for (line, (host, _)) in ended.stdout.lines().zip(MALFORMED) {
        assert!(line.starts_with("http.get: "), "{host}: {line}");
    }
    let refused = refused(&folder.join("audit.jsonl"));
    let resources: Vec<&str> = refused.iter().map(|call| call["resource"].as_str().unwrap()).collect();
    assert_eq!(resources, MALFORMED.map(|(_, resource)| resource));
    assert_eq!(lines(&folder.join("audit.jsonl"), "call").len(), MALFORMED.len());
    assert!(!std::fs::read_to_string(folder.join("audit.jsonl")).unwrap().contains("secret"));
}

/// A server that was granted sends its client everywhere else.
#[test]
fn no_redirect_leads_to_a_forbidden_address() {
    let folder = folder();
    let targets = || FORBIDDEN.iter().copied().chain(["user:secret@10.0.0.1", "127.0.0.1@10.0.0.1", "a..b"]);
    let upstream = Upstream::start(move |asked| {
        let number: usize = asked.target().trim_start_matches("/to/").parse().unwrap();
        let location = format!("http://{}/latest/meta-data", targets().nth(number).unwrap());
        (response(302, &[("Location", &location)], b""), false)
    });
    let port = upstream.port;
    let granted = format!("http.client(http://127.0.0.1:{port})");
    let source: String = (0..targets().count())
        .map(|number| format!("print(http.try_get(\"http://127.0.0.1:{port}/to/{number}\", timeout=\"5s\").error)\n"))
        .collect();
    let arguments = ["--allow-net", "--allow", &granted, "--audit", "audit.jsonl"];
    let ended = Starcell::run_in(&folder, &arguments, &source);
    assert_eq!(ended.stdout.lines().count(), targets().count(), "{}", ended.output);
    for (line, host) in ended.stdout.lines().zip(targets()) {
        let refused = line.starts_with("permission denied: http.client(\"http://")
            || line.starts_with("http.get: the redirect: ");
        assert!(refused, "{host}: {line}");
    }
    let refused = refused(&folder.join("audit.jsonl"));
    for (at, host) in targets().enumerate() {
        assert_eq!(refused.iter().filter(|call| call["line"] == at + 1).count(), 1, "{host}");
    }
    assert!(!std::fs::read_to_string(folder.join("audit.jsonl")).unwrap().contains("secret"));
    assert_eq!(upstream.asked().len(), targets().count(), "each was asked for, and none followed");
}

/// A name server that leads `n7.example` to the seventh of some addresses.
#[derive(Debug)]
struct Table(Vec<IpAddr>);

impl Resolve for Table {
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let number = name.as_str().strip_prefix('n').and_then(|rest| rest.strip_suffix(".example"));
        let address = number.and_then(|number| self.0.get(number.parse::<usize>().ok()?).copied());
        Box::pin(std::future::ready(address.map(|address| vec![address]).ok_or(io::ErrorKind::NotFound.into())))
    }
}

/// The addresses of the table as A and AAAA records have them: mapped and translated ones as they are written.
fn records() -> Vec<IpAddr> {
    let address = |host: &&str| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(bracketed) => Some(bracketed.parse().unwrap()),
        None => match Host::parse(host) {
            Ok(Host::Address(address)) => Some(address),
            Ok(Host::Name(_)) | Err(_) => None,
        },
    };
    let found: BTreeSet<IpAddr> = FORBIDDEN.iter().filter_map(address).collect();
    found.into_iter().collect()
}

#[test]
fn no_name_leads_to_a_forbidden_address() {
    let folder = folder();
    let log = folder.join("audit.jsonl");
    let addresses = records();
    assert!(addresses.len() >= 35, "{addresses:?}");
    let source = "def ask(req):\n    r = http.try_get(\"http://\" + req.query[\"n\"] + \"/\", timeout=\"5s\")\n    \
                  return \"reached\" if r.ok else r.error\nhttp.serve(ask)\n";
    let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
    let serve = [Rule::parse("http.server").unwrap()];
    let grants = Grants::new(&Profile::named("allow-net").unwrap(), &serve, &[], &roots).unwrap();
    let (audit, writer) = Audit::open(Options::new(&log)).unwrap();
    let word = |text: &str| text.to_owned();
    let subject = Subject {
        node: word("node"),
        tenant: word("tenant"),
        app: word("app"),
        revision: None,
        script_digest: word("-"),
        policy_digest: word("-"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(Arc::new(Table(addresses.clone())));
        let give = |config: &mut starcell_runtime::AppConfig| {
            (config.state.client, config.grants, config.audit) = (client, grants, audit.subject(&subject));
        };
        let app = Deployed::start_with(&interpreter(), source, give).await.unwrap();
        for (n, address) in addresses.iter().enumerate() {
            let answer = app.serving.answer(0, request(&format!("/?n=n{n}.example"))).await.result.unwrap();
            let text = String::from_utf8(answer.body).unwrap();
            let denial = format!("permission denied: http.client(\"http://n{n}.example/\"): it resolves to a");
            assert!(text.starts_with(&denial), "{address}: {text}");
            assert!(!text.contains(&address.to_string()), "the script is not told: {text}");
        }
        app.stop().await.unwrap();
    });
    writer.close().unwrap();
    let refused = refused(&log);
    let resources: Vec<&str> = refused.iter().map(|call| call["resource"].as_str().unwrap()).collect();
    let recorded = |(n, address): (usize, &IpAddr)| format!("http://n{n}.example/ {}", address.to_canonical());
    let expected: Vec<String> = addresses.iter().enumerate().map(recorded).collect();
    assert_eq!(resources, expected, "the operator is told");
}
