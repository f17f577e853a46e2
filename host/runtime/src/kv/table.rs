//! Keys and values in memory.
//!
//! What an operation does is worked out by [`Operation::on`], a pure function of the value there is, so that it means
//! the same in memory and in a batch that is not yet on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use starcell_budget::{MemoryBudget, MemoryUse, Taken};

use super::value::Value;
use crate::holding::NO_MEMORY;
use crate::store_failure::{StoreError, StoreFailure};

/// What a pair costs beyond its bytes: the nodes of the two trees it is in.
const OVERHEAD: usize = 64;

/// Expired pairs that one change clears away. More than it can add, so that they do not pile up.
const SWEEP: usize = 8;

/// Why an int is not added to.
const NO_INT: &str = "the value is not an int of 64 bits";
const NO_SUM: &str = "the sum does not fit into 64 bits";

/// How long a value stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    Forever,
    Keep,
    Nanoseconds(u64),
}

/// A change of one key.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    CompareAndSet { expected: Expected, value: Value, lifetime: Lifetime },
    Delete,
    Increment { by: i64, lifetime: Lifetime },
    Set { value: Value, lifetime: Lifetime },
}

/// What a value has to be.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// None, or null.
    Nothing,
    /// Equal to `value`. Whether two values are equal may take parsing both, so it is never found out while the store is
    /// locked: `compared` is what a caller found out before, and a value that it has not seen is handed back to it.
    Equal { value: Value, compared: Option<(Value, bool)> },
}

impl Expected {
    /// Whether the present value is the expected one; none when it has to be compared first.
    fn is(&self, present: Option<&Value>) -> Option<bool> {
        match (self, present) {
            (Self::Nothing, present) => Some(present.is_none_or(Value::is_null)),
            (Self::Equal { .. }, None) => Some(false),
            (Self::Equal { value, compared }, Some(present)) => match compared {
                _ if present == value => Some(true),
                Some((seen, equal)) if seen == present => Some(*equal),
                _ if !present.may_equal(value) => Some(false),
                _ => None,
            },
        }
    }
}

impl Expected {
    /// The bytes that a value has to have: those of a value that was found to be equal, where the expected one has others.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Nothing => None,
            Self::Equal { compared: Some((seen, true)), .. } => Some(seen.as_bytes()),
            Self::Equal { value, .. } => Some(value.as_bytes()),
        }
    }
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Nothing yet: the present value, which has to be compared with the expected one.
    Compare(Value),
    /// It was set.
    Done,
    /// Whether there was a value, or it was the expected one.
    Whether(bool),
    /// The sum.
    Sum(i64),
}

/// A value and when it ends, in nanoseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) expires: Option<u64>,
}

/// What becomes of a key.
pub(super) enum Change {
    None,
    Put(Entry),
    Remove,
}

impl Operation {
    /// Whether the present value was found to be another one than the expected: at that moment the answer was no.
    pub(super) fn is_known_to_differ(&self) -> bool {
        let Self::CompareAndSet { expected, .. } = self else { return false };
        matches!(expected, Expected::Equal { compared: Some((_, false)), .. })
    }

    /// What this does to a key that has this entry.
    pub(super) fn on(&self, present: Option<&Entry>, now: u64) -> Result<(Reply, Change), StoreError> {
        let entry = |value: Value, lifetime: Lifetime| {
            let expires = match lifetime {
                Lifetime::Forever => None,
                Lifetime::Keep => present.and_then(|entry| entry.expires),
                Lifetime::Nanoseconds(time) => Some(now.saturating_add(time)),
            };
            Change::Put(Entry { value, expires })
        };
        Ok(match self {
            Self::Set { value, lifetime } => (Reply::Done, entry(value.clone(), *lifetime)),
            Self::Delete if present.is_some() => (Reply::Whether(true), Change::Remove),
            Self::Delete => (Reply::Whether(false), Change::None),
            Self::CompareAndSet { expected, value, lifetime } => {
                let present = present.map(|entry| &entry.value);
                match (expected.is(present), present) {
                    (Some(true), _) => (Reply::Whether(true), entry(value.clone(), *lifetime)),
                    (None, Some(present)) => (Reply::Compare(present.clone()), Change::None),
                    (Some(false) | None, _) => (Reply::Whether(false), Change::None),
                }
            }
            Self::Increment { by, lifetime } => {
                let (start, lifetime) = match present {
                    None => (0, *lifetime),
                    Some(entry) => (entry.value.as_int().ok_or(NO_INT)?, Lifetime::Keep),
                };
                let sum = start.checked_add(*by).ok_or(NO_SUM)?;
                (Reply::Sum(sum), entry(Value::int(sum), lifetime))
            }
        })
    }
}

/// What the stores of several apps hold together, and may hold. Cheap to clone.
///
/// Each store looks before it takes, without a lock over all: stores that change at the same moment can be past it by what
/// is under way in them.
#[derive(Clone, Debug)]
pub struct KvShare(Arc<Together>);

#[derive(Debug)]
struct Together {
    limit: usize,
    used: AtomicUsize,
}

impl KvShare {
    /// A share of so many bytes, counted as the quota of a store is.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Together { limit, used: AtomicUsize::new(0) }))
    }

    /// Bytes that the stores hold.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn check(&self, more: usize) -> Result<(), StoreError> {
        match self.used().saturating_add(more) <= self.0.limit {
            true => Ok(()),
            false => Err(shared_full(self.0.limit)),
        }
    }
}

/// The pairs of one app.
pub(super) struct Table {
    pairs: BTreeMap<Arc<str>, Entry>,
    /// The pairs that end, by when.
    ending: BTreeSet<(u64, Arc<str>)>,
    used: usize,
    quota: usize,
    /// What it is counted in as well.
    share: Option<KvShare>,
    /// What it takes of the memory of the process.
    taken: Option<Taken>,
}

/// A copy is counted nowhere but in itself.
impl Clone for Table {
    fn clone(&self) -> Self {
        let Self { pairs, ending, used, quota, share: _, taken: _ } = self;
        Self { pairs: pairs.clone(), ending: ending.clone(), used: *used, quota: *quota, share: None, taken: None }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if let Some(KvShare(together)) = &self.share {
            together.used.fetch_sub(self.used, Ordering::Relaxed);
        }
    }
}

impl Table {
    pub(super) fn new(quota: usize) -> Self {
        Self { pairs: BTreeMap::new(), ending: BTreeSet::new(), used: 0, quota, share: None, taken: None }
    }

    /// Counts it in the memory of the process from now on. What is there already counts whether it fits or not.
    pub(super) fn count(&mut self, memory: &MemoryBudget) {
        let mut taken = memory.nothing();
        taken.hold(self.used as u64);
        self.taken = Some(taken);
    }

    /// A table that is counted in a share too.
    pub(super) fn of_share(quota: usize, share: Option<KvShare>) -> Self {
        let mut table = Self::new(quota);
        table.share = share;
        table
    }

    /// Whether the pairs may take so many bytes, of which `before` are counted already.
    pub(super) fn check(&self, wanted: usize, before: usize) -> Result<(), StoreError> {
        check_quota(wanted, self.quota)?;
        let more = wanted.saturating_sub(before) as u64;
        if self.taken.as_ref().is_some_and(|taken| !taken.fits(MemoryUse::Guest, more)) {
            return Err(NO_MEMORY.into());
        }
        match &self.share {
            Some(share) if wanted > before => share.check(wanted - before),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn get(&self, key: &str, now: u64) -> Option<&Value> {
        self.entry(key, now).map(|entry| &entry.value)
    }

    pub(super) fn entry(&self, key: &str, now: u64) -> Option<&Entry> {
        self.pairs.get(key).filter(|entry| entry.lives(now))
    }

    pub(super) fn list(&self, prefix: &str, after: Option<&str>, limit: usize, now: u64) -> Vec<String> {
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let range = self.pairs.range::<str, _>((start, Bound::Unbounded));
        let found = range.take_while(|(key, _)| key.starts_with(prefix)).filter(|(_, entry)| entry.lives(now));
        found.take(limit).map(|(key, _)| key.to_string()).collect()
    }

    /// Does an operation at once.
    pub(super) fn change(&mut self, key: &str, operation: &Operation, now: u64) -> Result<Reply, StoreError> {
        for key in self.ended(now) {
            self.remove(&key);
        }
        let (reply, change) = operation.on(self.entry(key, now), now)?;
        match change {
            Change::None => {}
            Change::Remove => self.remove(key),
            Change::Put(entry) => {
                self.check(self.used - self.held(key) + cost(key, &entry), self.used)?;
                self.put(key.into(), entry);
            }
        }
        Ok(reply)
    }

    /// Some keys whose time is over.
    pub(super) fn ended(&self, now: u64) -> Vec<Arc<str>> {
        self.ending.iter().take(SWEEP).take_while(|(end, _)| *end <= now).map(|(_, key)| Arc::clone(key)).collect()
    }

    pub(super) fn put(&mut self, key: Arc<str>, entry: Entry) {
        self.remove(&key);
        let cost = cost(&key, &entry);
        self.used += cost;
        self.taken.iter_mut().for_each(|taken| taken.hold(cost as u64));
        if let Some(KvShare(together)) = &self.share {
            together.used.fetch_add(cost, Ordering::Relaxed);
        }
        if let Some(end) = entry.expires {
            self.ending.insert((end, Arc::clone(&key)));
        }
        self.pairs.insert(key, entry);
    }

    pub(super) fn remove(&mut self, key: &str) {
        let Some((key, entry)) = self.pairs.remove_entry(key) else { return };
        let cost = cost(&key, &entry);
        self.used -= cost;
        let used = self.used as u64;
        self.taken.iter_mut().for_each(|taken| taken.shrink_to(used));
        if let Some(KvShare(together)) = &self.share {
            together.used.fetch_sub(cost, Ordering::Relaxed);
        }
        if let Some(end) = entry.expires {
            self.ending.remove(&(end, key));
        }
    }

    /// What a key takes of the quota now, also when its time is over.
    pub(super) fn held(&self, key: &str) -> usize {
        self.pairs.get(key).map_or(0, |entry| cost(key, entry))
    }

    pub(super) fn used(&self) -> usize {
        self.used
    }
}

impl Entry {
    fn lives(&self, now: u64) -> bool {
        self.expires.is_none_or(|end| end > now)
    }
}

/// What a pair takes of the quota.
pub(super) fn cost(key: &str, entry: &Entry) -> usize {
    key.len() + entry.value.as_bytes().len() + OVERHEAD
}

fn check_quota(used: usize, quota: usize) -> Result<(), StoreError> {
    match used <= quota {
        true => Ok(()),
        false => Err(full(quota)),
    }
}

fn full(quota: usize) -> StoreError {
    StoreError::new(StoreFailure::Quota, format!("the store is full: its quota is {} KiB", quota >> 10))
}

fn shared_full(limit: usize) -> StoreError {
    let sentence = format!("the stores of the tenant are full: its quota `kv` is {} KiB for all its apps", limit >> 10);
    StoreError::new(StoreFailure::Quota, sentence)
}

/// What came of a change on a server, which answers with a word.
pub(super) fn replied(word: &str, quota: usize, share: Option<usize>) -> Result<Reply, StoreError> {
    match word {
        "done" => Ok(Reply::Done),
        "yes" => Ok(Reply::Whether(true)),
        "no" => Ok(Reply::Whether(false)),
        "full" => Err(full(quota)),
        "shared" => Err(shared_full(share.unwrap_or_default())),
        "no int" => Err(NO_INT.into()),
        "overflow" => Err(NO_SUM.into()),
        _ => Err(StoreError::new(StoreFailure::Refused, "the store answered something that is no answer")),
    }
}

/// The first bytes that are behind all keys with a prefix; none where no bytes are.
pub(super) fn behind(prefix: &str) -> Option<Vec<u8>> {
    // No byte of UTF-8 is 255.
    let (last, before) = prefix.as_bytes().split_last()?;
    Some([before, &[last.saturating_add(1)]].concat())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::value::Parts;
    use super::*;

    fn text(text: &str) -> Value {
        Value::new(&Parts::Text(text.into())).unwrap()
    }

    fn set(value: &str, lifetime: Lifetime) -> Operation {
        Operation::Set { value: text(value), lifetime }
    }

    #[test]
    fn a_lifetime_ends() {
        let mut table = Table::new(1 << 20);
        table.change("a", &set("1", Lifetime::Nanoseconds(10)), 100).unwrap();
        assert!(table.get("a", 109).is_some() && table.get("a", 110).is_none());
        assert_eq!(table.list("", None, 10, 110), Vec::<String>::new());
        // Kept by a change that says so, forgotten by one that does not.
        table.change("a", &set("2", Lifetime::Keep), 105).unwrap();
        assert!(table.get("a", 110).is_none());
        table.change("a", &set("3", Lifetime::Forever), 106).unwrap();
        assert!(table.get("a", u64::MAX).is_some());
    }

    #[test]
    fn pairs_are_counted_in_the_memory_of_the_process() {
        let memory = MemoryBudget::new(80_000);
        let mut table = Table::new(1 << 20);
        table.change("old", &set(&"o".repeat(10_000), Lifetime::Forever), 0).unwrap();
        table.count(&memory);
        assert_eq!(memory.used(), table.used() as u64);
        table.change("a", &set(&"x".repeat(40_000), Lifetime::Forever), 0).unwrap();
        let full = table.change("b", &set(&"x".repeat(40_000), Lifetime::Forever), 0);
        assert_eq!((full.unwrap_err().sentence.as_str(), memory.used()), (NO_MEMORY, table.used() as u64));
        table.change("a", &Operation::Delete, 0).unwrap();
        table.change("b", &set(&"x".repeat(40_000), Lifetime::Forever), 0).unwrap();
        assert_eq!(memory.used(), table.used() as u64);
        drop(table);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn what_ended_is_cleared_away() {
        let mut table = Table::new(1 << 20);
        for i in 0..20 {
            table.change(&format!("k{i}"), &set("v", Lifetime::Nanoseconds(1)), 0).unwrap();
        }
        for _ in 0..3 {
            table.change("x", &Operation::Delete, 10).unwrap();
        }
        assert_eq!((table.used(), table.pairs.len(), table.ending.len()), (0, 0, 0));
    }

    #[test]
    fn the_quota_holds_and_room_comes_back() {
        let mut table = Table::new(210);
        table.change("a", &set("1", Lifetime::Forever), 0).unwrap();
        table.change("b", &set(&"x".repeat(60), Lifetime::Forever), 0).unwrap();
        let refused = table.change("c", &set("1", Lifetime::Forever), 0).unwrap_err();
        assert!(refused.sentence.starts_with("the store is full"), "{refused:?}");
        assert_eq!(refused.failure, Some(StoreFailure::Quota));
        assert!(table.get("c", 0).is_none());
        table.change("b", &set("1", Lifetime::Forever), 0).unwrap();
        table.change("c", &set("1", Lifetime::Forever), 0).unwrap();
        for key in ["a", "b", "c"] {
            assert_eq!(table.change(key, &Operation::Delete, 0), Ok(Reply::Whether(true)));
        }
        assert_eq!(table.used(), 0);
    }

    #[test]
    fn stores_share_what_they_may_hold() {
        let share = KvShare::new(150);
        let table = || Table::of_share(1 << 20, Some(share.clone()));
        let (mut one, mut other) = (table(), table());
        one.change("a", &set("1", Lifetime::Forever), 0).unwrap();
        other.change("a", &set("1", Lifetime::Forever), 0).unwrap();
        assert_eq!(share.used(), one.used() + other.used());
        let refused = other.change("b", &set("1", Lifetime::Forever), 0).unwrap_err();
        assert!(refused.sentence.contains("quota `kv`"), "{refused:?}");
        other.change("a", &set("2", Lifetime::Forever), 0).unwrap();
        assert_eq!(one.clone().change("b", &set(&"x".repeat(500), Lifetime::Forever), 0), Ok(Reply::Done), "a copy");
        drop(one);
        assert_eq!(share.used(), other.used());
        other.change("b", &set("1", Lifetime::Forever), 0).unwrap();
        other.change("a", &Operation::Delete, 0).unwrap();
        other.change("b", &Operation::Delete, 0).unwrap();
        assert_eq!(share.used(), 0);
    }

    #[test]
    fn values_are_compared_outside_of_the_store() {
        let json = |text: &str| Value::new(&Parts::Json(text.into())).unwrap();
        let mut table = Table::new(1 << 20);
        let (present, other) = (json("{\"a\":1,\"b\":2}"), json("{\"b\":2,\"a\":1}"));
        table.change("a", &Operation::Set { value: present.clone(), lifetime: Lifetime::Forever }, 0).unwrap();
        let set = |value: &Value, compared| Operation::CompareAndSet {
            expected: Expected::Equal { value: value.clone(), compared },
            value: json("3"),
            lifetime: Lifetime::Forever,
        };
        assert_eq!(table.change("a", &set(&text("x"), None), 0), Ok(Reply::Whether(false)), "a text is no JSON");
        let asked = table.change("a", &set(&other, None), 0);
        assert_eq!(asked, Ok(Reply::Compare(present.clone())));
        // What was found out about another value does not hold for this one.
        assert_eq!(table.change("a", &set(&other, Some((json("1"), true))), 0), Ok(Reply::Compare(present.clone())));
        assert_eq!(table.change("a", &set(&other, Some((present.clone(), false))), 0), Ok(Reply::Whether(false)));
        assert_eq!(table.change("a", &set(&other, Some((present, true))), 0), Ok(Reply::Whether(true)));
        assert_eq!(table.change("a", &set(&json("3"), None), 0), Ok(Reply::Whether(true)), "byte for byte");
    }

    #[test]
    fn listing_is_by_prefix_and_goes_on() {
        let mut table = Table::new(1 << 20);
        for key in ["a:1", "a:2", "a:3", "b:1", "a"] {
            table.change(key, &set("", Lifetime::Forever), 0).unwrap();
        }
        assert_eq!(table.list("a:", None, 10, 0), ["a:1", "a:2", "a:3"]);
        assert_eq!(table.list("a:", Some("a:1"), 1, 0), ["a:2"]);
        assert_eq!(table.list("a:", Some("A"), 10, 0), ["a:1", "a:2", "a:3"]);
        assert_eq!(table.list("a:", Some("b"), 10, 0), Vec::<String>::new());
        assert_eq!(table.list("", None, 10, 0).len(), 5);
    }

    #[test]
    fn increments_start_at_zero_and_keep_their_end() {
        let mut table = Table::new(1 << 20);
        let by = |by| Operation::Increment { by, lifetime: Lifetime::Nanoseconds(10) };
        assert_eq!(table.change("n", &by(2), 0), Ok(Reply::Sum(2)));
        assert_eq!(table.change("n", &by(-5), 5), Ok(Reply::Sum(-3)));
        assert_eq!(table.change("n", &by(1), 10), Ok(Reply::Sum(1)), "a new one");
        assert!(table.change("n", &by(i64::MAX), 11).is_err());
        table.change("s", &set("1", Lifetime::Forever), 0).unwrap();
        assert!(table.change("s", &by(1), 0).is_err());
    }
}
