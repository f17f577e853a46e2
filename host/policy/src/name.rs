//! Names that have no structure: environment variables and keys of the key-value store.
//!
//! Both compare byte for byte, case included, and their patterns know one special character, `*`.
//! Listing keys acts on every key with a prefix, so a prefix is a resource of its own: a grant must
//! cover all of it, and a deny rule stops it when any key beneath could be denied.

use std::fmt;

use thiserror::Error;

use crate::glob::{Fault, text_continues, text_includes, text_matches};

const MAX_NAME: usize = 256;
const MAX_KEY: usize = 1024;

/// Why a text is not a name that can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// A key holds a control character.
    #[error("a key cannot hold control characters")]
    Control,
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// An environment variable's name is not made of ASCII letters, digits and `_`.
    #[error("an environment variable is named by ASCII letters, digits and `_`, no digit first")]
    NotAnIdentifier,
    /// It is longer than 256 bytes for a variable or 1024 for a key.
    #[error("the name is too long")]
    TooLong,
}

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvName(String);

impl EnvName {
    /// Checks the name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            Err(NameError::Empty)
        } else if name.len() > MAX_NAME {
            Err(NameError::TooLong)
        } else if name.starts_with(|c: char| c.is_ascii_digit())
            || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            Err(NameError::NotAnIdentifier)
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EnvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of the key-value store, or all keys with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KvKey {
    text: String,
    prefix: bool,
}

impl KvKey {
    /// One key.
    pub fn new(key: &str) -> Result<Self, NameError> {
        if key.is_empty() { Err(NameError::Empty) } else { Self::checked(key, false) }
    }

    /// Every key that starts with `prefix`, which may be empty.
    pub fn prefix(prefix: &str) -> Result<Self, NameError> {
        Self::checked(prefix, true)
    }

    /// The key, or the prefix.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for every key with this prefix.
    pub fn is_prefix(&self) -> bool {
        self.prefix
    }

    fn checked(text: &str, prefix: bool) -> Result<Self, NameError> {
        if text.len() > MAX_KEY {
            Err(NameError::TooLong)
        } else if text.chars().any(char::is_control) {
            Err(NameError::Control)
        } else {
            Ok(Self { text: text.to_owned(), prefix })
        }
    }
}

/// The key; a prefix is followed by `*`, as in a rule.
impl fmt::Display for KvKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.prefix { "*" } else { "" })
    }
}

/// A name glob of a rule, such as `APP_*` or `user:*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NamePattern(String);

impl NamePattern {
    pub(crate) fn parse_env(text: &str) -> Result<Self, Fault> {
        match text.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_' || b == b'*')) {
            Some(at) => Err(Fault::new(at, "expected ASCII letters, digits, `_` or `*`")),
            None if text.starts_with(|c: char| c.is_ascii_digit()) => {
                Err(Fault::new(0, "the name of a variable does not start with a digit"))
            }
            None => Self::parse_key(text),
        }
    }

    pub(crate) fn parse_key(text: &str) -> Result<Self, Fault> {
        if text.is_empty() { Err(Fault::new(0, "expected a name")) } else { Ok(Self(squeezed(text))) }
    }

    pub(crate) fn matches_env(&self, name: &EnvName) -> bool {
        text_matches(&self.0, &name.0)
    }

    /// Whether it grants the key, or every key with the prefix.
    pub(crate) fn grants_key(&self, key: &KvKey) -> bool {
        text_matches(&self.0, &key.text) && (!key.prefix || self.0.ends_with('*'))
    }

    /// Whether it grants all that the other does, as far as it can be seen from the two.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        text_includes(&self.0, &other.0)
    }

    /// Whether it denies the key, or some key with the prefix.
    pub(crate) fn denies_key(&self, key: &KvKey) -> bool {
        text_matches(&self.0, &key.text) || (key.prefix && text_continues(&self.0, &key.text))
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

    #[test]
    fn names_are_checked() {
        assert_eq!(EnvName::new(""), Err(NameError::Empty));
        assert_eq!(EnvName::new("A=B"), Err(NameError::NotAnIdentifier));
        assert_eq!(EnvName::new("1A"), Err(NameError::NotAnIdentifier));
        assert_eq!(EnvName::new(&"A".repeat(257)), Err(NameError::TooLong));
        assert_eq!(KvKey::new(""), Err(NameError::Empty));
        assert_eq!(KvKey::new("a\nb"), Err(NameError::Control));
        assert_eq!(KvKey::new(&"a".repeat(1025)), Err(NameError::TooLong));
        assert!(KvKey::prefix("").is_ok());
    }

    #[test]
    fn variables_match_with_their_case() {
        let pattern = NamePattern::parse_env("APP_*").unwrap();
        assert!(pattern.matches_env(&EnvName::new("APP_PORT").unwrap()));
        assert!(!pattern.matches_env(&EnvName::new("app_PORT").unwrap()));
        assert_eq!(NamePattern::parse_env("A-B").unwrap_err().at, 1);
        assert!(NamePattern::parse_env("").is_err());
    }

    #[test]
    fn a_prefix_is_granted_whole_and_denied_by_its_parts() {
        let users = NamePattern::parse_key("user:*").unwrap();
        assert!(users.grants_key(&KvKey::prefix("user:").unwrap()));
        assert!(users.grants_key(&KvKey::prefix("user:a").unwrap()));
        assert!(!users.grants_key(&KvKey::prefix("us").unwrap()));
        let one = NamePattern::parse_key("user:1").unwrap();
        assert!(!one.grants_key(&KvKey::prefix("user:1").unwrap()));
        assert!(one.denies_key(&KvKey::prefix("").unwrap()));
        assert!(one.denies_key(&KvKey::prefix("user:").unwrap()));
        assert!(!one.denies_key(&KvKey::prefix("user:2").unwrap()));
        assert_eq!(NamePattern::parse_key("a**b").unwrap().to_string(), "a*b");
    }
}
