//! Names in rules: variables of the environment, and keys of the key-value store.
//!
//! Their patterns know one special character, `*`. A grant must cover all keys with a prefix, and a deny rule stops a
//! prefix when any key with it could be denied. `$ENV` stands for the variables that the operator gives by name.

use std::{fmt, net::IpAddr};

use crate::{
    glob::{Fault, text_continues, text_includes, text_matches},
    name::{EnvName, KvKey},
    resource::{MissingRoot, Pattern, Reading, Resource},
    roots::Roots,
};

/// The variable of rules for the environment.
const GIVEN: &str = "$ENV";

impl Resource for EnvName {
    type Pattern = NamePattern;

    fn read(text: &str, _reading: &Reading<'_>) -> Result<Self, String> {
        Self::new(text).map_err(|error| error.to_string())
    }
}

impl Resource for KvKey {
    type Pattern = NamePattern;

    fn read(text: &str, reading: &Reading<'_>) -> Result<Self, String> {
        let key = match text.strip_suffix('*').filter(|_| reading.beneath) {
            Some(prefix) => Self::prefix(prefix),
            None => Self::new(text),
        };
        key.map_err(|error| error.to_string())
    }

    fn in_rule(&self) -> Option<String> {
        (!self.as_str().contains('*')).then(|| self.to_string())
    }
}

/// A name glob of a rule, such as `APP_*` or `user:*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern(String);

impl NamePattern {
    /// `$ENV`.
    pub(crate) fn given() -> Self {
        Self(GIVEN.to_owned())
    }

    fn new(text: &str) -> Result<Self, Fault> {
        if text.is_empty() { Err(Fault::new(0, "expected a name")) } else { Ok(Self(squeezed(text))) }
    }
}

impl Pattern<EnvName> for NamePattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text == GIVEN {
            return Ok(Self::given());
        }
        match text.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_' || b == b'*')) {
            Some(at) => Err(Fault::new(at, "expected ASCII letters, digits, `_` or `*`; or `$ENV`")),
            None if text.starts_with(|c: char| c.is_ascii_digit()) => {
                Err(Fault::new(0, "the name of a variable does not start with a digit"))
            }
            None => Self::new(text),
        }
    }

    fn spellings(&self, roots: &Roots) -> Result<Vec<Self>, MissingRoot> {
        match self.0.as_str() {
            GIVEN => Ok(roots.env().iter().map(|name| Self(name.to_string())).collect()),
            _ => Ok(vec![self.clone()]),
        }
    }

    fn grants(&self, name: &EnvName) -> bool {
        text_matches(&self.0, name.as_str())
    }

    fn denies(&self, name: &EnvName, _address: Option<IpAddr>, _beneath: bool) -> bool {
        text_matches(&self.0, name.as_str())
    }

    fn includes(&self, other: &Self) -> bool {
        text_includes(&self.0, &other.0)
    }
}

impl Pattern<KvKey> for NamePattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        Self::new(text)
    }

    fn grants(&self, key: &KvKey) -> bool {
        text_matches(&self.0, key.as_str()) && (!key.is_prefix() || self.0.ends_with('*'))
    }

    fn denies(&self, key: &KvKey, _address: Option<IpAddr>, _beneath: bool) -> bool {
        text_matches(&self.0, key.as_str()) || (key.is_prefix() && text_continues(&self.0, key.as_str()))
    }

    fn includes(&self, other: &Self) -> bool {
        text_includes(&self.0, &other.0)
    }
}

/// One star for a run of them.
fn squeezed(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '*' || !squeezed.ends_with('*') {
            squeezed.push(c);
        }
    }
    squeezed
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::path::CanonicalPath;

    fn of_env(text: &str) -> Result<NamePattern, Fault> {
        <NamePattern as Pattern<EnvName>>::parse(text)
    }

    #[test]
    fn variables_match_with_their_case() {
        let pattern = of_env("APP_*").unwrap();
        assert!(pattern.grants(&EnvName::new("APP_PORT").unwrap()));
        assert!(!pattern.grants(&EnvName::new("app_PORT").unwrap()));
        assert_eq!(of_env("A-B").unwrap_err().at, 1);
        assert!(of_env("").is_err());
    }

    #[test]
    fn the_variable_of_the_environment_stands_for_the_names_given() {
        let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
        let [a, b] = ["A", "B"].map(|name| EnvName::new(name).unwrap());
        let granted = |roots: &Roots, name: &EnvName| {
            let spellings = <NamePattern as Pattern<EnvName>>::spellings(&NamePattern::given(), roots).unwrap();
            spellings.iter().any(|pattern| pattern.grants(name))
        };
        assert!(!granted(&roots, &a));
        let roots = roots.with_env(vec![a.clone()]);
        assert!(granted(&roots, &a) && !granted(&roots, &b));
        assert_eq!(of_env("$ENV").unwrap(), NamePattern::given());
        assert!(of_env("$OTHER").is_err() && of_env("$ENV_X").is_err());
    }

    #[test]
    fn a_prefix_is_granted_whole_and_denied_by_its_parts() {
        let of_keys = |text| <NamePattern as Pattern<KvKey>>::parse(text).unwrap();
        let (users, one) = (of_keys("user:*"), of_keys("user:1"));
        let prefix = |text| KvKey::prefix(text).unwrap();
        assert!(users.grants(&prefix("user:")) && users.grants(&prefix("user:a")));
        assert!(!users.grants(&prefix("us")) && !one.grants(&prefix("user:1")));
        let denies = |text| one.denies(&prefix(text), None, true);
        assert!(denies("") && denies("user:") && !denies("user:2"));
        assert_eq!(of_keys("a**b").to_string(), "a*b");
    }
}
