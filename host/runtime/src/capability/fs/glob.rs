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
use super::refusal::Refusal;

/// A pattern, split.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// The folder that the rest is matched beneath.
    pub(super) base: CanonicalPath,
    segments: Vec<String>,
}

impl Pattern {
    /// Splits a pattern that is already in the form of a path.
    pub(super) fn new(path: &CanonicalPath) -> Result<Self, Refusal> {
        let mut fixed = String::new();
        let mut segments: Vec<String> = Vec::new();
        for segment in path.as_str().split('/').filter(|segment| !segment.is_empty()) {
            if segments.is_empty() && !segment.contains(['*', '?', '[']) {
                fixed.push('/');
                fixed.push_str(segment);
            } else if segment != "**" || segments.last().is_none_or(|last| last != "**") {
                segments.push(segment.to_owned());
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
    ) -> Result<Vec<String>, Refusal> {
        if self.segments.is_empty() {
            return Ok(spot.entry.iter().map(|_| self.base.as_str().to_owned()).collect());
        }
        let mut search = Search { found: Vec::new(), budget: Budget::new(), may_see };
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
    budget: Budget,
    may_see: &'a dyn Fn(&CanonicalPath) -> bool,
}

impl Search<'_> {
    /// `at` is the folder's path as the script wrote it, and as it is without links.
    fn beneath(
        &mut self,
        folder: &OwnedFd,
        at: (&str, &str),
        segments: &[String],
        depth: usize,
    ) -> Result<(), Refusal> {
        let Some((first, rest)) = segments.split_first() else { return Ok(()) };
        if depth == MAX_DEPTH {
            return Err(Refusal::TooMuch(format!("folders nested more than {MAX_DEPTH} deep")));
        }
        let any_depth = first == "**";
        if any_depth && !rest.is_empty() {
            self.beneath(folder, at, rest, depth)?;
        }
        for name in folder::names(folder, &mut self.budget)? {
            if !matches(if any_depth { "*" } else { first }, &name.text) {
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

/// Whether a name matches one segment of a pattern. A leading dot has to be written out.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last `*` took one more character: each is retried once a position, so no pattern is slow.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            retry = Some((p + 1, n));
            p += 1;
            continue;
        }
        match (one(pattern.get(p..).unwrap_or_default(), name.get(n)), retry) {
            (Some(length), _) => {
                p += length;
                n += 1;
            }
            (None, Some((star, taken))) => {
                retry = Some((star, taken + 1));
                (p, n) = (star, taken + 1);
            }
            (None, None) => return false,
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

/// How many characters of the pattern stand for this one character; none when they do not.
fn one(pattern: &[char], c: Option<&char>) -> Option<usize> {
    let c = *c?;
    match pattern {
        ['?', ..] => Some(1),
        ['[', class @ ..] => match class.iter().skip(1).position(|c| *c == ']').map(|at| at + 1) {
            Some(end) => in_class(class.get(..end)?, c).then_some(end + 2),
            // Without its end it is a bracket like any other.
            None => (c == '[').then_some(1),
        },
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut class) = match class {
        ['!', rest @ ..] => (true, rest),
        class => (false, class),
    };
    let mut found = false;
    while let [first, rest @ ..] = class {
        class = match rest {
            ['-', last, rest @ ..] => {
                found |= (*first..=*last).contains(&c);
                rest
            }
            rest => {
                found |= *first == c;
                rest
            }
        };
    }
    found != negated
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn segments_match_as_in_a_shell() {
        for (pattern, name) in [
            ("*", "a"),
            ("*.txt", "a.txt"),
            ("a*b*c", "aXbbYc"),
            ("?", "ü"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
            ("a[", "a["),
            (".*", ".hidden"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*", ".hidden"),
            ("?", ""),
            ("?", "ab"),
            ("*.txt", "a.txt.gz"),
            ("[a-c]x", "dx"),
            ("[!a-c]x", "ax"),
            ("a*b", "a"),
            ("", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(100), &"a".repeat(99)), "and soon");
    }

    #[test]
    fn the_fixed_part_is_the_base() {
        let split = |text: &str| {
            let pattern = Pattern::new(&CanonicalPath::absolute(text).unwrap()).unwrap();
            (pattern.base.to_string(), pattern.segments)
        };
        let owned = |segments: &[&str]| segments.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(split("/srv/*/x"), ("/srv".to_owned(), owned(&["*", "x"])));
        assert_eq!(split("/srv/x"), ("/srv/x".to_owned(), owned(&[])));
        assert_eq!(split("/*"), ("/".to_owned(), owned(&["*"])));
        assert_eq!(split("/a/**/**/b"), ("/a".to_owned(), owned(&["**", "b"])));
    }
}
