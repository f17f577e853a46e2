//! Paths in rules, and what rules say of paths and programs.
//!
//! The fixed part of a rule, up to its first star, is followed through links when the rule is made, as the path of a call
//! is when the call is made: a rule for `/d/alias/**` is about the folder that `alias` leads to under either name.

use std::{fmt, net::IpAddr};

use crate::{
    glob::{Fault, PathGlob, starred},
    path::{CanonicalPath, PathError, ProgramPath, unspeakable},
    resource::{MAX_RULE, MissingRoot, Pattern, ROOM_FOR_NAMES, Reading, Resource},
    roots::Roots,
};

impl Resource for CanonicalPath {
    type Pattern = PathPattern;

    fn read(text: &str, reading: &Reading<'_>) -> Result<Self, String> {
        let read = match reading.cwd {
            Some(cwd) => Self::absolute(cwd).and_then(|cwd| Self::resolve(text, &cwd)),
            None => Self::absolute(text),
        };
        read.map_err(|error| error.to_string())
    }

    fn in_rule(&self) -> Option<String> {
        (!self.as_str().contains('*')).then(|| self.to_string())
    }

    /// Stars for what a rule cannot spell, and for what it is too short to hold.
    fn covering(&self) -> String {
        let glob = starred(self.as_str(), |c| c == '*' || c == '$' || c.is_control());
        let limit = MAX_RULE - ROOM_FOR_NAMES;
        if glob.len() <= limit {
            return glob;
        }
        let kept = glob.get(..glob.floor_char_boundary(limit)).unwrap_or_default();
        let folder = kept.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/**")
    }
}

impl Resource for ProgramPath {
    type Pattern = PathPattern;

    fn read(text: &str, reading: &Reading<'_>) -> Result<Self, String> {
        if !text.is_empty() && !text.contains('/') {
            return Err(PathError::BareName.to_string());
        }
        CanonicalPath::read(text, reading).map(Self::from)
    }

    fn in_rule(&self) -> Option<String> {
        self.path().in_rule()
    }

    fn covering(&self) -> String {
        self.path().covering()
    }
}

/// A path glob of a rule, such as `$CWD/**` or `/etc/*.conf`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathPattern {
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
    /// `$CWD`, the folder itself.
    pub(crate) fn cwd() -> Self {
        Self { root: Root::Cwd, glob: PathGlob::nothing_more() }
    }

    /// `$CWD/**`.
    pub(crate) fn beneath_cwd() -> Self {
        Self { root: Root::Cwd, glob: PathGlob::everything() }
    }

    fn parsed(text: &str) -> Result<Self, Fault> {
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

    /// The pattern without its variable, under each name that links give to its fixed part.
    fn followed(&self, roots: &Roots) -> Result<Vec<Self>, MissingRoot> {
        let glob = match self.root {
            Root::Slash => self.glob.clone(),
            Root::Cwd => self.glob.beneath(roots.cwd().segments()),
            Root::Home => self.glob.beneath(roots.home().ok_or(MissingRoot)?.segments()),
        };
        let (fixed, rest) = glob.split_fixed();
        let Ok(fixed) = CanonicalPath::absolute(&format!("/{}", fixed.join("/"))) else {
            // No path is that long, so no link is on the way.
            return Ok(vec![Self { root: Root::Slash, glob }]);
        };
        let spelled = |folder: &CanonicalPath| Self { root: Root::Slash, glob: rest.beneath(folder.segments()) };
        Ok(roots.spellings(fixed).iter().map(spelled).collect())
    }

    /// The path before its first star, and whether there is a star; none for a pattern that no path fits, or whose variable
    /// was not replaced.
    pub(crate) fn fixed_part(&self) -> Option<(CanonicalPath, bool)> {
        let (fixed, rest) = self.glob.split_fixed();
        let path = CanonicalPath::absolute(&format!("/{}", fixed.join("/"))).ok()?;
        (self.root == Root::Slash).then(|| (path, rest != PathGlob::nothing_more()))
    }

    /// Returns whether it grants the path; one whose variable was not replaced grants nothing.
    fn covers_whole(&self, path: &CanonicalPath) -> bool {
        self.root == Root::Slash && self.glob.matches(path.segments())
    }

    fn stops(&self, path: &CanonicalPath, beneath: bool) -> bool {
        self.glob.covers(path.segments()) || (beneath && self.glob.continues(path.segments()))
    }

    fn takes_in(&self, other: &Self) -> bool {
        self.root == other.root && self.glob.includes(&other.glob)
    }
}

impl Pattern<CanonicalPath> for PathPattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::parsed(text)
    }

    fn spellings(&self, roots: &Roots) -> Result<Vec<Self>, MissingRoot> {
        self.followed(roots)
    }

    fn grants(&self, path: &CanonicalPath) -> bool {
        self.covers_whole(path)
    }

    fn denies(&self, path: &CanonicalPath, _address: Option<IpAddr>, beneath: bool) -> bool {
        self.stops(path, beneath)
    }

    fn includes(&self, other: &Self) -> bool {
        self.takes_in(other)
    }
}

impl Pattern<ProgramPath> for PathPattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::parsed(text)
    }

    fn spellings(&self, roots: &Roots) -> Result<Vec<Self>, MissingRoot> {
        self.followed(roots)
    }

    fn grants(&self, program: &ProgramPath) -> bool {
        self.covers_whole(program.path())
    }

    fn denies(&self, program: &ProgramPath, _address: Option<IpAddr>, beneath: bool) -> bool {
        self.stops(program.path(), beneath)
    }

    fn includes(&self, other: &Self) -> bool {
        self.takes_in(other)
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
    fn variables_are_replaced_literally() {
        let roots = Roots::new(path("/srv/a*b"));
        let pattern = PathPattern::parsed("$CWD/**").unwrap();
        assert!(!pattern.grants(&path("/srv/a*b/x")), "its variable is not yet replaced");
        let spellings = pattern.followed(&roots).unwrap();
        let [pattern] = spellings.as_slice() else { unreachable!() };
        assert!(pattern.grants(&path("/srv/a*b/x")));
        assert!(!pattern.grants(&path("/srv/acb/x")));
        assert_eq!(PathPattern::parsed("$HOME/x").unwrap().followed(&roots), Err(MissingRoot));
    }

    #[test]
    fn bad_patterns_have_a_position() {
        for (text, at) in [("a/b", 0), ("$CWDx", 4), ("/a/$HOME", 3), ("/a/../b", 3), ("$CWD/..", 5), ("*", 0)] {
            assert_eq!(PathPattern::parsed(text).unwrap_err().at, at, "{text}");
        }
    }

    /// `/d/alias` leads to `real`, `/d/first` to `alias`, and the home folder is behind a link.
    fn linked() -> Roots {
        let step = |path: &CanonicalPath| {
            let links =
                [("/d/alias", "/d/real"), ("/d/first", "/d/alias"), ("/h/me", "/home/me"), ("/b/sh", "/b/dash")];
            let (_, rest, target) = links.iter().find_map(|(link, target)| {
                let rest = path.as_str().strip_prefix(link)?;
                (rest.is_empty() || rest.starts_with('/')).then_some((link, rest, target))
            })?;
            CanonicalPath::absolute(&format!("{target}{rest}")).ok()
        };
        Roots::new(path("/srv")).with_home(path("/h/me")).following(step)
    }

    #[test]
    fn the_fixed_part_of_a_rule_is_followed_under_every_name() {
        for (rule, names) in [
            ("/d/alias/**", &["/d/alias/x", "/d/real/x"][..]),
            ("/d/first/*/y", &["/d/first/x/y", "/d/alias/x/y", "/d/real/x/y"]),
            ("/d/alias/a/b", &["/d/alias/a/b", "/d/real/a/b"]),
            ("$HOME/.ssh/**", &["/h/me/.ssh/id", "/home/me/.ssh/id"]),
            ("/b/sh", &["/b/sh", "/b/dash"]),
            ("/e/*", &["/e/x"]),
        ] {
            let spellings = PathPattern::parsed(rule).unwrap().followed(&linked()).unwrap();
            assert_eq!(spellings.len(), names.len(), "{rule}");
            for name in names {
                assert!(
                    spellings.iter().any(|p| p.grants(&path(name)) && p.stops(&path(name), false)),
                    "{rule} {name}"
                );
            }
        }
        let through = PathPattern::parsed("/d/alias/**").unwrap().followed(&linked()).unwrap();
        assert!(!through.iter().any(|pattern| pattern.grants(&path("/d/other/x"))));
        assert!(through.iter().any(|pattern| pattern.stops(&path("/d"), true)), "a folder above");
    }
}
