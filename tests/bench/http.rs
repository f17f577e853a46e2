//! Real servers over sockets, each on one core, the load on the other: CPU time for each request, from the kernel's
//! own account of the server process, and throughput.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::process::{Starcell, binary, script};

use crate::HELLO;

const CONNECTIONS: usize = 8;
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
    let arguments = ["run", "--allow-local", "--port", "0", file.to_str().unwrap()];
    let forked = measure("starcell, fork per request", command(&binary(), &arguments));
    println!("starcell / native Starlark    {:.2}", forked / native);
    println!("starcell / hyper              {:.2}", forked / hyper);
}

fn command(program: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).args(arguments);
    command
}

fn pin(process: u32, core: u32) {
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

/// Requests a second of one server.
fn measure(name: &str, command: Command) -> f64 {
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    let (port, id) = (server.port(), server.id());
    let (count, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (rate, cpu) = thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = Client::connect(port);
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/hello?name=Bob").status, 200);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(WARM_UP);
        let (began, before, spent) = (Instant::now(), count.load(Ordering::Relaxed), cpu_time(id));
        thread::sleep(MEASURED);
        let done = count.load(Ordering::Relaxed) - before;
        let (elapsed, spent) = (began.elapsed(), cpu_time(id) - spent);
        stop.store(true, Ordering::Relaxed);
        (done as f64 / elapsed.as_secs_f64(), spent / done as f64)
    });
    println!("  {name:<28} {rate:>9.0}/s {:>10.1} us", cpu * 1e6);
    rate
}

/// CPU seconds a process has used, all threads, user and system.
fn cpu_time(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // The kernel counts in hundredths of a second.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
