//! The last minutes of an app, in slots of equal length.
//!
//! A ring of fixed size: a request adds to the slot of its moment, and a slot whose moment comes round again begins at zero.
//! Nothing samples apps that are not asked, so that one without requests costs nothing.

use std::time::Duration;

/// Slots of a timeline: ten minutes together.
pub const SLOTS: usize = 60;

/// The time of a slot.
pub const SLOT: Duration = Duration::from_secs(10);

/// What the requests of one slot came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeSlot {
    /// Requests that were answered.
    pub requests: u32,
    /// Those whose status was 500 or above.
    pub failed: u32,
    /// The CPU time of their guests, in microseconds.
    pub cpu_us: u32,
}

/// The last [`SLOTS`] slots.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// The number of the newest slot since the node began.
    newest: u64,
    /// Slot `n` is at the place `n % SLOTS`.
    slots: [TimeSlot; SLOTS],
}

impl TimeSlot {
    /// Adds another slot.
    pub fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failed = self.failed.saturating_add(other.failed);
        self.cpu_us = self.cpu_us.saturating_add(other.cpu_us);
    }
}

impl Timeline {
    /// An empty one.
    pub(crate) const fn new() -> Self {
        Self { newest: 0, slots: [TimeSlot { requests: 0, failed: 0, cpu_us: 0 }; SLOTS] }
    }

    /// Adds to the slot of a moment, which is given as the time since the node began.
    pub(crate) fn add(&mut self, since: Duration, what: TimeSlot) {
        let number = number_of(since);
        self.advance(number);
        // A moment that was read before another one's addition may lie in the slot before.
        if self.newest - number < SLOTS as u64
            && let Some(slot) = self.slots.get_mut(place_of(number))
        {
            slot.add(what);
        }
    }

    /// All slots at a moment, the oldest first.
    pub(crate) fn read(&self, since: Duration) -> Vec<TimeSlot> {
        let last = number_of(since).max(self.newest);
        let slot = |back: u64| {
            let number = last.checked_sub(back)?;
            let is_kept = number <= self.newest && self.newest - number < SLOTS as u64;
            self.slots.get(place_of(number)).copied().filter(|_| is_kept)
        };
        (0..SLOTS as u64).rev().map(|back| slot(back).unwrap_or_default()).collect()
    }

    fn advance(&mut self, number: u64) {
        let gone = number.saturating_sub(self.newest).min(SLOTS as u64);
        for back in 0..gone {
            if let Some(slot) = self.slots.get_mut(place_of(number - back)) {
                *slot = TimeSlot::default();
            }
        }
        self.newest = self.newest.max(number);
    }
}

fn number_of(since: Duration) -> u64 {
    since.as_secs() / SLOT.as_secs()
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder of SLOTS")]
const fn place_of(number: u64) -> usize {
    (number % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: TimeSlot = TimeSlot { requests: 1, failed: 0, cpu_us: 7 };

    fn requests(timeline: &Timeline, seconds: u64) -> Vec<(usize, u32)> {
        let slots = timeline.read(Duration::from_secs(seconds));
        assert_eq!(slots.len(), SLOTS);
        slots.iter().enumerate().filter(|(_, slot)| slot.requests > 0).map(|(at, slot)| (at, slot.requests)).collect()
    }

    #[test]
    fn a_request_is_in_the_slot_of_its_moment_until_that_comes_round_again() {
        let mut timeline = Timeline::new();
        assert_eq!(requests(&timeline, 0), []);
        for seconds in [0, 3, 12] {
            timeline.add(Duration::from_secs(seconds), ONE);
        }
        assert_eq!(requests(&timeline, 12), [(58, 2), (59, 1)]);
        assert_eq!(requests(&timeline, 22), [(57, 2), (58, 1)], "time goes on without requests");
        assert_eq!(requests(&timeline, 605), [(0, 1)], "the first slot is over");
        assert_eq!(requests(&timeline, 10_000), []);
        timeline.add(Duration::from_secs(605), ONE);
        assert_eq!(requests(&timeline, 605), [(0, 1), (59, 1)]);
        timeline.add(Duration::from_secs(100_000), ONE);
        assert_eq!(requests(&timeline, 100_000), [(59, 1)], "what was before a long pause is gone");
    }

    #[test]
    fn a_moment_that_is_late_finds_its_slot_or_none() {
        let mut timeline = Timeline::new();
        timeline.add(Duration::from_secs(1000), ONE);
        timeline.add(Duration::from_secs(995), ONE);
        timeline.add(Duration::from_secs(1), ONE);
        assert_eq!(requests(&timeline, 1000), [(58, 1), (59, 1)]);
        let mut full = TimeSlot { requests: u32::MAX, ..ONE };
        full.add(ONE);
        assert_eq!((full.requests, full.cpu_us), (u32::MAX, 14), "a count stays at its end");
    }
}
