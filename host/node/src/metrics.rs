//! The numbers of a node, as Prometheus reads them.
//!
//! Labels are names that the operator gave: of tenants, apps and quotas. What clients and scripts choose (hosts, paths,
//! routes) is in none, since each value of a label costs memory for ever. Even so the apps with numbers of their own are
//! bounded; those beyond are counted together.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use starcell_runtime::{DenialWatch, ForkCounts, ForkKind, ImageCounts, StoreFailure};
use starcell_telemetry::TelemetryDrops;

use crate::insight::LATENCY_BOUNDS;

/// Apps with numbers of their own: some 20 series each.
const MAX_APPS: usize = 1000;

/// The name of all others.
const OTHERS: &str = "others";

/// The first digits of statuses.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The kinds of forks.
const FORKS: [ForkKind; 2] = [ForkKind::Fresh, ForkKind::Parked];

/// What a tenant holds now, in the order of [`TenantNow::numbers`].
const TENANT: [(&str, &str); 4] = [
    ("tenant_memory_bytes", "Bytes that bodies, responses, guests and images of a tenant hold"),
    ("tenant_memory_limit_bytes", "Bytes that they may hold"),
    ("tenant_kv_bytes", "Bytes in the stores of a tenant"),
    ("tenant_requests_present", "Requests of a tenant that are let in and not answered yet, where they are bounded"),
];

/// What a tenant holds at a moment; none for what is not counted apart, as nothing bounds it.
#[derive(Clone, Debug, Default)]
pub struct TenantNow {
    /// Its name.
    pub name: String,
    /// Bytes that bodies, responses, guests and images hold.
    pub memory: Option<u64>,
    /// Bytes that they may hold.
    pub memory_limit: Option<u64>,
    /// Bytes in its stores.
    pub kv: Option<u64>,
    /// Requests that are let in and not answered yet.
    pub present: Option<u64>,
}

impl TenantNow {
    fn numbers(&self) -> [Option<u64>; TENANT.len()] {
        [self.memory, self.memory_limit, self.kv, self.present]
    }
}

/// What the node holds now, in the order of [`NodeNow::numbers`].
const NOW: [(&str, &str); 15] = [
    ("memory_bytes", "Bytes that bodies, responses, guests and images hold"),
    ("memory_limit_bytes", "Bytes that they may hold"),
    ("forks_parked", "Forks that are parked"),
    ("forks_parked_bytes", "Bytes that those hold"),
    ("connections", "Connections of clients that are open"),
    ("connections_limit", "Connections that may be open"),
    ("apps_running", "Apps that answer"),
    ("apps_down", "Apps that do not"),
    ("refused_for_memory", "Requests since the start that found no memory"),
    ("apps_dropped", "Apps that answer and whose images are on disk alone"),
    ("images_found", "Apps since the start that were deployed from an image, without evaluating"),
    ("images_recalled", "Images since the start that came back into memory"),
    ("images_dropped", "Images since the start that were dropped from memory"),
    ("images_refused", "Images since the start that were damaged, cut or foreign"),
    ("images_bytes", "Bytes of all images on disk"),
];

/// What a node has counted since its start, in the order of [`NodeNow::totals`].
const TOTALS: [(&str, &str); 7] = [
    ("forks_made", "Instances that were made"),
    ("forks_reused", "Requests that a parked fork answered"),
    ("forks_spoiled", "Forks that were dropped after a request since too much of their memory was written"),
    ("forks_evicted", "Forks that were parked and dropped, since nobody needed them or there was no room"),
    ("fork_differences", "Comparisons that found a memory that was not put back; parking is off since the first"),
    ("telemetry_dropped_spans", "Spans that did not reach the collector"),
    ("telemetry_dropped_lines", "Lines of the log that did not reach the collector"),
];

/// What a node holds at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeNow {
    /// Bytes that bodies, responses, guests and images hold.
    pub memory: u64,
    /// Bytes that they may hold.
    pub memory_limit: u64,
    /// What became of forks so far.
    pub forks: ForkCounts,
    /// Connections of clients that are open.
    pub connections: u64,
    /// Connections that may be open.
    pub connections_limit: u64,
    /// Apps that answer.
    pub running: u64,
    /// Apps that do not.
    pub down: u64,
    /// Requests since the start that found no memory.
    pub refused_for_memory: u64,
    /// Apps that answer and whose images are on disk alone.
    pub dropped: u64,
    /// What became of images.
    pub images: ImageCounts,
    /// What did not reach a collector.
    pub drops: TelemetryDrops,
}

impl NodeNow {
    fn numbers(&self) -> [u64; NOW.len()] {
        let &Self { memory, memory_limit, forks, connections, connections_limit, running, down, .. } = self;
        let &Self { refused_for_memory, dropped, images, .. } = self;
        let ImageCounts { found, recalled, dropped: drops, refused, bytes } = images;
        let of_forks = [forks.parked as u64, forks.parked_bytes as u64];
        let of_node = [connections, connections_limit, running, down, refused_for_memory, dropped];
        let of_images = [found, recalled, drops, refused, bytes];
        let mut all = [memory, memory_limit].into_iter().chain(of_forks).chain(of_node).chain(of_images);
        std::array::from_fn(|_| all.next().unwrap_or_default())
    }

    fn totals(&self) -> [u64; TOTALS.len()] {
        let ForkCounts { made, reused, spoiled, evicted, differences, .. } = self.forks;
        [made, reused, spoiled, evicted, differences, self.drops.spans, self.drops.lines]
    }
}

type Labels = Vec<(&'static str, String)>;

/// The numbers of a node. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<Labels, Counter>,
    seconds: Family<Labels, Histogram>,
    cpu: Family<Labels, Counter<f64, AtomicU64>>,
    quotas: Family<Labels, Counter>,
    unrouted: Family<Labels, Counter>,
    forks: Family<Labels, Counter>,
    denials: Family<Labels, Counter>,
    refusals: Family<Labels, Counter>,
    stores: Family<Labels, Counter>,
    in_guests: Gauge,
    tenants: Vec<Family<Labels, Gauge>>,
    now: Vec<Gauge>,
    totals: Vec<Counter>,
    apps: Mutex<BTreeSet<(String, String)>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The numbers of one app. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppMetrics {
    requests: [Counter; CLASSES.len()],
    seconds: Histogram,
    cpu: Counter<f64, AtomicU64>,
    forks: [Counter; FORKS.len()],
    denials: Counter,
    refusals: Counter,
    stores: StoreCounters,
    /// That of all apps.
    in_guests: Gauge,
}

/// Where the calls that a store did not do are counted. An app has a series for each kind that it met: few meet any.
#[derive(Clone)]
struct StoreCounters {
    labels: Labels,
    /// The app, where it has series of its own.
    own: Option<(String, String)>,
    metrics: Metrics,
}

impl fmt::Debug for StoreCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreCounters").field(&self.labels).finish()
    }
}

/// A request that a guest works on, until this is dropped.
#[derive(Debug)]
pub(crate) struct InGuest(Gauge);

impl Drop for InGuest {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl DenialWatch for AppMetrics {
    fn denied(&self) {
        self.denials.inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing was counted yet.
    #[must_use]
    pub fn new() -> Self {
        let (requests, cpu, quotas) = (Family::default(), Family::default(), Family::default());
        let (unrouted, forks, denials) = (Family::default(), Family::default(), Family::default());
        let (refusals, stores, in_guests) = (Family::default(), Family::default(), Gauge::default());
        let seconds = Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS));
        let mut registry = Registry::with_prefix("starcell");
        registry.register("requests", "Requests by app and class of status", requests.clone());
        registry.register("request_duration_seconds", "Time from a request to its answer", seconds.clone());
        registry.register("cpu_seconds", "CPU time of guests that answered requests", cpu.clone());
        registry.register("quota_hits", "Times that a tenant was past a quota", quotas.clone());
        registry.register("unrouted_requests", "Requests that no app answered, by reason", unrouted.clone());
        registry.register("forks", "Requests by the kind of the fork that ran for them", forks.clone());
        registry.register("denials", "Calls of scripts that were refused", denials.clone());
        registry.register("quota_refusals", "Requests that a quota of the tenant refused", refusals.clone());
        registry.register("store_failures", "Calls that the store of an app did not do, by kind", stores.clone());
        let help = "Requests that guests work on now, those that wait for a turn or for the host included";
        registry.register("requests_in_guests", help, in_guests.clone());
        let tenants = TENANT.map(|(name, help)| {
            let family = Family::<Labels, Gauge>::default();
            registry.register(name, help, family.clone());
            family
        });
        let mut total = |(name, help): (&str, &str)| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let totals = TOTALS.into_iter().map(&mut total).collect();
        let mut gauge = |(name, help): (&str, &str)| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let now = NOW.into_iter().map(&mut gauge).collect();
        let apps = Mutex::default();
        let tenants = tenants.to_vec();
        let inner = Inner {
            registry,
            requests,
            seconds,
            cpu,
            quotas,
            unrouted,
            forks,
            denials,
            refusals,
            stores,
            in_guests,
            tenants,
            now,
            totals,
            apps,
        };
        Self(Arc::new(inner))
    }

    /// The numbers of an app, or of all those that have none of their own.
    #[must_use]
    pub fn of_app(&self, tenant: &str, app: &str) -> AppMetrics {
        let mut apps = self.0.apps.lock();
        let key = (tenant.to_owned(), app.to_owned());
        let has_own = apps.contains(&key) || (apps.len() < MAX_APPS && apps.insert(key.clone()));
        drop(apps);
        let labels = if has_own { labels(tenant, app) } else { labels(OTHERS, OTHERS) };
        let of_class = |class: &str| {
            let labels = [&labels[..], &[("code", class.to_owned())]].concat();
            self.0.requests.get_or_create_owned(&labels)
        };
        AppMetrics {
            requests: CLASSES.map(of_class),
            seconds: self.0.seconds.get_or_create_owned(&labels),
            cpu: self.0.cpu.get_or_create_owned(&labels),
            forks: FORKS.map(|kind| {
                let labels = [&labels[..], &[("kind", kind.name().to_owned())]].concat();
                self.0.forks.get_or_create_owned(&labels)
            }),
            denials: self.0.denials.get_or_create_owned(&labels),
            refusals: self.0.refusals.get_or_create_owned(&labels),
            stores: StoreCounters { labels, own: has_own.then_some(key), metrics: self.clone() },
            in_guests: self.0.in_guests.clone(),
        }
    }

    /// Forgets the numbers of an app that is gone.
    pub fn forget(&self, tenant: &str, app: &str) {
        let mut apps = self.0.apps.lock();
        if !apps.remove(&(tenant.to_owned(), app.to_owned())) {
            return;
        }
        let labels = labels(tenant, app);
        for class in CLASSES {
            self.0.requests.remove(&[&labels[..], &[("code", class.to_owned())]].concat());
        }
        self.0.seconds.remove(&labels);
        self.0.cpu.remove(&labels);
        self.0.denials.remove(&labels);
        self.0.refusals.remove(&labels);
        // Under the lock of the apps: a call that is under way makes no series after this.
        for failure in StoreFailure::ALL {
            self.0.stores.remove(&of_failure(&labels, failure));
        }
        for kind in FORKS {
            self.0.forks.remove(&[&labels[..], &[("kind", kind.name().to_owned())]].concat());
        }
    }

    /// Counts that a tenant was past a quota.
    pub(crate) fn quota(&self, tenant: &str, quota: &str) {
        self.0.quotas.get_or_create_owned(&vec![("tenant", tenant.to_owned()), ("quota", quota.to_owned())]).inc();
    }

    /// Counts a request that no app answered.
    pub(crate) fn unrouted(&self, reason: &'static str) {
        self.0.unrouted.get_or_create_owned(&vec![("reason", reason.to_owned())]).inc();
    }

    /// All numbers in the text format of OpenMetrics, with what the node and its tenants hold at this moment. Tenants are
    /// bounded like apps.
    #[must_use]
    pub fn text(&self, now: &NodeNow, tenants: &[TenantNow]) -> String {
        for (place, family) in self.0.tenants.iter().enumerate() {
            // Those that are gone are gone here too.
            family.clear();
            for tenant in tenants.iter().take(MAX_APPS) {
                let Some(number) = tenant.numbers().get(place).copied().flatten() else { continue };
                let gauge = family.get_or_create_owned(&vec![("tenant", tenant.name.clone())]);
                gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
            }
        }
        for (counter, number) in self.0.totals.iter().zip(now.totals()) {
            // It is read elsewhere, and only grows.
            counter.inc_by(number.saturating_sub(counter.get()));
        }
        for (gauge, number) in self.0.now.iter().zip(now.numbers()) {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

fn labels(tenant: &str, app: &str) -> Labels {
    vec![("tenant", tenant.to_owned()), ("app", app.to_owned())]
}

fn of_failure(labels: &Labels, failure: StoreFailure) -> Labels {
    [&labels[..], &[("kind", failure.name().to_owned())]].concat()
}

impl AppMetrics {
    /// Counts a request among those that guests work on.
    pub(crate) fn enter_guest(&self) -> InGuest {
        self.in_guests.inc();
        InGuest(self.in_guests.clone())
    }

    /// Counts a request that was refused since its tenant was past a quota.
    pub(crate) fn refused(&self) {
        self.refusals.inc();
    }

    /// Counts a call that the store of the app did not do, unless the app is gone.
    pub(crate) fn store_failed(&self, failure: StoreFailure) {
        let StoreCounters { labels, own, metrics } = &self.stores;
        let apps = metrics.0.apps.lock();
        if own.as_ref().is_none_or(|app| apps.contains(app)) {
            metrics.0.stores.get_or_create_owned(&of_failure(labels, failure)).inc();
        }
    }

    /// Counts a request that was answered, in a fork of a kind where one ran.
    pub(crate) fn answered(&self, status: StatusCode, time: Duration, cpu: Option<Duration>, fork: Option<ForkKind>) {
        if let Some((_, counter)) = FORKS.iter().zip(&self.forks).find(|(kind, _)| fork == Some(**kind)) {
            counter.inc();
        }
        let class = usize::from(status.as_u16() / 100).saturating_sub(1).min(CLASSES.len() - 1);
        if let Some(counter) = self.requests.get(class) {
            counter.inc();
        }
        self.seconds.observe(time.as_secs_f64());
        if let Some(cpu) = cpu {
            self.cpu.inc_by(cpu.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_has_its_series_and_the_rest_are_counted_together() {
        let metrics = Metrics::new();
        let ok = |metrics: &AppMetrics| {
            metrics.answered(StatusCode::OK, Duration::from_millis(2), None, Some(ForkKind::Parked));
        };
        ok(&metrics.of_app("acme", "orders"));
        metrics.of_app("acme", "orders").answered(
            StatusCode::INTERNAL_SERVER_ERROR,
            Duration::ZERO,
            Some(Duration::from_millis(500)),
            None,
        );
        let orders = metrics.of_app("acme", "orders");
        orders.denied();
        orders.store_failed(StoreFailure::Away);
        orders.store_failed(StoreFailure::Away);
        let held = metrics.of_app("acme", "orders").enter_guest();
        drop(metrics.of_app("acme", "others").enter_guest());
        metrics.quota("acme", "requests");
        metrics.unrouted("host");
        let forks = ForkCounts { made: 3, evicted: 2, parked: 1, ..ForkCounts::default() };
        let tenant = TenantNow { name: "acme".to_owned(), kv: Some(9), ..TenantNow::default() };
        let now = NodeNow { memory: 7, forks, ..NodeNow::default() };
        let text = metrics.text(&now, std::slice::from_ref(&tenant));
        assert_eq!(text, metrics.text(&now, &[tenant]), "reading counts nothing");
        for line in [
            "starcell_requests_total{tenant=\"acme\",app=\"orders\",code=\"2xx\"} 1",
            "starcell_requests_total{tenant=\"acme\",app=\"orders\",code=\"5xx\"} 1",
            "starcell_request_duration_seconds_count{tenant=\"acme\",app=\"orders\"} 2",
            "starcell_cpu_seconds_total{tenant=\"acme\",app=\"orders\"} 0.5",
            "starcell_quota_hits_total{tenant=\"acme\",quota=\"requests\"} 1",
            "starcell_unrouted_requests_total{reason=\"host\"} 1",
            "starcell_forks_total{tenant=\"acme\",app=\"orders\",kind=\"parked\"} 1",
            "starcell_forks_total{tenant=\"acme\",app=\"orders\",kind=\"fresh\"} 0",
            "starcell_denials_total{tenant=\"acme\",app=\"orders\"} 1",
            "starcell_store_failures_total{tenant=\"acme\",app=\"orders\",kind=\"away\"} 2",
            "starcell_requests_in_guests 1",
            "starcell_forks_made_total 3",
            "starcell_forks_evicted_total 2",
            "starcell_forks_parked 1",
            "starcell_tenant_kv_bytes{tenant=\"acme\"} 9",
            "starcell_memory_bytes 7",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        drop(held);
        metrics.forget("acme", "orders");
        metrics.forget("acme", "others");
        orders.store_failed(StoreFailure::Full);
        let text = metrics.text(&NodeNow::default(), &[]);
        assert!(text.contains("starcell_requests_in_guests 0"), "{text}");
        assert!(!text.contains("orders") && !text.contains("tenant_kv_bytes{"), "{text}");
        for number in 0..MAX_APPS + 10 {
            ok(&metrics.of_app("acme", &format!("app{number}")));
        }
        let text = metrics.text(&NodeNow::default(), &[]);
        assert!(text.contains("starcell_requests_total{tenant=\"others\",app=\"others\",code=\"2xx\"} 10"));
        assert_eq!(text.matches("starcell_cpu_seconds_total{").count(), MAX_APPS + 1);
    }
}
