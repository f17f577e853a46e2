//! The edge against plain hyper and rustls: CPU time of the server's process for each request, each server alone on its
//! core. First with the script's handler, then for a request that no route matches: the edge answers that by itself, so
//! what is left of the difference is the edge.
//!
//! The two servers of a row take turns, and what counts is the middle of some ratios: a machine that is shared is slow
//! for both, seldom for one.

use std::path::PathBuf;
use std::time::Duration;

use starcell_tests::process::{Starcell, binary, script};
use starcell_tests::tls::Identity;
use starcell_tests::tools;

use crate::hello::HELLO;
use crate::http::{command, middle, pin};
use crate::load::{Ask, CONNECTIONS, Load, anew};

const WARM_UP: Duration = Duration::from_millis(300);

/// One round, and how many there are. Short ones, so that both servers meet the machine in the same mood.
const MEASURED: Duration = Duration::from_millis(60);
const ROUNDS: usize = 41;

/// The same over HTTP/2, where h2load counts requests rather than time, and opens connections anew for each round.
const REQUESTS: usize = 20_000;
const H2_ROUNDS: usize = 9;

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
    let servers = [plain(ask, tls.then_some(identity)), ours(flags, tls.then_some(identity))];
    let mut sides = servers.map(|server| Side::new(server, way, ask, identity));
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..if way == Way::TlsHttp2 { H2_ROUNDS } else { ROUNDS } {
        let [plain, ours] = sides.each_mut().map(Side::round);
        for (all, one) in rounds.iter_mut().zip([plain, ours, ours / plain]) {
            all.push(one);
        }
    }
    rounds.map(middle)
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
    // What a disk or a reader makes of the log is not the edge's doing.
    let binary = binary();
    let words = ["-c", "exec \"$0\" \"$@\" 2>/dev/null", binary.to_str().unwrap()];
    let words = words.iter().chain(&["run", "--allow-local", "--port", "0"]).chain(flags).copied();
    let words: Vec<&str> = words.chain([file.to_str().unwrap()]).collect();
    start(command(&PathBuf::from("/bin/sh"), &words))
}

fn start(command: std::process::Command) -> Starcell {
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    server
}

/// A server and how it is asked.
struct Side {
    server: Starcell,
    way: Way,
    ask: Ask,
    kept: Option<Load>,
}

impl Side {
    fn new(server: Starcell, way: Way, ask: Ask, identity: &Identity) -> Self {
        let kept = match way {
            Way::KeepAlive => Some(Load::connect(server.port(), ask)),
            Way::TlsHttp1 => Some(Load::connect_tls(server.port(), ask, identity)),
            Way::NewConnection | Way::TlsHttp2 => None,
        };
        let mut side = Self { server, way, ask, kept };
        side.ask_for(WARM_UP);
        side
    }

    /// Microseconds of CPU time for one request.
    fn round(&mut self) -> f64 {
        let spent = self.server.threads_time();
        let done = self.ask_for(MEASURED);
        (self.server.threads_time() - spent).as_secs_f64() / done as f64 * 1e6
    }

    /// Asks for a while; returns how many responses came.
    fn ask_for(&mut self, time: Duration) -> u64 {
        match (&mut self.kept, self.way) {
            (Some(load), _) => load.run(time),
            (None, Way::NewConnection) => anew(self.server.port(), self.ask, time),
            (None, _) => h2load(self.server.port(), self.ask),
        }
    }
}

/// Asks over HTTP/2 with a well-known tool; returns how many responses came.
pub(crate) fn h2load(port: u16, ask: Ask) -> u64 {
    let url = format!("https://127.0.0.1:{port}{}", ask.path);
    let (count, clients) = (REQUESTS.to_string(), CONNECTIONS.to_string());
    let arguments = ["-n", &count, "-c", &clients, "-m", "10", "-t", "1", &url];
    let said = tools::run("h2load", "nghttp2-client", arguments).well();
    let class = format!("{}xx", &ask.status[..1]);
    assert!(said.contains(&format!("{REQUESTS} {class}")), "not all were answered: {said}");
    REQUESTS as u64
}
