//! Reads a pattern `[METHOD ][HOST]/[PATH]` once, into the segments that are matched and compared.
//!
//! Everything that could never match, or would match something other than it seems to, is refused
//! here with the place of the fault: a script learns of it when it registers the route, not from a
//! request that goes to the wrong handler.

use std::collections::HashSet;

use super::PatternError;
use super::clean;
use super::path::{self, END};

/// A parsed pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    text: String,
    method: Option<String>,
    host: String,
    segments: Vec<Segment>,
}

/// One piece of a pattern's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// One segment, in canonical form. `{$}` is the literal [`END`].
    Literal(String),
    /// All that is left of the path, `{name...}`; without a name it is a trailing slash.
    Rest(Option<String>),
    /// Any one segment, `{name}`, but not [`END`].
    Single(String),
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let (method, rest) = match text.split_once([' ', '\t']) {
            Some((method, rest)) => (method, rest.trim_start_matches([' ', '\t'])),
            None => ("", text),
        };
        let fail = |rest: &str, reason: String| PatternError::Invalid {
            pattern: text.to_owned(),
            position: text.len() - rest.len(),
            reason,
        };
        if method.contains('/') {
            let reason = "a path has no blanks, write %20; only a method is followed by one";
            return Err(fail(text.get(method.len()..).unwrap_or_default(), reason.to_owned()));
        }
        if let Some(at) = method.find(|letter| !is_token(letter)) {
            let reason = "a method is one word of letters, digits and !#$%&'*+-.^_`|~";
            return Err(fail(text.get(at..).unwrap_or_default(), reason.to_owned()));
        }
        let Some(slash) = rest.find('/') else {
            let reason = "a pattern needs a path, which starts with a slash, like \"GET /items\"";
            return Err(fail(rest, reason.to_owned()));
        };
        let (host, path) = rest.split_at(slash);
        if let Some(brace) = host.find('{') {
            let reason = "a host has no wildcards, and a path starts with a slash";
            return Err(fail(rest.get(brace..).unwrap_or_default(), reason.to_owned()));
        }
        if !matches!(method, "" | "CONNECT") && path != clean::path(path) {
            let reason = "requests have no empty, \".\" or \"..\" segments, so this would never match";
            return Err(fail(path, reason.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            method: Some(method).filter(|method| !method.is_empty()).map(str::to_owned),
            host: host.to_owned(),
            segments: parse_path(path).map_err(|(at, reason)| fail(at, reason))?,
        })
    }

    /// The pattern as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The one method it is for.
    pub(super) fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }

    /// The one host it is for; empty for any.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The segments; there is at least one, and only the last can be [`Segment::Rest`].
    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The path in canonical form, for a pattern without wildcards.
    pub(super) fn literal_path(&self) -> Option<String> {
        let mut path = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            let Segment::Literal(segment) = segment else {
                return None;
            };
            path.push('/');
            if segment != END || at + 1 < self.segments.len() {
                path.push_str(segment);
            }
        }
        Some(path)
    }

    /// Returns whether requests of this method are for this pattern: GET is also for HEAD.
    pub(super) fn accepts(&self, method: &str) -> bool {
        match self.method() {
            None => true,
            Some("GET") => matches!(method, "GET" | "HEAD"),
            Some(own) => own == method,
        }
    }

    /// Returns whether it matches whole subtrees: it ends in a slash or in `{name...}`.
    pub(super) fn is_subtree(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Rest(_)))
    }

    /// Returns whether this pattern, which matches a path with this many slashes and one at its end, stands
    /// for that path alone: a subtree does so for its root only.
    pub(super) fn ends_at(&self, slashes: usize) -> bool {
        !self.is_subtree() || self.segments.len() == slashes
    }

    /// The names and values of the wildcards for a path that this pattern matches.
    pub(super) fn values(&self, path: &str) -> Vec<(&str, String)> {
        let mut values = Vec::new();
        let mut left = path.strip_prefix('/');
        for segment in &self.segments {
            let here = left.unwrap_or_default();
            let (piece, after) = path::split(here);
            match segment {
                Segment::Literal(_) | Segment::Rest(None) => {}
                Segment::Rest(Some(name)) => values.push((name.as_str(), path::value(here))),
                Segment::Single(name) => values.push((name.as_str(), path::value(piece))),
            }
            left = after;
        }
        values
    }
}

/// Reads the path of a pattern, which starts with a slash. An error is the rest of the path from the
/// fault on, and the reason.
fn parse_path(path: &str) -> Result<Vec<Segment>, (&str, String)> {
    let mut segments = Vec::new();
    let mut names = HashSet::new();
    let mut left = path.strip_prefix('/');
    while let Some(here) = left {
        let (piece, after) = path::split(here);
        let segment = parse_segment(piece, after.is_none()).map_err(|reason| (here, reason))?;
        if let Segment::Single(name) | Segment::Rest(Some(name)) = &segment
            && !names.insert(name.clone())
        {
            let reason = format!("there are two wildcards with the name {name:?}");
            return Err((here, reason));
        }
        segments.push(segment);
        left = after;
    }
    Ok(segments)
}

fn parse_segment(piece: &str, last: bool) -> Result<Segment, String> {
    if piece.is_empty() && last {
        return Ok(Segment::Rest(None));
    }
    if !piece.contains('{') {
        return Ok(Segment::Literal(path::canonical(piece).into_owned()));
    }
    let Some(inner) = piece.strip_prefix('{').and_then(|piece| piece.strip_suffix('}')) else {
        return Err(format!("a wildcard is a whole segment, like /{{id}}/, not part of one as in {piece:?}"));
    };
    if inner == "$" {
        return if last { Ok(Segment::Literal(END.to_owned())) } else { Err("{$} is only for the end".to_owned()) };
    }
    let rest = inner.strip_suffix("...");
    if rest.is_some() && !last {
        return Err(format!("{piece} matches the rest of the path, so nothing can follow it"));
    }
    let name = rest.unwrap_or(inner);
    if !is_identifier(name) {
        return Err(format!("the name of wildcard {piece} is not letters, digits and _, starting with no digit"));
    }
    let name = name.to_owned();
    Ok(if rest.is_some() { Segment::Rest(Some(name)) } else { Segment::Single(name) })
}

fn is_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter)
}

/// Returns whether it is a name as in Go. Beyond ASCII this takes every alphabetic and numeric character,
/// and so a few, like Roman numerals, that Go does not.
fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && letters.all(|letter| letter == '_' || letter.is_alphanumeric())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_told_apart() {
        let pattern = Pattern::parse("GET\t  example.com/a%20b/{id}/{rest...}").unwrap();
        assert_eq!(pattern.method(), Some("GET"));
        assert_eq!(pattern.host(), "example.com");
        let expected = [
            Segment::Literal("a b".to_owned()),
            Segment::Single("id".to_owned()),
            Segment::Rest(Some("rest".to_owned())),
        ];
        assert_eq!(pattern.segments(), expected);
        assert_eq!(Pattern::parse("/").unwrap().segments(), [Segment::Rest(None)]);
    }

    #[test]
    fn literal_paths_are_canonical() {
        let literal = |text| Pattern::parse(text).unwrap().literal_path();
        assert_eq!(literal("/%61/é").as_deref(), Some("/a/%C3%A9"));
        assert_eq!(literal("/a/{$}").as_deref(), Some("/a/"));
        assert_eq!(literal("/{$}").as_deref(), Some("/"));
        assert_eq!(literal("/a/"), None);
        assert_eq!(literal("/{a}"), None);
    }

    #[test]
    fn faults_have_a_place_and_a_reason() {
        for (text, place, part) in [
            ("", 0, "needs a path"),
            ("GET", 0, "needs a path"),
            ("GET items", 4, "needs a path"),
            ("GET,POST /x", 3, "a method is one word"),
            ("/a b", 2, "no blanks"),
            ("{host}/x", 0, "a host has no wildcards"),
            ("GET /a/../b", 4, "never match"),
            ("GET /a{id}", 5, "whole segment"),
            ("/a/{id", 3, "whole segment"),
            ("/{$}/x", 1, "only for the end"),
            ("/{rest...}/", 1, "nothing can follow"),
            ("/{}", 1, "the name of wildcard {}"),
            ("/{...}", 1, "the name of wildcard {...}"),
            ("/{a-b}", 1, "the name of wildcard {a-b}"),
            ("/{1a}", 1, "the name of wildcard {1a}"),
            ("/{a}/b/{a}", 7, "name \"a\""),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
            let PatternError::Invalid { position, reason, .. } = error else {
                panic!("{text}: {error}");
            };
            assert_eq!(position, place, "{text}: {reason}");
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }

    #[test]
    fn values_follow_the_pattern() {
        let pattern = Pattern::parse("/{a}/x/{rest...}").unwrap();
        let values = pattern.values("/b%2Fc/x/d/e%20f/");
        assert_eq!(values, [("a", "b/c".to_owned()), ("rest", "d/e f/".to_owned())]);
        assert_eq!(pattern.values("/b/x/")[1], ("rest", String::new()));
    }
}
