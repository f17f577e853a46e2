//! The requests that a node makes to an app by itself, at points in time.
//!
//! A request of a schedule is one like any other: it has a route, a fork, limits and the quotas of its tenant. Its
//! `remote_addr` is `schedule`, which no client can have, so that a handler can tell it. Each entry makes one request at a
//! time: what comes due meanwhile is missed, and told.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use http::header::HOST;
use starcell_config::{Schedule, When};
use starcell_edge::{Asked, Body, ClientLimits, Ids, Peer};
use tokio::time::{Instant, sleep, sleep_until};

/// Where the requests of a schedule come from, as scripts see it.
const REMOTE: &str = "schedule";

/// The longest time that a clock is trusted for: it may be set meanwhile.
const TRUST: Duration = Duration::from_secs(60);

/// The requests that a node makes to an app by itself.
#[derive(Clone, Debug, Default)]
pub struct Timetable {
    /// When, and for what.
    pub entries: Vec<Schedule>,
    /// The host that is asked for.
    pub host: Option<String>,
    /// The prefix of the app.
    pub prefix: String,
}

impl Timetable {
    /// The path of an entry, for messages.
    pub(crate) fn path(&self, entry: usize) -> &str {
        self.entries.get(entry).map_or("", |schedule| schedule.path.as_str())
    }

    /// The request of an entry.
    pub(crate) fn asked(&self, entry: usize, limits: &ClientLimits) -> Option<Asked> {
        let target = format!("{}{}", self.prefix, self.path(entry));
        let host = self.host.as_deref().unwrap_or("localhost");
        // A path that could not stand in a request was refused when it was read.
        let request = Request::get(target).header(HOST, host).body(()).ok()?;
        let peer = Arc::new(Peer::within(REMOTE.to_owned()));
        let body = Body::whole(Bytes::new(), limits);
        Some(Asked { parts: request.into_parts().0, id: Ids::new().next(), peer, prefix: self.prefix.len(), body })
    }
}

/// When an entry is due next.
pub(crate) struct Due {
    /// The last point, if it is one of the process.
    last: Instant,
    /// The last point, if it is one of the clock, in seconds since the Unix epoch.
    clock: i64,
}

impl Due {
    /// From now on.
    pub(crate) fn new() -> Self {
        Self { last: Instant::now(), clock: clock() }
    }

    /// Waits until an entry is due; says how many points have passed since the last one that nobody waited for. None where
    /// there will be none.
    pub(crate) async fn next(&mut self, timetable: &Timetable, entry: usize) -> Option<u64> {
        match &timetable.entries.get(entry)?.when {
            When::Every(time) => {
                let missed = self.last.elapsed().as_nanos() / time.as_nanos().max(1);
                let missed = u32::try_from(missed).unwrap_or(u32::MAX - 1);
                self.last += *time * (missed + 1);
                sleep_until(self.last).await;
                Some(missed.into())
            }
            When::Cron(cron) => {
                let (mut missed, mut due) = (0, cron.next_after(self.clock)?);
                let now = clock();
                while due <= now {
                    missed += 1;
                    due = cron.next_after(due.max(now))?;
                }
                self.clock = due;
                while let Ok(left @ 1..) = u64::try_from(due - clock()) {
                    sleep(Duration::from_secs(left).min(TRUST)).await;
                }
                Some(missed)
            }
        }
    }
}

/// Seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a schedule follows the clock of the machine")]
fn clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::num::NonZeroU32;

    use starcell_config::Cron;
    use starcell_edge::{ClientWishes, EdgeConfig};

    use super::*;

    fn timetable(when: When) -> Timetable {
        let entries = vec![Schedule { when, path: "/tick?a=b".to_owned() }];
        Timetable { entries, host: Some("a.example".to_owned()), prefix: "/shop".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn points_that_nobody_waited_for_are_missed() {
        let timetable = timetable(When::Every(Duration::from_secs(10)));
        let (began, mut due) = (Instant::now(), Due::new());
        assert_eq!(due.next(&timetable, 0).await, Some(0));
        assert_eq!(began.elapsed().as_secs(), 10);
        sleep(Duration::from_secs(25)).await;
        assert_eq!(due.next(&timetable, 0).await, Some(2));
        assert_eq!(began.elapsed().as_secs(), 40, "it stays in step");
        assert_eq!(due.next(&timetable, 1).await, None, "there is no such entry");
    }

    #[tokio::test]
    async fn points_of_the_clock_that_have_passed_are_missed() {
        let timetable = timetable(When::Cron(Cron::parse("* * * * *").unwrap()));
        let mut due = Due { last: Instant::now(), clock: clock() - 600 };
        // The next one is up to a minute away: what is looked at is which one it is, not how long it takes.
        let waited = tokio::time::timeout(Duration::from_millis(10), due.next(&timetable, 0)).await;
        assert!(waited.is_err() || waited == Ok(Some(1)), "{waited:?}");
        assert!(due.clock > clock() - 2);
    }

    #[test]
    fn a_request_is_below_the_prefix() {
        let second = Duration::from_secs(1);
        let config = EdgeConfig {
            max_connections: None,
            max_connections_per_address: NonZeroU32::MIN,
            handshake_time: second,
            header_time: second,
            idle_time: second,
            stall_time: second,
            min_rate: NonZeroU32::MIN,
            max_header_bytes: 1000,
            max_body_bytes: 10,
            memory_time: second,
            h2c: false,
            trust_request_id: false,
            access_log: false,
        };
        let limits = ClientLimits::new(&config, &ClientWishes::default());
        let asked = timetable(When::Every(second)).asked(0, &limits).unwrap();
        assert_eq!((asked.parts.uri.path(), asked.parts.uri.query(), asked.prefix), ("/shop/tick", Some("a=b"), 5));
        assert_eq!((&*asked.peer.address, asked.parts.headers["host"].as_bytes()), (REMOTE, &b"a.example"[..]));
    }
}
