//! The logins for registries: the file that `docker login`, `podman login` and `oras login` write, and that Kubernetes keeps
//! in a secret of the type `kubernetes.io/dockerconfigjson`.
//!
//! What is refused: an entry that another program holds (`credsStore`, `credHelpers`), since a node starts no program.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use serde::Deserialize;
use thiserror::Error;

/// The file of the logins, as far as it is read.
#[derive(Deserialize)]
struct LoginFile {
    #[serde(default)]
    auths: BTreeMap<String, LoginEntry>,
}

#[derive(Deserialize)]
struct LoginEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// The logins of an operator, by the registry that they are for. No message and no log has one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RegistryLogins(BTreeMap<String, String>);

/// Why a text is no file of logins.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoginsError {
    /// An entry is not the text that it must be.
    #[error("the entry for {0:?} has no `auth`: USER:PASSWORD in base64; log in without a credential helper")]
    Entry(String),
    /// It is not JSON of that shape.
    #[error("it is not JSON with `auths`, as `docker login` and `podman login` write it (line {0})")]
    Shape(usize),
}

impl RegistryLogins {
    /// Reads a file of logins.
    ///
    /// # Errors
    /// The text is no such file. No secret of it is in the error.
    pub fn parse(text: &str) -> Result<Self, LoginsError> {
        // The parser's own words can repeat a part of the text.
        let file: LoginFile = serde_json::from_str(text).map_err(|error| LoginsError::Shape(error.line()))?;
        let logins = file.auths.into_iter().map(|(name, entry)| {
            let login = login(&entry).ok_or_else(|| LoginsError::Entry(name.chars().take(80).collect()))?;
            Ok((authority(&name).to_ascii_lowercase(), login))
        });
        logins.collect::<Result<_, _>>().map(Self)
    }

    /// The value of `Authorization` that logs in at a registry with this host and port.
    pub(crate) fn of(&self, authority: &str) -> Option<String> {
        self.0.get(authority).map(|login| format!("Basic {}", BASE64.encode(login.as_bytes())))
    }
}

impl fmt::Debug for RegistryLogins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn login(entry: &LoginEntry) -> Option<String> {
    let text = match (&entry.auth, &entry.username, &entry.password) {
        (Some(auth), _, _) => String::from_utf8(BASE64.decode(auth.as_bytes()).ok()?).ok()?,
        (None, Some(user), Some(password)) => format!("{user}:{password}"),
        _ => return None,
    };
    (text.contains(':') && !text.contains(char::is_control)).then_some(text)
}

/// Host and port of an entry, which may be written as a URL.
fn authority(name: &str) -> &str {
    let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_registry_has_its_own_login() {
        let text = r#"{"auths": {
            "https://Registry.Example.com/v2/": {"auth": "bm9kZTpodW50ZXIy"},
            "127.0.0.1:5000": {"username": "node", "password": "p:w"}
        }, "credsStore": "desktop"}"#;
        let logins = RegistryLogins::parse(text).unwrap();
        assert_eq!(logins.of("registry.example.com").as_deref(), Some("Basic bm9kZTpodW50ZXIy"));
        assert_eq!(logins.of("127.0.0.1:5000").as_deref(), Some("Basic bm9kZTpwOnc="));
        assert_eq!((logins.of("127.0.0.1"), logins.of("example.com")), (None, None));
        assert!(!format!("{logins:?}").contains("hunter2"));
        assert_eq!(RegistryLogins::parse("{}"), Ok(RegistryLogins::default()));
    }

    #[test]
    fn what_is_no_file_of_logins_is_refused_without_its_secrets() {
        for (text, part) in [
            ("node:hunter2", "is not JSON"),
            ("{\"auths\": [\"hunter2\"]}", "is not JSON"),
            ("{\"auths\": {\"r\": {}}}", "\"r\" has no `auth`"),
            ("{\"auths\": {\"r\": {\"auth\": \"hunter2!\"}}}", "\"r\" has no `auth`"),
            ("{\"auths\": {\"r\": {\"auth\": \"aHVudGVyMg==\"}}}", "\"r\" has no `auth`"),
            ("{\"auths\": {\"r\": {\"username\": \"a\", \"password\": \"hunter2\\n\"}}}", "\"r\" has no `auth`"),
        ] {
            let error = RegistryLogins::parse(text).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
