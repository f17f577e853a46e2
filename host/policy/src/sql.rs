//! Databases: a file of SQLite, or a database on a server of PostgreSQL.
//!
//! A database is written as a URL, by a script and by a rule alike: `sqlite:PATH` or `postgres://HOST[:PORT]/DATABASE`. The
//! name of a user, a password and options are no part of it: a rule is about what is reached, not about who reaches it. A
//! server is judged as that of an HTTP request is: by its name first, then by each address that the name leads to.

use std::fmt;

use thiserror::Error;

use crate::{
    host::{Host, HostError, port_number, split_port},
    path::{CanonicalPath, PathError},
};

/// The port of PostgreSQL.
pub(crate) const PORT: u16 = 5432;

/// Bytes of the name of a database, as PostgreSQL has it.
const MAX_NAME: usize = 63;

/// A database in its one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlSource {
    /// A database on a server of PostgreSQL.
    Postgres(SqlServer),
    /// A file of SQLite.
    Sqlite(CanonicalPath),
}

/// A database on a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SqlServer {
    host: Host,
    port: u16,
    database: String,
}

/// Why a text is not a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SqlError {
    /// The host is none.
    #[error("{0}")]
    BadHost(HostError),
    /// The database of a server has no name, or one that no rule can spell.
    #[error("the name of a database is 1 to 63 ASCII letters, digits, `_`, `-` and `.`, as in postgres://host/shop")]
    BadName,
    /// The path is none.
    #[error("{0}")]
    BadPath(PathError),
    /// The port is not from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    BadPort,
    /// A URL with a password.
    #[error("a password does not belong in a URL, which stands in records; give it as password=")]
    Credentials,
    /// A database in memory.
    #[error("a database in memory would be gone with the request; name a file, as in sqlite:data/shop.db")]
    Memory,
    /// Neither of the two.
    #[error("a database is sqlite:PATH or postgres://HOST/DATABASE")]
    Scheme,
}

impl SqlSource {
    /// Reads the URL of a database without a user or options; a path that is relative starts at `cwd`.
    pub fn parse(text: &str, cwd: Option<&CanonicalPath>) -> Result<Self, SqlError> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            if path.contains(":memory:") || path.is_empty() {
                return Err(SqlError::Memory);
            }
            let path = match cwd {
                Some(cwd) => CanonicalPath::resolve(path, cwd),
                None => CanonicalPath::absolute(path),
            };
            return path.map(Self::Sqlite).map_err(SqlError::BadPath);
        }
        let rest = server_part(text).ok_or(SqlError::Scheme)?;
        let (authority, database) = rest.split_once('/').ok_or(SqlError::BadName)?;
        if authority.contains('@') {
            return Err(SqlError::Credentials);
        }
        let (host, port) = split_port(authority).map_err(|_| SqlError::BadHost(HostError::BadAddress))?;
        let port = match port {
            None => PORT,
            Some((_, digits)) => port_number(digits).filter(|port| *port > 0).ok_or(SqlError::BadPort)?,
        };
        let host = Host::parse(host).map_err(SqlError::BadHost)?;
        if !is_database(database) {
            return Err(SqlError::BadName);
        }
        Ok(Self::Postgres(SqlServer { host, port, database: database.to_owned() }))
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&CanonicalPath> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    /// The server, if it is on one.
    pub fn server(&self) -> Option<&SqlServer> {
        match self {
            Self::Postgres(server) => Some(server),
            Self::Sqlite(_) => None,
        }
    }
}

impl SqlServer {
    /// The name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same at another host.
    pub(crate) fn at(&self, host: Host) -> Self {
        Self { host, ..self.clone() }
    }
}

pub(crate) fn server_part(text: &str) -> Option<&str> {
    text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))
}

pub(crate) fn is_database(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

/// As a rule spells it.
impl fmt::Display for SqlSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{path}"),
            Self::Postgres(SqlServer { host, port: PORT, database }) => write!(f, "postgres://{host}/{database}"),
            Self::Postgres(SqlServer { host, port, database }) => write!(f, "postgres://{host}:{port}/{database}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn source(text: &str) -> SqlSource {
        SqlSource::parse(text, Some(&CanonicalPath::absolute("/srv").unwrap())).unwrap()
    }

    #[test]
    fn every_spelling_becomes_one() {
        for (text, canonical) in [
            ("sqlite:shop.db", "sqlite:/srv/shop.db"),
            ("sqlite:./a/../shop.db", "sqlite:/srv/shop.db"),
            ("sqlite:/x/shop.db", "sqlite:/x/shop.db"),
            ("postgres://DB.Internal./shop", "postgres://db.internal/shop"),
            ("postgresql://db.internal:5432/shop", "postgres://db.internal/shop"),
            ("postgres://db.internal:6000/shop", "postgres://db.internal:6000/shop"),
            ("postgres://[::1]:5432/shop", "postgres://[::1]/shop"),
            ("postgres://2130706433/shop", "postgres://127.0.0.1/shop"),
        ] {
            assert_eq!(source(text).to_string(), canonical, "{text}");
            assert_eq!(source(canonical).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        for (text, error) in [
            ("sqlite::memory:", SqlError::Memory),
            ("sqlite:", SqlError::Memory),
            ("sqlite:file::memory:?cache=shared", SqlError::Memory),
            ("postgres://u@h/db", SqlError::Credentials),
            ("postgres://u:p@h/db", SqlError::Credentials),
            ("postgres://h", SqlError::BadName),
            ("postgres://h/", SqlError::BadName),
            ("postgres://h/a/b", SqlError::BadName),
            ("postgres://h/a?x", SqlError::BadName),
            ("postgres://h:0/a", SqlError::BadPort),
            ("mysql://h/a", SqlError::Scheme),
            ("shop.db", SqlError::Scheme),
        ] {
            assert_eq!(SqlSource::parse(text, None), Err(error), "{text}");
        }
        assert!(SqlSource::parse("sqlite:relative", None).is_err());
    }
}
