//! Where the stores of apps are kept: the URL of `--kv` and of `[kv]`.
//!
//! A password is never part of the URL, which stands in process lists and logs: it is in a file. A connection to
//! PostgreSQL is encrypted and verified unless the URL says `sslmode=disable`; there is no mode that encrypts and does not
//! verify.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use starcell_policy::Host;

/// Where the stores of apps are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A server of PostgreSQL.
    Postgres(ServerUrl),
    /// A server of Redis or Valkey.
    Redis(ServerUrl),
}

impl KvPlace {
    /// The folder, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Postgres(_) | Self::Redis(_) => None,
        }
    }
}

/// The place of a server, and who the node is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// Its host.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The name of the node there.
    pub user: Option<String>,
    /// The database.
    pub database: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// Where the stores of a node are kept, as its file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvConfig {
    /// The place.
    pub place: KvPlace,
    /// The file of the password.
    pub password_file: Option<PathBuf>,
}

/// Without credentials.
impl fmt::Display for KvPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, server) = match self {
            Self::Folder(path) => return write!(f, "file:{}", path.display()),
            Self::Postgres(server) => ("postgres", server),
            Self::Redis(server) if server.tls => ("rediss", server),
            Self::Redis(server) => ("redis", server),
        };
        write!(f, "{scheme}://{}:{}/{}", server.host, server.port, server.database)
    }
}

impl FromStr for KvPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file:") {
            return match path.is_empty() {
                true => Err("`file:` names no folder; write it like file:state/kv".to_owned()),
                false => Ok(Self::Folder(path.into())),
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(unknown)?;
        match scheme {
            "redis" | "rediss" => {
                let (server, options) = server(rest, 6379, scheme == "rediss")?;
                if let Some(options) = options {
                    return Err(format!("a URL of Redis has no options, so nothing stands behind `?` ({options:?})"));
                }
                let database = if server.database.is_empty() { "0".to_owned() } else { server.database };
                match database.bytes().all(|b| b.is_ascii_digit()) && database.len() <= 5 {
                    true => Ok(Self::Redis(ServerUrl { database, ..server })),
                    false => Err(format!("a database of Redis is a number, and {database:?} is none")),
                }
            }
            "postgres" | "postgresql" => {
                let (server, options) = server(rest, 5432, true)?;
                let tls = match options {
                    None | Some("sslmode=verify-full") => true,
                    Some("sslmode=disable") => false,
                    Some(options) => {
                        return Err(format!(
                            "{options:?}: the one option is sslmode, which is verify-full (the default) or disable"
                        ));
                    }
                };
                let database = if server.database.is_empty() { "starcell".to_owned() } else { server.database };
                Ok(Self::Postgres(ServerUrl { database, tls, ..server }))
            }
            _ => Err(unknown()),
        }
    }
}

fn unknown() -> String {
    "write it like redis://HOST:PORT/0, rediss://HOST, postgres://USER@HOST/DATABASE or file:FOLDER".to_owned()
}

/// `[USER@]HOST[:PORT][/DATABASE][?OPTIONS]`.
fn server(rest: &str, port: u16, tls: bool) -> Result<(ServerUrl, Option<&str>), String> {
    let (rest, options) = match rest.split_once('?') {
        Some((rest, options)) => (rest, Some(options)),
        None => (rest, None),
    };
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    };
    if user.is_some_and(|user| user.contains(':')) {
        return Err("a password does not belong in a URL; write it into a file and name that".to_owned());
    }
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    for (what, text) in [("user", user.unwrap_or("user")), ("database", database)] {
        if !plain(text) || text.len() > 63 || (what == "user" && text.is_empty()) {
            return Err(format!("a {what} is up to 63 ASCII letters, digits, `_`, `-` and `.`, and {text:?} is none"));
        }
    }
    let (host, port) = match place.rsplit_once(':') {
        Some((host, number)) if !number.ends_with(']') => {
            let number = number.parse().ok().filter(|port| *port != 0);
            (host, number.ok_or_else(|| format!("{place:?} has no port from 1 to 65535 behind its colon"))?)
        }
        _ => (place, port),
    };
    let host = Host::parse(host).map_err(|error| format!("the host {host:?}: {error}"))?;
    let user = user.map(str::to_owned);
    Ok((ServerUrl { host, port, user, database: database.to_owned(), tls }, options))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_defaults() {
        for (text, meant) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379/0"),
            ("rediss://node@cache.internal:7000/3", "rediss://cache.internal:7000/3"),
            ("redis://[::1]:7000", "redis://[::1]:7000/0"),
            ("postgres://db.internal", "postgres://db.internal:5432/starcell"),
            ("postgresql://shop@db.internal:6000/shop?sslmode=disable", "postgres://db.internal:6000/shop"),
            ("file:state/kv", "file:state/kv"),
        ] {
            assert_eq!(text.parse::<KvPlace>().unwrap().to_string(), meant, "{text}");
        }
        let KvPlace::Postgres(server) = "postgres://db".parse().unwrap() else { unreachable!() };
        assert!(server.tls, "encrypted unless the URL says otherwise");
    }

    #[test]
    fn a_mistake_is_named_and_a_password_is_not_repeated() {
        for (text, part) in [
            ("redis://user:hunter2@host", "does not belong in a URL"),
            ("postgres://:hunter2@host/db", "does not belong in a URL"),
            ("redis://host/shop", "is a number"),
            ("redis://host?tls=1", "has no options"),
            ("postgres://host/db?sslmode=prefer", "verify-full"),
            ("postgres://host:0/db", "no port"),
            ("postgres://ho st/db", "the host"),
            ("postgres://@host/db", "a user is"),
            ("postgres://host/a b", "a database is"),
            ("mysql://host/db", "write it like"),
            ("state", "write it like"),
            ("file:", "names no folder"),
        ] {
            let error = text.parse::<KvPlace>().unwrap_err();
            assert!(error.contains(part) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
