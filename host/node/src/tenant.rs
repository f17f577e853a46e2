//! A tenant of a node: what its apps may use together, and what becomes of a request that is past it.
//!
//! Every request passes [`Tenant::try_enter`] before its body is read, so that what is refused costs a head and no guest.
//! Nothing of one tenant is taken from another: the places, the buckets and the waiting are its own.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use starcell_budget::MemoryBudget;
use starcell_config::{Flow, PastQuota, Quota, Quotas, TenantConfig};
use starcell_edge::ConnectionGroup;
use starcell_http::response::Refusal;
use starcell_log::{Level, LogRate, LogShare, Logs};
use starcell_runtime::host::BoxFuture;
use starcell_runtime::{KvShare, Toll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use crate::bucket::{Bucket, seconds};
use crate::cutoff::CpuCut;
use crate::metrics::{Metrics, TenantNow};
use crate::turns::{TenantTurns, Turns};

/// How long work that is throttled waits at most before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests of a tenant that wait at once.
const MAX_WAITING: u32 = 1024;

/// How often the log is told of a quota that is used up.
const TELL: Duration = Duration::from_secs(10);

/// A tenant of a node.
#[derive(Debug)]
pub struct Tenant {
    name: String,
    requests: Option<Limited<Bucket>>,
    cpu: Option<Arc<CpuQuota>>,
    concurrency: Option<Limited<Arc<Semaphore>>>,
    /// Places of `concurrency`.
    most_present: usize,
    waiting: AtomicU32,
    memory: MemoryBudget,
    /// Whether `memory` is a part of that of the node.
    has_memory: bool,
    kv: Option<KvShare>,
    log: LogShare,
    turns: TenantTurns,
    connections: Arc<ConnectionGroup>,
    /// As they are configured, for whoever looks.
    quotas: Quotas,
    hits: Arc<Hits>,
    egress: Option<Arc<Egress>>,
}

/// A quota that is kept.
#[derive(Debug)]
struct Limited<T> {
    by: T,
    past: PastQuota,
}

/// What a tenant shares with the others of its node.
#[derive(Clone, Debug)]
pub struct NodeShare {
    /// The bytes that the process may hold.
    pub memory: MemoryBudget,
    /// The turns of all guests.
    pub turns: Turns,
    /// How fast the apps of a tenant without a quota may log.
    pub log_rate: LogRate,
    /// The log of the node.
    pub logs: Logs,
    /// The numbers of the node.
    pub metrics: Metrics,
}

/// A quota of a tenant, and what of it is used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotaUse {
    /// Its name.
    pub name: &'static str,
    /// All of it: of a rate, what passes in one of its times.
    pub limit: f64,
    /// The time of a rate; none for what is held at once.
    pub per: Option<Duration>,
    /// What of that is used; more than all where something is owed.
    pub used: Option<f64>,
    /// What becomes of what is past it.
    pub past: PastQuota,
    /// Times that it was used up.
    pub hits: u64,
}

/// A request that was let in, until this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Entry {
    /// It is let in.
    In(Admitted),
    /// It is refused.
    Refused(Refusal),
    /// It has to wait: see [`Tenant::enter`].
    Waits,
}

impl Tenant {
    /// A tenant that has used nothing yet.
    #[must_use]
    pub fn new(name: &str, config: &TenantConfig, node: &NodeShare) -> Arc<Self> {
        let kv = config.quotas.kv;
        let kv = kv.map(|quota| KvShare::new(usize::try_from(quota.limit).unwrap_or(usize::MAX)));
        Self::with_kv(name, config, node, kv)
    }

    /// The same tenant under a configuration that has changed. It has used nothing yet, but its stores are the same ones, and
    /// so is what they may hold.
    #[must_use]
    pub fn changed(&self, config: &TenantConfig, node: &NodeShare) -> Arc<Self> {
        Self::with_kv(&self.name, config, node, self.kv.clone())
    }

    fn with_kv(name: &str, config: &TenantConfig, node: &NodeShare, kv: Option<KvShare>) -> Arc<Self> {
        let quotas = &config.quotas;
        let hits = Arc::new(Hits::new(name, node));
        let bucket =
            |quota: Option<Quota<Flow>>| quota.map(|quota| Limited { by: Bucket::new(quota.limit), past: quota.past });
        let most = |quota: Quota<NonZeroU32>| {
            let most = usize::try_from(quota.limit.get()).unwrap_or(Semaphore::MAX_PERMITS);
            most.min(Semaphore::MAX_PERMITS)
        };
        let places = |quota: Quota<NonZeroU32>| Limited { by: Arc::new(Semaphore::new(most(quota))), past: quota.past };
        let egress = bucket(quotas.egress).map(|limited| Arc::new(Egress { limited, hits: Arc::clone(&hits) }));
        Arc::new(Self {
            name: name.to_owned(),
            requests: bucket(quotas.requests),
            cpu: bucket(quotas.cpu).map(|limited| Arc::new(CpuQuota { limited, hits: Arc::clone(&hits) })),
            most_present: quotas.concurrency.map_or(0, most),
            concurrency: quotas.concurrency.map(places),
            waiting: AtomicU32::new(0),
            has_memory: quotas.memory.is_some(),
            memory: quotas.memory.map_or_else(|| node.memory.clone(), |quota| node.memory.part(quota.limit)),
            kv,
            log: LogShare::new(quotas.log.map_or(node.log_rate, |quota| log_rate(quota.limit))),
            turns: node.turns.tenant(config.weight),
            connections: ConnectionGroup::for_threads(node.turns.threads()),
            quotas: quotas.clone(),
            hits,
            egress,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes that its apps may hold.
    #[must_use]
    pub fn memory(&self) -> &MemoryBudget {
        &self.memory
    }

    /// What its stores may hold together, where that is bounded.
    #[must_use]
    pub fn kv(&self) -> Option<&KvShare> {
        self.kv.as_ref()
    }

    /// What its apps may log together.
    #[must_use]
    pub fn log(&self) -> &LogShare {
        &self.log
    }

    /// Its turns.
    #[must_use]
    pub fn turns(&self) -> &TenantTurns {
        &self.turns
    }

    /// The connections whose latest request was for one of its apps.
    #[must_use]
    pub fn connections(&self) -> &Arc<ConnectionGroup> {
        &self.connections
    }

    /// What each of its requests to other servers passes, where they are bounded.
    #[must_use]
    pub fn toll(&self) -> Option<Arc<dyn Toll>> {
        self.egress.as_ref().map(|egress| Arc::clone(egress) as Arc<dyn Toll>)
    }

    /// What it holds at this moment.
    #[must_use]
    pub fn now(&self) -> TenantNow {
        let (memory, memory_limit) = match self.has_memory {
            true => (Some(self.memory.used()), Some(self.memory.limit())),
            false => (None, None),
        };
        let kv = self.kv.as_ref().map(|share| share.used() as u64);
        let present =
            self.concurrency.as_ref().map(|limited| self.most_present.saturating_sub(limited.by.available_permits()));
        TenantNow { name: self.name.clone(), memory, memory_limit, kv, present: present.map(|present| present as u64) }
    }

    /// How often each quota was used up, for those that ever were.
    #[must_use]
    pub fn hits(&self) -> BTreeMap<&'static str, u64> {
        self.hits.all()
    }

    /// Who ends requests under way when there is no CPU time left, where the quota says so.
    #[must_use]
    pub fn cpu_cut(&self) -> Option<Arc<dyn CpuCut>> {
        let quota = self.cpu.as_ref().filter(|quota| quota.limited.past == PastQuota::Terminate);
        quota.map(|quota| Arc::clone(quota) as Arc<dyn CpuCut>)
    }

    /// Its quotas, and what of them is used.
    #[must_use]
    pub fn uses(&self) -> Vec<QuotaUse> {
        let hits = self.hits();
        let times = |name: &str| hits.get(name).copied().unwrap_or_default();
        let level = |limited: Option<&Limited<Bucket>>| {
            limited.map(|limited| {
                let (left, most) = limited.by.level();
                most - left
            })
        };
        let quotas = &self.quotas;
        let egress = self.egress.as_ref().map(|egress| &egress.limited);
        let rates = [
            ("requests", quotas.requests, level(self.requests.as_ref())),
            ("cpu", quotas.cpu, level(self.cpu.as_deref().map(|cpu| &cpu.limited))),
            ("egress", quotas.egress, level(egress)),
            ("log", quotas.log, None),
        ];
        let rates = rates.into_iter().filter_map(|(name, quota, used)| {
            let Quota { limit, past } = quota?;
            Some(QuotaUse { name, limit: whole(limit.amount), per: Some(limit.per), used, past, hits: times(name) })
        });
        let places = self.concurrency.as_ref().zip(quotas.concurrency).map(|(limited, quota)| {
            let most = u64::from(quota.limit.get());
            ("concurrency", most, most.saturating_sub(limited.by.available_permits() as u64), quota.past)
        });
        let memory = quotas.memory.map(|quota| ("memory", quota.limit, self.memory.used(), quota.past));
        let kv = self.kv.as_ref().zip(quotas.kv).map(|(kv, quota)| ("kv", quota.limit, kv.used() as u64, quota.past));
        let held = [places, memory, kv].into_iter().flatten().map(|(name, limit, used, past)| QuotaUse {
            name,
            limit: whole(limit),
            per: None,
            used: Some(whole(used)),
            past,
            hits: times(name),
        });
        rates.chain(held).collect()
    }

    /// Charges the CPU time of a guest, unless it was charged while the guest ran.
    pub(crate) fn charge(&self, cpu: Duration) {
        if let Some(CpuQuota { limited, .. }) =
            self.cpu.as_deref().filter(|cpu| cpu.limited.past != PastQuota::Terminate)
        {
            limited.by.charge(nanoseconds(cpu));
        }
    }

    /// Lets a request in, refuses it, or has it wait; without waiting. What has no side effect is asked first.
    pub(crate) fn try_enter(&self) -> Entry {
        if let Some(CpuQuota { limited, .. }) = self.cpu.as_deref()
            && let Some(wait) = limited.by.owes()
        {
            match self.past("cpu", limited.past, wait) {
                Ok(Next::GoesOn) => {}
                Ok(Next::Waits) => return Entry::Waits,
                Err(refusal) => return Entry::Refused(refusal),
            }
        }
        let mut place = None;
        if let Some(limited) = &self.concurrency {
            place = Arc::clone(&limited.by).try_acquire_owned().ok();
            if place.is_none() {
                match self.past("concurrency", limited.past, Duration::from_secs(1)) {
                    Ok(Next::GoesOn) => {}
                    Ok(Next::Waits) => return Entry::Waits,
                    Err(refusal) => return Entry::Refused(refusal),
                }
            }
        }
        if let Some(limited) = &self.requests
            && let Err(wait) = limited.by.take()
        {
            match self.past("requests", limited.past, wait) {
                Ok(Next::GoesOn) => {}
                Ok(Next::Waits) => return Entry::Waits,
                Err(refusal) => return Entry::Refused(refusal),
            }
        }
        Entry::In(Admitted(place))
    }

    /// Lets a request in that has to wait, or refuses it after a while.
    pub(crate) async fn enter(&self) -> Result<Admitted, Refusal> {
        let waiting = Waiting::new(&self.waiting);
        if waiting.before >= MAX_WAITING {
            return Err(self.refuse("concurrency", PATIENCE));
        }
        if let Some(CpuQuota { limited: Limited { by, past: PastQuota::Throttle }, .. }) = self.cpu.as_deref()
            && let Some(wait) = by.owes()
        {
            if wait > PATIENCE {
                return Err(self.refuse("cpu", wait));
            }
            sleep(wait).await;
        }
        let mut place = None;
        if let Some(limited) = &self.concurrency {
            let acquired = Arc::clone(&limited.by).acquire_owned();
            place = match limited.past {
                // The semaphore is never closed.
                PastQuota::Throttle => timeout(PATIENCE, acquired).await.ok().and_then(Result::ok),
                PastQuota::Count | PastQuota::Reject | PastQuota::Terminate => {
                    Arc::clone(&limited.by).try_acquire_owned().ok()
                }
            };
            if place.is_none() && limited.past != PastQuota::Count {
                return Err(self.refuse("concurrency", Duration::from_secs(1)));
            }
        }
        if let Some(limited) = &self.requests {
            let patience = if limited.past == PastQuota::Throttle { PATIENCE } else { Duration::ZERO };
            match limited.by.reserve(patience) {
                Ok(wait) => sleep(wait).await,
                Err(_) if limited.past == PastQuota::Count => self.hits.hit("requests"),
                Err(wait) => return Err(self.refuse("requests", wait)),
            }
        }
        Ok(Admitted(place))
    }

    /// What becomes of a request that is past a quota.
    fn past(&self, quota: &'static str, past: PastQuota, wait: Duration) -> Result<Next, Refusal> {
        match past {
            PastQuota::Count => {
                self.hits.hit(quota);
                Ok(Next::GoesOn)
            }
            PastQuota::Throttle => Ok(Next::Waits),
            PastQuota::Reject | PastQuota::Terminate => Err(self.refuse(quota, wait)),
        }
    }

    fn refuse(&self, quota: &'static str, wait: Duration) -> Refusal {
        self.hits.hit(quota);
        Refusal::Quota(quota, seconds(wait))
    }
}

#[expect(clippy::cast_precision_loss, reason = "to be shown: nobody has a quota of more than 2^52")]
fn whole(number: u64) -> f64 {
    number as f64
}

/// What becomes of a request that is past a quota and not refused.
enum Next {
    GoesOn,
    Waits,
}

fn log_rate(flow: Flow) -> LogRate {
    let per_second = flow.amount / flow.per.as_secs().max(1);
    let bytes = u32::try_from(per_second)
        .ok()
        .map_or(NonZeroU32::MAX, |bytes| NonZeroU32::new(bytes).unwrap_or(NonZeroU32::MIN));
    LogRate { bytes_per_second: bytes }
}

/// A request that waits, until this is dropped.
struct Waiting<'a> {
    counter: &'a AtomicU32,
    before: u32,
}

impl<'a> Waiting<'a> {
    fn new(counter: &'a AtomicU32) -> Self {
        Self { counter, before: counter.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The CPU time of a tenant's guests.
#[derive(Debug)]
struct CpuQuota {
    limited: Limited<Bucket>,
    hits: Arc<Hits>,
}

impl CpuCut for CpuQuota {
    fn charge(&self, time: Duration) -> Option<Duration> {
        self.limited.by.charge(nanoseconds(time));
        let wait = self.limited.by.owes();
        if wait.is_some() {
            self.hits.hit("cpu");
        }
        wait
    }
}

/// The requests of a tenant to other servers.
#[derive(Debug)]
struct Egress {
    limited: Limited<Bucket>,
    hits: Arc<Hits>,
}

impl Toll for Egress {
    fn pay(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async {
            let patience = if self.limited.past == PastQuota::Throttle { PATIENCE } else { Duration::ZERO };
            match self.limited.by.reserve(patience) {
                Ok(wait) => {
                    sleep(wait).await;
                    Ok(())
                }
                Err(wait) => {
                    self.hits.hit("egress");
                    match self.limited.past {
                        PastQuota::Count => Ok(()),
                        PastQuota::Reject | PastQuota::Terminate | PastQuota::Throttle => Err(format!(
                            "the quota `egress` of the tenant is used up; there is room in {} s",
                            seconds(wait)
                        )),
                    }
                }
            }
        })
    }
}

/// How often each quota of a tenant was used up. The log is told now and then, as whoever is past a quota is so often.
#[derive(Debug)]
struct Hits {
    tenant: String,
    logs: Logs,
    metrics: Metrics,
    counts: Mutex<BTreeMap<&'static str, Count>>,
}

#[derive(Debug)]
struct Count {
    all: u64,
    untold: u64,
    told: Option<Instant>,
}

impl Hits {
    fn new(tenant: &str, node: &NodeShare) -> Self {
        let NodeShare { logs, metrics, .. } = node.clone();
        Self { tenant: tenant.to_owned(), logs, metrics, counts: Mutex::default() }
    }

    fn hit(&self, quota: &'static str) {
        let now = Instant::now();
        self.metrics.quota(&self.tenant, quota);
        let mut counts = self.counts.lock();
        let count = counts.entry(quota).or_insert(Count { all: 0, untold: 0, told: None });
        (count.all, count.untold) = (count.all + 1, count.untold + 1);
        if count.told.is_some_and(|told| now - told < TELL) {
            return;
        }
        count.told = Some(now);
        let untold = std::mem::take(&mut count.untold);
        drop(counts);
        let times = if untold == 1 { "once".to_owned() } else { format!("{untold} times") };
        let text =
            format!("the tenant {} was past its quota `{quota}` {times} since the last line about it", self.tenant);
        self.logs.say(Level::Warn, &text);
    }

    fn all(&self) -> BTreeMap<&'static str, u64> {
        let counts = self.counts.lock();
        counts.iter().map(|(quota, count)| (*quota, count.all)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use starcell_config::NodeConfig;
    use starcell_log::LogChoice;

    use super::*;

    fn tenant(quotas: &str) -> Arc<Tenant> {
        let text = format!(
            "[node]\nstate = \"s\"\napps = \"a\"\n[listeners.w]\naddress = \"127.0.0.1:0\"\n[tenants.t]\nquotas = {{ {quotas} }}\n"
        );
        let config = NodeConfig::parse(&text, "node.toml").unwrap();
        let (logs, _writer) = Logs::start(LogChoice { format: None, least: Some(Level::Error) });
        let log_rate = LogRate { bytes_per_second: NonZeroU32::MIN };
        let node = NodeShare {
            memory: MemoryBudget::new(1000),
            turns: Turns::new(1),
            log_rate,
            logs,
            metrics: Metrics::new(),
        };
        Tenant::new("t", config.tenants.values().next().unwrap(), &node)
    }

    fn enter(tenant: &Tenant) -> Result<Admitted, Refusal> {
        match tenant.try_enter() {
            Entry::In(admitted) => Ok(admitted),
            Entry::Refused(refusal) => Err(refusal),
            Entry::Waits => panic!("it waits"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_rejected_by_name() {
        let tenant = tenant("requests = \"2/m\"");
        assert!(enter(&tenant).is_ok() && enter(&tenant).is_ok());
        assert_eq!(enter(&tenant).unwrap_err(), Refusal::Quota("requests", 30));
        assert_eq!(tenant.hits(), BTreeMap::from([("requests", 1)]));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(enter(&tenant).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_counted_goes_on() {
        let tenant = tenant("requests = { limit = \"1/s\", mode = \"count\" }");
        assert!((0..5).all(|_| enter(&tenant).is_ok()));
        assert_eq!(tenant.hits(), BTreeMap::from([("requests", 4)]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_throttled_waits_and_is_refused_in_the_end() {
        let tenant = tenant("requests = { limit = \"1/s\", past = \"throttle\" }");
        enter(&tenant).unwrap();
        let began = Instant::now();
        for wait in 1..=5 {
            assert!(matches!(tenant.try_enter(), Entry::Waits));
            tenant.enter().await.unwrap();
            assert_eq!(began.elapsed().as_secs(), wait);
        }
        let all = futures(&tenant, 10).await;
        assert_eq!(all.iter().filter(|result| result.is_ok()).count(), 5, "as many as fit into the patience");
        assert!(
            all.iter()
                .flat_map(|result| result.as_ref().err())
                .all(|error| matches!(error, Refusal::Quota("requests", _)))
        );
    }

    async fn futures(tenant: &Arc<Tenant>, count: usize) -> Vec<Result<Admitted, Refusal>> {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..count {
            let tenant = Arc::clone(tenant);
            tasks.spawn(async move { tenant.enter().await });
        }
        tasks.join_all().await
    }

    #[tokio::test(start_paused = true)]
    async fn places_come_back() {
        let tenant = tenant("concurrency = 1");
        let first = enter(&tenant).unwrap();
        assert_eq!(enter(&tenant).unwrap_err(), Refusal::Quota("concurrency", 1));
        drop(first);
        assert!(enter(&tenant).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn cpu_time_is_owed_and_made_up_for() {
        let tenant = tenant("cpu = \"100ms/s\"");
        enter(&tenant).unwrap();
        tenant.charge(Duration::from_millis(300));
        assert_eq!(enter(&tenant).unwrap_err(), Refusal::Quota("cpu", 2));
        tokio::time::advance(Duration::from_millis(2001)).await;
        assert!(enter(&tenant).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn requests_to_others_pass_a_toll() {
        let tenant = tenant("egress = \"1/s\"");
        let toll = tenant.toll().unwrap();
        toll.pay().await.unwrap();
        assert!(toll.pay().await.unwrap_err().contains("quota `egress`"));
        tokio::time::advance(Duration::from_secs(1)).await;
        toll.pay().await.unwrap();
        assert!(super::tests::tenant("log = \"1KiB/s\"").toll().is_none());
    }
}
