//! Real servers over sockets, each on one core, the load on the other: CPU time for each request, from the kernel's
//! own account of the server process, and throughput.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::process::{Starcell, binary, script};

use crate::hello::HELLO;
use crate::load::{Ask, CONNECTIONS, Load};

const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_millis(500);

/// The servers take turns for so many rounds, and the middle one of each counts: what else runs on the machine comes and
/// goes.
const ROUNDS: usize = 9;

pub(crate) fn run() {
    cold_start();
    // The load generator's core; each server has the other to itself while it is its turn.
    pin(std::process::id(), 1);
    println!("GET /hello, {CONNECTIONS} connections     requests/s   CPU/request   throughput");
    let bench = std::env::current_exe().unwrap();
    let file = script(HELLO);
    let arguments = ["run", "--allow-local", "--no-access-log", "--port", "0", file.to_str().unwrap()];
    let fresh = [&arguments[..], &["--fresh"]].concat();
    let mut servers = [
        Server::start("hyper, constant", command(&bench, &["serve-hyper"])),
        Server::start("native Starlark, no sandbox", command(&bench, &["serve-native"])),
        Server::start("starcell, fresh forks", command(&binary(), &fresh)),
        Server::start("starcell, parked forks", command(&binary(), &arguments)),
    ];
    for _ in 0..ROUNDS {
        servers.iter_mut().for_each(Server::round);
    }
    servers.iter().for_each(Server::print);
    let [hyper, native, fresh, parked] = &servers;
    println!("                    fresh forks   parked forks");
    println!("of native Starlark  {:>11.2} {:>14.2}", fresh.against(native), parked.against(native));
    println!("of hyper            {:>11.2} {:>14.2}", fresh.against(hyper), parked.against(hyper));
}

/// One of the servers that take turns.
struct Server {
    name: &'static str,
    process: Starcell,
    load: Load,
    /// Requests a second, and microseconds of CPU time for one, of each round.
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Server {
    fn start(name: &'static str, command: Command) -> Self {
        let mut process = Starcell::spawn_command(command);
        process.wait_for("serving ");
        let mut load = Load::connect(process.port(), Ask::HELLO);
        load.run(WARM_UP);
        Self { name, process, load, rates: Vec::new(), costs: Vec::new() }
    }

    fn round(&mut self) {
        let (began, spent) = (Instant::now(), self.process.cpu_time());
        let done = self.load.run(MEASURED) as f64;
        let (elapsed, spent) = (began.elapsed(), self.process.cpu_time() - spent);
        self.rates.push(done / elapsed.as_secs_f64());
        self.costs.push(spent.as_secs_f64() / done * 1e6);
    }

    fn print(&self) {
        let (name, rate, cost) = (self.name, middle(self.rates.clone()), middle(self.costs.clone()));
        println!("  {name:<28} {rate:>9.0}/s {cost:>10.1} us");
    }

    /// Throughput beside that of another server in the same rounds.
    fn against(&self, other: &Self) -> f64 {
        middle(self.rates.iter().zip(&other.rates).map(|(mine, its)| mine / its).collect())
    }
}

pub(crate) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub(crate) fn command(program: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).args(arguments);
    command
}

/// Puts a process on a core: its first thread, and all that this starts from now on.
pub(crate) fn pin(process: u32, core: u32) {
    let taskset = || Command::new("taskset").args(["-apc", &core.to_string(), &process.to_string()]).output().unwrap();
    let mut told = taskset();
    // A thread that ends while it goes through them makes it fail.
    for _ in 0..10 {
        if told.status.success() {
            break;
        }
        told = taskset();
    }
    assert!(told.status.success(), "taskset: {told:?}");
}

/// From the process's start to its first answer.
fn cold_start() {
    let file = script(HELLO);
    let mut times: Vec<Duration> = (0..10)
        .map(|_| {
            let began = Instant::now();
            let server = Starcell::serve(&[], &file);
            assert_eq!(Client::connect(server.port()).get("/hello").status, 200);
            began.elapsed()
        })
        .collect();
    times.sort();
    println!("cold start to first answer    {:>9.1} ms   (median of 10)", times[5].as_secs_f64() * 1e3);
}
