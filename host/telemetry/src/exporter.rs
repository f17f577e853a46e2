//! The one task that sends: spans and lines soon, numbers now and then, and everything at the end.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value as Json;
use starcell_log::{Level, Logs};
use tokio::sync::mpsc::Receiver;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::delivery::{Delivery, Undelivered};
use crate::document;
use crate::ids::now;
use crate::numbers;
use crate::queue::{Counts, Item, Telemetry, TelemetryConfig};

/// Spans and lines of one document.
const BATCH: usize = 512;

/// How long the first one of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);

/// How often numbers are sent.
const NUMBERS: Duration = Duration::from_secs(10);

/// How often a document is tried, and the pause before the second time; it doubles.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// How long the end waits for what is left.
const LAST: Duration = Duration::from_secs(3);

/// How often the log is told that nothing arrives.
const TELL: Duration = Duration::from_secs(60);

/// Reads all numbers, as Prometheus does.
pub type ReadNumbers = Arc<dyn Fn() -> String + Send + Sync>;

/// Whoever sends to a collector, before it begins.
pub struct Exporter {
    config: TelemetryConfig,
    queue: Receiver<Item>,
    counts: Arc<Counts>,
}

/// An exporter at work.
#[derive(Debug)]
#[must_use = "what is left is sent when it is finished"]
pub struct Exporting {
    stop: oneshot::Sender<()>,
    task: JoinSet<()>,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Exporter {
    /// A queue, and whoever sends what is in it.
    #[must_use]
    pub fn with_queue(config: TelemetryConfig) -> (Telemetry, Self) {
        let (telemetry, queue, counts) = Telemetry::new(&config);
        (telemetry, Self { config, queue, counts })
    }

    /// Begins to send. `numbers` are read every ten seconds, and at the end.
    pub fn start(self, numbers: ReadNumbers, logs: Logs) -> Exporting {
        let (stop, stopped) = oneshot::channel();
        let Self { config, queue, counts } = self;
        let resource = document::resource(&config.node);
        let sending = Sending {
            delivery: Delivery::new(config.endpoint.clone()),
            place: config.endpoint.authority(),
            resource,
            counts,
            logs,
            numbers,
            began: now(),
            told: None,
        };
        let mut task = JoinSet::new();
        task.spawn(sending.run(queue, stopped));
        Exporting { stop, task }
    }
}

impl Exporting {
    /// Sends what is left, within some seconds.
    pub async fn finish(mut self) {
        // An error means that it has ended.
        let _ = self.stop.send(());
        let _ = timeout(LAST, self.task.join_next()).await;
    }
}

struct Sending {
    delivery: Delivery,
    place: String,
    resource: Json,
    counts: Arc<Counts>,
    logs: Logs,
    numbers: ReadNumbers,
    began: u64,
    told: Option<Instant>,
}

impl Sending {
    async fn run(mut self, mut queue: Receiver<Item>, mut stopped: oneshot::Receiver<()>) {
        let mut numbers = interval(NUMBERS);
        // After a collector was away, one reading is enough.
        numbers.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                count = queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        break;
                    }
                    let gathered = async {
                        while let room @ 1.. = BATCH.saturating_sub(batch.len())
                            && queue.recv_many(&mut batch, room).await > 0
                        {}
                    };
                    // What has come by then is enough.
                    let _ = timeout(GATHER, gathered).await;
                    self.send(&mut batch, TRIES).await;
                }
                _ = numbers.tick() => self.send_numbers().await,
            }
        }
        queue.close();
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            self.send(&mut batch, 1).await;
        }
        self.send_numbers().await;
    }

    async fn send(&mut self, batch: &mut Vec<Item>, tries: u32) {
        let (mut spans, mut lines) = (Vec::new(), Vec::new());
        for item in batch.drain(..) {
            match item {
                Item::Span(span) => spans.push(*span),
                Item::Line(line, time) => {
                    self.counts.bytes.fetch_sub(line.len(), Ordering::Relaxed);
                    lines.push((line, time));
                }
            }
        }
        if !spans.is_empty() {
            let document = document::traces(&self.resource, &spans);
            if !self.bring("/v1/traces", &document, tries).await {
                self.counts.spans.fetch_add(spans.len() as u64, Ordering::Relaxed);
            }
        }
        if !lines.is_empty() {
            let document = document::logs(&self.resource, &lines);
            if !self.bring("/v1/logs", &document, tries).await {
                self.counts.lines.fetch_add(lines.len() as u64, Ordering::Relaxed);
            }
        }
    }

    async fn send_numbers(&mut self) {
        let metrics = numbers::metrics(&(self.numbers)(), self.began, now());
        if !metrics.is_empty() {
            let document = document::metrics(&self.resource, &metrics);
            // The next reading holds all that this one does.
            self.bring("/v1/metrics", &document, 1).await;
        }
    }

    /// Brings a document to the collector; says whether it arrived. Meanwhile the queue fills, and drops.
    async fn bring(&mut self, path: &str, document: &Json, tries: u32) -> bool {
        let mut pause = PAUSE;
        for attempt in 1..=tries {
            match self.delivery.bring(path, document).await {
                Ok(()) => return true,
                Err(Undelivered::Later(_)) if attempt < tries => sleep(pause).await,
                Err(Undelivered::Later(why) | Undelivered::Refused(why)) => {
                    self.tell(path, &why);
                    return false;
                }
            }
            pause *= 2;
        }
        false
    }

    fn tell(&mut self, path: &str, why: &str) {
        let now = Instant::now();
        if self.told.is_some_and(|told| now - told < TELL) {
            return;
        }
        self.told = Some(now);
        let text = format!("telemetry does not arrive at http://{}, and is dropped: {path}: {why}", self.place);
        self.logs.say(Level::Warn, &text);
    }
}
