//! The pages of a node for those who watch over it: its numbers, and whether it lives and is ready.
//!
//! They have an address of their own, apart from traffic: no app can answer there, and no client of an app can ask there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use parking_lot::Mutex;
use starcell_budget::MemoryBudget;
use starcell_edge::{Answered, Asked, ClientLimits, Edge, Responder, Responding};
use starcell_http::response::{Answer, Refusal};
use starcell_runtime::{ImageStore, Interpreter};
use starcell_telemetry::Telemetry;

use crate::exposition::{OPEN_METRICS, PLAIN, plain, wants_plain};
use crate::metrics::{Metrics, NodeNow};
use crate::node::Node;
use crate::tenant::Tenant;

/// What the numbers of a node are read from.
#[derive(Clone, Debug)]
pub struct WatchSources {
    /// What was counted.
    pub metrics: Metrics,
    /// The apps; none where there is one script.
    pub node: Option<Arc<Node>>,
    /// The tenants.
    pub tenants: Vec<Arc<Tenant>>,
    /// The forks.
    pub interpreter: Arc<Interpreter>,
    /// The bytes that the process may hold.
    pub memory: MemoryBudget,
    /// The images on disk; none where nothing is kept.
    pub images: Option<Arc<ImageStore>>,
    /// The connections.
    pub edge: Arc<Edge>,
    /// What did not reach a collector.
    pub telemetry: Option<Telemetry>,
}

/// The pages of a node.
pub struct WatchPages {
    limits: ClientLimits,
    sources: Mutex<WatchSources>,
    ready: AtomicBool,
}

impl fmt::Debug for WatchPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchPages").field("ready", &self.ready).finish_non_exhaustive()
    }
}

impl WatchPages {
    /// Pages of a node that is not ready yet.
    #[must_use]
    pub fn new(limits: ClientLimits, sources: WatchSources) -> Arc<Self> {
        Arc::new(Self { limits, sources: Mutex::new(sources), ready: AtomicBool::new(false) })
    }

    /// Looks at other tenants from now on.
    pub fn set_tenants(&self, tenants: Vec<Arc<Tenant>>) {
        self.sources.lock().tenants = tenants;
    }

    /// All numbers, in the text format of OpenMetrics.
    #[must_use]
    pub fn numbers(&self) -> String {
        self.sources.lock().numbers()
    }

    /// Says whether the node takes traffic.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn page(&self, path: &str, headers: &HeaderMap) -> Result<Answer, Refusal> {
        match path {
            "/metrics" if wants_plain(headers) => Ok(page(StatusCode::OK, PLAIN, plain(&self.numbers()))),
            "/metrics" => Ok(page(StatusCode::OK, OPEN_METRICS, self.numbers())),
            "/healthz" => Ok(text(StatusCode::OK, "ok\n")),
            "/readyz" if self.ready.load(Ordering::Relaxed) => Ok(text(StatusCode::OK, "ready\n")),
            "/readyz" => Ok(text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
            _ => Err(Refusal::NotFound),
        }
    }
}

impl WatchSources {
    /// All numbers, in the text format of OpenMetrics.
    #[must_use]
    pub fn numbers(&self) -> String {
        let tenants: Vec<_> = self.tenants.iter().map(|tenant| tenant.now()).collect();
        self.metrics.text(&self.now(), &tenants)
    }

    fn now(&self) -> NodeNow {
        let seats = self.node.as_ref().map(|node| node.seats()).unwrap_or_default();
        let running: Vec<_> = seats.iter().filter_map(|seat| seat.running()).collect();
        let dropped = running.iter().filter(|revision| !revision.is_resident()).count();
        let running = running.len();
        let (connections, connections_limit) = self.edge.connections();
        NodeNow {
            memory: self.memory.used(),
            memory_limit: self.memory.limit(),
            forks: self.interpreter.forks(),
            connections: connections as u64,
            connections_limit: connections_limit as u64,
            running: running as u64,
            down: (seats.len() - running) as u64,
            refused_for_memory: self.memory.refused(),
            dropped: dropped as u64,
            images: self.images.as_ref().map(|images| images.counts()).unwrap_or_default(),
            drops: self.telemetry.as_ref().map(Telemetry::drops).unwrap_or_default(),
        }
    }
}

impl Responder for WatchPages {
    fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    fn respond(self: Arc<Self>, asked: Asked) -> Responding {
        let Asked { parts, id, .. } = asked;
        let result = match parts.method {
            Method::GET | Method::HEAD => self.page(parts.uri.path(), &parts.headers),
            _ => Err(Refusal::WrongMethod("GET, HEAD".to_owned())),
        };
        Responding::Now(match result {
            Ok(answer) => Answered::with(parts, id, answer),
            Err(refusal) => Answered::refused(parts, id, refusal),
        })
    }
}

fn text(status: StatusCode, body: &'static str) -> Answer {
    page(status, "text/plain; charset=utf-8", body.to_owned())
}

fn page(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Bytes::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
