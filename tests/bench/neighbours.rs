//! What one tenant notices of another one that attacks the node from inside: the time that 99 of its 100 answers take at
//! most where it asks for less than its part of the core, and how many it gets where it asks for all of it, with and without
//! the attack. One that wants more than its part waits for it, as it should: the two are measured one after the other.
//!
//! As in [`crate::attacks`] the server has one core, and on the other the attacker's clients run only while the good client
//! does not. Both tenants have the same weight and no quota, so nothing but fair turns stands between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::good::percentile;
use starcell_tests::node::{NodeFolder, Running, ask_on, says};
use starcell_tests::tls::replace;

use crate::attacks::yield_to_all;
use crate::http::{middle, pin};
use crate::micro::us;
use crate::stamped::Stamped;

/// How long each stretch takes, and how many there are with and without the attack, in turns.
const MEASURED: Duration = Duration::from_secs(2);

/// How often the tenant asks that wants less than its part: some 2,000 answers, of which 20 decide.
const PACE: Duration = Duration::from_millis(1);
const ROUNDS: usize = 3;

/// Clients of an attacker at once.
const CLIENTS: usize = 64;

/// Above the one, or below the other, a neighbour notices too much.
const MOST_OF_P99: f64 = 2.0;
const LEAST_OF_ANSWERS: f64 = 0.5;

/// One attack: its name, and what one client of it does over and over; the status of the answer, if it asked for one.
struct Attack {
    name: &'static str,
    clients: usize,
    act: fn(&Place, &mut Option<Client>) -> Option<u16>,
}

const fn asks(name: &'static str, act: fn(&Place, &mut Option<Client>) -> Option<u16>) -> Attack {
    Attack { name, clients: CLIENTS, act }
}

const ATTACKS: &[Attack] = &[
    asks("endless loops", |at, client| at.ask(client, "/loop")),
    asks("memory to the limit", |at, client| at.ask(client, "/memory")),
    asks("log flood", |at, client| at.ask(client, "/log")),
    asks("flood of denied calls", |at, client| at.ask(client, "/denied")),
    asks("flood of recorded calls", |at, client| at.ask(client, "/environment")),
    asks("outbound flood", |at, client| at.ask(client, "/outbound")),
    asks("store flood", |at, client| at.ask(client, "/store")),
    asks("tiny requests", |at, client| at.ask(client, "/")),
    asks("large answers", |at, client| at.ask(client, "/large")),
    asks("failing handlers", |at, client| at.ask(client, "/fails")),
    asks("slow bodies", |at, client| at.half_a_body(client)),
    asks("slow readers", |at, client| at.read_nothing(client)),
    Attack { name: "deploy storm", clients: 1, act: |at, _| at.deploy(BAD) },
    Attack {
        name: "crash loop of deploys",
        clients: 1,
        act: |at, _| at.deploy("x = []\nwhile_ = [x for _ in range(9999999)]\nfail(1)\n"),
    },
    asks("schedule storm", |at, client| at.ask(client, "/arm")),
];

const BAD: &str = r#"
def endless(req):
    x = 0
    for i in range(1000000000):
        x += i
    return str(x)

def memory(req):
    kept = []
    for i in range(1000000000):
        kept.append("x" * 65536)

def log_flood(req):
    for i in range(2000):
        log.info("x" * 200)
    return "logged"

def denied(req):
    for i in range(200):
        fs.try_read_text("/etc/passwd")
    return "denied"

def environment(req):
    for i in range(200):
        os.try_env("ANY")
    return "read"

def outbound(req):
    for i in range(20):
        http.try_get("http://127.0.0.1:SINK/", timeout="1s")
    return "asked"

def store(req):
    for i in range(200):
        kv.incr("count")
    return "stored"

def tick(req):
    if kv.get("armed"):
        return endless(req)
    return "quiet"

def arm(req):
    kv.set("armed", True)
    return "armed"

def fails(req):
    fail("again")

LARGE = "x" * 1048576
srv = http.server()
srv.handle("GET /{$}", lambda req: "bad")
srv.handle("GET /loop", endless)
srv.handle("GET /memory", memory)
srv.handle("GET /log", log_flood)
srv.handle("GET /denied", denied)
srv.handle("GET /environment", environment)
srv.handle("GET /outbound", outbound)
srv.handle("GET /store", store)
srv.handle("GET /large", lambda req: LARGE)
srv.handle("GET /fails", fails)
srv.handle("GET /tick", tick)
srv.handle("GET /arm", arm)
srv.handle("POST /", lambda req: str(len(req.body)))
srv.serve()
"#;

/// Where an attack acts.
struct Place {
    port: u16,
    folder: NodeFolder,
}

/// Measures the attacks whose names contain a text.
pub(crate) fn run(name: &str) {
    println!("| attack of a neighbour | p99 without | with | ratio | answers, of those without | the attacker got |");
    println!("|---|---|---|---|---|---|");
    let attacks = ATTACKS.iter().filter(|attack| attack.name.contains(name));
    let noticed: Vec<&str> = attacks.filter(|attack| measure(attack)).map(|attack| attack.name).collect();
    match noticed.as_slice() {
        [] => println!("no attack is noticed by more than {MOST_OF_P99} or leaves less than {LEAST_OF_ANSWERS}"),
        some => println!(
            "noticed by more than {MOST_OF_P99}, or left with less than {LEAST_OF_ANSWERS}: {}",
            some.join(", ")
        ),
    }
}

/// Measures one; says whether the neighbour notices too much of it.
fn measure(attack: &'static Attack) -> bool {
    let sink = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = write(sink.local_addr().unwrap().port());
    // A child starts on the core of its parent.
    pin(std::process::id(), 0);
    let running = Running::start(&folder, &[]);
    pin(std::process::id(), 1);
    running.until("apps_running", 2);
    let port = running.port;
    let place = Arc::new(Place { port, folder });
    let (mut p99s, mut ratios, mut shares, mut statuses) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
    let _ = greedy(port);
    for _ in 0..ROUNDS {
        let without = (paced(port), greedy(port));
        let stop = Arc::new(AtomicBool::new(false));
        let attackers: Vec<_> = (0..attack.clients).map(|_| attacker(attack, &place, &stop)).collect();
        thread::sleep(Duration::from_millis(300));
        let with = (paced(port), greedy(port));
        stop.store(true, Ordering::Relaxed);
        for (status, count) in attackers.into_iter().flat_map(|thread| thread.join().unwrap()) {
            *statuses.entry(status).or_insert(0) += count;
        }
        let [before, after] = [&without, &with].map(|(times, _)| us(percentile(times, 99)));
        p99s.push((before, after));
        ratios.push(after / before);
        shares.push(with.1 as f64 / without.1 as f64);
    }
    let (ratio, share) = (middle(ratios), middle(shares));
    let of = |which: fn(&(f64, f64)) -> f64| middle(p99s.iter().map(which).collect());
    let got: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} x {status}")).collect();
    let (before, after) = (of(|pair| pair.0), of(|pair| pair.1));
    println!("| {} | {before:.0} us | {after:.0} us | {ratio:.2} | {share:.2} | {} |", attack.name, got.join(", "));
    ratio > MOST_OF_P99 || share < LEAST_OF_ANSWERS
}

/// One client of an attacker, until it is told to stop; how often it got which status, 0 for none.
fn attacker(
    attack: &'static Attack,
    place: &Arc<Place>,
    stop: &Arc<AtomicBool>,
) -> thread::JoinHandle<BTreeMap<u16, u64>> {
    let (place, stop) = (Arc::clone(place), Arc::clone(stop));
    thread::spawn(move || {
        yield_to_all();
        let (mut client, mut statuses) = (None, BTreeMap::new());
        while !stop.load(Ordering::Relaxed) {
            *statuses.entry((attack.act)(&place, &mut client).unwrap_or(0)).or_insert(0) += 1;
        }
        statuses
    })
}

/// How many answers the good tenant gets that asks again as soon as it has one.
fn greedy(port: u16) -> usize {
    good(port, Duration::ZERO).len()
}

/// How long the answers of the good tenant take that asks at a pace.
fn paced(port: u16) -> Vec<Duration> {
    good(port, PACE)
}

/// How long each answer of the good tenant took until it was there, asked one after the other on one connection.
fn good(port: u16, pace: Duration) -> Vec<Duration> {
    let mut client = Client::over(Stamped::connect(port).expect("a connection"));
    let (began, mut times) = (Instant::now(), Vec::new());
    while began.elapsed() < MEASURED {
        thread::sleep(pace);
        let answer = ask_on(&mut client, "good.example", "/").expect("the good client gets an answer");
        assert_eq!((answer.status, answer.text()), (200, "good"), "the good client");
        times.push(client.stream.took());
    }
    times
}

fn write(sink: u16) -> NodeFolder {
    let node = NodeFolder::new("");
    let address = "address = \"127.0.0.1:0\"\n";
    let profile = "base = \"allow-local\"\nallow = [\"http.client(http://127.0.0.1:*)\"]\n";
    node.configure(&format!(
        "idle = \"never\"\n[listeners.web]\n{address}[metrics]\n{address}[profiles.reaching]\n{profile}\
         [tenants.good]\nprofile = \"allow-local\"\n[tenants.bad]\nprofile = \"reaching\"\n"
    ));
    let schedule: Vec<&str> = std::iter::repeat_n("{ every = \"1s\", path = \"/tick\" }", 8).collect();
    let bad = format!("tenant = \"bad\"\nhosts = [\"bad.example\"]\nschedule = [{}]\n", schedule.join(", "));
    node.app("bad", &bad, &BAD.replace("SINK", &sink.to_string()));
    node.app("good", "tenant = \"good\"\nhosts = [\"good.example\"]\n", &says("good"));
    node
}

impl Place {
    /// Asks for a path of the attacker's app; the connection is kept for as long as the server keeps it.
    fn ask(&self, client: &mut Option<Client>, path: &str) -> Option<u16> {
        let mut kept = match client.take() {
            Some(kept) => kept,
            None => self.connect()?,
        };
        let answer = ask_on(&mut kept, "bad.example", path).ok()?;
        if answer.header("connection") != Some("close") {
            *client = Some(kept);
        }
        Some(answer.status)
    }

    /// Announces a body and sends half of it, a byte at a time.
    fn half_a_body(&self, client: &mut Option<Client>) -> Option<u16> {
        let mut kept = match client.take() {
            Some(kept) => kept,
            None => {
                let mut new = self.connect()?;
                new.send(b"POST / HTTP/1.1\r\nHost: bad.example\r\nContent-Length: 1000000\r\n\r\n").ok()?;
                new
            }
        };
        thread::sleep(Duration::from_millis(10));
        kept.send(b"x").ok()?;
        *client = Some(kept);
        None
    }

    /// Asks for more than the kernel's buffers take, and reads none of it.
    fn read_nothing(&self, client: &mut Option<Client>) -> Option<u16> {
        let mut new = self.connect()?;
        new.send(b"GET /large HTTP/1.1\r\nHost: bad.example\r\n\r\n").ok()?;
        *client = Some(new);
        thread::sleep(Duration::from_millis(50));
        None
    }

    /// Writes the attacker's app anew, so that it is set up again.
    fn deploy(&self, script: &str) -> Option<u16> {
        let stamp = Instant::now();
        let file = self.folder.path.join("apps/bad/main.star");
        replace(&file, format!("{script}\n# {stamp:?}\n").as_bytes());
        thread::sleep(Duration::from_millis(5));
        None
    }

    fn connect(&self) -> Option<Client> {
        let client = Client::try_connect(self.port).ok();
        if client.is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        client
    }
}
