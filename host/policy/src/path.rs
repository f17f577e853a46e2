//! Paths of the host's file system: the one spelling a decision and an effect share.
//!
//! A [`CanonicalPath`] is absolute and lexically normal, so the string that was judged is the
//! string that is opened: `$CWD/../secret` cannot be judged as something beneath `$CWD`. Links are
//! not seen here; the effect opens the path beneath a handle. Spellings that some later layer might
//! decode or translate (`%2e`, a backslash, NUL) are refused instead of guessed at.

use std::fmt;

use thiserror::Error;

use crate::glob::{Fault, PathGlob};

const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

/// An absolute path without `.`, `..`, empty segments or a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalPath(String);

/// Why a text is not a path that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// It climbs above the root folder.
    #[error("the path climbs above the root folder")]
    AboveRoot,
    /// It holds a backslash.
    #[error("the path holds a backslash")]
    Backslash,
    /// It is a bare name, which would have to be looked up in `PATH`.
    #[error("a program is named by its path, never looked up in PATH")]
    BareName,
    /// It is empty.
    #[error("the path is empty")]
    Empty,
    /// It holds a percent-encoded dot, slash, backslash, percent sign or NUL.
    #[error("the path holds a percent-encoded separator")]
    Encoded,
    /// It holds a NUL byte.
    #[error("the path holds a NUL byte")]
    Nul,
    /// It does not start at the root folder.
    #[error("the path is not absolute")]
    Relative,
    /// The path or one name in it is longer than the file system takes.
    #[error("the path or a name in it is too long")]
    TooLong,
}

impl CanonicalPath {
    /// Normalises an absolute path.
    pub fn absolute(text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') { normal(text, Vec::new()) } else { Err(relative(text)) }
    }

    /// Normalises a path, which starts at `cwd` unless it is absolute.
    pub fn resolve(text: &str, cwd: &Self) -> Result<Self, PathError> {
        if text.is_empty() {
            Err(PathError::Empty)
        } else if text.starts_with('/') {
            normal(text, Vec::new())
        } else {
            normal(text, cwd.segments().collect())
        }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split('/').filter(|s| !s.is_empty())
    }
}

impl fmt::Display for CanonicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn relative(text: &str) -> PathError {
    if text.is_empty() { PathError::Empty } else { PathError::Relative }
}

fn normal<'a>(text: &'a str, mut segments: Vec<&'a str>) -> Result<CanonicalPath, PathError> {
    if let Some((_, error)) = unspeakable(text) {
        return Err(error);
    }
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or(PathError::AboveRoot)?;
            }
            _ if segment.len() > MAX_NAME => return Err(PathError::TooLong),
            _ => segments.push(segment),
        }
    }
    let path = format!("/{}", segments.join("/"));
    if path.len() > MAX_PATH { Err(PathError::TooLong) } else { Ok(CanonicalPath(path)) }
}

/// The first byte that no path and no path pattern may hold, and why.
fn unspeakable(text: &str) -> Option<(usize, PathError)> {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().find_map(|(at, byte)| match byte {
        0 => Some((at, PathError::Nul)),
        b'\\' => Some((at, PathError::Backslash)),
        b'%' => {
            let code = bytes.get(at + 1..at + 3)?.to_ascii_lowercase();
            let refused = [b"00", b"25", b"2e", b"2f", b"5c"].iter().any(|r| code == r.as_slice());
            refused.then_some((at, PathError::Encoded))
        }
        _ => None,
    })
}

/// A program of the host, named by its absolute path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramPath(CanonicalPath);

impl ProgramPath {
    /// Normalises the path of a program; a bare name such as `id` is refused, since `PATH` would
    /// decide what it means.
    pub fn resolve(text: &str, cwd: &CanonicalPath) -> Result<Self, PathError> {
        if text.is_empty() || text.contains('/') {
            CanonicalPath::resolve(text, cwd).map(Self)
        } else {
            Err(PathError::BareName)
        }
    }

    /// The path to execute.
    pub fn path(&self) -> &CanonicalPath {
        &self.0
    }
}

impl From<CanonicalPath> for ProgramPath {
    fn from(path: CanonicalPath) -> Self {
        Self(path)
    }
}

impl fmt::Display for ProgramPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The folders that `$CWD` and `$HOME` stand for in rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    cwd: CanonicalPath,
    home: Option<CanonicalPath>,
}

impl Roots {
    /// Gives `$CWD` its meaning; a rule with `$HOME` is then refused.
    pub fn new(cwd: CanonicalPath) -> Self {
        Self { cwd, home: None }
    }

    /// Gives `$HOME` its meaning too.
    #[must_use]
    pub fn with_home(self, home: CanonicalPath) -> Self {
        Self { home: Some(home), ..self }
    }

    /// What `$CWD` stands for.
    pub fn cwd(&self) -> &CanonicalPath {
        &self.cwd
    }

    /// What `$HOME` stands for, if anything.
    pub fn home(&self) -> Option<&CanonicalPath> {
        self.home.as_ref()
    }
}

/// A path glob of a rule, such as `$CWD/**` or `/etc/*.conf`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PathPattern {
    root: Root,
    glob: PathGlob,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Root {
    Cwd,
    Home,
    Slash,
}

impl PathPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        if let Some((at, error)) = unspeakable(text) {
            return Err(Fault::new(at, error.to_string()));
        }
        let (root, rest) = if let Some(rest) = text.strip_prefix("$CWD") {
            (Root::Cwd, rest)
        } else if let Some(rest) = text.strip_prefix("$HOME") {
            (Root::Home, rest)
        } else {
            (Root::Slash, text)
        };
        let at = text.len() - rest.len();
        if !rest.starts_with('/') && (root == Root::Slash || !rest.is_empty()) {
            return Err(Fault::new(at, "expected `/`, `$CWD` or `$HOME` and an absolute path"));
        }
        if let Some(dollar) = rest.find('$') {
            return Err(Fault::new(at + dollar, "a variable may only start a path"));
        }
        let glob = PathGlob::parse(rest).map_err(|fault| fault.shifted(at))?;
        Ok(Self { root, glob })
    }

    /// `$CWD/**`.
    pub(crate) fn beneath_cwd() -> Self {
        Self { root: Root::Cwd, glob: PathGlob::everything() }
    }

    /// The pattern with its variable replaced; `None` when the variable has no meaning.
    pub(crate) fn resolved(&self, roots: &Roots) -> Option<Self> {
        let folder = match self.root {
            Root::Slash => return Some(self.clone()),
            Root::Cwd => &roots.cwd,
            Root::Home => roots.home.as_ref()?,
        };
        Some(Self { root: Root::Slash, glob: self.glob.beneath(folder.segments()) })
    }

    /// Whether it grants the path; one that was not resolved grants nothing.
    pub(crate) fn grants(&self, path: &CanonicalPath) -> bool {
        self.root == Root::Slash && self.glob.matches(path.segments())
    }

    /// Whether it grants all that the other does, as far as it can be seen from the two.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        self.root == other.root && self.glob.includes(&other.glob)
    }

    /// Whether it denies the path, or with `tree` something beneath it.
    pub(crate) fn denies(&self, path: &CanonicalPath, tree: bool) -> bool {
        self.glob.covers(path.segments()) || (tree && self.glob.continues(path.segments()))
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let glob = self.glob.to_string();
        match (self.root, glob.as_str()) {
            (Root::Slash, glob) => f.write_str(glob),
            (Root::Cwd, "/") => f.write_str("$CWD"),
            (Root::Home, "/") => f.write_str("$HOME"),
            (Root::Cwd, glob) => write!(f, "$CWD{glob}"),
            (Root::Home, glob) => write!(f, "$HOME{glob}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn path(text: &str) -> CanonicalPath {
        CanonicalPath::absolute(text).unwrap()
    }

    #[test]
    fn every_spelling_becomes_one() {
        for text in ["/srv/app", "//srv//app/", "/srv/./app/.", "/srv/x/../app", "/./srv/app//"] {
            assert_eq!(path(text).as_str(), "/srv/app", "{text}");
        }
        let cwd = path("/srv");
        for text in ["app", "./app", "x/../app", "../srv/app", "/srv/app"] {
            assert_eq!(CanonicalPath::resolve(text, &cwd).unwrap().as_str(), "/srv/app", "{text}");
        }
        assert_eq!(path("/").as_str(), "/");
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        let long = format!("/{}", "x".repeat(256));
        for (text, error) in [
            ("", PathError::Empty),
            ("a", PathError::Relative),
            ("/..", PathError::AboveRoot),
            ("/a/../../etc", PathError::AboveRoot),
            ("/a\0", PathError::Nul),
            ("/a\\..\\b", PathError::Backslash),
            ("/%2e%2e/a", PathError::Encoded),
            ("/a%2Fb", PathError::Encoded),
            ("/%252e", PathError::Encoded),
            (&long, PathError::TooLong),
        ] {
            assert_eq!(CanonicalPath::absolute(text), Err(error), "{text}");
        }
        assert_eq!(path("/100%").as_str(), "/100%");
    }

    #[test]
    fn programs_are_never_looked_up() {
        let cwd = path("/srv");
        assert_eq!(ProgramPath::resolve("id", &cwd), Err(PathError::BareName));
        assert_eq!(ProgramPath::resolve("./id", &cwd).unwrap().path(), &path("/srv/id"));
    }

    #[test]
    fn variables_are_replaced_literally() {
        let roots = Roots::new(path("/srv/a*b"));
        let pattern = PathPattern::parse("$CWD/**").unwrap();
        assert!(!pattern.grants(&path("/srv/a*b/x")), "not yet resolved");
        let pattern = pattern.resolved(&roots).unwrap();
        assert!(pattern.grants(&path("/srv/a*b/x")));
        assert!(!pattern.grants(&path("/srv/acb/x")));
        assert_eq!(PathPattern::parse("$HOME/x").unwrap().resolved(&roots), None);
    }

    #[test]
    fn bad_patterns_have_a_position() {
        for (text, at) in [("a/b", 0), ("$CWDx", 4), ("/a/$HOME", 3), ("/a/../b", 3), ("$CWD/..", 5), ("*", 0)] {
            assert_eq!(PathPattern::parse(text).unwrap_err().at, at, "{text}");
        }
    }
}
