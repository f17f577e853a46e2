//! Names that have no structure: environment variables and keys of the key-value store.
//!
//! Both compare byte for byte, case included. Listing keys acts on every key with a prefix, so a prefix is a resource of
//! its own.

use std::fmt;

use thiserror::Error;

/// Bytes of the name of a variable.
const MAX_NAME: usize = 256;

/// Bytes of a key.
const MAX_KEY: usize = 1024;

/// The reason why a text is not a name that can be judged.
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

    /// Returns whether it stands for every key with this prefix.
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
}
