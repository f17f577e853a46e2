//! Databases in rules.
//!
//! `sqlite:` stands before a path pattern, `postgres://` before a host pattern, a port and a database. A range of addresses
//! reaches the servers that a granted name leads to, as it does for requests.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use crate::{
    capability::SqlFunction,
    glob::Fault,
    host::{Host, HostPattern, port_number, split_port},
    path::CanonicalPath,
    path_pattern::PathPattern,
    permit::Reached,
    resource::{MissingRoot, Pattern, Reading, Resource},
    roots::Roots,
    sql::{PORT, SqlServer, SqlSource, is_database, server_part},
};

impl Resource for SqlSource {
    type Pattern = SqlPattern;

    fn read(text: &str, reading: &Reading<'_>) -> Result<Self, String> {
        let cwd = reading.cwd.map(CanonicalPath::absolute).transpose().map_err(|error| error.to_string())?;
        Self::parse(text, cwd.as_ref()).map_err(|error| error.to_string())
    }

    fn in_rule(&self) -> Option<String> {
        match self {
            Self::Sqlite(path) => path.in_rule().map(|path| format!("sqlite:{path}")),
            Self::Postgres(_) => Some(self.to_string()),
        }
    }

    fn covering(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.covering()),
            Self::Postgres(_) => self.to_string(),
        }
    }

    fn address(&self) -> Option<IpAddr> {
        match self.server()?.host() {
            Host::Address(address) => Some(*address),
            Host::Name(_) => None,
        }
    }

    fn at_address(&self, address: IpAddr) -> Option<String> {
        let server = self.server()?;
        Some(Self::Postgres(server.at(Host::Address(address.to_canonical()))).to_string())
    }
}

impl Reached for SqlSource {
    type Function = SqlFunction;

    fn named(function: &str) -> Option<SqlFunction> {
        SqlFunction::named(function)
    }

    fn host(&self) -> Option<&Host> {
        self.server().map(SqlServer::host)
    }

    fn port(&self) -> u16 {
        self.server().map_or(0, SqlServer::port)
    }
}

/// The resource of a rule: `sqlite:` and a path pattern, or `postgres://` with a host pattern, a port and a database, of
/// which a port or database that is left out, or `*`, is any. `postgres:**` is every server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlPattern {
    /// Databases on servers.
    Postgres(SqlServerPattern),
    /// Files.
    Sqlite(PathPattern),
}

/// Databases on servers, as a rule names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SqlServerPattern {
    host: HostPattern,
    port: Option<u16>,
    database: Option<String>,
}

impl SqlPattern {
    /// `sqlite:$CWD/**`.
    pub(crate) fn beneath_cwd() -> Self {
        Self::Sqlite(PathPattern::beneath_cwd())
    }

    /// Every server.
    pub(crate) fn servers() -> Self {
        Self::Postgres(SqlServerPattern { host: HostPattern::Any, port: None, database: None })
    }

    /// The files that it is about; none for servers.
    pub(crate) fn files(&self) -> Option<&PathPattern> {
        match self {
            Self::Sqlite(pattern) => Some(pattern),
            Self::Postgres(_) => None,
        }
    }
}

impl SqlServerPattern {
    fn parse(rest: &str, start: usize) -> Result<Self, Fault> {
        // A range in brackets holds a slash of its own.
        let bracket = rest.strip_prefix('[').and_then(|rest| rest.find(']')).map_or(0, |close| close + 1);
        let slash = rest.get(bracket..).and_then(|behind| behind.find('/')).map(|at| at + bracket);
        let (authority, database) = match slash {
            Some(slash) => (rest.get(..slash).unwrap_or_default(), rest.get(slash + 1..)),
            None => (rest, None),
        };
        if authority.contains('@') {
            return Err(Fault::new(start, "a rule holds no credentials"));
        }
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            // A range of IPv4 stands in brackets too, since its slash would begin the database.
            Some((range, behind)) if range.contains('/') && !range.contains(':') => match behind.strip_prefix(':') {
                Some(port) => (range, Some((range.len() + 3, port))),
                None if behind.is_empty() => (range, None),
                None => return Err(Fault::new(start + range.len() + 2, "expected `:` and a port")),
            },
            _ => split_port(authority).map_err(|fault| fault.shifted(start))?,
        };
        let port = match port {
            None => Some(PORT),
            Some((_, "*")) => None,
            Some((at, digits)) => Some(
                port_number(digits)
                    .filter(|port| *port > 0)
                    .ok_or_else(|| Fault::new(start + at, "expected a port or `*`"))?,
            ),
        };
        let host_at = start + usize::from(authority.starts_with('['));
        let host = HostPattern::parse(host).map_err(|fault| fault.shifted(host_at))?;
        // The port of a name that stands for all of them is any.
        let port = if host == HostPattern::Any && !authority.contains(':') { None } else { port };
        let database = match database {
            None | Some("*" | "**") => None,
            Some(name) if is_database(name) => Some(name.to_owned()),
            Some(_) => {
                let at = start + slash.unwrap_or_default() + 1;
                return Err(Fault::new(at, "expected the name of a database or `*`"));
            }
        };
        Ok(Self { host, port, database })
    }

    fn fits(&self, server: &SqlServer) -> bool {
        self.port.is_none_or(|port| port == server.port())
            && self.database.as_ref().is_none_or(|database| database == server.database())
    }
}

impl Pattern<SqlSource> for SqlPattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let start = text.len() - path.len();
            let pattern = <PathPattern as Pattern<CanonicalPath>>::parse(path);
            return pattern.map(Self::Sqlite).map_err(|fault| fault.shifted(start));
        }
        if matches!(text, "postgres:**" | "postgres:*") {
            return Ok(Self::servers());
        }
        match server_part(text) {
            Some(rest) => SqlServerPattern::parse(rest, text.len() - rest.len()).map(Self::Postgres),
            None => Err(Fault::new(0, "expected sqlite:PATH or postgres://HOST/DATABASE")),
        }
    }

    fn spellings(&self, roots: &Roots) -> Result<Vec<Self>, MissingRoot> {
        match self {
            Self::Sqlite(pattern) => {
                let spellings = Pattern::<CanonicalPath>::spellings(pattern, roots)?;
                Ok(spellings.into_iter().map(Self::Sqlite).collect())
            }
            Self::Postgres(_) => Ok(vec![self.clone()]),
        }
    }

    fn grants(&self, source: &SqlSource) -> bool {
        match (self, source) {
            (Self::Sqlite(pattern), SqlSource::Sqlite(path)) => pattern.grants(path),
            (Self::Postgres(pattern), SqlSource::Postgres(server)) => {
                pattern.fits(server) && pattern.host.names(server.host())
            }
            _ => false,
        }
    }

    fn denies(&self, source: &SqlSource, address: Option<IpAddr>, beneath: bool) -> bool {
        match (self, source) {
            (Self::Sqlite(pattern), SqlSource::Sqlite(path)) => pattern.denies(path, address, beneath),
            (Self::Postgres(pattern), SqlSource::Postgres(server)) => {
                pattern.fits(server)
                    && (pattern.host.names(server.host()) || address.is_some_and(|address| pattern.host.stops(address)))
            }
            _ => false,
        }
    }

    fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(pattern), Self::Sqlite(other)) => Pattern::<CanonicalPath>::includes(pattern, other),
            (Self::Postgres(pattern), Self::Postgres(other)) => {
                pattern.port.is_none_or(|port| other.port == Some(port))
                    && pattern.database.as_ref().is_none_or(|database| other.database.as_ref() == Some(database))
                    && pattern.host.includes(&other.host)
            }
            _ => false,
        }
    }

    fn reaches(&self, source: &SqlSource, address: IpAddr) -> bool {
        match (self, source) {
            (Self::Postgres(pattern), SqlSource::Postgres(server)) => {
                pattern.fits(server) && pattern.host.holds(address)
            }
            _ => false,
        }
    }

    fn is_of_addresses(&self) -> bool {
        matches!(self, Self::Postgres(SqlServerPattern { host: HostPattern::Net(_), .. }))
    }
}

impl fmt::Display for SqlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(pattern) => write!(f, "sqlite:{pattern}"),
            Self::Postgres(SqlServerPattern { host: HostPattern::Any, port: None, database: None }) => {
                f.write_str("postgres:**")
            }
            Self::Postgres(SqlServerPattern { host, port, database }) => {
                write!(f, "postgres://")?;
                match host {
                    // Without brackets its slash would begin the database.
                    HostPattern::Net(IpNet::V4(net)) if net.prefix_len() < 32 => write!(f, "[{net}]")?,
                    host => host.fmt(f)?,
                }
                match port {
                    Some(PORT) => {}
                    None if *host == HostPattern::Any => {}
                    Some(port) => write!(f, ":{port}")?,
                    None => f.write_str(":*")?,
                }
                write!(f, "/{}", database.as_deref().unwrap_or("*"))
            }
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
    fn patterns() {
        let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
        for (pattern, text, expected) in [
            ("sqlite:$CWD/**", "sqlite:shop.db", true),
            ("sqlite:$CWD/**", "sqlite:../shop.db", false),
            ("sqlite:$CWD/**", "postgres://h/shop", false),
            ("sqlite:/data/*.db", "sqlite:/data/a.db", true),
            ("postgres:**", "postgres://h:99/x", true),
            ("postgres:**", "sqlite:shop.db", false),
            ("postgres://*/shop", "postgres://h:99/shop", true),
            ("postgres://*/shop", "postgres://h/other", false),
            ("postgres://db.internal/shop", "postgres://db.internal/shop", true),
            ("postgres://db.internal/shop", "postgres://db.internal:99/shop", false),
            ("postgres://db.internal:*/shop", "postgres://db.internal:99/shop", true),
            ("postgres://db.internal", "postgres://db.internal/any", true),
            ("postgres://*.internal/*", "postgres://db.internal/any", true),
            ("postgres://10.0.0.0/8", "postgres://10.0.0.1/8", false),
        ] {
            let parsed = SqlPattern::parse(pattern).unwrap();
            let granted = parsed.spellings(&roots).unwrap().iter().any(|pattern| pattern.grants(&source(text)));
            assert_eq!(granted, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn ranges_reach_addresses() {
        let pattern = SqlPattern::parse("postgres://[10.0.0.0/8]/shop").unwrap();
        let call = source("postgres://db.internal/shop");
        assert!(pattern.reaches(&call, "10.2.3.4".parse().unwrap()));
        assert!(!pattern.reaches(&call, "11.2.3.4".parse().unwrap()));
        assert!(!pattern.reaches(&source("postgres://db.internal/other"), "10.2.3.4".parse().unwrap()));
        assert!(pattern.denies(&call, Some("10.0.0.1".parse().unwrap()), false));
    }

    #[test]
    fn patterns_print_canonically() {
        for (text, printed) in [
            ("sqlite:$CWD/**", "sqlite:$CWD/**"),
            ("postgres:**", "postgres:**"),
            ("postgresql://DB:5432/shop", "postgres://db/shop"),
            ("postgres://db", "postgres://db/*"),
            ("postgres://db:*/shop", "postgres://db:*/shop"),
            ("postgres://*/shop", "postgres://*/shop"),
            ("postgres://[10.0.0.0/8]:99/shop", "postgres://[10.0.0.0/8]:99/shop"),
            ("postgres://[fd00::/8]/shop", "postgres://[fd00::/8]/shop"),
        ] {
            let pattern = SqlPattern::parse(text).unwrap();
            assert_eq!(pattern.to_string(), printed);
            assert_eq!(SqlPattern::parse(printed).unwrap(), pattern);
        }
    }

    #[test]
    fn bad_patterns_have_a_position() {
        for (text, at) in [
            ("mysql:x", 0),
            ("sqlite:x", 7),
            ("postgres://u@h/x", 11),
            ("postgres://h:port/x", 13),
            ("postgres://h/a/b", 13),
            ("postgres://a.*.b/x", 13),
        ] {
            assert_eq!(SqlPattern::parse(text).unwrap_err().at, at, "{text}");
        }
    }
}
