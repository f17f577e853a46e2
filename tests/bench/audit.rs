//! What the gate and the audit log cost: one call from inside a request, and hello beside a log that is flooded.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use starcell_audit::{Arguments, Audit, AuditApp, AuditedCall, Decision, Options, Outcome, Phase, Subject, Writer};
use starcell_policy::{CanonicalPath, Grants, Profile, Roots, Rule};
use starcell_runtime::{Interpreter, Limits};
use starcell_tests::edge::{Deployed, interpreter, request};
use starcell_tests::process::folder;

use crate::hello::HELLO;

/// Calls of one request, so that a call shows beside the fork.
const CALLS: u32 = 200;

/// Requests of one kind.
const REQUESTS: usize = 400;

/// Records a second of the flood: intents and outcomes, each a line.
const RECORDS: u64 = 100_000;

/// Stretches with and without the flood, in turn.
const STRETCHES: usize = 100;

/// Hellos of one stretch: so few that many stretches are not disturbed by anything else on the machine.
const HELLOS: u32 = 500;

/// How much slower hello may get.
const WANTED: f64 = 1.10;

const SCRIPT: &str = r#"
def loop(req):
    for i in range(200):
        len("k")
def denied(req):
    for i in range(200):
        kv.try_get("secret")
def get(req):
    for i in range(200):
        kv.get("k")
kv.set("k", "value")
srv = http.server()
srv.handle("GET /loop", loop)
srv.handle("GET /denied", denied)
srv.handle("GET /get", get)
srv.serve(port=8080)
"#;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let interpreter = interpreter();
    runtime.block_on(calls(&interpreter));
    runtime.block_on(hello_beside_a_flood(&interpreter));
}

/// The cost of one call, the loop around it taken off.
async fn calls(interpreter: &Arc<Interpreter>) {
    let folder = folder();
    let (audit, writer) = open(&folder);
    println!("one call of {CALLS} in a request        not recorded     recorded");
    let (plain, recorded) = (app(interpreter, None).await, app(interpreter, Some(audit.subject(&subject()))).await);
    for (name, route) in [("denied, caught with try_", 1), ("kv.get, allowed", 2)] {
        let mut costs = [0.0; 2];
        for (cost, app) in costs.iter_mut().zip([&plain, &recorded]) {
            let (with, without) = (request_time(app, route).await, request_time(app, 0).await);
            *cost = (with.as_secs_f64() - without.as_secs_f64()) * 1e6 / f64::from(CALLS);
        }
        println!("  {name:<28} {:>11.2} us {:>9.2} us", costs[0], costs[1]);
    }
    plain.stop().await.unwrap();
    recorded.stop().await.unwrap();
    writer.close().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

async fn app(interpreter: &Arc<Interpreter>, audit: Option<AuditApp>) -> Deployed {
    let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
    let deny = [Rule::parse("kv.read(secret)").unwrap()];
    let grants = Grants::new(&Profile::named("allow-local").unwrap(), &[], &deny, &roots).unwrap();
    let give = |config: &mut starcell_runtime::AppConfig| {
        config.grants = grants;
        config.limits.request_cpu = Duration::from_secs(10);
        if let Some(audit) = audit {
            config.audit = audit;
        }
    };
    Deployed::start_with(interpreter, SCRIPT, give).await.unwrap()
}

async fn request_time(app: &Deployed, route: u32) -> Duration {
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = Instant::now();
        assert_eq!(app.serving.answer(route, request("/")).await.result.unwrap().status, 204);
        times.push(began.elapsed());
    }
    undisturbed(times)
}

/// The lower quartile: what else runs on the machine only ever adds.
fn undisturbed(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 4]
}

/// Hello on one core, the flood and the thread that writes it on the other: what is left to see is what they share,
/// memory, caches and the disk.
async fn hello_beside_a_flood(interpreter: &Arc<Interpreter>) {
    let app = Deployed::start(interpreter, HELLO, Limits::default()).await.unwrap();
    let flood = Flood::start();
    pin(0);
    let mut times = [Vec::new(), Vec::new()];
    let (mut written, mut flooded) = (0, Duration::ZERO);
    for stretch in 0..2 * STRETCHES {
        flood.on.store(stretch % 2 == 1, Ordering::Relaxed);
        // Until the other thread has noticed.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (before, began) = (flood.written.load(Ordering::Relaxed), Instant::now());
        for _ in 0..HELLOS {
            assert_eq!(app.serving.answer(0, request("/hello?name=Bob")).await.result.unwrap().status, 200);
        }
        let elapsed = began.elapsed();
        times[stretch % 2].push(elapsed / HELLOS);
        if stretch % 2 == 1 {
            written += flood.written.load(Ordering::Relaxed) - before;
            flooded += elapsed;
        }
    }
    flood.stop();
    app.stop().await.unwrap();
    let [without, with] = times.map(|times| undisturbed(times).as_secs_f64() * 1e6);
    let (rate, ratio) = (written as f64 / flooded.as_secs_f64(), with / without);
    println!("hello beside a log of {rate:.0} records/s: {with:.1} us instead of {without:.1}, ratio {ratio:.3}");
    let verdict = if ratio <= WANTED { "within" } else { "above" };
    println!("{verdict} the wanted {WANTED:.2}");
}

/// Records that are written as fast as they are wanted, by a thread of its own.
struct Flood {
    on: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Flood {
    fn start() -> Self {
        let [on, over] = [false, false].map(|value| Arc::new(AtomicBool::new(value)));
        let written = Arc::new(AtomicU64::new(0));
        let given = (Arc::clone(&on), Arc::clone(&over), Arc::clone(&written));
        let thread = thread::spawn(move || {
            // Before the log is opened: its writer keeps to the same core.
            pin(1);
            let folder = folder();
            let (audit, writer) = open(&folder);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(flood(&audit, given));
            writer.close().unwrap();
            std::fs::remove_dir_all(folder).unwrap();
        });
        Self { on, written, over, thread }
    }

    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// Every millisecond the calls of that millisecond, all at once, as from many requests.
async fn flood(audit: &Audit, (on, over, written): (Arc<AtomicBool>, Arc<AtomicBool>, Arc<AtomicU64>)) {
    let app = audit.subject(&subject());
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut tasks = tokio::task::JoinSet::new();
    while !over.load(Ordering::Relaxed) {
        tick.tick().await;
        while tasks.try_join_next().is_some() {}
        if !on.load(Ordering::Relaxed) {
            continue;
        }
        // Each call has two records.
        for _ in 0..RECORDS / 1000 / 2 {
            let (app, written) = (app.clone(), Arc::clone(&written));
            tasks.spawn(async move {
                let ticket = app.intent(&call()).await.unwrap();
                app.outcome(ticket, Outcome::Ok, Duration::from_micros(10), 5);
                written.fetch_add(2, Ordering::Relaxed);
            });
        }
    }
    while tasks.join_next().await.is_some() {}
}

fn call() -> AuditedCall<'static> {
    AuditedCall {
        request: Some("01h9z0000000000000000000"),
        phase: Phase::Request,
        capability: "kv.get",
        category: "kv.read",
        resource: "user:1234",
        decision: Decision::Allow,
        rule: Some("kv.*"),
        needed: None,
        file: "shop.star",
        line: 17,
        arguments: Arguments::NONE,
    }
}

/// A log in a folder; one full file of it is kept, so that the bench does not fill the disk.
fn open(folder: &Path) -> (Audit, Writer) {
    let options =
        Options { rotate_bytes: 64 << 20, keep: 1, app_rate: None, ..Options::new(folder.join("audit.jsonl")) };
    Audit::open(options).unwrap()
}

fn subject() -> Subject {
    let word = |text: &str| text.to_owned();
    Subject {
        node: word("node-1"),
        tenant: word("acme"),
        app: word("shop.star"),
        revision: None,
        script_digest: format!("sha256:{:064x}", 1),
        policy_digest: format!("sha256:{:064x}", 2),
    }
}

/// Keeps this thread, and those that it starts from now on, to one core.
fn pin(core: u32) {
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let id = thread.file_name().unwrap();
    let output = Command::new("taskset").args(["-pc", &core.to_string()]).arg(id).output().unwrap();
    assert!(output.status.success(), "taskset: {output:?}");
}
