//! Which of two patterns of a host is the more specific one, and whether that has an answer.
//!
//! A pattern stands for a set of requests: methods and paths. It is more specific than another when
//! its set is a proper part of the other's. Two sets that are equal, or that cross, leave some
//! request without a winner; picking one by the order of registration would make the meaning of a
//! script depend on the order of its lines, so the second pattern is refused.

use std::cmp::Ordering;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::PatternError;
use super::path::END;
use super::pattern::{Pattern, Segment};

/// How the set of one pattern lies to that of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Disjoint,
    Equal,
    General,
    Overlap,
    Specific,
}

impl Relation {
    /// The relation of two products of sets, from those of their factors.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Disjoint, _) | (_, Self::Disjoint) => Self::Disjoint,
            (Self::Equal, one) | (one, Self::Equal) => one,
            (one, two) if one == two => one,
            _ => Self::Overlap,
        }
    }
}

/// Refuses a new pattern that an older one of the same host conflicts with.
pub(super) fn check(new: &Pattern, old: &Pattern) -> Result<(), PatternError> {
    let why = match relation(new, old) {
        Relation::Disjoint | Relation::General | Relation::Specific => return Ok(()),
        Relation::Equal => "both match exactly the same requests".to_owned(),
        Relation::Overlap => explain(new, old),
    };
    Err(PatternError::Conflict { new: new.text().to_owned(), old: old.text().to_owned(), why })
}

/// How the requests of one pattern lie to those of another of the same host.
pub(super) fn relation(one: &Pattern, other: &Pattern) -> Relation {
    match methods(one.method(), other.method()) {
        Relation::Disjoint => Relation::Disjoint,
        methods => methods.and(paths(one.segments(), other.segments())),
    }
}

/// An order in which every pattern comes before those that are more general than it.
///
/// Comparing how much each segment can match, from the first on, is such an order: no segment of
/// the more specific pattern matches more than the same segment of the general one.
pub(super) fn order(one: &Pattern, other: &Pattern) -> Ordering {
    let methods = |pattern: &Pattern| match pattern.method() {
        None => 2,
        Some("GET") => 1,
        Some(_) => 0,
    };
    let breadths = one.segments().iter().map(breadth);
    breadths.cmp(other.segments().iter().map(breadth)).then_with(|| methods(one).cmp(&methods(other)))
}

fn breadth(segment: &Segment) -> u8 {
    match segment {
        Segment::Literal(_) => 0,
        Segment::Single(_) => 1,
        Segment::Rest(_) => 2,
    }
}

fn methods(one: Option<&str>, other: Option<&str>) -> Relation {
    match (one, other) {
        (one, other) if one == other => Relation::Equal,
        (None, _) | (Some("GET"), Some("HEAD")) => Relation::General,
        (_, None) | (Some("HEAD"), Some("GET")) => Relation::Specific,
        _ => Relation::Disjoint,
    }
}

fn paths(one: &[Segment], other: &[Segment]) -> Relation {
    let open = |path: &[Segment]| matches!(path.last(), Some(Segment::Rest(_)));
    let lengths = match one.len().cmp(&other.len()) {
        Ordering::Equal => Relation::Equal,
        Ordering::Less if open(one) => Relation::General,
        Ordering::Greater if open(other) => Relation::Specific,
        _ => return Relation::Disjoint,
    };
    let mut relation = lengths;
    for (one, other) in one.iter().zip(other) {
        relation = relation.and(segments(one, other));
        if relation == Relation::Disjoint {
            break;
        }
    }
    relation
}

fn segments(one: &Segment, other: &Segment) -> Relation {
    match (one, other) {
        (Segment::Literal(one), Segment::Literal(other)) if one == other => Relation::Equal,
        (Segment::Rest(_), Segment::Rest(_)) | (Segment::Single(_), Segment::Single(_)) => Relation::Equal,
        (Segment::Rest(_), _) => Relation::General,
        (_, Segment::Rest(_)) => Relation::Specific,
        (Segment::Single(_), Segment::Literal(literal)) if literal != END => Relation::General,
        (Segment::Literal(literal), Segment::Single(_)) if literal != END => Relation::Specific,
        _ => Relation::Disjoint,
    }
}

/// One sentence on two patterns that cross.
fn explain(new: &Pattern, old: &Pattern) -> String {
    let method = match (new.method(), old.method()) {
        (Some("HEAD"), _) | (_, Some("HEAD")) => "HEAD",
        (Some(method), _) | (None, Some(method)) => method,
        (None, None) => "GET",
    };
    let example = format!("both match {method} {}", example(new.segments(), old.segments()));
    let methods = methods(new.method(), old.method());
    let (fewer, closer) = match (methods, paths(new.segments(), old.segments())) {
        (Relation::Specific, Relation::General) => (new, old),
        (Relation::General, Relation::Specific) => (old, new),
        _ => return format!("{example} and neither is more specific"),
    };
    let (fewer, closer) = (fewer.text(), closer.text());
    format!("{example} and neither is more specific: {fewer:?} matches fewer methods, {closer:?} fewer paths")
}

/// A path that both match. Where neither has a literal, the name of a wildcard stands in.
fn example(one: &[Segment], other: &[Segment]) -> String {
    const SHOWN: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'?').add(b'#');
    let mut path = String::new();
    for at in 0..one.len().max(other.len()) {
        path.push('/');
        match (one.get(at), other.get(at)) {
            (Some(Segment::Literal(literal)), _) | (_, Some(Segment::Literal(literal))) if literal != END => {
                path.extend(utf8_percent_encode(literal, SHOWN));
            }
            (Some(Segment::Single(name)), _) | (_, Some(Segment::Single(name))) => path.push_str(name),
            _ => {}
        }
    }
    path
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn relations_hold_in_both_directions() {
        for (one, other, expected) in [
            ("/a", "/a", Relation::Equal),
            ("/a/%62", "/%61/b", Relation::Equal),
            ("/{x}", "/{y}", Relation::Equal),
            ("/a/", "/a/{rest...}", Relation::Equal),
            ("/a/{$}", "/a/", Relation::Specific),
            ("/a/{$}", "/a/{x}", Relation::Disjoint),
            ("/a", "/a/", Relation::Disjoint),
            ("/a/b", "/a/{x}", Relation::Specific),
            ("/a/{x}", "/a/", Relation::Specific),
            ("/a/b/", "/a/", Relation::Specific),
            ("/a/{x}", "/{y}/b", Relation::Overlap),
            ("/a/", "/{x}/b", Relation::Overlap),
            ("/{x}/{y}/", "/a/", Relation::Overlap),
            ("GET /a", "/a", Relation::Specific),
            ("HEAD /a", "GET /a", Relation::Specific),
            ("GET /{x}", "/a", Relation::Overlap),
            ("GET /a", "POST /{x}", Relation::Disjoint),
        ] {
            let parsed = (Pattern::parse(one).unwrap(), Pattern::parse(other).unwrap());
            assert_eq!(relation(&parsed.0, &parsed.1), expected, "{one} {other}");
            let reverse = match expected {
                Relation::Specific => Relation::General,
                same => same,
            };
            assert_eq!(relation(&parsed.1, &parsed.0), reverse, "{other} {one}");
        }
    }

    #[test]
    fn conflicts_name_both_patterns_and_a_request() {
        let message = |new, old| {
            let (new, old) = (Pattern::parse(new).unwrap(), Pattern::parse(old).unwrap());
            check(&new, &old).unwrap_err().to_string()
        };
        assert_eq!(
            message("/{x}/b%20c", "/a/{y}"),
            "route pattern \"/{x}/b%20c\" conflicts with \"/a/{y}\", which is already registered: \
             both match GET /a/b%20c and neither is more specific"
        );
        assert_eq!(
            message("POST /{x}/", "/a/{rest...}"),
            "route pattern \"POST /{x}/\" conflicts with \"/a/{rest...}\", which is already \
             registered: both match POST /a/ and neither is more specific: \"POST /{x}/\" matches \
             fewer methods, \"/a/{rest...}\" fewer paths"
        );
        assert!(message("/{x}", "/{y}").ends_with("both match exactly the same requests"));
    }
}
