//! What a thread of the runtime has run at once for each tenant since it last had nothing to do.
//!
//! A thread that finds no task waits for its sockets. Until then all that it does keeps those waiting whose bytes are there
//! already, and no clock tells how many they are: so what counts is what was run since then, and lately.

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// Tenants that are told apart on one thread; what others run meanwhile is not counted.
const MOST: usize = 64;

/// What is forgotten of it: this part of the time that passes.
const FORGOTTEN: u32 = 4;

/// What one tenant has run, as it was counted at a moment.
struct Ran {
    tenant: usize,
    time: Duration,
    at: Instant,
}

impl Ran {
    fn left(&self, now: Instant) -> Duration {
        self.time.saturating_sub(now.saturating_duration_since(self.at) / FORGOTTEN)
    }
}

thread_local! {
    /// None on a thread that does not tell when it waits.
    static RUN: RefCell<Option<Vec<Ran>>> = const { RefCell::new(None) };
}

/// Notes that this thread has nothing to do: to be called whenever a thread of the runtime parks.
pub fn note_park() {
    RUN.with_borrow_mut(|run| run.get_or_insert_default().clear());
}

/// What a tenant has run here.
pub(super) fn of(tenant: usize, now: Instant) -> Duration {
    let found = |run: &Option<Vec<Ran>>| run.as_ref()?.iter().find(|ran| ran.tenant == tenant).map(|ran| ran.left(now));
    RUN.with_borrow(found).unwrap_or_default()
}

pub(super) fn add(tenant: usize, time: Duration, now: Instant) {
    RUN.with_borrow_mut(|run| {
        let Some(run) = run else { return };
        if let Some(ran) = run.iter_mut().find(|ran| ran.tenant == tenant) {
            *ran = Ran { tenant, time: ran.left(now) + time, at: now };
        } else if run.len() < MOST {
            run.push(Ran { tenant, time, at: now });
        }
    });
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_was_run_counts_until_the_thread_has_nothing_to_do_or_time_has_passed() {
        let (time, now) = (Duration::from_micros(8), Instant::now());
        add(1, time, now);
        assert_eq!(of(1, now), Duration::ZERO, "this thread has never said that it waits");
        note_park();
        (0..MOST * 2).for_each(|tenant| add(tenant, time, now));
        add(1, time, now);
        assert_eq!([1, 2, MOST].map(|tenant| of(tenant, now)), [time * 2, time, Duration::ZERO]);
        assert_eq!([1, 2].map(|tenant| of(tenant, now + time * FORGOTTEN)), [time, Duration::ZERO]);
        note_park();
        assert_eq!(of(1, now), Duration::ZERO);
    }
}
