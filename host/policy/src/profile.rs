//! Profiles: named sets of rules, each adding to the one it is based on.
//!
//! A profile is a value. The built-in ones and those of a configuration file have one type and one
//! way to be judged, so nothing holds for the ladder that could not be read off its rules. A custom
//! profile cannot take a built-in name and cannot widen the classes of addresses its base reaches.

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::{egress::AddressClasses, rule::Rule};

/// The treatment of a call that no rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It is allowed.
    Allow,
    /// It is denied.
    Deny,
}

/// A named set of rules. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(Arc<Parts>);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) base: Option<Profile>,
    pub(crate) allow: Vec<Rule>,
    pub(crate) deny: Vec<Rule>,
    pub(crate) fallback: Fallback,
    pub(crate) reach: AddressClasses,
}

/// The reason why a custom profile cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// The name is not lower-case ASCII letters, digits, `-` and `_`, 1 to 64 of them.
    #[error("bad profile name {0:?}: 1 to 64 lower-case ASCII letters, digits, `-` and `_`")]
    BadName(String),
    /// The name is one of the built-in profiles.
    #[error("the profile {0} is built in and cannot be defined again")]
    BuiltIn(String),
}

impl Profile {
    /// A profile of its own: what `base` allows, more rules, and denials that win over both.
    pub fn custom(name: &str, base: &Self, allow: Vec<Rule>, deny: Vec<Rule>) -> Result<Self, ProfileError> {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(word) {
            return Err(ProfileError::BadName(name.chars().take(64).collect()));
        }
        if Self::NAMES.contains(&name) {
            return Err(ProfileError::BuiltIn(name.to_owned()));
        }
        Ok(Self::from_parts(Parts {
            name: name.to_owned(),
            base: Some(base.clone()),
            allow,
            deny,
            fallback: base.fallback(),
            reach: base.reach(),
        }))
    }

    pub(crate) fn from_parts(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The profile it adds to.
    pub fn base(&self) -> Option<&Self> {
        self.0.base.as_ref()
    }

    /// The rules it adds that allow.
    pub fn allow(&self) -> &[Rule] {
        &self.0.allow
    }

    /// The rules it adds that deny.
    pub fn deny(&self) -> &[Rule] {
        &self.0.deny
    }

    /// The treatment of a call that no rule is about.
    pub fn fallback(&self) -> Fallback {
        self.0.fallback
    }

    /// The classes of addresses that `http.client` reaches without a rule that names the address.
    pub fn reach(&self) -> AddressClasses {
        self.0.reach
    }

    /// The profiles it is made of, the lowest first and itself last.
    pub fn lineage(&self) -> Vec<&Self> {
        let mut lineage: Vec<&Self> = std::iter::successors(Some(self), |profile| profile.base()).collect();
        lineage.reverse();
        lineage
    }
}

/// `deny-all`.
impl Default for Profile {
    fn default() -> Self {
        Self::deny_all()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn names_are_checked() {
        let base = Profile::default();
        for name in ["", "Mine", "a b", "a/b", &"a".repeat(65)] {
            let refused = Profile::custom(name, &base, Vec::new(), Vec::new());
            assert!(matches!(refused, Err(ProfileError::BadName(_))), "{name}");
        }
        for name in Profile::NAMES {
            let refused = Profile::custom(name, &base, Vec::new(), Vec::new());
            assert_eq!(refused, Err(ProfileError::BuiltIn(name.to_owned())));
        }
    }

    #[test]
    fn a_custom_profile_inherits_what_it_does_not_add() {
        let base = Profile::named("allow-local").unwrap();
        let mine = Profile::custom("mine", &base, Vec::new(), Vec::new()).unwrap();
        assert_eq!(mine.reach(), base.reach());
        assert_eq!(mine.fallback(), Fallback::Deny);
        let names: Vec<_> = mine.lineage().into_iter().map(Profile::name).collect();
        assert_eq!(names, ["deny-all", "allow-fs", "allow-net", "allow-local", "mine"]);
    }
}
