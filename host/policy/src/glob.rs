//! The two glob languages of resource patterns: over the characters of a name and over the
//! segments of a path.
//!
//! Both run on one matcher that keeps the set of pattern positions alive after each element of the
//! text, so its cost is the product of the two lengths whatever the pattern: no pattern makes it
//! backtrack. The same set answers the question a deny rule needs for a whole folder or a key
//! prefix: could something that continues this text match? The crates `glob` and `globset` answer neither that question nor
//! whether one pattern includes another.

use std::fmt;

/// A parse error inside a resource: the byte offset within it and what is wrong there.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The byte offset within the resource.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) problem: String,
}

impl Fault {
    pub(crate) fn new(at: usize, problem: impl Into<String>) -> Self {
        Self { at, problem: problem.into() }
    }

    /// This fault, seen from a text in which the resource starts `by` bytes later.
    pub(crate) fn shifted(self, by: usize) -> Self {
        Self { at: self.at + by, problem: self.problem }
    }
}

/// Returns whether a text glob matches: `*` stands for any run of characters, the rest for itself.
pub(crate) fn text_matches(glob: &str, text: &str) -> bool {
    accepts(&text_positions(glob, text))
}

/// Returns whether every text that `other` matches is matched by `glob`, as far as a star of the one that is taken by a
/// star of the other shows it; a no may be a yes that is harder to see.
pub(crate) fn text_includes(glob: &str, other: &str) -> bool {
    // A star of `other` equals no character of `glob`, so only a star takes it.
    accepts(&positions(glob.as_bytes(), other.bytes(), |b| *b == b'*', |b, t| *b == t && t != b'*'))
}

/// Returns whether the glob matches the text or something that begins with it.
pub(crate) fn text_continues(glob: &str, text: &str) -> bool {
    text_positions(glob, text).contains(&true)
}

fn text_positions(glob: &str, text: &str) -> Vec<bool> {
    positions(glob.as_bytes(), text.bytes(), |b| *b == b'*', |b, t| *b == t)
}

/// The text with one star for each run of characters that a rule cannot spell.
pub(crate) fn starred(text: &str, unspeakable: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if !unspeakable(c) {
            out.push(c);
        } else if !out.ends_with('*') {
            out.push('*');
        }
        out
    })
}

/// The positions of `pattern` that are alive after all of `text`; the last one means a match.
fn positions<P, T: Copy>(
    pattern: &[P],
    text: impl Iterator<Item = T>,
    many: impl Fn(&P) -> bool,
    one: impl Fn(&P, T) -> bool,
) -> Vec<bool> {
    let skip = |alive: &mut Vec<bool>| {
        let mut carried = false;
        for (here, p) in alive.iter_mut().zip(pattern.iter().map(Some).chain([None])) {
            *here |= carried;
            carried = *here && p.is_some_and(&many);
        }
    };
    let mut alive = vec![false; pattern.len() + 1];
    if let Some(start) = alive.first_mut() {
        *start = true;
    }
    skip(&mut alive);
    for t in text {
        let mut next = vec![false];
        next.extend(alive.iter().zip(pattern).map(|(a, p)| *a && !many(p) && one(p, t)));
        for ((n, a), p) in next.iter_mut().zip(&alive).zip(pattern) {
            *n |= *a && many(p);
        }
        skip(&mut next);
        alive = next;
    }
    alive
}

fn accepts(alive: &[bool]) -> bool {
    alive.last().is_some_and(|last| *last)
}

/// A glob over path segments: `*` within one segment, `**` for any number of them.
///
/// A final `**` takes at least one segment, so `/srv/**` is everything beneath `/srv` and not the
/// folder itself; it is kept as `**/*`, which says the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PathGlob(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Segment {
    AnyDepth,
    Glob(String),
    Literal(String),
}

impl PathGlob {
    /// Reads `a/b*/**`; empty segments and `.` are dropped, `..` is refused.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let mut segments = Vec::new();
        let mut at = 0;
        for piece in text.split('/') {
            match piece {
                "" | "." => {}
                ".." => return Err(Fault::new(at, "`..` is not allowed in a pattern")),
                "**" if segments.last() == Some(&Segment::AnyDepth) => {}
                "**" => segments.push(Segment::AnyDepth),
                _ if piece.contains("**") => {
                    return Err(Fault::new(at, "`**` must stand alone between slashes"));
                }
                _ if piece.contains('*') => segments.push(Segment::Glob(piece.to_owned())),
                _ => segments.push(Segment::Literal(piece.to_owned())),
            }
            at += piece.len() + 1;
        }
        if segments.last() == Some(&Segment::AnyDepth) {
            segments.push(Segment::Glob("*".to_owned()));
        }
        Ok(Self(segments))
    }

    /// Everything beneath the folder the glob is relative to.
    pub(crate) fn everything() -> Self {
        Self(vec![Segment::AnyDepth, Segment::Glob("*".to_owned())])
    }

    /// This glob beneath a folder whose names stand for themselves, stars included.
    pub(crate) fn beneath<'a>(&self, folder: impl Iterator<Item = &'a str>) -> Self {
        let folder = folder.map(|name| Segment::Literal(name.to_owned()));
        Self(folder.chain(self.0.iter().cloned()).collect())
    }

    /// The folder itself that the glob is relative to.
    pub(crate) fn nothing_more() -> Self {
        Self(Vec::new())
    }

    /// The names before the first star, and what follows them.
    pub(crate) fn split_fixed(&self) -> (Vec<&str>, Self) {
        let fixed: Vec<&str> = self
            .0
            .iter()
            .map_while(|segment| match segment {
                Segment::Literal(name) => Some(name.as_str()),
                Segment::AnyDepth | Segment::Glob(_) => None,
            })
            .collect();
        let rest = self.0.get(fixed.len()..).unwrap_or_default().to_vec();
        (fixed, Self(rest))
    }

    pub(crate) fn matches<'a>(&self, path: impl Iterator<Item = &'a str>) -> bool {
        accepts(&segment_positions(&self.0, path))
    }

    /// Returns whether it matches the path, or everything beneath it: what a deny rule covers.
    pub(crate) fn covers<'a>(&self, path: impl Iterator<Item = &'a str> + Clone) -> bool {
        let folder = self.folder().is_some_and(|f| accepts(&segment_positions(f, path.clone())));
        folder || self.matches(path)
    }

    /// Returns whether it matches the path or something beneath it.
    pub(crate) fn continues<'a>(&self, path: impl Iterator<Item = &'a str>) -> bool {
        segment_positions(&self.0, path).contains(&true)
    }

    /// Returns whether every path that `other` matches is matched by this, as far as it can be seen segment by segment.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let takes = |segment: &Segment, other: &Segment| match (segment, other) {
            (Segment::AnyDepth, _) => true,
            (_, Segment::AnyDepth) => false,
            (Segment::Glob(glob), Segment::Glob(other) | Segment::Literal(other)) => text_includes(glob, other),
            (Segment::Literal(literal), Segment::Literal(other)) => literal == other,
            (Segment::Literal(_), Segment::Glob(_)) => false,
        };
        accepts(&positions(&self.0, other.0.iter(), |s| *s == Segment::AnyDepth, takes))
    }

    /// The segments before a final `**`.
    fn folder(&self) -> Option<&[Segment]> {
        match self.0.as_slice() {
            [folder @ .., Segment::AnyDepth, Segment::Glob(any)] if any == "*" => Some(folder),
            _ => None,
        }
    }
}

fn segment_positions<'a>(segments: &[Segment], path: impl Iterator<Item = &'a str>) -> Vec<bool> {
    positions(
        segments,
        path,
        |s| *s == Segment::AnyDepth,
        |segment, name| match segment {
            Segment::AnyDepth => true,
            Segment::Glob(glob) => text_matches(glob, name),
            Segment::Literal(literal) => literal == name,
        },
    )
}

/// Each segment after a slash; the glob of the root itself is one slash.
impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, tail) = match self.folder() {
            Some(folder) => (folder, "/**"),
            None => (self.0.as_slice(), if self.0.is_empty() { "/" } else { "" }),
        };
        for segment in shown {
            match segment {
                Segment::AnyDepth => f.write_str("/**")?,
                Segment::Glob(text) | Segment::Literal(text) => write!(f, "/{text}")?,
            }
        }
        f.write_str(tail)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn glob(text: &str) -> PathGlob {
        PathGlob::parse(text).unwrap()
    }

    fn path(text: &str) -> impl Iterator<Item = &str> + Clone {
        text.split('/').filter(|s| !s.is_empty())
    }

    #[test]
    fn text_globs() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*a*a*a*", "aabaa", true),
            ("A*", "abc", false),
        ] {
            assert_eq!(text_matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(text_continues("user:*", "us"));
        assert!(!text_continues("user:*", "ux"));
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "*a".repeat(500);
        assert!(!text_matches(&pattern, &"ab".repeat(1000)));
    }

    #[test]
    fn path_globs() {
        for (pattern, text, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a/b/c", false),
            ("/a/*", "/a", false),
            ("/a/**", "/a", false),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/a/**/c", "/a/c", true),
            ("/a/**/c", "/a/b/b/c", true),
            ("/a/**/c", "/a/b/b/d", false),
            ("/**", "/a", true),
            ("/**/b/**", "/b/b", true),
            ("/**/b/**", "/a/b", false),
            ("/a/x*.txt", "/a/xy.txt", true),
            ("/a/x*.txt", "/a/y.txt", false),
        ] {
            assert_eq!(glob(pattern).matches(path(text)), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_deny_rule_covers_the_folder_and_guards_its_parents() {
        assert!(glob("/a/secret/**").covers(path("/a/secret")));
        assert!(!glob("/a/secret/**").covers(path("/a")));
        assert!(glob("/a/secret/**").continues(path("/a")));
        assert!(!glob("/a/secret/**").continues(path("/b")));
        assert!(glob("/a/secret").continues(path("/")));
    }

    #[test]
    fn printing_is_canonical() {
        for (text, printed) in [
            ("/", "/"),
            ("//a/./b/", "/a/b"),
            ("/a/**", "/a/**"),
            ("/a/**/*", "/a/**"),
            ("/**/**/a", "/**/a"),
            ("/**", "/**"),
        ] {
            assert_eq!(glob(text).to_string(), printed);
            assert_eq!(glob(printed), glob(text));
        }
        assert!(PathGlob::parse("/a/../b").is_err());
        assert_eq!(PathGlob::parse("/a/b**").unwrap_err().at, 3);
    }
}
