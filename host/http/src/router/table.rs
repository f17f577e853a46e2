//! The patterns of one host, and the search for those that match a path.
//!
//! A path is matched against all patterns at once: a set of candidates, one bit each, is narrowed
//! segment by segment to those that admit the segment at its place. Each segment costs one lookup
//! and a pass over the bits, sixteen words for a thousand routes, and segments past the longest
//! pattern cost nothing. There is no going back, so no path and no set of patterns makes the search
//! exponential: the work is at most the segments of the longest pattern times the words.
//!
//! Patterns without wildcards are also in a `matchit` router, which is asked first; the parent
//! module says why it holds no others.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::bits::{Bits, FewBits};
use super::path::{END, segments};
use super::pattern::{Pattern, Segment};
use super::precedence;

/// The patterns of one host.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    slots: Vec<Slot>,
    /// The slots in the order of [`precedence::order`].
    ranking: Vec<usize>,
    /// What the patterns have at their first segment, at their second, and so on to the longest.
    places: Vec<Place>,
    /// The slots of the patterns without wildcards, by their canonical path.
    literals: matchit::Router<Vec<usize>>,
}

/// One pattern; its bit is its place in [`Table::slots`].
#[derive(Debug, Clone)]
struct Slot {
    index: usize,
    pattern: Arc<Pattern>,
    /// Its place in [`Table::ranking`].
    rank: usize,
}

/// The patterns of a table that match a path.
#[derive(Debug)]
pub(super) struct Matches<'t> {
    table: &'t Table,
    /// Those that match the path.
    path: Bits,
    /// Those that match it with a slash added.
    slashed: Bits,
}

/// The patterns that admit a segment at one place of a path.
#[derive(Debug, Clone, Default)]
struct Place {
    /// Those with this literal here. A script names them, and clients only ask: there is nothing to be gained by texts
    /// that collide, so the hash is the fast one.
    literal: HashMap<String, FewBits, RandomState>,
    /// Those with a wildcard for one segment here.
    single: Bits,
    /// Those whose wildcard for the rest of the path starts here or before.
    rest: Bits,
    /// Those with a literal or a wildcard for one segment here.
    filled: Bits,
    /// Those of `filled` for which it is the last segment.
    last: Bits,
}

impl Table {
    /// Adds a pattern, which conflicts with none in the table.
    pub(super) fn add(&mut self, index: usize, pattern: Arc<Pattern>) {
        let slot = self.slots.len();
        self.add_segments(slot, pattern.segments());
        if let Some(path) = pattern.literal_path() {
            self.add_literal(slot, path);
        }
        let rank = self.ranking.partition_point(|&other| {
            self.slots.get(other).is_some_and(|other| precedence::order(&other.pattern, &pattern).is_lt())
        });
        self.slots.push(Slot { index, pattern, rank });
        self.ranking.insert(rank, slot);
        for (rank, &slot) in self.ranking.iter().enumerate().skip(rank + 1) {
            if let Some(slot) = self.slots.get_mut(slot) {
                slot.rank = rank;
            }
        }
    }

    fn add_segments(&mut self, slot: usize, segments: &[Segment]) {
        while self.places.len() < segments.len() {
            let rest = self.places.last().map(|place| place.rest.clone()).unwrap_or_default();
            self.places.push(Place { rest, ..Place::default() });
        }
        let mut open = false;
        for (at, place) in self.places.iter_mut().enumerate() {
            match segments.get(at) {
                Some(Segment::Literal(literal)) => place.literal.entry(literal.clone()).or_default().push(slot),
                Some(Segment::Single(_)) => place.single.insert(slot),
                Some(Segment::Rest(_)) => open = true,
                None if open => {}
                None => break,
            }
            if open {
                place.rest.insert(slot);
                continue;
            }
            place.filled.insert(slot);
            if at + 1 == segments.len() {
                place.last.insert(slot);
            }
        }
    }

    fn add_literal(&mut self, slot: usize, path: String) {
        if let Ok(found) = self.literals.at_mut(&path) {
            found.value.push(slot);
            return;
        }
        // The search finds a path that the router refuses.
        let _ = self.literals.insert(path.replace('{', "{{").replace('}', "}}"), vec![slot]);
    }

    /// Returns whether some pattern begins like a canonical path. What strangers ask every server for does not get
    /// further.
    pub(super) fn begins(&self, path: &str) -> bool {
        let (Some(place), Some(first)) = (self.places.first(), segments(path).next()) else { return false };
        !place.single.is_empty() || !place.rest.is_empty() || place.literal.contains_key(first)
    }

    /// The pattern without wildcards for a method and a canonical path, if there is one; no other
    /// pattern of the table is as specific.
    pub(super) fn literal(&self, method: &str, path: &str) -> Option<usize> {
        let found = self.literals.at(path).ok()?;
        self.most_specific(method, found.value.iter().copied())
    }

    /// The patterns that match a canonical path, and those that would with a slash at its end.
    pub(super) fn search(&self, path: &str) -> Matches<'_> {
        self.search_counting(path, |_| ())
    }

    /// [`Self::search`]; `work` is told how many words each segment makes it look at.
    fn search_counting(&self, path: &str, mut work: impl FnMut(usize)) -> Matches<'_> {
        let mut left = Bits::first(self.slots.len());
        let mut next = left.clone();
        let mut length = 0;
        for segment in segments(path) {
            work(left.words());
            let Some(place) = self.places.get(length) else {
                left.keep(|word| self.longer(word));
                return Matches { table: self, slashed: left.clone(), path: left };
            };
            place.admit(segment, &left, &mut next);
            std::mem::swap(&mut left, &mut next);
            length += 1;
            if left.is_empty() {
                return Matches { table: self, slashed: left.clone(), path: left };
            }
        }
        match self.places.get(length) {
            Some(place) => {
                place.admit(END, &left, &mut next);
                next.keep(|word| place.end(word));
            }
            None => {
                next.copy(&left);
                next.keep(|word| self.longer(word));
            }
        }
        let last = length.checked_sub(1).and_then(|last| self.places.get(last));
        left.keep(|word| last.map_or(0, |place| place.end(word)));
        Matches { table: self, path: left, slashed: next }
    }

    fn most_specific(&self, method: &str, slots: impl Iterator<Item = usize>) -> Option<usize> {
        slots
            .filter_map(|slot| self.slots.get(slot))
            .filter(|slot| slot.pattern.accepts(method))
            .min_by_key(|slot| slot.rank)
            .map(|slot| slot.index)
    }

    /// The patterns that match some path which `pattern` also matches, in the order of registration.
    pub(super) fn overlapping(&self, pattern: &Pattern) -> impl Iterator<Item = &Pattern> {
        let mut left = Bits::first(self.slots.len());
        let mut next = left.clone();
        let mut place = None;
        for (at, segment) in pattern.segments().iter().enumerate() {
            place = self.places.get(at);
            let Some(place) = place else {
                left.keep(|word| self.longer(word));
                break;
            };
            match segment {
                Segment::Literal(literal) => {
                    place.admit(literal, &left, &mut next);
                    std::mem::swap(&mut left, &mut next);
                }
                Segment::Rest(_) => left.keep(|word| place.filled.word(word) | place.rest.word(word)),
                Segment::Single(_) => {
                    left.keep(|word| place.filled.word(word) | place.rest.word(word));
                    place.literal.get(END).into_iter().for_each(|ends| left.remove(ends));
                }
            }
        }
        if let Some(place) = place.filter(|_| !pattern.is_subtree()) {
            left.keep(|word| place.end(word));
        }
        let slots = left.slots().collect::<Vec<_>>();
        slots.into_iter().filter_map(|slot| self.slots.get(slot)).map(|slot| &*slot.pattern)
    }

    /// The patterns that match a path with more segments than any pattern.
    fn longer(&self, word: usize) -> u64 {
        self.places.last().map_or(0, |place| place.rest.word(word))
    }
}

impl<'t> Matches<'t> {
    /// The index of the most specific pattern that matches the path.
    pub(super) fn best(&self, method: &str) -> Option<usize> {
        self.table.most_specific(method, self.path.slots())
    }

    /// The index of the most specific pattern that matches the path with a slash added.
    pub(super) fn best_slashed(&self, method: &str) -> Option<usize> {
        self.table.most_specific(method, self.slashed.slots())
    }

    /// The methods of the patterns that match the path.
    pub(super) fn methods(&self) -> impl Iterator<Item = &'t str> {
        self.path.slots().filter_map(|slot| self.table.slots.get(slot)?.pattern.method())
    }

    /// The methods of the patterns that match the path with a slash added.
    pub(super) fn methods_slashed(&self) -> impl Iterator<Item = &'t str> {
        self.slashed.slots().filter_map(|slot| self.table.slots.get(slot)?.pattern.method())
    }
}

impl Place {
    /// Writes those of the candidates that admit this segment here to `into`, a set of the same size.
    fn admit(&self, segment: &str, candidates: &Bits, into: &mut Bits) {
        into.copy(candidates);
        if segment == END {
            into.keep(|word| self.rest.word(word));
        } else {
            into.keep(|word| self.rest.word(word) | self.single.word(word));
        }
        if let Some(literal) = self.literal.get(segment) {
            into.add_among(literal, candidates);
        }
    }

    /// Those that match when this is the last segment.
    fn end(&self, word: usize) -> u64 {
        self.last.word(word) | self.rest.word(word)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    fn table(patterns: impl IntoIterator<Item = String>) -> Table {
        let mut table = Table::default();
        for (index, text) in patterns.into_iter().enumerate() {
            table.add(index, Arc::new(Pattern::parse(&text).unwrap()));
        }
        table
    }

    fn work(table: &Table, path: &str) -> usize {
        let mut words = 0;
        table.search_counting(path, |step| words += step);
        words
    }

    #[test]
    fn what_no_pattern_begins_like_is_known_at_once() {
        let literals = table(["/a/b", "GET /c", "/d/{x}"].map(str::to_owned));
        for (path, begins) in
            [("/a", true), ("/a/x", true), ("/c/", true), ("/d/e/f", true), ("/", false), ("/ab", false)]
        {
            assert_eq!(literals.begins(path), begins, "{path}");
        }
        for pattern in ["/", "/{x}", "/{x...}", "/{$}"] {
            let table = table([pattern.to_owned()]);
            assert!(table.begins("/"), "{pattern}");
            assert_eq!(table.begins("/a"), pattern != "/{$}", "{pattern}");
        }
        assert!(!Table::default().begins("/"));
    }

    fn best(table: &Table, path: &str) -> Option<usize> {
        table.search(path).best("GET")
    }

    /// All ways to fill `depth` segments with `a` or a wildcard, each with an end of its own.
    fn forks(depth: usize) -> impl Iterator<Item = String> {
        (0..1 << depth).map(move |fork: usize| {
            let segment = |at| {
                if fork >> at & 1 == 0 { "a/".to_owned() } else { format!("{{x{at}}}/") }
            };
            format!("/{}end{fork}", (0..depth).map(segment).collect::<String>())
        })
    }

    #[test]
    fn forks_do_not_multiply_the_work() {
        for depth in 1..=9 {
            let table = table(forks(depth));
            let words = (1_usize << depth).div_ceil(64);
            let path = format!("{}/none", "/a".repeat(depth));
            assert_eq!(work(&table, &path), (depth + 1) * words);
            let path = format!("{}/end0", "/a".repeat(depth));
            assert_eq!(best(&table, &path), Some(0));
        }
    }

    #[test]
    fn a_long_path_costs_no_more_than_the_longest_pattern() {
        let table = table(forks(9).chain((0..480).map(|at| format!("/{{x}}/{at}/{{rest...}}"))));
        let words = table.slots.len().div_ceil(64);
        assert_eq!(words, 16);
        for path in ["/".repeat(60_000), "/a".repeat(30_000), "/a/7".repeat(15_000)] {
            assert!(work(&table, &path) <= 11 * words, "{}", work(&table, &path));
        }
        assert_eq!(best(&table, &"/a/7".repeat(15_000)), Some(512 + 7));
    }

    #[test]
    fn every_pattern_is_found_at_its_own_place() {
        let table = table((0..200).map(|at| format!("/{at}/{{x}}/{}", at % 7)));
        for at in 0..200 {
            assert_eq!(best(&table, &format!("/{at}/q/{}", at % 7)), Some(at));
            assert_eq!(best(&table, &format!("/{at}/q/7")), None);
        }
    }
}
