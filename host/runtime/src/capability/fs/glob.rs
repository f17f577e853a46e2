//! Which names a pattern matches.
//!
//! `*` and `?` stand for characters of one name, `[a-z]` and `[!a-z]` for one character, and a segment `**` for any
//! number of folders. The part before the first of them is a path like any other; everything beneath it is looked at
//! name by name, without following links, and what the grants do not cover is passed over as if it were not there.

use std::os::fd::OwnedFd;

use rustix::fs::{self, Mode};
use starcell_policy::CanonicalPath;

use super::folder::{self, Budget, MAX_DEPTH};
use super::locate::{FOLDER, Spot};
use super::names::NamePattern;
use super::refusal::Refusal;
use crate::capability::blocking::Work;

/// A pattern, split.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// The folder that the rest is matched beneath.
    pub(super) base: CanonicalPath,
    segments: Vec<Segment>,
}

/// One segment of a pattern.
#[derive(Clone, Debug)]
enum Segment {
    /// `**`.
    AnyDepth,
    Name(NamePattern),
}

impl Pattern {
    /// Splits a pattern that is already in the form of a path.
    pub(super) fn new(path: &CanonicalPath) -> Result<Self, Refusal> {
        let mut fixed = String::new();
        let mut segments: Vec<Segment> = Vec::new();
        for segment in path.as_str().split('/').filter(|segment| !segment.is_empty()) {
            if segments.is_empty() && !segment.contains(['*', '?', '[']) {
                fixed.push('/');
                fixed.push_str(segment);
            } else if segment != "**" {
                segments.push(Segment::Name(NamePattern::new(segment)));
            } else if !matches!(segments.last(), Some(Segment::AnyDepth)) {
                segments.push(Segment::AnyDepth);
            }
        }
        let base = if fixed.is_empty() { "/" } else { &fixed };
        Ok(Self { base: CanonicalPath::absolute(base)?, segments })
    }

    /// The matches beneath `spot`, which is where the base was found, as paths beneath the base.
    pub(super) fn matches(
        &self,
        spot: &Spot,
        may_see: &dyn Fn(&CanonicalPath) -> bool,
        work: &Work,
    ) -> Result<Vec<String>, Refusal> {
        if self.segments.is_empty() {
            return Ok(spot.entry.iter().map(|_| self.base.as_str().to_owned()).collect());
        }
        let mut search = Search { found: Vec::new(), budget: Budget::new(work), may_see };
        // A base that is no folder has nothing beneath it.
        if let Ok(folder) = spot.open_folder() {
            let shown = self.base.as_str().trim_end_matches('/');
            search.beneath(&folder, (shown, spot.path.as_str().trim_end_matches('/')), &self.segments, 0)?;
        }
        search.found.sort_unstable();
        search.found.dedup();
        Ok(search.found)
    }
}

struct Search<'a> {
    found: Vec<String>,
    budget: Budget<'a>,
    may_see: &'a dyn Fn(&CanonicalPath) -> bool,
}

impl Search<'_> {
    /// `at` is the folder's path as the script wrote it, and as it is without links.
    fn beneath(
        &mut self,
        folder: &OwnedFd,
        at: (&str, &str),
        segments: &[Segment],
        depth: usize,
    ) -> Result<(), Refusal> {
        let Some((first, rest)) = segments.split_first() else { return Ok(()) };
        if depth == MAX_DEPTH {
            return Err(Refusal::TooMuch(format!("folders nested more than {MAX_DEPTH} deep")));
        }
        let pattern = match first {
            Segment::AnyDepth => None,
            Segment::Name(pattern) => Some(pattern),
        };
        let any_depth = pattern.is_none();
        if any_depth && !rest.is_empty() {
            self.beneath(folder, at, rest, depth)?;
        }
        for name in folder::names(folder, &mut self.budget)? {
            let matches = match pattern {
                Some(pattern) => pattern.matches(&name.text),
                None => !name.text.starts_with('.'),
            };
            if !matches {
                continue;
            }
            let (shown, real) = (format!("{}/{}", at.0, name.text), format!("{}/{}", at.1, name.text));
            let Ok(judged) = CanonicalPath::absolute(&real) else { continue };
            if !(self.may_see)(&judged) {
                continue;
            }
            if rest.is_empty() {
                self.found.push(shown.clone());
            }
            let beneath = if any_depth { segments } else { rest };
            if name.is_folder && !beneath.is_empty() {
                // A folder that went away or cannot be read has nothing to show.
                if let Ok(inner) = fs::openat(folder, &*name.text, FOLDER, Mode::empty()) {
                    self.beneath(&inner, (&shown, &real), beneath, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_part_is_the_base() {
        let split = |text: &str| {
            let pattern = Pattern::new(&CanonicalPath::absolute(text).unwrap()).unwrap();
            (pattern.base.to_string(), pattern.segments.len())
        };
        assert_eq!(split("/srv/*/x"), ("/srv".to_owned(), 2));
        assert_eq!(split("/srv/x"), ("/srv/x".to_owned(), 0));
        assert_eq!(split("/*"), ("/".to_owned(), 1));
        assert_eq!(split("/a/**/**/b"), ("/a".to_owned(), 2));
    }
}
