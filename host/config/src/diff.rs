//! The grants and denials of one profile beyond another.
//!
//! Rules are compared by what they cover, not by their text: a profile that allows `kv.*` loses nothing to one that
//! allows `kv.read`. Where that cannot be seen from two rules the rule is listed, so the list may be longer than it has
//! to be and never too short.

use serde::Serialize;
use starcell_policy::{AddressClass, Fallback, Profile, Roots, Rule};

use crate::ladder::otherwise;

/// The differences of two profiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The first profile.
    pub from: String,
    /// The second.
    pub to: String,
    /// Rules that only the first has.
    pub removed: Side,
    /// Rules that only the second has.
    pub added: Side,
}

/// Rules of one profile that the other lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// Rules that allow something the other's rules are not seen to allow.
    pub allow: Vec<String>,
    /// Rules that deny something the other's rules are not seen to deny.
    pub deny: Vec<String>,
    /// Classes of addresses that only its requests reach.
    pub reach: Vec<&'static str>,
    /// True if only this profile allows calls that no rule is about.
    pub allows_the_rest: bool,
}

/// Compares two profiles, with the folders that rules may name.
#[must_use]
pub fn diff(from: &Profile, to: &Profile, roots: &Roots) -> Diff {
    Diff {
        from: from.name().to_owned(),
        to: to.name().to_owned(),
        removed: Side::of(from, to, roots),
        added: Side::of(to, from, roots),
    }
}

impl Side {
    fn of(profile: &Profile, other: &Profile, roots: &Roots) -> Self {
        let beyond = |rules: fn(&Profile) -> &[Rule]| {
            let all =
                |profile: &Profile| -> Vec<Rule> { profile.lineage().into_iter().flat_map(rules).cloned().collect() };
            let others = all(other);
            let mut printed: Vec<String> = Vec::new();
            for rule in all(profile) {
                let text = rule.to_string();
                if !others.iter().any(|other| covers(other, &rule, roots)) && !printed.contains(&text) {
                    printed.push(text);
                }
            }
            printed
        };
        let only = |class: &AddressClass| profile.reach().contains(*class) && !other.reach().contains(*class);
        Self {
            // A profile that allows everything needs no rule to allow a call.
            allow: if other.fallback() == Fallback::Allow { Vec::new() } else { beyond(Profile::allow) },
            deny: beyond(Profile::deny),
            reach: AddressClass::ALL.into_iter().filter(only).map(AddressClass::label).collect(),
            allows_the_rest: otherwise(profile) == "allow" && otherwise(other) != "allow",
        }
    }

    fn text(&self, sign: char) -> String {
        let allow = self.allow.iter().map(|rule| format!("{sign} allow {rule}\n"));
        let deny = self.deny.iter().map(|rule| format!("{sign} deny {rule}\n"));
        let reach = self.reach.iter().map(|class| format!("{sign} reach {class} addresses\n"));
        let rest = self.allows_the_rest.then(|| format!("{sign} allow whatever no rule denies\n"));
        allow.chain(deny).chain(reach).chain(rest).collect()
    }
}

/// True if the wide rule is seen to cover all calls of the narrow one.
pub(crate) fn covers(wide: &Rule, narrow: &Rule, roots: &Roots) -> bool {
    let spelled_out = wide.with_roots(roots).zip(narrow.with_roots(roots));
    wide.includes(narrow) || spelled_out.is_some_and(|(wide, narrow)| wide.includes(&narrow))
}

impl Diff {
    /// True if the profiles are seen to grant the same calls.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed == Side::default() && self.added == Side::default()
    }

    /// One line for each difference: `-` is gone, `+` is new.
    #[must_use]
    pub fn text(&self) -> String {
        if self.is_empty() {
            return format!("{} and {} do not differ\n", self.from, self.to);
        }
        let header = format!("from {} to {}\n", self.from, self.to);
        header + &self.removed.text('-') + &self.added.text('+')
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
