//! Whether a server answers.
//!
//! A short absence, such as a restart, is waited out within the deadline of each call. In a longer one a call fails at
//! once, so that requests do not pile up behind a server that is gone, and one call at a time finds out whether it is
//! back. The pause between two tries doubles up to [`MAX_PAUSE`], and each one is a little longer or shorter, so that many
//! nodes do not come back in step. The log says when the server went away and why, and when it is back; scripts are told
//! neither where it is nor why.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use starcell_log::{Level, Logs};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::store_failure::{StoreError, StoreFailure};

/// How long a call takes at most, the wait for a connection included.
pub(crate) const DEADLINE: Duration = Duration::from_secs(3);

/// How long one connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// The first pause between two tries, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// How long an absence is waited out by calls.
const SHORT: Duration = Duration::from_secs(10);

/// How often the log repeats a complaint.
const COMPLAINTS: Duration = Duration::from_secs(10);

/// The sentence for a script.
pub(crate) const AWAY: &str = "the server that keeps it is away; the log of the host says why";

/// The sentence for a script about a change of which nobody knows whether it was done.
pub(crate) const UNKNOWN: &str = "the server that keeps it did not answer, so the change may have been done or not";

/// Whether a server answers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Presence(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The kind of the server and its place, for the log.
    place: String,
    logs: Logs,
    away: Mutex<Option<Away>>,
    /// When the log was last told of a call that the server refused.
    complained: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    failure: StoreFailure,
    reason: String,
    pause: Duration,
    /// When it may be tried again.
    next: Instant,
}

/// Why no connection could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NoConnection {
    pub(crate) failure: StoreFailure,
    /// For the log, as a sentence goes on with it.
    pub(crate) reason: String,
}

impl NoConnection {
    pub(crate) fn new(failure: StoreFailure, reason: String) -> Self {
        Self { failure, reason }
    }
}

/// The server cannot be reached.
impl From<String> for NoConnection {
    fn from(reason: String) -> Self {
        Self::new(StoreFailure::Away, reason)
    }
}

/// What a call that has no connection does.
enum Turn {
    Connect,
    Fail(StoreFailure),
    Wait(Instant, StoreFailure),
}

impl Presence {
    pub(crate) fn new(place: String, logs: Logs) -> Self {
        Self(Arc::new(Inner { place, logs, away: Mutex::new(None), complained: Mutex::new(None) }))
    }

    /// The server, for records.
    pub(crate) fn place(&self) -> &str {
        &self.0.place
    }

    /// Connects, until `deadline` at most.
    pub(crate) async fn connected<T, F>(&self, deadline: Instant, connect: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, NoConnection>>,
    {
        loop {
            match self.turn(Instant::now()) {
                Turn::Fail(failure) => return Err(StoreError::new(failure, AWAY)),
                Turn::Wait(until, failure) if until >= deadline => return Err(StoreError::new(failure, AWAY)),
                Turn::Wait(until, _) => sleep_until(until).await,
                Turn::Connect => match timeout_at(deadline.min(Instant::now() + CONNECT), connect()).await {
                    Ok(Ok(connection)) => {
                        self.came();
                        return Ok(connection);
                    }
                    Ok(Err(NoConnection { failure, reason })) => self.went(failure, &reason),
                    Err(_elapsed) => self.went(StoreFailure::Unanswered, "it does not answer"),
                },
            }
        }
    }

    /// Notes that the server answered.
    pub(crate) fn came(&self) {
        if let Some(away) = self.0.away.lock().take() {
            let seconds = away.since.elapsed().as_secs_f32();
            self.0.logs.say(Level::Info, &format!("{} answers again, after {seconds:.1} s", self.0.place));
        }
    }

    /// Notes that the server did not answer, and why. The log says so once for each reason of an absence.
    pub(crate) fn went(&self, failure: StoreFailure, reason: &str) {
        let now = Instant::now();
        let mut away = self.0.away.lock();
        let (since, pause, known) = match &*away {
            Some(before) => (before.since, (before.pause * 2).min(MAX_PAUSE), is_same(&before.reason, reason)),
            None => (now, FIRST_PAUSE, false),
        };
        *away = Some(Away { since, failure, reason: reason.to_owned(), pause, next: now + uneven(pause) });
        drop(away);
        if !known {
            self.0.logs.say(Level::Error, &format!("cannot use {}: {reason}", self.0.place));
        }
    }

    /// Tells the log that the server answers and refuses, every 10 s at most: scripts choose how often it does.
    pub(crate) fn complain(&self, reason: &str) {
        let now = Instant::now();
        let mut complained = self.0.complained.lock();
        if complained.is_none_or(|last| now.duration_since(last) >= COMPLAINTS) {
            *complained = Some(now);
            self.0.logs.say(Level::Error, &format!("{}: {reason}", self.0.place));
        }
    }

    fn turn(&self, now: Instant) -> Turn {
        let mut away = self.0.away.lock();
        let Some(away) = &mut *away else { return Turn::Connect };
        if away.next <= now {
            // Nobody else tries while this call does. If it is cut short, the next turn comes all the same.
            away.next = now + CONNECT;
            return Turn::Connect;
        }
        match now.duration_since(away.since) > SHORT {
            true => Turn::Fail(away.failure),
            false => Turn::Wait(away.next.min(now + FIRST_PAUSE), away.failure),
        }
    }
}

/// Whether two reasons are one: they differ in numbers alone, as those of a certificate do that expired some time ago.
fn is_same(one: &str, other: &str) -> bool {
    let words = |reason: &str| reason.split(|letter: char| letter.is_ascii_digit()).collect::<String>();
    one == other || words(one) == words(other)
}

/// A time of three quarters to five quarters.
fn uneven(time: Duration) -> Duration {
    let mut random = [0; 1];
    // Without randomness the nodes come back in step, and nothing worse.
    let _ = rustls::crypto::ring::default_provider().secure_random.fill(&mut random);
    time * 3 / 4 + time * u32::from(random[0]) / 512
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use starcell_log::LogChoice;

    use super::*;

    fn presence() -> Presence {
        Presence::new("test".into(), Logs::start(LogChoice::default()).0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_absence_is_waited_out() {
        let (presence, tries) = (presence(), AtomicUsize::new(0));
        let connect = || async {
            match tries.fetch_add(1, Ordering::SeqCst) {
                0..3 => Err("refused".to_owned().into()),
                _ => Ok(7),
            }
        };
        assert_eq!(presence.connected(Instant::now() + DEADLINE, connect).await, Ok(7));
        assert_eq!(tries.load(Ordering::SeqCst), 4);
        assert!(presence.0.away.lock().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_absence_fails_at_once_and_is_tried_now_and_then() {
        let (presence, tries) = (presence(), AtomicUsize::new(0));
        let connect = || async {
            tries.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(NoConnection::new(StoreFailure::Password, "refused".to_owned()))
        };
        for _ in 0..5 {
            let began = Instant::now();
            let failed = Err(StoreError::new(StoreFailure::Password, AWAY));
            assert_eq!(presence.connected(began + DEADLINE, connect).await, failed);
            assert!(began.elapsed() <= DEADLINE);
        }
        tokio::time::sleep(SHORT).await;
        let (before, began) = (tries.load(Ordering::SeqCst), Instant::now());
        for _ in 0..100 {
            assert!(presence.connected(began + DEADLINE, connect).await.is_err());
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(tries.load(Ordering::SeqCst), before + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_at_the_deadline() {
        let (presence, began) = (presence(), Instant::now());
        let silent = || std::future::pending::<Result<(), NoConnection>>();
        let failed = Err(StoreError::new(StoreFailure::Unanswered, AWAY));
        assert_eq!(presence.connected(began + DEADLINE, silent).await, failed);
        assert!(began.elapsed() <= DEADLINE, "{:?}", began.elapsed());
    }

    #[test]
    fn a_reason_with_another_number_is_not_told_again() {
        assert!(is_same("expired 9 seconds ago", "expired 10 seconds ago"));
        assert!(!is_same("expired 9 seconds ago", "connection refused"));
    }

    #[test]
    fn pauses_are_uneven_within_bounds() {
        for _ in 0..100 {
            let pause = uneven(Duration::from_millis(1000));
            assert!((750..=1250).contains(&pause.as_millis()), "{pause:?}");
        }
    }
}
