//! The edge against plain hyper and rustls: CPU time of the server's process for each request, each server alone on its
//! core. First with the script's handler, then for a request that no route matches: the edge answers that by itself, so
//! what is left of the difference is the edge.
//!
//! The two servers of a row take turns, and what counts is the middle of some ratios: a machine that is shared is slow
//! for both, seldom for one.

use std::time::Duration;

use starcell_tests::process::{Starcell, binary, script};
use starcell_tests::tls::Identity;
use starcell_tests::tools;

use crate::HELLO;
use crate::http::{command, pin};
use crate::load::{Ask, CONNECTIONS, Load, anew};

const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 5;

/// Requests of one round over TLS, which h2load counts rather than times.
const REQUESTS: usize = 30_000;

/// How clients come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    KeepAlive,
    NewConnection,
    TlsHttp1,
    TlsHttp2,
}

const WAYS: [(Way, &str); 4] = [
    (Way::KeepAlive, "HTTP/1.1, kept connections"),
    (Way::NewConnection, "HTTP/1.1, a new connection each"),
    (Way::TlsHttp1, "HTTP/1.1 over TLS"),
    (Way::TlsHttp2, "HTTP/2 over TLS"),
];

/// Measures all rows.
pub(crate) fn run() {
    pin(std::process::id(), 1);
    let identity = Identity::make();
    let parts: [(&str, Ask, &[&str]); 3] = [
        ("GET /hello", Ask::HELLO, &[]),
        ("a request without a route: the edge alone", Ask::NONE, &[]),
        ("the same without an access log", Ask::NONE, &["--no-access-log"]),
    ];
    for (title, ask, flags) in parts {
        println!("{title:<44} hyper   starcell   ratio   (CPU time a request)");
        for (way, name) in WAYS {
            let [plain, ours, ratio] = row(way, ask, flags, &identity);
            println!("  {name:<38} {plain:>7.1} us {ours:>7.1} us   {ratio:>5.2}");
        }
    }
}

/// Microseconds of plain hyper and of starcell, and their ratio: the middle of each.
fn row(way: Way, ask: Ask, flags: &[&str], identity: &Identity) -> [f64; 3] {
    let tls = matches!(way, Way::TlsHttp1 | Way::TlsHttp2);
    let (plain, ours) = (plain(ask, tls.then_some(identity)), ours(flags, tls.then_some(identity)));
    let mut rounds = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        let [plain, ours] = [&plain, &ours].map(|server| cost(server, way, ask));
        // The first one warms up.
        if round > 0 {
            for (all, one) in rounds.iter_mut().zip([plain, ours, ours / plain]) {
                all.push(one);
            }
        }
    }
    rounds.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[ROUNDS / 2]
    })
}

fn plain(ask: Ask, identity: Option<&Identity>) -> Starcell {
    let answer = if ask.path == Ask::NONE.path { "none" } else { "hello" };
    let mut arguments = vec!["serve-plain", answer];
    if let Some(Identity { cert, key }) = identity {
        arguments.extend([cert.to_str().unwrap(), key.to_str().unwrap()]);
    }
    start(command(&std::env::current_exe().unwrap(), &arguments))
}

fn ours(flags: &[&str], identity: Option<&Identity>) -> Starcell {
    let options = identity.map(|identity| format!(", {}", identity.options())).unwrap_or_default();
    let file = script(&HELLO.replace("port=8080", &format!("port=8080{options}")));
    let arguments = ["run", "--allow-local", "--port", "0"].iter().chain(flags).copied();
    let arguments: Vec<&str> = arguments.chain([file.to_str().unwrap()]).collect();
    start(command(&binary(), &arguments))
}

fn start(command: std::process::Command) -> Starcell {
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    server
}

/// Microseconds of CPU time for one request.
fn cost(server: &Starcell, way: Way, ask: Ask) -> f64 {
    let mut load = (way == Way::KeepAlive).then(|| Load::connect(server.port(), ask));
    if let Some(load) = &mut load {
        load.run(WARM_UP);
    }
    let spent = server.cpu_time();
    let done = match (&mut load, way) {
        (Some(load), _) => load.run(MEASURED),
        (None, Way::NewConnection) => anew(server.port(), ask, MEASURED),
        (None, _) => h2load(server.port(), way, ask),
    };
    (server.cpu_time() - spent).as_secs_f64() / done as f64 * 1e6
}

fn h2load(port: u16, way: Way, ask: Ask) -> u64 {
    let protocol: &[&str] = if way == Way::TlsHttp2 { &["-m", "10"] } else { &["--h1", "-m", "1"] };
    let url = format!("https://127.0.0.1:{port}{}", ask.path);
    let (count, clients) = (REQUESTS.to_string(), CONNECTIONS.to_string());
    let common = ["-n", &count, "-c", &clients, "-t", "1", &url];
    let said = tools::run("h2load", "nghttp2-client", protocol.iter().chain(&common)).well();
    let class = format!("{}xx", &ask.status[..1]);
    assert!(said.contains(&format!("{REQUESTS} {class}")), "not all were answered: {said}");
    REQUESTS as u64
}
