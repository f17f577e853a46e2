//! The last lines of an app, kept for whoever asks for them while the node runs.
//!
//! A node writes the lines of all apps to one stream, which somebody else keeps. Whoever operates one app asks the node for
//! its lines alone. The bytes that are kept are bounded for each app and for all together: an app that writes much pushes
//! out its own lines and no others. A reader that falls behind is told how many lines it has missed; nothing waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Bytes of the lines of one app.
const OF_APP: usize = 64 << 10;

/// Bytes of the lines of all apps at which each is brought down to [`FEW`] with the next line that it writes.
const OF_ALL: usize = 32 << 20;
const FEW: usize = 4 << 10;

/// The last lines of all apps of a node. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct KeptLogs(Arc<All>);

#[derive(Debug, Default)]
struct All {
    apps: Mutex<BTreeMap<String, KeptLog>>,
    bytes: AtomicUsize,
}

/// The last lines of one app. Cheap to clone.
#[derive(Clone)]
pub struct KeptLog(Arc<OfApp>);

struct OfApp {
    all: Arc<All>,
    lines: Mutex<Lines>,
    added: Notify,
}

#[derive(Default)]
struct Lines {
    kept: VecDeque<Arc<str>>,
    bytes: usize,
    /// The number of the line that comes next; the first one ever was 0.
    next: u64,
}

/// Lines from a place on, and the place behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptLines {
    /// Lines that were there and are not kept any more.
    pub missed: u64,
    /// The lines, without their ends.
    pub lines: Vec<Arc<str>>,
    /// Where to go on.
    pub next: u64,
}

impl fmt::Debug for KeptLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptLog").field("next", &self.0.lines.lock().next).finish_non_exhaustive()
    }
}

impl KeptLogs {
    /// The lines of an app, which are those of its earlier revisions too.
    #[must_use]
    pub fn of(&self, app: &str) -> KeptLog {
        let new =
            || KeptLog(Arc::new(OfApp { all: Arc::clone(&self.0), lines: Mutex::default(), added: Notify::new() }));
        self.0.apps.lock().entry(app.to_owned()).or_insert_with(new).clone()
    }

    /// Forgets the lines of an app that is gone.
    pub fn forget(&self, app: &str) {
        let forgotten = self.0.apps.lock().remove(app);
        if let Some(log) = forgotten {
            let lines = std::mem::take(&mut *log.0.lines.lock());
            self.0.bytes.fetch_sub(lines.bytes, Ordering::Relaxed);
        }
    }
}

impl KeptLog {
    /// Adds what was written: a line, or several.
    pub(crate) fn add(&self, text: &str) {
        let mut lines = self.0.lines.lock();
        let before = lines.bytes;
        for line in text.lines() {
            lines.bytes += line.len();
            lines.next += 1;
            lines.kept.push_back(line.into());
        }
        let all = &self.0.all.bytes;
        let crowded = all.load(Ordering::Relaxed) > OF_ALL;
        let most = if crowded { FEW } else { OF_APP };
        while lines.bytes > most
            && let Some(old) = lines.kept.pop_front()
        {
            lines.bytes -= old.len();
        }
        // Both directions wrap to the right sum.
        all.fetch_add(lines.bytes.wrapping_sub(before), Ordering::Relaxed);
        drop(lines);
        self.0.added.notify_waiters();
    }

    /// The last lines, so many at most.
    #[must_use]
    pub fn tail(&self, most: usize) -> KeptLines {
        let lines = self.0.lines.lock();
        let skip = lines.kept.len().saturating_sub(most);
        KeptLines { missed: 0, lines: lines.kept.iter().skip(skip).cloned().collect(), next: lines.next }
    }

    /// The lines from a place on; waits until there is one.
    pub async fn after(&self, place: u64) -> KeptLines {
        loop {
            // Registered before looking, so that a line that comes in between is not missed.
            let mut added = std::pin::pin!(self.0.added.notified());
            added.as_mut().enable();
            let found = self.from(place);
            if found.next > place {
                return found;
            }
            added.await;
        }
    }

    fn from(&self, place: u64) -> KeptLines {
        let lines = self.0.lines.lock();
        let first = lines.next - lines.kept.len() as u64;
        let skip = usize::try_from(place.saturating_sub(first)).unwrap_or(usize::MAX);
        let missed = first.saturating_sub(place);
        KeptLines { missed, lines: lines.kept.iter().skip(skip).cloned().collect(), next: lines.next }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_goes_on_where_it_was_and_is_told_what_it_missed() {
        let logs = KeptLogs::default();
        let log = logs.of("a");
        log.add("one\ntwo\n");
        let tail = log.tail(1);
        assert_eq!((tail.lines.len(), &*tail.lines[0], tail.next), (1, "two", 2));
        let reader = tokio::spawn({
            let log = log.clone();
            async move { log.after(2).await }
        });
        tokio::task::yield_now().await;
        logs.of("a").add("three\n");
        let found = reader.await.unwrap();
        assert_eq!((found.missed, &*found.lines[0], found.next), (0, "three", 3));
        for _ in 0..20 {
            log.add(&"x".repeat(OF_APP / 10));
        }
        let found = log.after(3).await;
        assert_eq!((found.missed, found.lines.len(), found.next), (10, 10, 23));
    }

    #[test]
    fn what_all_keep_together_is_bounded() {
        let logs = KeptLogs::default();
        let line = "x".repeat(1 << 10);
        for app in 0..1000 {
            let log = logs.of(&app.to_string());
            (0..100).for_each(|_| log.add(&line));
        }
        let bytes = logs.0.bytes.load(Ordering::Relaxed);
        assert!(bytes < OF_ALL + 1000 * (FEW + line.len()), "{bytes}");
        (0..1000).for_each(|app| logs.forget(&app.to_string()));
        assert_eq!(logs.0.bytes.load(Ordering::Relaxed), 0);
    }
}
