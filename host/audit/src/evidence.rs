//! Hashes that were kept elsewhere about a log, and their proof.
//!
//! A log that is sound in itself may still lack its end, or be another one that was written anew. A hash that somebody
//! noted must be that of one of its lines; each anchor must be the hash of the line of its number. The only anchors that
//! a log may lack are those of files at its beginning that were deleted, which shows in their numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead, Read as _},
};

use starcell_text::one_line;
use thiserror::Error;

use crate::{
    anchor::{Anchor, MAX_ANCHOR, Signed},
    chain::Hash,
    signing::VerifyingKey,
};

/// Hashes that were kept elsewhere about a log.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Hashes of lines.
    pub expect: Vec<Hash>,
    /// The anchors of the log.
    pub anchors: Option<Anchors>,
}

/// The anchors of a log, in the order they were made.
#[derive(Clone, Debug, Default)]
pub struct Anchors {
    anchors: Vec<Anchor>,
    /// The number of anchors that carry a signature.
    pub signed: usize,
    /// The number of signatures that were verified.
    pub verified: usize,
}

/// An anchor file that cannot be relied on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// A line is no anchor.
    #[error("line {line} of the anchors: {problem}")]
    Bad {
        /// The line, from 1.
        line: usize,
        /// The cause.
        problem: String,
    },
    /// There is no anchor.
    #[error("the file of the anchors holds none, so it proves nothing")]
    None,
    /// A signature is missing or does not hold.
    #[error("line {line} of the anchors is not signed with this key")]
    NotSigned {
        /// The line, from 1.
        line: usize,
    },
    /// The file cannot be read.
    #[error("cannot read the anchors: {0}")]
    Unreadable(#[from] io::Error),
}

/// The log does not fit the hashes that were kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The line of an anchor is missing.
    #[error(
        "the log lacks line {line}, which was anchored with the hash {head}: lines were cut off, or the log was written \
         anew"
    )]
    Anchor {
        /// The number of the line.
        line: u64,
        /// Its hash.
        head: Hash,
    },
    /// No line has an expected hash.
    #[error("no line of the log has the hash {0}: lines were cut off, or the log was written anew")]
    Expected(Hash),
    /// A line has another number than its anchor says.
    #[error("the line that was anchored as number {anchored} is number {found} of the log: the log was written anew")]
    Number {
        /// The number when it was anchored.
        anchored: u64,
        /// The number now, with the lines that deleted files held.
        found: u64,
    },
}

impl Anchors {
    /// Reads a file of anchors. With a key every one of them must be signed with it. An anchor at the end that was left
    /// unfinished is passed over.
    pub fn read(mut source: impl BufRead, key: Option<&VerifyingKey>) -> Result<Self, AnchorError> {
        let mut found = Self::default();
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            (&mut source).take(MAX_ANCHOR as u64).read_until(b'\n', &mut text)?;
            let Some(whole) = text.strip_suffix(b"\n") else {
                if text.len() < MAX_ANCHOR {
                    break;
                }
                return Err(AnchorError::Bad { line, problem: "it is longer than an anchor".to_owned() });
            };
            let bad = |problem: String| AnchorError::Bad { line, problem: one_line(&problem) };
            let whole = std::str::from_utf8(whole).map_err(|_| bad("it is not UTF-8".to_owned()))?;
            let (anchor, signed) = Anchor::parse(whole, key).map_err(bad)?;
            match (signed, key) {
                (Signed::Verified, _) | (Signed::No | Signed::Unknown, None) => {}
                _ => return Err(AnchorError::NotSigned { line }),
            }
            found.signed += usize::from(signed != Signed::No);
            found.verified += usize::from(signed == Signed::Verified);
            found.anchors.push(anchor);
        }
        if found.anchors.is_empty() { Err(AnchorError::None) } else { Ok(found) }
    }

    /// The number of anchors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// True when there is no anchor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }
}

/// Looks for the evidence in a log as its lines come by.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    evidence: &'a Evidence,
    missing: BTreeSet<Hash>,
    /// The place of the line of each anchor; none until it was seen. 0 is the line before the first.
    found: BTreeMap<Hash, Option<u64>>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(evidence: &'a Evidence) -> Self {
        let anchors = evidence.anchors.iter().flat_map(|anchors| &anchors.anchors);
        Self {
            evidence,
            missing: evidence.expect.iter().copied().collect(),
            found: anchors.map(|anchor| (anchor.head, None)).collect(),
        }
    }

    /// Looks at a line by its number in the files that are there, from 1.
    pub(crate) fn see(&mut self, number: u64, hash: Hash) {
        self.missing.remove(&hash);
        self.anchored(number, hash);
    }

    /// Takes the hash that the first line follows.
    pub(crate) fn start(&mut self, hash: Hash) {
        self.anchored(0, hash);
    }

    fn anchored(&mut self, number: u64, hash: Hash) {
        if let Some(place) = self.found.get_mut(&hash) {
            place.get_or_insert(number);
        }
    }

    /// The verdict, after the last line. `start` is the hash that the first line follows.
    pub(crate) fn end(self, start: Option<Hash>) -> Result<(), EvidenceError> {
        if let Some(hash) = self.evidence.expect.iter().find(|hash| self.missing.contains(hash)) {
            return Err(EvidenceError::Expected(*hash));
        }
        let Some(Anchors { anchors, .. }) = &self.evidence.anchors else { return Ok(()) };
        let place = |anchor: &Anchor| self.found.get(&anchor.head).copied().flatten();
        let lacks = |anchor: &Anchor| EvidenceError::Anchor { line: anchor.lines, head: anchor.head };
        // The lines of files that were deleted at the beginning of the log, as the first anchor that is there tells.
        let begins_in_the_middle = start.is_some_and(|start| start != Hash::ZERO);
        let first = anchors.iter().find_map(|anchor| Some((anchor.lines, place(anchor)?)));
        let before = match first {
            Some((lines, place)) if begins_in_the_middle => lines.checked_sub(place),
            _ => Some(0),
        };
        let mut seen_any = false;
        for anchor in anchors {
            match (place(anchor), before) {
                (Some(place), Some(before)) if place + before == anchor.lines => seen_any = true,
                (Some(place), before) => {
                    let found = place.saturating_add(before.unwrap_or(0));
                    return Err(EvidenceError::Number { anchored: anchor.lines, found });
                }
                // It may be of a file that was deleted.
                (None, Some(before)) if !seen_any && first.is_some() && anchor.lines < before => {}
                (None, _) => return Err(lacks(anchor)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn hash(number: u64) -> Hash {
        format!("{number:064x}").parse().unwrap()
    }

    /// The verdict on a log that holds these lines of a longer one, each the hash of its number, with these anchors.
    fn judge(lines: std::ops::RangeInclusive<u64>, anchors: &[(u64, u64)]) -> Result<(), EvidenceError> {
        let anchors = anchors.iter().map(|(lines, head)| Anchor { lines: *lines, head: hash(*head) }).collect();
        let anchors = Some(Anchors { anchors, signed: 0, verified: 0 });
        let evidence = Evidence { anchors, expect: Vec::new() };
        let mut search = Search::new(&evidence);
        let start = hash(lines.start() - 1);
        search.start(start);
        lines.zip(1..).for_each(|(line, number)| search.see(number, hash(line)));
        search.end(Some(start))
    }

    #[test]
    fn anchors_hold_for_a_log_and_all_that_is_longer() {
        for last in 9..12 {
            assert_eq!(judge(1..=last, &[(1, 1), (4, 4), (9, 9)]), Ok(()));
        }
        // Files at the beginning were deleted.
        for first in 2..=9 {
            assert_eq!(judge(first..=9, &[(1, 1), (4, 4), (9, 9)]), Ok(()), "{first}");
        }
        assert_eq!(judge(10..=12, &[(1, 1), (9, 9)]), Ok(()), "the last anchor is what the first line follows");
    }

    #[test]
    fn a_log_that_lacks_an_anchored_line_is_found() {
        let lacks = |line| Err(EvidenceError::Anchor { line, head: hash(line) });
        assert_eq!(judge(1..=8, &[(1, 1), (4, 4), (9, 9)]), lacks(9), "cut off");
        assert_eq!(judge(11..=20, &[(1, 1), (9, 9)]), lacks(1), "nothing that was anchored is left");
        assert_eq!(judge(1..=3, &[(1, 101), (9, 109)]), Err(EvidenceError::Anchor { line: 1, head: hash(101) }));
        // Removed and begun anew, and anchored in the same file.
        assert_eq!(
            judge(1..=3, &[(1, 101), (9, 109), (1, 1), (3, 3)]),
            Err(EvidenceError::Anchor { line: 1, head: hash(101) })
        );
        // A run in the middle is gone, which only a chain that was written anew can hide.
        assert_eq!(judge(1..=9, &[(1, 1), (5, 105), (9, 9)]), Err(EvidenceError::Anchor { line: 5, head: hash(105) }));
        assert_eq!(
            judge(1..=9, &[(1, 1), (19, 9)]),
            Err(EvidenceError::Number { anchored: 19, found: 9 }),
            "ten lines are gone"
        );
        assert_eq!(judge(5..=9, &[(6, 6), (19, 9)]), Err(EvidenceError::Number { anchored: 19, found: 9 }));
    }

    #[test]
    fn an_anchor_file_is_read_whole_or_refused() {
        let line = |lines| Anchor { lines, head: Hash::ZERO }.line(std::time::SystemTime::UNIX_EPOCH, "a", None);
        let two = line(1) + &line(2);
        assert_eq!(Anchors::read(two.as_bytes(), None).unwrap().len(), 2);
        assert_eq!(Anchors::read(&two.as_bytes()[..two.len() - 1], None).unwrap().len(), 1);
        assert!(matches!(Anchors::read(b"".as_slice(), None), Err(AnchorError::None)));
        assert!(matches!(Anchors::read(b"{}\n".as_slice(), None), Err(AnchorError::Bad { line: 1, .. })));
        let long = vec![b'x'; 1 << 20];
        assert!(matches!(Anchors::read(long.as_slice(), None), Err(AnchorError::Bad { line: 1, .. })));
        let key = VerifyingKey::from_pem(include_bytes!("../tests/keys/public.pem")).unwrap();
        assert!(matches!(Anchors::read(two.as_bytes(), Some(&key)), Err(AnchorError::NotSigned { line: 1 })));
    }
}
