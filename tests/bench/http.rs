//! Real servers over sockets, each on one core, the load on the other: CPU time for each request, from the kernel's
//! own account of the server process, and throughput.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::process::{Starcell, binary, script};

use crate::HELLO;
use crate::load::{Ask, CONNECTIONS, Load};

const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);

pub(crate) fn run() {
    cold_start();
    // The load generator's core; each server gets the other.
    pin(std::process::id(), 1);
    println!("GET /hello, {CONNECTIONS} connections     requests/s   CPU/request   throughput");
    let bench = std::env::current_exe().unwrap();
    let hyper = measure("hyper, constant", command(&bench, &["serve-hyper"]));
    let native = measure("native Starlark, no sandbox", command(&bench, &["serve-native"]));
    let file = script(HELLO);
    let arguments = ["run", "--allow-local", "--no-access-log", "--port", "0", file.to_str().unwrap()];
    let forked = measure("starcell, fork per request", command(&binary(), &arguments));
    println!("starcell / native Starlark    {:.2}", forked / native);
    println!("starcell / hyper              {:.2}", forked / hyper);
}

pub(crate) fn command(program: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).args(arguments);
    command
}

pub(crate) fn pin(process: u32, core: u32) {
    let status = Command::new("taskset").args(["-apc", &core.to_string(), &process.to_string()]).output().unwrap();
    assert!(status.status.success(), "taskset: {status:?}");
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

/// Requests a second of one server, which is the only thing on its core.
fn measure(name: &str, command: Command) -> f64 {
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    let mut load = Load::connect(server.port(), Ask::HELLO);
    load.run(WARM_UP);
    let (began, spent) = (Instant::now(), server.cpu_time());
    let done = load.run(MEASURED);
    let (elapsed, spent) = (began.elapsed(), server.cpu_time() - spent);
    let rate = done as f64 / elapsed.as_secs_f64();
    println!("  {name:<28} {rate:>9.0}/s {:>10.1} us", spent.as_secs_f64() / done as f64 * 1e6);
    rate
}
