//! One table of all servers: plain hyper, natively compiled Starlark, fresh forks and parked forks, over HTTP/1.1, TLS
//! and HTTP/2, then one process with 1, 100 and 10,000 revisions. Time stands beside memory. `starcell-bench compare FILE`
//! draws the same as a plot.
//!
//! The servers of a transport take turns, as in [`crate::http`], and every figure that is compared is a ratio of one round.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use starcell_tests::process::{Starcell, binary, script};
use starcell_tests::tls::Identity;

use crate::edge::h2load;
use crate::hello::HELLO;
use crate::http::{command, middle, pin};
use crate::load::{Ask, Load};
use crate::plot::Plot;
use crate::scale;

const WARM_UP: Duration = Duration::from_millis(500);
const MEASURED: Duration = Duration::from_millis(300);
const ROUNDS: usize = 9;

/// How clients come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Http1,
    Tls,
    Http2,
}

const TRANSPORTS: [(Transport, &str); 3] =
    [(Transport::Http1, "HTTP/1.1"), (Transport::Tls, "HTTP/1.1 over TLS"), (Transport::Http2, "HTTP/2 over TLS")];

/// Measures everything; draws it into `plot` when one is named.
pub(crate) fn run(plot: Option<&Path>) {
    pin(std::process::id(), 1);
    let identity = Identity::make();
    let mut drawn = Plot::new("CPU time of a request to hello, as multiples of plain hyper");
    println!("| transport | server | CPU/request | of hyper | resident |");
    println!("|---|---|---|---|---|");
    for (transport, name) in TRANSPORTS {
        let mut servers = start(transport, &identity);
        for _ in 0..ROUNDS {
            servers.iter_mut().for_each(Server::round);
        }
        let hyper = servers[0].costs.clone();
        for server in &servers {
            let ratio = middle(server.costs.iter().zip(&hyper).map(|(mine, its)| mine / its).collect());
            let (cost, resident) = (middle(server.costs.clone()), server.process.resident() >> 20);
            println!("| {name} | {} | {cost:.1} us | {ratio:.2} | {resident} MiB |", server.name);
            drawn.bar(&format!("{name}: {}", server.name), ratio);
        }
    }
    println!();
    scale::run(&mut drawn);
    if let Some(path) = plot {
        std::fs::write(path, drawn.svg()).unwrap();
        println!("\ndrawn in {}", path.display());
    }
}

/// The servers of a transport, plain hyper first. Native Starlark is measured without TLS alone: what TLS adds is the
/// same for all.
fn start(transport: Transport, identity: &Identity) -> Vec<Server> {
    let tls = (transport != Transport::Http1).then_some(identity);
    let bench = std::env::current_exe().unwrap();
    let mut plain = vec!["serve-plain", "hello"];
    if let Some(Identity { cert, key }) = tls {
        plain.extend([cert.to_str().unwrap(), key.to_str().unwrap()]);
    }
    let options = tls.map(|identity| format!(", {}", identity.options())).unwrap_or_default();
    let file = script(&HELLO.replace("port=8080", &format!("port=8080{options}")));
    let mut servers = vec![("plain hyper", command(&bench, &plain))];
    if tls.is_none() {
        servers.push(("native Starlark", command(&bench, &["serve-native"])));
    }
    let reads = format!("fs.read({}/**)", identity.cert.parent().unwrap().display());
    servers.push(("fresh forks", ours(&["--allow", &reads, "--fresh"], &file)));
    servers.push(("parked forks", ours(&["--allow", &reads], &file)));
    servers.into_iter().map(|(name, command)| Server::start(name, command, transport, identity)).collect()
}

fn ours(flags: &[&str], file: &Path) -> Command {
    let common = ["run", "--allow-local", "--no-access-log", "--port", "0"];
    let arguments: Vec<&str> = common.iter().chain(flags).copied().chain([file.to_str().unwrap()]).collect();
    command(&binary(), &arguments)
}

struct Server {
    name: &'static str,
    process: Starcell,
    load: Option<Load>,
    /// Microseconds of CPU time for one request, of each round.
    costs: Vec<f64>,
}

impl Server {
    fn start(name: &'static str, command: Command, transport: Transport, identity: &Identity) -> Self {
        let mut process = Starcell::spawn_command(command);
        process.wait_for("serving ");
        let load = match transport {
            Transport::Http1 => Some(Load::connect(process.port(), Ask::HELLO)),
            Transport::Tls => Some(Load::connect_tls(process.port(), Ask::HELLO, identity)),
            Transport::Http2 => None,
        };
        let mut server = Self { name, process, load, costs: Vec::new() };
        server.ask(WARM_UP);
        server
    }

    fn round(&mut self) {
        let spent = self.process.threads_time();
        let done = self.ask(MEASURED);
        self.costs.push((self.process.threads_time() - spent).as_secs_f64() / done as f64 * 1e6);
    }

    fn ask(&mut self, time: Duration) -> u64 {
        match &mut self.load {
            Some(load) => load.run(time),
            None => h2load(self.process.port(), Ask::HELLO),
        }
    }
}
