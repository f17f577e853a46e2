//! One node with thousands of apps of hundreds of tenants: how long it takes to start, what an app costs that nobody asks,
//! how soon it answers when somebody does, and what requests to all of them cost beside requests to one.
//!
//! Every answer is compared with the one that its app must give.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use starcell_tests::node::{NodeFolder, Running, says};

use crate::http::{middle, pin};
use crate::load::{open, read};
use crate::micro::us;
use crate::scale::zipf;

/// Apps of one tenant.
const APPS_OF_TENANT: usize = 10;

/// Connections at once.
const CONNECTIONS: usize = 8;

/// How long each stretch of requests takes, and how many there are of each kind, in turns.
const MEASURED: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 7;

/// Apps that are asked once each while they are dropped.
const COLD: usize = 300;

/// Measures a node with so many apps; of the first, `broken` have a description that is not valid.
pub(crate) fn run(apps: usize, broken: usize) {
    let folder = write(apps, broken);
    println!("| {apps} apps, {broken} of them broken | |");
    println!("|---|---|");
    let (first, began) = (Node::start(&folder), Instant::now());
    first.until("apps_running", apps - broken);
    println!("| first start, every app evaluated | {:.1} s |", first.began.elapsed().as_secs_f64());
    assert_eq!(first.number("apps_down"), broken);
    first.until("apps_dropped", apps - broken);
    println!("| until all are on disk alone | {:.1} s more |", began.elapsed().as_secs_f64());
    assert_eq!(first.running.starcell.stop().code(), 0);

    let node = Node::start(&folder);
    node.until("apps_running", apps - broken);
    println!("| restart, until every app can answer | {:.2} s |", node.began.elapsed().as_secs_f64());
    assert_eq!(node.number("images_found"), apps - broken);
    let alone = Node::start(&write(1, 0));
    alone.until("apps_dropped", 1);
    let each = node.memory().saturating_sub(alone.memory()) / (apps - broken - 1).max(1);
    println!("| memory of one app more, on disk alone | {:.1} KiB |", each as f64 / 1024.0);
    drop(alone);

    pin(std::process::id(), 1);
    pin(node.running.starcell.id(), 0);
    let mut cold: Vec<Duration> =
        (broken..apps).step_by(((apps - broken) / COLD).max(1)).map(|app| node.ask_once(app)).collect();
    cold.sort();
    let of = |share: f64| us(cold[((cold.len() - 1) as f64 * share) as usize]) / 1000.0;
    println!(
        "| request to such an app, to its answer: half below, 99 % below | {:.2} ms, {:.2} ms |",
        of(0.5),
        of(0.99)
    );
    assert_eq!(node.running.starcell.stop().code(), 0);

    // From here on apps stay in memory for as long as they do where nothing is configured.
    pin(std::process::id(), 0);
    configure(&folder, apps, "");
    let node = Node::start(&folder);
    pin(std::process::id(), 1);
    node.until("apps_running", apps - broken);
    traffic(&node, apps, broken);
    assert_eq!(node.running.starcell.stop().code(), 0);
}

/// Requests to one app and to all of them in turns.
fn traffic(node: &Node, apps: usize, broken: usize) {
    let order: Vec<usize> = zipf(apps - broken).into_iter().map(|app| app + broken).collect();
    let one = [apps - 1];
    node.requests(&order, MEASURED);
    let before = ["images_recalled", "images_dropped"].map(|name| node.number(name));
    let (mut ratios, mut tails, mut alone, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (of_one, of_all) = (node.requests(&one, MEASURED), node.requests(&order, MEASURED));
        ratios.push(of_all.len() as f64 / of_one.len() as f64);
        tails.push(ninety_nine(&of_all));
        alone.push(ninety_nine(&of_one));
        count += of_all.len();
    }
    let after = ["images_recalled", "images_dropped"].map(|name| node.number(name));
    println!("| throughput of requests in Zipf order, of that to one app | {:.2} |", middle(ratios));
    println!("| 99 % of them below, and of those to one app | {:.0} us, {:.0} us |", middle(tails), middle(alone));
    let (recalled, dropped) = (after[0] - before[0], after[1] - before[1]);
    println!(
        "| answered by an app that came back for it | {:.2} % ({dropped} went) |",
        100.0 * recalled as f64 / count as f64
    );
    println!("| resident at the end | {} MiB |", node.running.starcell.resident() >> 20);
}

/// A node's folder: apps of a line each, the first of them with a key that no description has.
fn write(apps: usize, broken: usize) -> NodeFolder {
    let node = NodeFolder::new("");
    configure(&node, apps, "idle = \"2s\"\n");
    for app in 0..apps {
        let wrong = if app < broken { "colour = \"red\"\n" } else { "" };
        let manifest = format!("tenant = \"t{}\"\nhosts = [\"{}\"]\n{wrong}", app / APPS_OF_TENANT, host(app));
        node.app(&format!("app{app}"), &manifest, &says(&answer(app)));
    }
    node
}

/// The configuration of such a node, with what is said first.
fn configure(node: &NodeFolder, apps: usize, first: &str) {
    let address = "address = \"127.0.0.1:0\"\n";
    let mut text = format!("{first}[listeners.web]\n{address}[metrics]\n{address}");
    for tenant in 0..apps.div_ceil(APPS_OF_TENANT) {
        writeln!(text, "[tenants.t{tenant}]\nprofile = \"allow-local\"").unwrap();
    }
    node.configure(&text);
}

fn host(app: usize) -> String {
    format!("a{app}.example")
}

fn answer(app: usize) -> String {
    format!("I am app {app}.")
}

/// A node that runs.
struct Node {
    running: Running,
    began: Instant,
}

impl Node {
    fn start(folder: &NodeFolder) -> Self {
        let began = Instant::now();
        Self { running: Running::start(folder, &[]), began }
    }

    fn number(&self, name: &str) -> usize {
        usize::try_from(self.running.number(name)).unwrap()
    }

    /// Waits for a number of the node's, as long as it takes; every other one is told when it does not come.
    fn until(&self, name: &str, number: usize) {
        let began = Instant::now();
        loop {
            let (looked, found) = (Instant::now(), self.number(name));
            if found == number {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(600), "{name} is {found}, not {number}");
            // Each look costs the node a page with lines for all its apps: it has twenty times as long for its work.
            std::thread::sleep(looked.elapsed() * 20);
        }
    }

    /// Bytes that are this process's own.
    fn memory(&self) -> usize {
        self.running.starcell.own_memory()
    }

    /// One request on a connection of its own that is open already; how long its answer took.
    fn ask_once(&self, app: usize) -> Duration {
        let mut stream = open(self.running.port, &request(app));
        let (began, mut response) = (Instant::now(), Vec::new());
        while !is_answered(&response, app) {
            assert!(read(&mut stream, &mut response), "the server closed a connection");
        }
        began.elapsed()
    }

    /// Asks in this order, over and over, for a while; how long each answer took.
    fn requests(&self, order: &[usize], time: Duration) -> Vec<Duration> {
        let mut order = order.iter().copied().cycle();
        let mut next = || order.next().unwrap();
        let mut streams: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let app = next();
                (open(self.running.port, &request(app)), Vec::new(), app, Instant::now())
            })
            .collect();
        let (began, mut times) = (Instant::now(), Vec::new());
        while began.elapsed() < time {
            for (stream, response, app, asked) in &mut streams {
                assert!(read(stream, response), "the server closed a connection");
                if is_answered(response, *app) {
                    times.push(asked.elapsed());
                    (*app, *asked) = (next(), Instant::now());
                    response.clear();
                    std::io::Write::write_all(stream, &request(*app)).unwrap();
                }
            }
        }
        times
    }
}

fn request(app: usize) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: {}\r\nUser-Agent: bench\r\n\r\n", host(app)).into_bytes()
}

/// Whether a response is whole; panics if it is not this app's.
fn is_answered(response: &[u8], app: usize) -> bool {
    let Some(at) = response.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let (body, right) = (&response[at + 4..], answer(app));
    assert!(response[9..12] == *b"200" && right.as_bytes().starts_with(body), "{}", String::from_utf8_lossy(response));
    body.len() == right.len()
}

fn ninety_nine(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    us(times[times.len() * 99 / 100])
}
