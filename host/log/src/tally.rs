//! Lines that were not written, counted until that is told.

use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;

/// Lines of one app, or of the host, that were not written.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Name of the script; none for the host.
    script: Option<Arc<str>>,
    missing: Mutex<Missing>,
}

/// How many lines are missing, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The log was not read fast enough.
    pub(crate) unread: u64,
    /// The app had written too much.
    pub(crate) over_budget: u64,
}

impl Tally {
    /// A tally of nothing yet.
    pub(crate) fn new(script: Option<Arc<str>>) -> Self {
        Self { script, missing: Mutex::default() }
    }

    /// Name of the script; none for the host.
    pub(crate) fn script(&self) -> Option<&str> {
        self.script.as_deref()
    }

    /// Counts a line that found no room.
    pub(crate) fn unread(&self) {
        self.missing.lock().unread += 1;
    }

    /// Counts a line that was over the budget of its app.
    pub(crate) fn over_budget(&self) {
        self.missing.lock().over_budget += 1;
    }

    /// Returns whether nothing is missing that was not told.
    pub(crate) fn is_empty(&self) -> bool {
        *self.missing.lock() == Missing::default()
    }

    /// What is missing since the last time.
    pub(crate) fn take(&self) -> Missing {
        mem::take(&mut *self.missing.lock())
    }
}

impl Missing {
    /// A sentence for each reason.
    pub(crate) fn sentences(self) -> impl Iterator<Item = String> {
        let unread = (self.unread, "the log was not read fast enough");
        let over_budget = (self.over_budget, "the script wrote more than --log-rate allows");
        [unread, over_budget].into_iter().filter(|(lines, _)| *lines > 0).map(|(lines, why)| {
            let lines = if lines == 1 { "1 line was".to_owned() } else { format!("{lines} lines were") };
            format!("{lines} dropped: {why}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_count() {
        let tally = Tally::new(None);
        assert_eq!(tally.take().sentences().count(), 0);
        tally.unread();
        tally.over_budget();
        tally.over_budget();
        let told: Vec<_> = tally.take().sentences().collect();
        assert_eq!(
            told,
            [
                "1 line was dropped: the log was not read fast enough",
                "2 lines were dropped: the script wrote more than --log-rate allows"
            ]
        );
        assert_eq!(tally.take(), Missing::default());
    }
}
