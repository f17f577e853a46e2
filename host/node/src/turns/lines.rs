//! Who is next: what each tenant has had, who of it waits, and who may go at once.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Parts of a nanosecond that the time of tenants is kept in, so that weights divide it well.
const FINE: u64 = 1000;

/// What a request may take at once without counting as long, while other tenants ask too.
pub(super) const SHORT: Duration = Duration::from_micros(100);

/// The same for a tenant that asks alone: only its own requests wait for it.
const SHORT_ALONE: Duration = Duration::from_millis(1);

/// What is beyond that may be this part of the time of one core: of a hundred answers of others, none waits for it.
const LONG_PART: f64 = 0.005;

/// What that may be in one piece.
const LONG_BURST: Duration = Duration::from_millis(2);

/// What a tenant may run at once on a thread that is busy: a request or two.
const RUN: Duration = Duration::from_micros(30);

/// The tenant that asked last while none has.
const NOBODY: usize = usize::MAX;

/// How long a tenant counts as one that asks.
const ASKS: Duration = Duration::from_secs(10);

/// How much more than whoever waits a tenant may have had and still go at once.
const CREDIT: u64 = 10_000_000 * FINE;

/// The tenants and those of them who wait.
#[derive(Debug)]
pub(super) struct Lines<T> {
    lines: Vec<Line<T>>,
    /// The tenants that have somebody waiting, by what they have had.
    order: BTreeSet<(u64, usize)>,
    /// What the tenant had that got the last turn.
    reached: u64,
    /// Turns of the slow lane under way.
    running: usize,
    /// The tenant that asked last, and when.
    last: (usize, Instant),
    /// When a tenant asked that is another one than that.
    before: Option<Instant>,
}

/// Whether a tenant asks alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Among {
    Nobody,
    Others,
}

/// Those of one tenant who wait.
#[derive(Debug)]
struct Line<T> {
    weight: u64,
    had: u64,
    waiting: VecDeque<T>,
    /// Requests that wait or run.
    active: usize,
    /// What it ran at once beyond what is short.
    long: Debt,
}

/// Time that was used ahead of what may be used.
#[derive(Debug)]
struct Debt {
    time: Duration,
    at: Instant,
}

impl Debt {
    /// What it is at a moment, where this part of the time is paid back.
    fn left(&self, now: Instant, part: f64) -> Duration {
        self.time.saturating_sub(now.saturating_duration_since(self.at).mul_f64(part))
    }

    fn add(&mut self, time: Duration, now: Instant, part: f64) {
        *self = Self { time: self.left(now, part) + time, at: now };
    }
}

impl<T> Lines<T> {
    /// From a moment on.
    pub(super) fn new(now: Instant) -> Self {
        Self { lines: Vec::new(), order: BTreeSet::new(), reached: 0, running: 0, last: (NOBODY, now), before: None }
    }

    /// Makes the line of one more tenant, with a weight from 1 on.
    pub(super) fn add(&mut self, weight: u32) -> usize {
        let (weight, waiting) = (weight.max(1).into(), VecDeque::new());
        let long = Debt { time: Duration::ZERO, at: self.last.1 };
        self.lines.push(Line { weight, had: 0, waiting, active: 0, long });
        self.lines.len() - 1
    }

    /// Lets a request of a tenant go at once, if it may: what it ran so was short lately, it has not had more than others who
    /// wait, and `in_run`, which it ran on this thread since that had nothing to do, is not much.
    pub(super) fn go(&mut self, tenant: usize, in_run: Duration, now: Instant) -> Option<Among> {
        self.enter(tenant);
        if self.last.0 != tenant {
            self.before = (self.last.0 != NOBODY).then_some(self.last.1);
        }
        self.last = (tenant, now);
        let among = self.among(tenant, now);
        let takes_all = in_run > RUN && among == Among::Others;
        let is_busy = self.running > 0 || !self.order.is_empty();
        let line = self.lines.get_mut(tenant)?;
        let takes_long = line.long.left(now, LONG_PART) > LONG_BURST;
        if takes_long || takes_all || is_busy && line.had > self.reached.saturating_add(CREDIT) {
            line.active -= 1;
            return None;
        }
        if !is_busy {
            self.reached = self.reached.max(line.had);
        }
        Some(among)
    }

    /// What went at once has stopped, after so long.
    pub(super) fn stop(&mut self, tenant: usize, among: Among, time: Duration, now: Instant) {
        self.spend(tenant, time);
        let short = match among {
            Among::Nobody => SHORT_ALONE,
            Among::Others => SHORT,
        };
        if let Some(line) = self.lines.get_mut(tenant) {
            line.active -= 1;
            line.long.add(time.saturating_sub(short), now, LONG_PART);
        }
    }

    /// Among whom a tenant asks that has asked just now.
    fn among(&self, tenant: usize, now: Instant) -> Among {
        let (last, at) = self.last;
        let other = if last == tenant { self.before } else { Some(at) };
        match other.is_some_and(|other| now.saturating_duration_since(other) <= ASKS) {
            true => Among::Others,
            false => Among::Nobody,
        }
    }

    /// Joins the line of a tenant.
    pub(super) fn stand(&mut self, tenant: usize, who: T) {
        self.enter(tenant);
        self.push(tenant, who);
    }

    /// Gives the next turn. It ends with [`Lines::end`].
    pub(super) fn next(&mut self) -> Option<T> {
        while let Some((had, tenant)) = self.order.pop_first() {
            let Some(line) = self.lines.get_mut(tenant) else { continue };
            let Some(who) = line.waiting.pop_front() else { continue };
            if !line.waiting.is_empty() {
                self.order.insert((had, tenant));
            }
            self.reached = self.reached.max(had);
            self.running += 1;
            return Some(who);
        }
        None
    }

    /// A turn has ended, after so long; whoever had it joins the line again, if it is not done.
    pub(super) fn end(&mut self, tenant: usize, time: Duration, again: Option<T>) {
        self.running -= 1;
        self.spend(tenant, time);
        match again {
            Some(who) => self.push(tenant, who),
            None => self.lines.get_mut(tenant).into_iter().for_each(|line| line.active -= 1),
        }
    }

    /// Takes out all who wait.
    pub(super) fn clear(&mut self) -> Vec<T> {
        self.order.clear();
        self.lines.iter_mut().flat_map(|line| line.waiting.drain(..)).collect()
    }

    /// Time that a tenant has had, divided by its weight.
    pub(super) fn had(&self, tenant: usize) -> Duration {
        let had = self.lines.get(tenant).map_or(0, |line| line.had);
        Duration::from_nanos(had / FINE)
    }

    /// A request of a tenant becomes active. One that comes back from a pause begins where the others are.
    fn enter(&mut self, tenant: usize) {
        let reached = self.reached;
        if let Some(line) = self.lines.get_mut(tenant) {
            if line.active == 0 {
                line.had = line.had.max(reached);
            }
            line.active += 1;
        }
    }

    fn push(&mut self, tenant: usize, who: T) {
        if let Some(line) = self.lines.get_mut(tenant) {
            line.waiting.push_back(who);
            self.order.insert((line.had, tenant));
        }
    }

    fn spend(&mut self, tenant: usize, time: Duration) {
        let Some(line) = self.lines.get_mut(tenant) else { return };
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).saturating_mul(FINE);
        let had = line.had.saturating_add(time / line.weight);
        let before = std::mem::replace(&mut line.had, had);
        if self.order.remove(&(before, tenant)) {
            self.order.insert((had, tenant));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    const TURN: Duration = Duration::from_millis(2);
    const BRIEF: Duration = Duration::from_micros(20);

    /// Gives so many turns to those who always come back; returns how many each had.
    fn give<const N: usize>(lines: &mut Lines<usize>, turns: usize) -> [usize; N] {
        let mut had = [0; N];
        for _ in 0..turns {
            let who = lines.next().unwrap();
            *had.get_mut(who).unwrap() += 1;
            lines.end(who, TURN, Some(who));
        }
        had
    }

    #[test]
    fn a_turn_goes_to_the_tenant_that_has_had_the_least_by_weight() {
        let mut lines = Lines::new(Instant::now());
        for weight in [1, 1, 2] {
            lines.add(weight);
        }
        for _ in 0..100 {
            lines.stand(0, 0);
        }
        lines.stand(1, 1);
        lines.stand(2, 2);
        assert_eq!(give::<3>(&mut lines, 400), [100, 100, 200]);
    }

    #[test]
    fn nobody_has_a_claim_on_time_that_it_did_not_ask_for() {
        let now = Instant::now();
        let mut lines = Lines::new(now);
        let (early, late) = (lines.add(1), lines.add(1));
        // While nobody waited, it took what nobody else wanted: that is no debt either.
        for _ in 0..1000 {
            assert!(lines.go(early, Duration::ZERO, now).is_some());
            lines.stop(early, Among::Others, BRIEF, now);
        }
        lines.stand(early, early);
        assert_eq!(give::<1>(&mut lines, 500), [500]);
        lines.stand(late, late);
        let had = give::<2>(&mut lines, 100);
        assert!(had.iter().all(|turns| (45..=55).contains(turns)), "{had:?}");
    }

    /// What a tenant gets to run at once in a second in which it asks for nothing else, each time for so long.
    fn at_once(lines: &mut Lines<()>, tenant: usize, each: Duration, now: &mut Instant) -> Duration {
        let (mut got, end) = (Duration::ZERO, *now + Duration::from_millis(1000));
        while *now < end {
            let goes = lines.go(tenant, Duration::ZERO, *now).is_some();
            *now += each;
            if goes {
                lines.stop(tenant, Among::Others, each, *now);
                got += each;
            }
        }
        got
    }

    #[test]
    fn what_is_long_runs_at_once_for_a_small_part_of_the_time() {
        let (mut now, ms) = (Instant::now(), Duration::from_millis);
        let mut lines = Lines::new(now);
        let tenant = lines.add(1);
        assert_eq!(at_once(&mut lines, tenant, SHORT, &mut now), ms(1000), "what is short always does");
        let got = at_once(&mut lines, tenant, TURN, &mut now);
        assert!((ms(4)..=ms(8)).contains(&got), "{got:?}");
        now += ms(800);
        assert!(lines.go(tenant, Duration::ZERO, now).is_some());
        lines.stop(tenant, Among::Others, SHORT * 2, now);
        assert!(lines.go(tenant, Duration::ZERO, now).is_some(), "once is not the rule");
        lines.stop(tenant, Among::Nobody, SHORT_ALONE, now);
        assert!(lines.go(tenant, Duration::ZERO, now).is_some(), "only its own requests wait for that");
        lines.stop(tenant, Among::Others, SHORT, now);
    }

    #[test]
    fn a_thread_that_others_need_runs_little_of_one_tenant_in_a_row() {
        let mut now = Instant::now();
        let mut lines = Lines::<()>::new(now);
        let (tenant, other) = (lines.add(1), lines.add(1));
        assert!(lines.go(tenant, RUN * 100, now).is_some(), "nobody else asks");
        lines.stop(tenant, Among::Others, BRIEF, now);
        assert!(lines.go(other, RUN, now).is_some());
        lines.stop(other, Among::Others, BRIEF, now);
        assert!(lines.go(tenant, RUN * 2, now).is_none() && lines.go(tenant, RUN, now).is_some());
        lines.stop(tenant, Among::Others, BRIEF, now);
        now += ASKS * 2;
        assert!(lines.go(tenant, RUN * 2, now).is_some(), "nobody else has asked for long");
        lines.stop(tenant, Among::Others, BRIEF, now);
    }

    #[test]
    fn whoever_goes_at_once_does_not_starve_those_who_wait() {
        let now = Instant::now();
        let mut lines = Lines::new(now);
        let (quick, patient) = (lines.add(1), lines.add(1));
        lines.stand(patient, patient);
        let mut at_once = 0;
        while lines.go(quick, Duration::ZERO, now).is_some() {
            lines.stop(quick, Among::Others, BRIEF, now);
            at_once += 1;
        }
        let credit = Duration::from_nanos(CREDIT / FINE);
        assert_eq!(at_once, credit.as_nanos() / BRIEF.as_nanos() + 1);
        // From now on it waits like the other one, which has had less, until that has had as much.
        lines.stand(quick, quick);
        let had = give::<2>(&mut lines, 5);
        assert_eq!(had, [0, 5]);
        assert!(lines.go(quick, Duration::ZERO, now).is_some());
        lines.stop(quick, Among::Others, BRIEF, now);
    }

    #[test]
    fn whoever_leaves_is_not_counted_any_more() {
        let mut lines = Lines::new(Instant::now());
        let tenant = lines.add(1);
        lines.stand(tenant, 7);
        lines.stand(tenant, 8);
        assert_eq!(lines.next(), Some(7));
        lines.end(tenant, TURN, None);
        assert_eq!(lines.clear(), [8]);
        assert_eq!((lines.next(), lines.running, lines.order.len()), (None, 0, 0));
    }
}
