//! Paths of the host's file system: the one spelling a decision and an effect share.
//!
//! A [`CanonicalPath`] is absolute and lexically normal, so the string that was judged is the
//! string that is opened: `$CWD/../secret` cannot be judged as something beneath `$CWD`. Links are
//! not seen here; the effect opens the path beneath a handle. Spellings that some later layer might
//! decode or translate (`%2e`, a backslash, NUL) are refused instead of guessed at.

use std::fmt;

use thiserror::Error;

/// Bytes of a path, as written and as it is judged: `PATH_MAX` of Linux.
const MAX_PATH: usize = 4096;

/// Bytes of one name of it: `NAME_MAX` of Linux.
const MAX_NAME: usize = 255;

/// An absolute path without `.`, `..`, empty segments or a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CanonicalPath(String);

/// The reason why a text is not a path that can be judged.
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
    /// The root folder.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

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
    // Before anything is done that takes time or memory by the length of the text.
    if text.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
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
pub(crate) fn unspeakable(text: &str) -> Option<(usize, PathError)> {
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
        if text.is_empty() || text.len() > MAX_PATH || text.contains('/') {
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
        for long in ["a/".repeat(6_000_000), "x".repeat(4097), "./".repeat(2049) + "a"] {
            assert_eq!(CanonicalPath::resolve(&long, &path("/srv")), Err(PathError::TooLong));
            assert_eq!(ProgramPath::resolve(&long, &path("/srv")), Err(PathError::TooLong));
        }
    }

    #[test]
    fn programs_are_never_looked_up() {
        let cwd = path("/srv");
        assert_eq!(ProgramPath::resolve("id", &cwd), Err(PathError::BareName));
        assert_eq!(ProgramPath::resolve("./id", &cwd).unwrap().path(), &path("/srv/id"));
    }
}
