//! The same hello for a hundred tenants on this host, in one process and in one process each, and on workerd: memory, requests
//! for a second of CPU time, and how long the first answer to a tenant takes.
//!
//! workerd is asked for where there is one: `WORKERD=FILE starcell-bench peers`. Its workers have a socket each, which is
//! less work for it than a name in the request. It runs them as one user of one process, in isolates that its own
//! documentation does not call a sandbox; what each of the others does is in `docs/attacks.md`.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use starcell_tests::node::{NodeFolder, says};
use starcell_tests::process::{PATIENCE, Starcell, binary, eventually, folder, script};
use starcell_tests::servers::free_port;

use crate::http::{middle, pin};
use crate::load::{open, read};
use crate::micro::us;

const TENANTS: usize = 100;

/// Requests that are under way at once.
const AT_ONCE: usize = 8;

/// The peers take turns for so many rounds, and the middle one of each counts.
const MEASURED: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 7;

pub(crate) fn run() {
    pin(std::process::id(), 0);
    let mut peers = vec![node(), processes()];
    match std::env::var_os("WORKERD") {
        Some(program) => peers.push(workerd(Command::new(program))),
        None => println!("WORKERD names no program: without it"),
    }
    pin(std::process::id(), 1);
    let first: Vec<Vec<Duration>> = peers.iter_mut().map(Peer::first).collect();
    let memory: Vec<usize> = peers.iter().map(Peer::memory).collect();
    let mut costs = vec![Vec::new(); peers.len()];
    for _ in 0..ROUNDS {
        for (peer, costs) in peers.iter_mut().zip(&mut costs) {
            costs.push(peer.round());
        }
    }
    println!(
        "| {TENANTS} tenants | memory of one tenant | requests for a second of CPU time | first answer to a tenant: half below, 90 % below |"
    );
    println!("|---|---|---|---|");
    for (((peer, first), memory), costs) in peers.iter().zip(first).zip(memory).zip(costs) {
        let of = |share: usize| us(first[first.len() * share / 100]) / 1000.0;
        println!(
            "| {} | {} KiB | {:.0} | {:.2} ms, {:.2} ms |",
            peer.name,
            (memory / TENANTS) >> 10,
            middle(costs),
            of(50),
            of(90)
        );
    }
}

/// A way to serve a hundred tenants.
struct Peer {
    name: &'static str,
    processes: Vec<Starcell>,
    tenants: Vec<Tenant>,
}

/// A tenant, with the connection that it is asked over.
struct Tenant {
    port: u16,
    request: Vec<u8>,
    answer: String,
    stream: Option<std::net::TcpStream>,
    response: Vec<u8>,
}

fn answer(tenant: usize) -> String {
    format!("I am tenant {tenant}.")
}

impl Peer {
    fn new(name: &'static str, processes: Vec<Starcell>, port: impl Fn(usize) -> u16) -> Self {
        let tenant = |number| {
            let request = format!("GET / HTTP/1.1\r\nHost: t{number}.example\r\nUser-Agent: bench\r\n\r\n");
            let (answer, request) = (answer(number), request.into_bytes());
            Tenant { port: port(number), request, answer, stream: None, response: Vec::new() }
        };
        Self { name, processes, tenants: (0..TENANTS).map(tenant).collect() }
    }

    /// How long the first answer to each tenant took, from the connection on.
    fn first(&mut self) -> Vec<Duration> {
        let mut times: Vec<Duration> = self
            .tenants
            .iter_mut()
            .map(|tenant| {
                let began = Instant::now();
                tenant.ask();
                tenant.wait();
                began.elapsed()
            })
            .collect();
        times.sort();
        times
    }

    fn memory(&self) -> usize {
        self.processes.iter().map(Starcell::own_memory).sum()
    }

    fn cpu_time(&self) -> Duration {
        self.processes.iter().map(Starcell::cpu_time).sum()
    }

    /// Asks all tenants in turn for a while; requests for a second of the server's CPU time.
    fn round(&mut self) -> f64 {
        let (began, spent, mut done) = (Instant::now(), self.cpu_time(), 0);
        while began.elapsed() < MEASURED {
            for some in self.tenants.chunks_mut(AT_ONCE) {
                some.iter_mut().for_each(Tenant::ask);
                some.iter_mut().for_each(Tenant::wait);
                done += some.len();
            }
        }
        f64::from(u32::try_from(done).unwrap()) / (self.cpu_time() - spent).as_secs_f64()
    }
}

impl Tenant {
    fn ask(&mut self) {
        self.response.clear();
        match &mut self.stream {
            Some(stream) => std::io::Write::write_all(stream, &self.request).unwrap(),
            none => *none = Some(open(self.port, &self.request)),
        }
    }

    fn wait(&mut self) {
        let stream = self.stream.as_mut().unwrap();
        while !self.response.ends_with(self.answer.as_bytes()) {
            assert!(read(stream, &mut self.response), "{}", String::from_utf8_lossy(&self.response));
        }
        assert_eq!(&self.response[9..12], b"200");
    }
}

/// `starcell host`: every tenant in one process.
fn node() -> Peer {
    let folder = NodeFolder::new("");
    let mut text = "[listeners.web]\naddress = \"127.0.0.1:0\"\n".to_owned();
    for number in 0..TENANTS {
        writeln!(text, "[tenants.t{number}]\nprofile = \"allow-local\"").unwrap();
        folder.app(
            &format!("a{number}"),
            &format!("tenant = \"t{number}\"\nhosts = [\"t{number}.example\"]\n"),
            &says(&answer(number)),
        );
    }
    folder.configure(&text);
    let starcell = folder.start(&[]);
    let port = starcell.port();
    Peer::new("starcell host, one process", vec![starcell], |_| port)
}

/// `starcell run`: a process for each tenant.
fn processes() -> Peer {
    let processes: Vec<Starcell> = (0..TENANTS)
        .map(|number| {
            let file = script(&says(&answer(number)));
            let mut command = Command::new(binary());
            command.args(["run", "--allow-local", "--no-access-log", "--port", "0"]).arg(file);
            let mut starcell = Starcell::spawn_command(command);
            starcell.wait_for("serving ");
            starcell
        })
        .collect();
    let ports: Vec<u16> = processes.iter().map(Starcell::port).collect();
    Peer::new("starcell run, a process each", processes, |number| ports[number])
}

/// workerd: a worker for each tenant, all in one process.
fn workerd(mut command: Command) -> Peer {
    let ports: Vec<u16> = (0..TENANTS).map(|_| free_port()).collect();
    let (mut services, mut sockets, mut workers) = (String::new(), String::new(), String::new());
    for (number, port) in ports.iter().enumerate() {
        writeln!(services, "(name = \"t{number}\", worker = .t{number}),").unwrap();
        writeln!(
            sockets,
            "(name = \"s{number}\", address = \"127.0.0.1:{port}\", http = (), service = \"t{number}\"),"
        )
        .unwrap();
        let script = format!("addEventListener('fetch', e => e.respondWith(new Response('{}')));", answer(number));
        writeln!(
            workers,
            "const t{number} :Workerd.Worker = (serviceWorkerScript = \"{script}\", compatibilityDate = \"2024-01-01\");"
        )
        .unwrap();
    }
    let file = folder().join("workers.capnp");
    let text = format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\nconst config :Workerd.Config = (services = [{services}], \
         sockets = [{sockets}]);\n{workers}"
    );
    std::fs::write(&file, text).unwrap();
    command.arg("serve").arg(file);
    let process = Starcell::spawn_command(command);
    let last = ports[TENANTS - 1];
    eventually(PATIENCE, "workerd listens", || std::net::TcpStream::connect(("127.0.0.1", last)).is_ok());
    Peer::new("workerd, one process", vec![process], |number| ports[number])
}
