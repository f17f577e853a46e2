//! Finds the route of a request by the rules of Go's `ServeMux` (1.22 and later): method, host and
//! path patterns, the most specific one wins, and two patterns between which that rule cannot
//! decide are refused when the second one is added.
//!
//! A request meets the submodules in this order: `clean` brings its path and host into the form
//! patterns are compared with, `table` finds the patterns of one host that match it, and
//! `pattern` says which pieces of the path are the values of its wildcards. `precedence`
//! compares two patterns and `path` spells path segments in one way.
//!
//! # What matchit does here, and why not more
//! `matchit` holds the patterns without wildcards and answers for them first: such a pattern is more
//! specific than anything else that matches its path, so a hit needs no second look, and without
//! wildcards its search never goes back. The patterns with wildcards are matched by `table`,
//! because in matchit 0.9
//!
//! * a wildcard and a catch-all at the same place are refused, so `/{user}` cannot stand next to
//!   `/`, nor `/files/{name}` next to `/files/{rest...}`, all of which are ordinary in `ServeMux`;
//! * a catch-all and a wildcard never match the empty string, where `/files/{rest...}` matches
//!   `/files/` with an empty `rest`;
//! * a pattern with more than 26 wildcards panics, which would hand a script a way to stop the host;
//! * a failed literal is retried as a wildcard: with `a` and `{x}` at each of ten depths a single
//!   path visits a thousand nodes. The table does a bounded amount of work per segment instead.

mod bits;
mod clean;
mod error;
mod path;
mod pattern;
mod precedence;
mod table;

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use self::error::PatternError;
pub use self::path::canonical;
pub(crate) use self::path::has_malformed_escape;

use self::pattern::Pattern;
use self::table::{Matches, Table};

/// The routes of one server.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    patterns: Vec<Arc<Pattern>>,
    /// The patterns without a host.
    any: Table,
    /// One table for each host that patterns name.
    hosts: HashMap<String, Table>,
}

/// The answer of the routes about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'r> {
    /// Other methods have a route here: status 405.
    MethodNotAllowed {
        /// The value of the `Allow` header: the methods in alphabetical order.
        allow: String,
    },
    /// Nothing matches: status 404.
    NotFound,
    /// The resource has another spelling: status 307.
    Redirect {
        /// The value of the `Location` header: a path of this server and the query, ASCII only.
        location: String,
    },
    /// A route matches.
    Route {
        /// Its place in the order of registration, as [`Routes::add`] returned it.
        index: usize,
        /// Names and decoded values of its wildcards, in the order of the pattern. Bytes that are
        /// not UTF-8 are replaced by U+FFFD.
        params: Vec<(&'r str, String)>,
    },
}

impl Routes {
    /// No routes: every request is [`Found::NotFound`] or redirected to its clean path.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the pattern `[METHOD ][HOST]/[PATH]` and returns its index, counted from 0.
    ///
    /// `METHOD` is followed by blanks or tabs; GET is also for HEAD, and without a method a pattern
    /// is for all. A path segment is a literal or a wildcard `{name}`. The last one may also be
    /// `{name...}` for the rest of the path, empty (a trailing slash) for a subtree, or `{$}` for
    /// just the slash.
    ///
    /// A refused pattern, invalid or in conflict with an earlier one, leaves the routes as they were
    /// and takes no index.
    pub fn add(&mut self, pattern: &str) -> Result<usize, PatternError> {
        let pattern = Arc::new(Pattern::parse(pattern)?);
        let table = if pattern.host().is_empty() { Some(&self.any) } else { self.hosts.get(pattern.host()) };
        for old in table.into_iter().flat_map(|table| table.overlapping(&pattern)) {
            precedence::check(&pattern, old)?;
        }
        let index = self.patterns.len();
        let table = match pattern.host() {
            "" => &mut self.any,
            host => self.hosts.entry(host.to_owned()).or_default(),
        };
        table.add(index, Arc::clone(&pattern));
        self.patterns.push(pattern);
        Ok(index)
    }

    /// The text of a registered pattern, as it was given to [`Self::add`].
    pub fn pattern(&self, index: usize) -> Option<&str> {
        self.patterns.get(index).map(|pattern| pattern.text())
    }

    /// The hosts that patterns name.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.keys().map(String::as_str)
    }

    /// The number of routes.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Returns whether there are no routes.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Finds the route of a request.
    ///
    /// `host` is the `Host` header with or without a port, `target` the path as it was sent, without
    /// the query, and `query` what follows the `?`. A target that is not a path (`*`, or the
    /// authority of a CONNECT) is not found. CONNECT requests are matched against the `Host` header
    /// as it is and the path as it is, `//` and `..` included.
    pub fn find(&self, method: &str, host: &str, target: &str, query: Option<&str>) -> Found<'_> {
        if !target.starts_with('/') {
            return Found::NotFound;
        }
        if method == "CONNECT" {
            return self.find_connect(host, &clean::escaped(target), query);
        }
        // Most servers have no pattern with a host, and need not look one up.
        let own = if self.hosts.is_empty() { None } else { self.hosts.get(clean::host(host)) };
        if clean::is_plain(target) {
            return self.find_clean(method, own, target, target, query);
        }
        let sent = clean::escaped(target);
        let clean = clean::path(&sent);
        let key = path::canonical(&clean);
        let found = self.find_clean(method, own, &clean, &key, query);
        match found {
            // A slash is added at the same time, rather than by a second redirect.
            Found::Redirect { .. } => found,
            _ if clean != sent => Found::Redirect { location: clean::location(&clean, query) },
            found => found,
        }
    }

    /// [`Self::find`] for a path that is clean, and its canonical form. The patterns that name its host win against those
    /// that name none.
    fn find_clean(&self, method: &str, own: Option<&Table>, clean: &str, key: &str, query: Option<&str>) -> Found<'_> {
        if !self.any.begins(key) && !own.is_some_and(|own| own.begins(key)) {
            return Found::NotFound;
        }
        if let Some(index) = own.unwrap_or(&self.any).literal(method, key) {
            return Found::Route { index, params: Vec::new() };
        }
        let (own, any) = (own.map(|own| own.search(key)), self.any.search(key));
        let matches = || own.iter().chain([&any]);
        let best = matches().find_map(|matches| matches.best(method));
        if self.moves_to_slash(matches(), best, method, key) {
            let slashed = format!("{clean}/");
            return Found::Redirect { location: clean::location(&slashed, query) };
        }
        self.answer(best, clean).unwrap_or_else(|| refuse(matches(), key.ends_with('/')))
    }

    /// [`Self::find`] for CONNECT. Redirects and the methods of a 405 are those of the patterns
    /// without a host.
    fn find_connect(&self, host: &str, path: &str, query: Option<&str>) -> Found<'_> {
        let key = path::canonical(path);
        let matches = [self.any.search(&key)];
        let best = matches.iter().find_map(|matches| matches.best("CONNECT"));
        if self.moves_to_slash(matches.iter(), best, "CONNECT", &key) {
            let slashed = format!("{}/", clean::path(path));
            return Found::Redirect { location: clean::location(&slashed, query) };
        }
        let mut tables = self.hosts.get(host).into_iter().chain([&self.any]);
        let best = tables.find_map(|table| table.search(&key).best("CONNECT"));
        self.answer(best, path).unwrap_or_else(|| refuse(matches.iter(), key.ends_with('/')))
    }

    fn answer(&self, index: Option<usize>, path: &str) -> Option<Found<'_>> {
        let index = index?;
        let params = self.patterns.get(index)?.values(path);
        Some(Found::Route { index, params })
    }

    /// Returns whether the request belongs at the path with a slash added: what matches the path is nothing
    /// or a subtree that it lies in, and some route stands for the other path alone.
    fn moves_to_slash<'m>(
        &self,
        mut matches: impl Iterator<Item = &'m Matches<'m>>,
        best: Option<usize>,
        method: &str,
        path: &str,
    ) -> bool {
        let pattern = |index| self.patterns.get(index);
        if path.ends_with('/') || best.and_then(pattern).is_some_and(|best| !best.is_subtree()) {
            return false;
        }
        let slashed = matches.find_map(|matches| matches.best_slashed(method));
        let slashes = || path.matches('/').count() + 1;
        slashed.and_then(pattern).is_some_and(|pattern| pattern.ends_at(slashes()))
    }
}

/// The answer for a path that no route of the request's method matches. A route that matches the path
/// with a slash added counts as well: its own method could be redirected there.
fn refuse<'m>(matches: impl Iterator<Item = &'m Matches<'m>>, slash: bool) -> Found<'static> {
    let mut methods = BTreeSet::new();
    for matches in matches {
        methods.extend(matches.methods());
        if !slash {
            methods.extend(matches.methods_slashed());
        }
    }
    if methods.contains("GET") {
        methods.insert("HEAD");
    }
    if methods.is_empty() {
        return Found::NotFound;
    }
    Found::MethodNotAllowed { allow: methods.into_iter().collect::<Vec<_>>().join(", ") }
}
