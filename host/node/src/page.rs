//! The pages of a node for those who watch over it: its numbers, and whether it lives and is ready.
//!
//! They have an address of their own, apart from traffic: no app can answer there, and no client of an app can ask there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Response, StatusCode};
use starcell_budget::MemoryBudget;
use starcell_edge::{Answered, Asked, ClientLimits, Responder, Responding};
use starcell_http::response::{Answer, Refusal};
use starcell_runtime::{ImageStore, Interpreter};

use crate::metrics::{Metrics, NodeNow};
use crate::node::Node;

/// What the numbers are written in.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The pages of a node.
pub struct WatchPages {
    limits: ClientLimits,
    metrics: Metrics,
    node: Arc<Node>,
    interpreter: Arc<Interpreter>,
    memory: MemoryBudget,
    images: Option<Arc<ImageStore>>,
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
    pub fn new(
        limits: ClientLimits,
        metrics: Metrics,
        node: Arc<Node>,
        interpreter: Arc<Interpreter>,
        memory: MemoryBudget,
        images: Option<Arc<ImageStore>>,
    ) -> Arc<Self> {
        Arc::new(Self { limits, metrics, node, interpreter, memory, images, ready: AtomicBool::new(false) })
    }

    /// Says whether the node takes traffic.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn page(&self, path: &str) -> Result<Answer, Refusal> {
        match path {
            "/metrics" => Ok(page(StatusCode::OK, OPEN_METRICS, self.metrics.text(&self.now()))),
            "/healthz" => Ok(text(StatusCode::OK, "ok\n")),
            "/readyz" if self.ready.load(Ordering::Relaxed) => Ok(text(StatusCode::OK, "ready\n")),
            "/readyz" => Ok(text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n")),
            _ => Err(Refusal::NotFound),
        }
    }

    fn now(&self) -> NodeNow {
        let (forks, seats) = (self.interpreter.forks(), self.node.seats());
        let running: Vec<_> = seats.iter().filter_map(|seat| seat.running()).collect();
        let dropped = running.iter().filter(|revision| !revision.is_resident()).count();
        let running = running.len();
        NodeNow {
            memory: self.memory.used(),
            memory_limit: self.memory.limit(),
            forks_made: forks.made,
            forks_reused: forks.reused,
            forks_parked: forks.parked as u64,
            running: running as u64,
            down: (seats.len() - running) as u64,
            refused_for_memory: self.memory.refused(),
            dropped: dropped as u64,
            images: self.images.as_ref().map(|images| images.counts()).unwrap_or_default(),
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
            Method::GET | Method::HEAD => self.page(parts.uri.path()),
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
