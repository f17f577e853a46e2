//! Clients of a fleet: each adds to a sum that all share, makes steps of its own, and reads what it stepped to, over and over.
//!
//! A step and a read can be asked for again, and are until they are answered. An addition cannot: one whose answer was lost is
//! counted as unknown. So the steps must come out exactly, and the sum between what was acknowledged and that with the unknown.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::process::PATIENCE;

/// Clients at once.
pub const CLIENTS: u64 = 8;

/// Between two tries of the same request.
const PAUSE: Duration = Duration::from_millis(20);

/// The clients at work, in threads of their own.
#[derive(Debug)]
pub struct FleetLoad {
    port: u16,
    began: Instant,
    counts: Arc<Counts>,
    clients: Vec<JoinHandle<Report>>,
}

#[derive(Debug, Default)]
struct Counts {
    added: AtomicU64,
    steps: AtomicU64,
    unknown: AtomicU64,
    again: AtomicU64,
    stop: AtomicBool,
}

impl Counts {
    fn trouble(&self) -> Trouble {
        Trouble { unknown: self.unknown.load(Ordering::Relaxed), again: self.again.load(Ordering::Relaxed) }
    }
}

/// What did not go well at the first try.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Additions of which nobody knows whether they were made.
    pub unknown: u64,
    /// Requests that were asked for again.
    pub again: u64,
}

/// A request with its tries, from the first one to the answer.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it began, since the load did.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
}

/// What came of it all.
#[derive(Debug)]
pub struct Outcome {
    /// Additions that were acknowledged.
    pub added: u64,
    /// Steps that were acknowledged.
    pub steps: u64,
    /// What did not go well at the first try.
    pub trouble: Trouble,
    /// All requests, of each client in order.
    pub samples: Vec<Sample>,
    /// What failed tries came to: statuses and texts.
    pub said: BTreeSet<String>,
}

/// What one client found out.
#[derive(Debug)]
struct Report {
    last: u64,
    samples: Vec<Sample>,
    said: BTreeSet<String>,
}

/// How a try ended.
enum Tried {
    Answered(String),
    /// It was certainly not done.
    NotDone(String),
    /// Nobody knows.
    Unknown(String),
}

impl FleetLoad {
    /// Starts clients of the app of a fleet, behind this port.
    #[must_use]
    pub fn start(port: u16) -> Self {
        let (counts, began) = (Arc::new(Counts::default()), Instant::now());
        let client = |name| {
            let counts = Arc::clone(&counts);
            let visitor = Visitor { name, port, began, client: None, samples: Vec::new(), said: BTreeSet::new() };
            thread::spawn(move || visitor.work(&counts))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { port, began, counts, clients }
    }

    /// How long it has been at work.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Changes that were acknowledged.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.counts.added.load(Ordering::Relaxed) + self.counts.steps.load(Ordering::Relaxed)
    }

    /// What did not go well at the first try so far.
    #[must_use]
    pub fn trouble(&self) -> Trouble {
        self.counts.trouble()
    }

    /// Waits until so many more changes were acknowledged, as long as there are some.
    pub fn go_on(&self, more: u64) {
        let (goal, mut before, mut since) = (self.writes() + more, self.writes(), Instant::now());
        while before < goal {
            thread::sleep(Duration::from_millis(5));
            assert!(since.elapsed() < PATIENCE, "no change was acknowledged for {PATIENCE:?}: {before} of {goal}");
            let ended = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!ended, "a client found something wrong");
            let now = self.writes();
            if now > before {
                (before, since) = (now, Instant::now());
            }
        }
    }

    /// Ends it, and checks that what is stored is what was acknowledged.
    ///
    /// # Panics
    /// Panics when it is not, or when a client found something wrong.
    #[must_use]
    pub fn finish(self) -> Outcome {
        self.counts.stop.store(true, Ordering::Relaxed);
        let Self { port, counts, clients, .. } = self;
        let joined =
            |client: JoinHandle<Report>| client.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let reports: Vec<Report> = clients.into_iter().map(joined).collect();
        let trouble = counts.trouble();
        let (added, steps) = (counts.added.load(Ordering::Relaxed), counts.steps.load(Ordering::Relaxed));
        let found = |target: &str| -> u64 {
            let answer = Client::connect(port).get(target);
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
            answer.text().parse().expect("a number")
        };
        for (name, report) in reports.iter().enumerate() {
            assert_eq!(found(&format!("/own/{name}")), report.last, "the steps of client {name}");
        }
        assert_eq!(reports.iter().map(|report| report.last).sum::<u64>(), steps);
        let said = reports.iter().flat_map(|report| report.said.iter().cloned()).collect();
        let sum = found("/sum");
        let may_be = added..=added + trouble.unknown;
        assert!(may_be.contains(&sum), "{sum} found, {added} acknowledged, {} unknown: {said:?}", trouble.unknown);
        let samples = reports.iter().flat_map(|report| report.samples.iter().copied()).collect();
        Outcome { added, steps, trouble, samples, said }
    }
}

/// One client.
struct Visitor {
    name: u64,
    port: u16,
    began: Instant,
    /// Its connection; none before the first request, and once one has ended.
    client: Option<Client>,
    samples: Vec<Sample>,
    said: BTreeSet<String>,
}

impl Visitor {
    fn work(mut self, counts: &Counts) -> Report {
        let mut last = 0;
        while !counts.stop.load(Ordering::Relaxed) {
            self.add(counts);
            let next = last + 1;
            assert_eq!(self.until_answered("PUT", &format!("/own/{}/{next}", self.name), counts), next.to_string());
            counts.steps.fetch_add(1, Ordering::Relaxed);
            last = next;
            // Whichever node answers has what another one acknowledged.
            assert_eq!(self.until_answered("GET", &format!("/own/{}", self.name), counts), last.to_string());
        }
        Report { last, samples: self.samples, said: self.said }
    }

    /// Adds to the sum: again only where it was certainly not done.
    fn add(&mut self, counts: &Counts) {
        let began = Instant::now();
        loop {
            match self.attempt("POST", "/sum") {
                Tried::Answered(_) => {
                    counts.added.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Tried::NotDone(said) => {
                    counts.again.fetch_add(1, Ordering::Relaxed);
                    self.wait(began, said);
                }
                Tried::Unknown(said) => {
                    counts.unknown.fetch_add(1, Ordering::Relaxed);
                    self.said.insert(said);
                    break;
                }
            }
        }
        self.note(began);
    }

    /// Asks for what may be done twice, until it is answered.
    fn until_answered(&mut self, method: &str, target: &str, counts: &Counts) -> String {
        let began = Instant::now();
        loop {
            match self.attempt(method, target) {
                Tried::Answered(text) => {
                    self.note(began);
                    return text;
                }
                Tried::NotDone(said) | Tried::Unknown(said) => {
                    counts.again.fetch_add(1, Ordering::Relaxed);
                    self.wait(began, said);
                }
            }
        }
    }

    fn attempt(&mut self, method: &str, target: &str) -> Tried {
        let client = match self.client.take() {
            Some(client) => Ok(client),
            None => Client::try_connect(self.port),
        };
        let answer = client.and_then(|mut client| {
            let answer = client.try_request(method, target, &[("Content-Length", "0")], b"")?;
            if answer.header("connection") != Some("close") {
                self.client = Some(client);
            }
            Ok(answer)
        });
        match answer {
            Err(error) => Tried::Unknown(format!("{:?}", error.kind())),
            Ok(answer) => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                match answer.status {
                    200 => Tried::Answered(text),
                    // A store that has no connection got no change, nor did a node that HAProxy found none of.
                    503 if text.contains("is away") => Tried::NotDone(text),
                    503 if text.contains("No server is available") => Tried::NotDone("503 of HAProxy".to_owned()),
                    409 => panic!("{method} {target}: {text}: a step that was acknowledged is gone, or was made twice"),
                    status => Tried::Unknown(format!("{status} {}", text.lines().last().unwrap_or_default())),
                }
            }
        }
    }

    fn note(&mut self, began: Instant) {
        self.samples.push(Sample { at: began - self.began, took: began.elapsed() });
    }

    fn wait(&mut self, began: Instant, said: String) {
        assert!(began.elapsed() < PATIENCE, "a request is not answered within {PATIENCE:?}: {said}");
        self.said.insert(said);
        thread::sleep(PAUSE);
    }
}
