//! The way to the collector: a queue with a bound in items and in bytes. Whoever adds to it never waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use starcell_log::LogTap;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::ended::SpanData;
use crate::endpoint::CollectorEndpoint;
use crate::ids::now;

/// Spans and lines that wait. A collector that is away for a second costs nothing at some thousand requests a second.
const QUEUE: usize = 8192;

/// Bytes of the lines that wait.
const MAX_BYTES: usize = 8 << 20;

/// What an operator decided about telemetry.
#[derive(Clone, Debug)]
pub struct TelemetryConfig {
    /// Where the collector is.
    pub endpoint: CollectorEndpoint,
    /// How much of all traces is sent: from 0 to 1.
    pub sample: f64,
    /// Whether requests go on with the trace that their client names.
    pub trusts_clients: bool,
    /// The name of the node.
    pub node: String,
}

/// What was dropped, since there was no room or no collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TelemetryDrops {
    /// Spans.
    pub spans: u64,
    /// Lines of the log.
    pub lines: u64,
}

/// The way to a collector. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry(Arc<Inner>);

struct Inner {
    sender: Sender<Item>,
    counts: Arc<Counts>,
    sample: f64,
    trusts_clients: bool,
}

/// What the queue holds and what it has lost.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) bytes: AtomicUsize,
    pub(crate) spans: AtomicU64,
    pub(crate) lines: AtomicU64,
}

/// What is on its way.
#[derive(Debug)]
pub(crate) enum Item {
    Span(Box<SpanData>),
    /// A line of the log, as JSON, with the time at which it was written.
    Line(String, u64),
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("counts", &self.0.counts).finish_non_exhaustive()
    }
}

impl Telemetry {
    /// A queue, with its other end and its counts for whoever sends what is in it.
    pub(crate) fn new(config: &TelemetryConfig) -> (Self, Receiver<Item>, Arc<Counts>) {
        let (sender, receiver) = channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let &TelemetryConfig { sample, trusts_clients, .. } = config;
        let inner = Inner { sender, counts: Arc::clone(&counts), sample, trusts_clients };
        (Self(Arc::new(inner)), receiver, counts)
    }

    /// What was dropped so far.
    #[must_use]
    pub fn drops(&self) -> TelemetryDrops {
        let Counts { spans, lines, .. } = &*self.0.counts;
        TelemetryDrops { spans: spans.load(Ordering::Relaxed), lines: lines.load(Ordering::Relaxed) }
    }

    pub(crate) fn sample(&self) -> f64 {
        self.0.sample
    }

    pub(crate) fn trusts_clients(&self) -> bool {
        self.0.trusts_clients
    }

    pub(crate) fn span(&self, span: SpanData) {
        if self.0.sender.try_send(Item::Span(Box::new(span))).is_err() {
            self.0.counts.spans.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl LogTap for Telemetry {
    fn line(&self, line: &str) {
        let counts = &self.0.counts;
        let fits = counts.bytes.fetch_add(line.len(), Ordering::Relaxed) + line.len() <= MAX_BYTES;
        if !fits || self.0.sender.try_send(Item::Line(line.to_owned(), now())).is_err() {
            counts.bytes.fetch_sub(line.len(), Ordering::Relaxed);
            counts.lines.fetch_add(1, Ordering::Relaxed);
        }
    }
}
