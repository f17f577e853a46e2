//! What a process sends to a collector, from its first line to its last.

use std::sync::Arc;

use parking_lot::Mutex;
use starcell_log::{LogTap, Logs};
use starcell_node::WatchPages;
use starcell_telemetry::{Exporter, Exporting, Telemetry, TelemetryConfig};

/// The telemetry of a process, or none. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessTelemetry {
    queue: Option<Telemetry>,
    /// Where numbers are read, once they can be.
    pages: Arc<Mutex<Option<Arc<WatchPages>>>>,
}

/// Whoever sends it, until it is finished.
#[derive(Debug, Default)]
pub(crate) struct Sender(Option<Exporting>);

impl ProcessTelemetry {
    /// Begins to send, where there is a collector. The log that comes back is heard there too.
    pub(crate) fn start(config: Option<TelemetryConfig>, logs: Logs) -> (Self, Sender, Logs) {
        let Some(config) = config else { return (Self::default(), Sender::default(), logs) };
        let (queue, exporter) = Exporter::with_queue(config);
        let telemetry = Self { queue: Some(queue.clone()), pages: Arc::default() };
        let pages = Arc::clone(&telemetry.pages);
        let numbers = move || pages.lock().as_ref().map(|pages| pages.numbers()).unwrap_or_default();
        // What the exporter says about a collector that is not there would only wait for it.
        let exporting = exporter.start(Arc::new(numbers), logs.clone());
        let logs = logs.tapped(Arc::new(queue) as Arc<dyn LogTap>);
        (telemetry, Sender(Some(exporting)), logs)
    }

    /// Where spans go.
    pub(crate) fn queue(&self) -> Option<&Telemetry> {
        self.queue.as_ref()
    }

    /// Reads numbers there from now on.
    pub(crate) fn read(&self, pages: &Arc<WatchPages>) {
        *self.pages.lock() = Some(Arc::clone(pages));
    }
}

impl Sender {
    /// Sends what is left.
    pub(crate) async fn finish(self) {
        if let Some(exporting) = self.0 {
            exporting.finish().await;
        }
    }
}
