//! What a node keeps of the requests of each app, for whoever looks at the app: its last minutes, how long requests took,
//! which are under way, which quotas refused them, which calls its store did not do, and the last failures of handlers with
//! their tracebacks.
//!
//! The decision: nothing is kept of an app before its first request, and what is kept after it has a fixed size: about 2 KiB,
//! beside failures and a burst of requests under way. All of it is counted as memory of the tenant; where the tenant has none left, the
//! app is answered all the same and nothing is kept. Failures have at most [`OF_FAILURES`] bytes for all apps together,
//! beyond which an app keeps its newest one alone.
//!
//! What is refused: the query of a request, which carries keys and personal data more often than its path. What belongs to
//! another tenant: an app that changes its owner begins anew.
//!
//! The attack it answers: a script fails with a new megabyte of text for each request, or a client sends paths without end, so
//! that the node remembers until it has no memory.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use starcell_budget::{MemoryBudget, MemoryUse, Taken};
use starcell_edge::RequestId;
use starcell_runtime::StoreFailure;
use tokio::time::Instant;

use crate::timeline::{TimeSlot, Timeline};

/// Bounds of the time that a request takes, in seconds: from a fork that was parked to the limit of a request.
pub const LATENCY_BOUNDS: [f64; 12] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Failures that are kept of one app, and bytes of the report and of the path of each.
const FAILURES: usize = 8;
const REPORT: usize = 4 << 10;
const PATH: usize = 200;

/// Bytes of the failures of all apps at which an app keeps its newest one alone.
const OF_FAILURES: usize = 16 << 20;

/// Requests under way of one app that are told one by one, and how many of them an app has room for between two bursts.
const UNDER_WAY: usize = 50;
const USUAL: usize = 4;

/// Bytes that are counted for an app which had a request.
const BYTES: usize = size_of::<Kept>() + USUAL * (size_of::<UnderWay>() + PATH);

/// What is kept of all apps of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Insights(Arc<All>);

#[derive(Debug)]
struct All {
    began: Instant,
    /// By the names of app and tenant.
    apps: Mutex<BTreeMap<(String, String), AppInsight>>,
    failure_bytes: AtomicUsize,
}

/// What is kept of one app. Cheap to clone.
#[derive(Clone)]
pub struct AppInsight(Arc<OfApp>);

struct OfApp {
    all: Arc<All>,
    memory: MemoryBudget,
    /// None before the first request.
    kept: Mutex<Option<Box<Kept>>>,
}

struct Kept {
    timeline: Timeline,
    /// Requests that took no longer than each bound, and the rest.
    times: [u64; LATENCY_BOUNDS.len() + 1],
    refused: BTreeMap<&'static str, u64>,
    store: StoreFailures,
    under_way: Vec<UnderWay>,
    /// Requests under way that are not in the list.
    unlisted: u64,
    next: u64,
    failures: VecDeque<KeptFailure>,
    of_failures: Taken,
    _of_rest: Taken,
}

#[derive(Debug)]
struct UnderWay {
    number: u64,
    id: RequestId,
    method: Method,
    path: Box<str>,
    began: Instant,
}

/// A request under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    insight: AppInsight,
    /// None for one that is not in the list.
    number: Option<u64>,
}

/// The failure of a handler.
#[derive(Clone, Debug)]
pub struct KeptFailure {
    /// When it came last.
    pub at: SystemTime,
    /// How often it came, one after another or among others.
    pub count: u64,
    /// The revision.
    pub revision: u64,
    /// The id of the last request.
    pub request: String,
    /// Its method.
    pub method: String,
    /// Its path, perhaps cut.
    pub path: String,
    /// The traceback, perhaps cut.
    pub report: String,
}

/// The calls that the store of an app did not do.
#[derive(Clone, Debug, Default)]
pub struct StoreFailures {
    /// How many there were of each kind.
    pub calls: BTreeMap<StoreFailure, u64>,
    /// When the last one was, and its kind.
    pub last: Option<(SystemTime, StoreFailure)>,
}

/// A request that is under way.
#[derive(Clone, Debug)]
pub struct LiveRequest {
    /// Its id.
    pub request: String,
    /// Its method.
    pub method: String,
    /// Its path, perhaps cut.
    pub path: String,
    /// How long it has been under way.
    pub age: Duration,
}

/// What is kept of an app at a moment.
#[derive(Clone, Debug, Default)]
pub struct InsightNow {
    /// The last minutes, the oldest slot first.
    pub slots: Vec<TimeSlot>,
    /// Requests by the time that they took: for each of [`LATENCY_BOUNDS`] those between the bound before and it, then the
    /// rest.
    pub times: Vec<u64>,
    /// Requests that a quota refused, by its name.
    pub refused: BTreeMap<&'static str, u64>,
    /// Requests under way, the oldest first.
    pub live: Vec<LiveRequest>,
    /// Requests under way that are not listed.
    pub unlisted: u64,
    /// The last failures, the newest first.
    pub failures: Vec<KeptFailure>,
}

impl fmt::Debug for AppInsight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppInsight").finish_non_exhaustive()
    }
}

impl Default for Insights {
    fn default() -> Self {
        Self(Arc::new(All { began: Instant::now(), apps: Mutex::default(), failure_bytes: AtomicUsize::new(0) }))
    }
}

impl Insights {
    /// What is kept of an app of a tenant, whose memory it is.
    #[must_use]
    pub fn of(&self, tenant: &str, app: &str, memory: &MemoryBudget) -> AppInsight {
        let new = || {
            let of_app = OfApp { all: Arc::clone(&self.0), memory: memory.clone(), kept: Mutex::default() };
            AppInsight(Arc::new(of_app))
        };
        self.0.apps.lock().entry((app.to_owned(), tenant.to_owned())).or_insert_with(new).clone()
    }

    /// What is kept of an app, if anything is.
    #[must_use]
    pub fn find(&self, tenant: &str, app: &str) -> Option<AppInsight> {
        self.0.apps.lock().get(&(app.to_owned(), tenant.to_owned())).cloned()
    }

    /// Forgets an app that is gone, whoever had it.
    pub fn forget(&self, app: &str) {
        let mut apps = self.0.apps.lock();
        let first = (app.to_owned(), String::new());
        let names: Vec<_> = apps.range(first..).map(|(name, _)| name).take_while(|(name, _)| name == app).collect();
        for name in names.into_iter().cloned().collect::<Vec<_>>() {
            apps.remove(&name);
        }
    }
}

impl AppInsight {
    /// A request is under way, until what this returns is dropped.
    pub(crate) fn enter(&self, parts: &Parts, id: &RequestId) -> Entered {
        let number = self.with(|kept| {
            if kept.under_way.len() >= UNDER_WAY {
                kept.unlisted += 1;
                return None;
            }
            kept.next += 1;
            let path = cut(parts.uri.path(), PATH).into();
            let (id, method, began) = (id.clone(), parts.method.clone(), Instant::now());
            kept.under_way.push(UnderWay { number: kept.next, id, method, path, began });
            Some(kept.next)
        });
        // Without memory nothing was counted, and nothing is counted off.
        Entered { insight: self.clone(), number: number.unwrap_or(Some(0)) }
    }

    /// Counts a request that was answered.
    pub(crate) fn count(&self, status: StatusCode, time: Duration, cpu: Option<Duration>) {
        let since = self.0.all.began.elapsed();
        let cpu_us = u32::try_from(cpu.unwrap_or_default().as_micros()).unwrap_or(u32::MAX);
        let slot = TimeSlot { requests: 1, failed: u32::from(status.is_server_error()), cpu_us };
        let seconds = time.as_secs_f64();
        let bin = LATENCY_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(LATENCY_BOUNDS.len());
        self.with(|kept| {
            kept.timeline.add(since, slot);
            if let Some(count) = kept.times.get_mut(bin) {
                *count += 1;
            }
        });
    }

    /// Counts a request that a quota of the tenant refused.
    pub(crate) fn refused(&self, quota: &'static str) {
        self.with(|kept| *kept.refused.entry(quota).or_default() += 1);
    }

    /// Counts a call that the store did not do.
    pub(crate) fn store_failed(&self, failure: StoreFailure) {
        self.with(|kept| {
            *kept.store.calls.entry(failure).or_default() += 1;
            kept.store.last = Some((now(), failure));
        });
    }

    /// The calls that the store did not do.
    #[must_use]
    pub fn store(&self) -> StoreFailures {
        self.0.kept.lock().as_ref().map(|kept| kept.store.clone()).unwrap_or_default()
    }

    /// Keeps the failure of a handler.
    pub(crate) fn failed(&self, revision: u64, parts: &Parts, id: &str, report: &str) {
        let all = &self.0.all.failure_bytes;
        let most = if all.load(Ordering::Relaxed) > OF_FAILURES { 1 } else { FAILURES };
        let failure = KeptFailure {
            at: now(),
            count: 1,
            revision,
            request: id.to_owned(),
            method: cut(parts.method.as_str(), PATH).to_owned(),
            path: cut(parts.uri.path(), PATH).to_owned(),
            report: cut(report, REPORT).to_owned(),
        };
        self.with(|kept| {
            let before = kept.bytes_of_failures();
            kept.add(failure, most);
            let after = kept.bytes_of_failures();
            // Both directions wrap to the right sum.
            all.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        });
    }

    /// What is kept at this moment; none of an app that had no request.
    #[must_use]
    pub fn now(&self) -> Option<InsightNow> {
        let (since, now) = (self.0.all.began.elapsed(), Instant::now());
        let kept = self.0.kept.lock();
        let kept = kept.as_ref()?;
        let live = kept.under_way.iter().map(|request| LiveRequest {
            request: request.id.text().to_owned(),
            method: request.method.to_string(),
            path: request.path.to_string(),
            age: now.saturating_duration_since(request.began),
        });
        Some(InsightNow {
            slots: kept.timeline.read(since),
            times: kept.times.to_vec(),
            refused: kept.refused.clone(),
            live: live.collect(),
            unlisted: kept.unlisted,
            failures: kept.failures.iter().rev().cloned().collect(),
        })
    }

    /// The last minutes alone; none of an app that had no request.
    #[must_use]
    pub fn slots(&self) -> Option<Vec<TimeSlot>> {
        let since = self.0.all.began.elapsed();
        self.0.kept.lock().as_ref().map(|kept| kept.timeline.read(since))
    }

    /// Changes what is kept, which begins here where there is memory for it.
    fn with<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> Option<T> {
        let mut kept = self.0.kept.lock();
        if kept.is_none() {
            *kept = Some(Kept::new(&self.0.memory)?);
        }
        kept.as_mut().map(|kept| change(kept))
    }
}

impl Kept {
    fn new(memory: &MemoryBudget) -> Option<Box<Self>> {
        let of_rest = memory.try_take(MemoryUse::Small, BYTES as u64)?;
        Some(Box::new(Self {
            timeline: Timeline::new(),
            times: [0; LATENCY_BOUNDS.len() + 1],
            refused: BTreeMap::new(),
            store: StoreFailures::default(),
            under_way: Vec::new(),
            unlisted: 0,
            next: 0,
            failures: VecDeque::new(),
            of_failures: memory.nothing(),
            _of_rest: of_rest,
        }))
    }

    /// Adds a failure, or counts it as one that is kept.
    fn add(&mut self, failure: KeptFailure, most: usize) {
        let same = |other: &KeptFailure| (other.revision, &other.report) == (failure.revision, &failure.report);
        let before = self.failures.iter().position(same).and_then(|place| self.failures.remove(place));
        let count = before.map_or(1, |before| before.count + 1);
        self.failures.push_back(KeptFailure { count, ..failure });
        while self.failures.len() > most {
            self.failures.pop_front();
        }
        let bytes = self.bytes_of_failures() as u64;
        let missing = bytes.saturating_sub(self.of_failures.bytes());
        if !self.of_failures.try_grow(MemoryUse::Small, missing) {
            self.failures.clear();
        }
        self.of_failures.shrink_to(self.bytes_of_failures() as u64);
    }

    fn bytes_of_failures(&self) -> usize {
        let bytes = |failure: &KeptFailure| {
            let KeptFailure { request, method, path, report, .. } = failure;
            size_of::<KeptFailure>() + request.len() + method.len() + path.len() + report.len()
        };
        self.failures.iter().map(bytes).sum()
    }
}

impl Drop for OfApp {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.get_mut() {
            self.all.failure_bytes.fetch_sub(kept.bytes_of_failures(), Ordering::Relaxed);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut kept = self.insight.0.kept.lock();
        let Some(kept) = kept.as_mut() else { return };
        match self.number {
            None => kept.unlisted = kept.unlisted.saturating_sub(1),
            Some(number) => {
                if let Some(place) = kept.under_way.iter().position(|request| request.number == number) {
                    // In order: the oldest is told first.
                    kept.under_way.remove(place);
                }
                if kept.under_way.is_empty() {
                    kept.under_way.shrink_to(USUAL);
                }
            }
        }
    }
}

/// The beginning of a text, of so many bytes at most.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[expect(clippy::disallowed_methods, reason = "an operator compares the time of a failure with the log's")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use starcell_edge::Ids;

    use super::*;

    fn parts(path: &str) -> Parts {
        http::Request::builder().uri(path).body(()).unwrap().into_parts().0
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_costs_nothing_before_its_first_request_and_little_after_it() {
        let (insights, memory) = (Insights::default(), MemoryBudget::new(1 << 20));
        let insight = insights.of("acme", "orders", &memory);
        assert!(insight.now().is_none() && memory.used() == 0);
        let (ids, asked) = (Ids::new(), parts("/work?key=secret"));
        let (first, second) = (insight.enter(&asked, &ids.next()), insight.enter(&asked, &ids.next()));
        tokio::time::advance(Duration::from_secs(2)).await;
        let now = insight.now().unwrap();
        assert_eq!((now.live.len(), &*now.live[0].path, now.live[0].age.as_secs()), (2, "/work", 2));
        drop(first);
        insight.count(StatusCode::OK, Duration::from_millis(2), Some(Duration::from_micros(30)));
        insight.count(StatusCode::BAD_GATEWAY, Duration::from_secs(40), None);
        insight.refused("requests");
        drop(second);
        let now = insights.find("acme", "orders").unwrap().now().unwrap();
        assert_eq!(now.slots.last(), Some(&TimeSlot { requests: 2, failed: 1, cpu_us: 30 }));
        assert_eq!((now.times[3], now.times[12], now.times.iter().sum::<u64>()), (1, 1, 2));
        assert_eq!((now.live.len(), now.refused), (0, BTreeMap::from([("requests", 1)])));
        assert!((700..8000).contains(&memory.used()), "{}", memory.used());
        assert!(insights.find("beta", "orders").is_none(), "another tenant's app of that name is another app");
        insights.forget("orders");
        drop(insight);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn requests_beyond_the_list_are_counted() {
        let (insights, ids, asked) = (Insights::default(), Ids::new(), parts(&format!("/{}", "x".repeat(900))));
        let insight = insights.of("acme", "orders", &MemoryBudget::new(1 << 20));
        let entered: Vec<Entered> = (0..UNDER_WAY + 3).map(|_| insight.enter(&asked, &ids.next())).collect();
        let now = insight.now().unwrap();
        assert_eq!((now.live.len(), now.unlisted, now.live[0].path.len()), (UNDER_WAY, 3, PATH));
        drop(entered);
        let now = insight.now().unwrap();
        assert_eq!((now.live.len(), now.unlisted), (0, 0));
    }

    #[test]
    fn failures_are_bounded_and_the_same_one_is_kept_once() {
        let (insights, memory) = (Insights::default(), MemoryBudget::new(1 << 20));
        let insight = insights.of("acme", "orders", &memory);
        for id in ["a", "b", "c"] {
            insight.failed(1, &parts("/x"), id, "error: same");
        }
        let kept = insight.now().unwrap().failures;
        assert_eq!((kept.len(), kept[0].count, &*kept[0].request), (1, 3, "c"));
        for number in 0..100 {
            insight.failed(1, &parts("/x"), "d", &format!("{number}{}", "é".repeat(1 << 20)));
        }
        let kept = insight.now().unwrap().failures;
        assert_eq!((kept.len(), kept[0].report.starts_with("99")), (FAILURES, true));
        assert!(kept.iter().all(|failure| failure.report.len() <= REPORT));
        assert!(memory.used() < 50 << 10, "{}", memory.used());
        insights.forget("orders");
        drop(insight);
        assert_eq!((memory.used(), insights.0.failure_bytes.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn calls_that_the_store_did_not_do_are_counted_by_kind() {
        let insight = Insights::default().of("acme", "orders", &MemoryBudget::new(1 << 20));
        assert!(insight.store().calls.is_empty() && insight.store().last.is_none());
        for failure in [StoreFailure::Away, StoreFailure::Full, StoreFailure::Away] {
            insight.store_failed(failure);
        }
        let store = insight.store();
        assert_eq!(store.calls, BTreeMap::from([(StoreFailure::Away, 2), (StoreFailure::Full, 1)]));
        assert_eq!(store.last.unwrap().1, StoreFailure::Away);
    }

    #[test]
    fn a_tenant_without_memory_is_answered_and_nothing_is_kept() {
        let insight = Insights::default().of("acme", "orders", &MemoryBudget::new(10));
        let entered = insight.enter(&parts("/"), &Ids::new().next());
        insight.count(StatusCode::OK, Duration::ZERO, None);
        insight.failed(1, &parts("/"), "a", "error");
        drop(entered);
        assert!(insight.now().is_none());
        // Enough for the numbers, and not for a failure.
        let memory = MemoryBudget::new(BYTES as u64);
        let insight = Insights::default().of("acme", "orders", &memory);
        insight.failed(1, &parts("/"), "a", "error");
        assert!(insight.now().unwrap().failures.is_empty());
    }
}
