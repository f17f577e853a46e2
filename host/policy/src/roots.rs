//! The roots of this machine: the folders that variables of rules stand for, and the places that links lead to.
//!
//! This crate opens no file, so whoever builds the grants hands in a function that looks at one path and says where the
//! first link on it leads. A rule is then about every spelling on the way to the real place: under the first of them a
//! script may write the path, under the last it is judged once its links are followed.

use std::{fmt, net::IpAddr, sync::Arc};

use crate::{name::EnvName, path::CanonicalPath};

/// Most links that are followed from one path; Linux has the same number.
const MAX_LINKS: usize = 40;

/// Where the first link on a path leads, with the rest of the path behind it; none for a path without links.
type Follow = dyn Fn(&CanonicalPath) -> Option<CanonicalPath> + Send + Sync;

/// The values of `$CWD`, `$HOME`, `$HOST` and `$ENV` in rules.
#[derive(Clone)]
pub struct Roots {
    cwd: CanonicalPath,
    home: Option<CanonicalPath>,
    host: Option<IpAddr>,
    env: Vec<EnvName>,
    follow: Option<Arc<Follow>>,
}

impl Roots {
    /// Gives `$CWD` its meaning; a rule with `$HOME` is then refused, and `$HOST` and `$ENV` stand for nothing.
    pub fn new(cwd: CanonicalPath) -> Self {
        Self { cwd, home: None, host: None, env: Vec::new(), follow: None }
    }

    /// Gives `$HOME` its meaning too.
    #[must_use]
    pub fn with_home(self, home: CanonicalPath) -> Self {
        Self { home: Some(home), ..self }
    }

    /// Gives `$HOST` its meaning: the address that the operator has servers listen on.
    #[must_use]
    pub fn with_host(self, host: IpAddr) -> Self {
        Self { host: Some(host.to_canonical()), ..self }
    }

    /// Gives `$ENV` its meaning: the variables that the operator gives to the script by name.
    #[must_use]
    pub fn with_env(self, env: Vec<EnvName>) -> Self {
        Self { env, ..self }
    }

    /// Has rules be about where links lead as well.
    #[must_use]
    pub fn following(self, follow: impl Fn(&CanonicalPath) -> Option<CanonicalPath> + Send + Sync + 'static) -> Self {
        Self { follow: Some(Arc::new(follow)), ..self }
    }

    /// The value of `$CWD`.
    pub fn cwd(&self) -> &CanonicalPath {
        &self.cwd
    }

    /// The value of `$HOME`, if it has one.
    pub fn home(&self) -> Option<&CanonicalPath> {
        self.home.as_ref()
    }

    /// The value of `$HOST`, if it has one.
    pub fn host(&self) -> Option<IpAddr> {
        self.host
    }

    /// The names that `$ENV` stands for.
    pub fn env(&self) -> &[EnvName] {
        &self.env
    }

    /// The path and each path on the way to where its links lead, that place last.
    pub fn spellings(&self, path: CanonicalPath) -> Vec<CanonicalPath> {
        let mut spellings = vec![path];
        while let Some(next) = spellings.last().zip(self.follow.as_ref()).and_then(|(last, follow)| follow(last)) {
            if spellings.len() > MAX_LINKS || spellings.contains(&next) {
                break;
            }
            spellings.push(next);
        }
        spellings
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cwd, home, host, env, follow: _ } = self;
        let mut shown = f.debug_struct("Roots");
        shown.field("cwd", cwd).field("home", home).field("host", host).field("env", env).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_path_is_followed_to_its_end_and_not_in_circles() {
        let path = |text: &str| CanonicalPath::absolute(text).unwrap();
        let links = [("/a", "/b"), ("/b", "/c"), ("/x", "/y"), ("/y", "/x")];
        let step = move |from: &CanonicalPath| {
            links.iter().find(|(link, _)| *link == from.as_str()).map(|(_, to)| CanonicalPath::absolute(to).unwrap())
        };
        let roots = Roots::new(path("/srv")).following(step);
        assert_eq!(roots.spellings(path("/a")), [path("/a"), path("/b"), path("/c")]);
        assert_eq!(roots.spellings(path("/x")), [path("/x"), path("/y")]);
        assert_eq!(roots.spellings(path("/z")), [path("/z")]);
        assert_eq!(Roots::new(path("/srv")).spellings(path("/a")), [path("/a")]);
    }
}
