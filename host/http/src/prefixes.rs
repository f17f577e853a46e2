//! Which app a request is for: by its host, and among the apps of that host by the longest prefix of its path.
//!
//! A prefix is compared by segments in the form that routes are compared in, so that `/%73hop` is `/shop` and `/shopping`
//! is not below it. The look-up tries the prefixes of the path from the longest on, no longer than any that an app has: a
//! hash of each, and no search that a path could make long. The path itself is left as it was sent, and cut behind as many
//! segments as the prefix has.

use std::collections::HashMap;

use crate::router::canonical;

/// What answers at which place.
#[derive(Clone, Debug)]
pub struct Prefixes<T> {
    named: HashMap<String, HashMap<String, T>>,
    /// For hosts that nothing names.
    any: HashMap<String, T>,
    /// Segments of the longest prefix.
    depth: usize,
}

/// What was found for a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a, T> {
    /// What answers, and the bytes of the path that led there.
    Here(&'a T, usize),
    /// Nothing answers for the host.
    NoHost,
    /// Nothing answers for the path.
    NoPath,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { named: HashMap::new(), any: HashMap::new(), depth: 0 }
    }
}

impl<T> Prefixes<T> {
    /// Adds what answers at a prefix of a host, or of any.
    ///
    /// # Errors
    /// What answers there already.
    pub fn add(&mut self, host: Option<&str>, prefix: &str, what: T) -> Result<(), &T> {
        let of_host = match host {
            Some(host) => self.named.entry(host.to_owned()).or_default(),
            None => &mut self.any,
        };
        match of_host.entry(prefix.to_owned()) {
            std::collections::hash_map::Entry::Occupied(taken) => Err(taken.into_mut()),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(what);
                self.depth = self.depth.max(prefix.matches('/').count());
                Ok(())
            }
        }
    }

    /// What answers at exactly this place.
    #[must_use]
    pub fn at(&self, host: Option<&str>, prefix: &str) -> Option<&T> {
        match host {
            Some(host) => self.named.get(host)?.get(prefix),
            None => self.any.get(prefix),
        }
    }

    /// What answers for a host, in lower case and without its port, and a path as it was sent.
    #[must_use]
    pub fn find(&self, host: &str, path: &str) -> Place<'_, T> {
        let named = self.named.get(host);
        if named.is_none() && self.any.is_empty() {
            return Place::NoHost;
        }
        let canonical = canonical(path);
        let mut ends: Vec<usize> = Vec::with_capacity(self.depth + 1);
        if canonical.starts_with('/') {
            // The end of the first segment, of the first two, and so on.
            let slashes = canonical.match_indices('/').map(|(at, _)| at).skip(1);
            ends.extend(slashes.chain([canonical.len()]).take(self.depth));
        }
        for of_host in named.into_iter().chain([&self.any]) {
            for (number, end) in ends.iter().enumerate().rev() {
                if let Some(found) = canonical.get(..*end).and_then(|prefix| of_host.get(prefix)) {
                    return Place::Here(found, behind(path, number + 1));
                }
            }
            if let Some(found) = of_host.get("") {
                return Place::Here(found, 0);
            }
        }
        Place::NoPath
    }
}

/// Where a path that begins with a slash goes on behind so many segments.
fn behind(path: &str, segments: usize) -> usize {
    path.match_indices('/').nth(segments).map_or(path.len(), |(at, _)| at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn prefixes() -> Prefixes<&'static str> {
        let mut prefixes = Prefixes::default();
        for (host, prefix, what) in [
            (Some("a"), "", "a"),
            (Some("a"), "/shop", "a shop"),
            (Some("a"), "/shop/eu", "a shop eu"),
            (Some("b"), "/x", "b x"),
            (None, "/shop", "any shop"),
            (None, "/deep/er/still", "any deep"),
        ] {
            prefixes.add(host, prefix, what).unwrap();
        }
        prefixes
    }

    #[test]
    fn the_longest_prefix_of_the_host_wins() {
        let prefixes = prefixes();
        for (host, path, what, cut) in [
            ("a", "/", "a", 0),
            ("a", "/shopping", "a", 0),
            ("a", "/shop", "a shop", 5),
            ("a", "/shop/", "a shop", 5),
            ("a", "/shop/e", "a shop", 5),
            ("a", "/shop/eu", "a shop eu", 8),
            ("a", "/shop/eu/x/y/z", "a shop eu", 8),
            ("a", "/%73hop/eu", "a shop eu", 10),
            ("a", "/sho%70/%65u/x", "a shop eu", 12),
            ("a", "/shop%2Feu", "a", 0),
            ("a", "//shop", "a", 0),
            ("a", "*", "a", 0),
            ("a", "", "a", 0),
            ("b", "/x/y", "b x", 2),
            ("b", "/shop/y", "any shop", 5),
            ("c", "/shop", "any shop", 5),
            ("c", "/deep/er/still/more", "any deep", 14),
        ] {
            assert_eq!(prefixes.find(host, path), Place::Here(&what, cut), "{host} {path}");
        }
        for (host, path) in [("b", "/"), ("b", "/xy"), ("c", "/deep/er"), ("c", "*")] {
            assert_eq!(prefixes.find(host, path), Place::NoPath, "{host} {path}");
        }
    }

    #[test]
    fn an_unknown_host_is_told_apart_where_no_app_takes_any() {
        let mut prefixes = Prefixes::default();
        prefixes.add(Some("a"), "", 1).unwrap();
        assert_eq!(prefixes.find("b", "/"), Place::NoHost);
        assert_eq!(prefixes.add(Some("a"), "", 2), Err(&1), "the place is taken");
        assert_eq!((prefixes.at(Some("a"), ""), prefixes.at(None, "")), (Some(&1), None));
    }
}
