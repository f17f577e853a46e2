//! The outline of grants: what a wall that knows folders, and no rules, must leave open.
//!
//! The decision: never less than the grants allow, and little more. A deny rule takes nothing from an outline, nor do the
//! functions that a rule names; a path pattern with a star is outlined by the folder before the star. So a wall along the
//! outline refuses no call that the grants allow, and whoever gets past the grants still stands behind it.

use crate::{
    capability::{AnyPattern, Capability},
    grants::Grants,
    layer::Layer,
    path::CanonicalPath,
};

/// A place of an outline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutlinedPlace {
    /// A file or a folder.
    pub path: CanonicalPath,
    /// True if what lies beneath it is meant, rather than itself alone.
    pub beneath: bool,
}

impl Grants {
    /// Returns whether some call of the capability may be allowed.
    #[must_use]
    pub fn may_allow(&self, capability: Capability) -> bool {
        self.layers().all(|layer| layer.rules_about(capability).is_none_or(|mut rules| rules.next().is_some()))
    }

    /// The places that calls of a capability of paths, programs or databases may be allowed at; none for everywhere.
    #[must_use]
    pub fn outline(&self, capability: Capability) -> Option<Vec<OutlinedPlace>> {
        // Every layer must allow a call, so the outline of any one of them holds.
        self.layers().find_map(|layer| outline_of(layer, capability))
    }
}

fn outline_of(layer: &Layer, capability: Capability) -> Option<Vec<OutlinedPlace>> {
    let mut places = Vec::new();
    for patterns in layer.rules_about(capability)? {
        for pattern in patterns? {
            let pattern = match pattern {
                AnyPattern::Path(pattern) | AnyPattern::Program(pattern) => pattern,
                AnyPattern::Sql(pattern) => match pattern.files() {
                    Some(pattern) => pattern,
                    // A server is at no place.
                    None => continue,
                },
                _ => return None,
            };
            let (path, beneath) = pattern.fixed_part()?;
            places.push(OutlinedPlace { path, beneath });
        }
    }
    places.sort();
    places.dedup();
    Some(places)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::{profile::Profile, roots::Roots, rule::Rule};

    fn grants(profile: &str, allow: &[&str]) -> Grants {
        let roots = Roots::new(CanonicalPath::absolute("/srv/app").unwrap());
        let allow: Vec<Rule> = allow.iter().map(|rule| Rule::parse(rule).unwrap()).collect();
        Grants::new(&Profile::named(profile).unwrap(), &allow, &[], &roots).unwrap()
    }

    fn places(grants: &Grants, capability: Capability) -> Option<Vec<(String, bool)>> {
        let places = grants.outline(capability)?.into_iter();
        Some(places.map(|place| (place.path.to_string(), place.beneath)).collect())
    }

    #[test]
    fn an_outline_holds_all_that_is_granted() {
        let place = |path: &str, beneath| (path.to_owned(), beneath);
        assert_eq!(places(&grants("deny-all", &[]), Capability::FsRead), Some(vec![]));
        let own = [place("/srv/app", false), place("/srv/app", true)];
        let found = places(&grants("allow-fs", &[]), Capability::FsWrite).unwrap();
        assert!(found.iter().all(|found| own.contains(found)) && found.contains(&own[1]), "{found:?}");
        let rules = ["fs.read(/a/b/*/c)", "fs.read[stat](/d/e.txt)", "fs.read($CWD/data/**)", "fs.write(/w)"];
        let found = places(&grants("deny-all", &rules), Capability::FsRead);
        assert_eq!(found, Some(vec![place("/a/b", true), place("/d/e.txt", false), place("/srv/app/data", true)]));
        assert_eq!(places(&grants("deny-all", &["fs.read(/*/x)"]), Capability::FsRead), Some(vec![place("/", true)]));
        for everywhere in ["fs.read", "fs.*", "*.*"] {
            assert_eq!(places(&grants("deny-all", &[everywhere]), Capability::FsRead), None, "{everywhere}");
        }
        let databases = ["sql.open(sqlite:/d/*.db)", "sql.open(postgres://db/shop)"];
        assert_eq!(places(&grants("deny-all", &databases), Capability::SqlOpen), Some(vec![place("/d", true)]));
        assert_eq!(places(&grants("deny-all", &["sql.open"]), Capability::SqlOpen), None);
        assert_eq!(places(&grants("allow-all", &[]), Capability::OsExec), None);
        assert_eq!(places(&grants("allow-local", &[]), Capability::OsExec), Some(vec![place("/srv/app", true)]));
    }

    #[test]
    fn a_capability_without_a_rule_is_outside() {
        let local = grants("allow-local", &[]);
        assert!(local.may_allow(Capability::OsExec) && !local.may_allow(Capability::OsNetwork));
        assert!(grants("allow-all", &[]).may_allow(Capability::OsNetwork));
        assert!(grants("deny-all", &["http.server(:80)"]).may_allow(Capability::HttpServer));
        assert!(!grants("deny-all", &["http.server(:80)"]).may_allow(Capability::HttpClient));
        let narrowed = grants("allow-all", &[]).narrow(&grants("allow-fs", &[]));
        assert!(!narrowed.may_allow(Capability::OsExec) && narrowed.outline(Capability::FsRead).is_some());
    }
}
