//! The bytes that each app caused lately, and the apps that are refused while the disk is full.
//!
//! On a full disk the app that wrote most is refused at once. The others go on in the reserve that the file holds (see
//! `reserve`), each with a part of it. So an app that floods the log takes the audited calls of its neighbours only after
//! it has lost its own.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

/// Names an app within a log, for as long as the log is open.
pub(crate) type AppNumber = u64;

/// Time in which bytes that were written lose half their weight: a disk fills within hours, and an app that wrote much a
/// week ago has not filled it now.
const HALF_LIFE: Duration = Duration::from_secs(3600);

/// Time between two computations of the weights.
const STEP: Duration = Duration::from_secs(60);

/// The bytes that each app caused.
#[derive(Debug)]
pub(crate) struct Shares {
    weights: BTreeMap<AppNumber, f64>,
    halved: SystemTime,
    /// Bytes that each app caused since the disk is full; none while it is not.
    full: Option<BTreeMap<AppNumber, u64>>,
    /// The app that had caused most when the disk became full.
    heaviest: Option<AppNumber>,
    /// Bytes that an app may cause while the disk is full.
    part: u64,
}

impl Shares {
    /// `part` is how many bytes of the reserve one app may use.
    pub(crate) fn new(now: SystemTime, part: u64) -> Self {
        Self { weights: BTreeMap::new(), halved: now, full: None, heaviest: None, part }
    }

    /// Counts a line that is written.
    #[expect(clippy::cast_precision_loss, reason = "a line has at most 64 KiB")]
    pub(crate) fn add(&mut self, now: SystemTime, app: AppNumber, bytes: usize) {
        self.lose_weight(now);
        *self.weights.entry(app).or_default() += bytes as f64;
        if let Some(used) = &mut self.full {
            *used.entry(app).or_default() += bytes as u64;
        }
    }

    /// Says whether the disk has room for more than what was reserved.
    pub(crate) fn set_full(&mut self, full: bool) {
        match (full, &self.full) {
            (true, None) => {
                self.full = Some(BTreeMap::new());
                let heavier = |a: &(&AppNumber, &f64), b: &(&AppNumber, &f64)| a.1.total_cmp(b.1);
                self.heaviest = self.weights.iter().max_by(heavier).map(|(app, _)| *app);
            }
            (false, Some(_)) => (self.full, self.heaviest) = (None, None),
            _ => {}
        }
    }

    /// True for an app whose calls are refused since the disk is full.
    pub(crate) fn is_refused(&self, app: AppNumber) -> bool {
        let Some(used) = &self.full else { return false };
        self.heaviest == Some(app) || used.get(&app).is_some_and(|used| *used >= self.part)
    }

    fn lose_weight(&mut self, now: SystemTime) {
        let passed = now.duration_since(self.halved).unwrap_or_default();
        if passed >= STEP {
            let factor = 0.5_f64.powf(passed.as_secs_f64() / HALF_LIFE.as_secs_f64());
            self.weights.values_mut().for_each(|weight| *weight *= factor);
            self.weights.retain(|_, weight| *weight >= 1.0);
            self.halved = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    #[test]
    fn on_a_full_disk_the_app_that_wrote_most_is_refused_first() {
        let mut shares = Shares::new(START, 1000);
        shares.add(START, 1, 100);
        shares.add(START, 2, 5000);
        shares.add(START, 3, 200);
        assert!(!shares.is_refused(2));
        shares.set_full(true);
        assert_eq!([1, 2, 3, 4].map(|app| shares.is_refused(app)), [false, true, false, false]);
        shares.add(START, 3, 999);
        shares.set_full(true);
        assert!(!shares.is_refused(3));
        shares.add(START, 3, 1);
        assert_eq!([1, 2, 3, 4].map(|app| shares.is_refused(app)), [false, true, true, false]);
        shares.set_full(false);
        assert_eq!([1, 2, 3, 4].map(|app| shares.is_refused(app)), [false; 4]);
    }

    #[test]
    fn weight_is_lost_in_time() {
        let mut shares = Shares::new(START, 1000);
        shares.add(START, 1, 10_000);
        let later = START + 5 * HALF_LIFE;
        shares.add(later, 2, 1000);
        shares.set_full(true);
        assert_eq!([1, 2].map(|app| shares.is_refused(app)), [false, true]);
        shares.set_full(false);
        let much_later = later + 40 * HALF_LIFE;
        shares.add(much_later, 3, 1);
        assert_eq!(shares.weights.len(), 1);
    }

    #[test]
    fn nobody_is_refused_before_anybody_wrote() {
        let mut shares = Shares::new(START, 1000);
        shares.set_full(true);
        assert!(!shares.is_refused(1));
    }
}
