//! The environment of an app: names, and values that nothing prints.
//!
//! Secrets are among the values, so all of them are kept alike: no `Debug`, and with it no log, record or error, shows one.
//! They leave by `os.env` alone, to the script that was granted the name.

use std::collections::BTreeMap;
use std::fmt;

/// A text that nothing prints. What it held is wiped with the memory of the host, whose allocator does that.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The environment that a script may ask for.
#[derive(Clone, Debug, Default)]
pub struct Environment(BTreeMap<String, Secret>);

impl Environment {
    /// The names of its variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|Secret(value)| value.as_str())
    }
}

impl From<BTreeMap<String, String>> for Environment {
    fn from(variables: BTreeMap<String, String>) -> Self {
        variables.into_iter().map(|(name, value)| (name, Secret(value))).collect()
    }
}

impl FromIterator<(String, Secret)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, Secret)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_printed() {
        let environment: Environment = [("A".to_owned(), Secret::from("hunter2".to_owned()))].into_iter().collect();
        assert_eq!(environment.get("A"), Some("hunter2"));
        assert_eq!(format!("{environment:?} {environment:#?}").matches("hunter2").count(), 0);
        assert_eq!(environment.names().collect::<Vec<_>>(), ["A"]);
    }
}
