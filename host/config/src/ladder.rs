//! The profiles as a table: what each adds to the one it stands on.

use serde::Serialize;
use starcell_policy::{AddressClass, Fallback, Profile, Rule};

/// The rules that one profile adds.
#[derive(Debug, Serialize)]
struct Rung<'a> {
    name: &'a str,
    base: Option<&'a str>,
    allow: Vec<String>,
    deny: Vec<String>,
    /// Classes of addresses that `http.client` reaches and did not reach in the base.
    reach: Vec<&'static str>,
    /// The decision about a call that no rule is about.
    otherwise: &'static str,
}

impl<'a> Rung<'a> {
    fn of(profile: &'a Profile) -> Self {
        let printed = |rules: &[Rule]| rules.iter().map(Rule::to_string).collect();
        let added = |class: &AddressClass| {
            profile.reach().contains(*class) && !profile.base().is_some_and(|base| base.reach().contains(*class))
        };
        Self {
            name: profile.name(),
            base: profile.base().map(Profile::name),
            allow: printed(profile.allow()),
            deny: printed(profile.deny()),
            reach: AddressClass::ALL.into_iter().filter(added).map(AddressClass::label).collect(),
            otherwise: otherwise(profile),
        }
    }
}

pub(crate) fn otherwise(profile: &Profile) -> &'static str {
    match profile.fallback() {
        Fallback::Allow => "allow",
        Fallback::Deny => "deny",
    }
}

/// Each profile with what it adds, for people.
#[must_use]
pub fn ladder_text<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> String {
    let mut text = String::new();
    for Rung { name, base, allow, deny, reach, otherwise } in profiles.into_iter().map(Rung::of) {
        match base {
            Some(base) => text += &format!("{name}: {base} and\n"),
            None => text += &format!("{name}: nothing but compute, load, print and log\n"),
        }
        for rule in allow {
            text += &format!("  allow {rule}\n");
        }
        for rule in deny {
            text += &format!("  deny {rule}\n");
        }
        // The addresses of the lowest profile are of no use before a rule allows requests.
        if base.is_some() && !reach.is_empty() {
            text += &format!("  requests reach {} addresses\n", reach.join(", "));
        }
        if otherwise == "allow" {
            text += "  allow whatever no rule denies\n";
        }
    }
    text
}

/// Each profile with the rules that it adds, as a JSON list.
#[must_use]
pub fn ladder_json<'a>(profiles: impl IntoIterator<Item = &'a Profile>) -> String {
    let rungs: Vec<Rung<'_>> = profiles.into_iter().map(Rung::of).collect();
    serde_json::to_string(&rungs).unwrap_or_default()
}
