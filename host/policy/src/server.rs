//! The address a listener binds.
//!
//! A listener takes an address, not a name: what is judged is then exactly what is bound, and no
//! resolver stands between. `localhost` is the one name with a fixed meaning. An unspecified
//! address binds every interface, so a deny rule for any address stops it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use crate::{
    glob::Fault,
    host::{Host, HostError, port_number, split_port},
};

/// An address and a port to listen on; port 0 lets the system choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress(SocketAddr);

impl ServerAddress {
    /// Reads the host of a listener in any spelling of an address, or `localhost`.
    pub fn new(host: &str, port: u16) -> Result<Self, HostError> {
        address(host).map(|address| Self(SocketAddr::new(address, port)))
    }

    /// The address to bind.
    pub fn host(&self) -> IpAddr {
        self.0.ip()
    }

    /// The port to bind.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Both, as the socket interface takes them.
    pub fn socket_addr(&self) -> SocketAddr {
        self.0
    }
}

impl From<SocketAddr> for ServerAddress {
    fn from(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn address(text: &str) -> Result<IpAddr, HostError> {
    match Host::parse(text)? {
        Host::Address(address) => Ok(address),
        Host::Name(name) if name.as_str() == "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Host::Name(_) => Err(HostError::NotAnAddress),
    }
}

/// `host:port`, `host:*` or `:port` of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerPattern {
    host: Option<IpAddr>,
    port: Option<u16>,
}

impl ServerPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let (host, port) = split_port(text)?;
        let port = match port {
            None | Some((_, "*")) => None,
            Some((at, digits)) => Some(port_number(digits).ok_or_else(|| Fault::new(at, "expected a port or `*`"))?),
        };
        let host = match host {
            "*" => None,
            "" if text.starts_with(':') => None,
            host => Some(address(host).map_err(|e| Fault::new(0, e.to_string()))?),
        };
        Ok(Self { host, port })
    }

    pub(crate) fn grants(&self, address: &ServerAddress) -> bool {
        self.on_port(address) && self.host.is_none_or(|host| host == address.host())
    }

    pub(crate) fn denies(&self, address: &ServerAddress) -> bool {
        self.on_port(address) && (address.host().is_unspecified() || self.host.is_none_or(|h| h == address.host()))
    }

    /// Whether it grants all that the other does.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        self.host.is_none_or(|host| other.host == Some(host)) && self.port.is_none_or(|port| other.port == Some(port))
    }

    fn on_port(&self, address: &ServerAddress) -> bool {
        self.port.is_none_or(|port| port == address.port())
    }
}

impl fmt::Display for ServerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = self.host {
            Host::Address(host).fmt(f)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_listener_needs_an_address() {
        for (host, printed) in [
            ("localhost", "127.0.0.1:80"),
            ("LOCALHOST.", "127.0.0.1:80"),
            ("127.1", "127.0.0.1:80"),
            ("::ffff:127.0.0.1", "127.0.0.1:80"),
            ("::1", "[::1]:80"),
            ("[::]", "[::]:80"),
        ] {
            assert_eq!(ServerAddress::new(host, 80).unwrap().to_string(), printed, "{host}");
        }
        assert_eq!(ServerAddress::new("example.com", 80), Err(HostError::NotAnAddress));
        assert_eq!(ServerAddress::new("", 80), Err(HostError::Empty));
    }

    #[test]
    fn patterns() {
        for (pattern, host, port, granted) in [
            ("127.0.0.1:8080", "localhost", 8080, true),
            ("127.0.0.1:8080", "127.0.0.1", 8081, false),
            ("localhost:*", "127.0.0.1", 1, true),
            ("127.0.0.1", "127.0.0.1", 1, true),
            (":8080", "0.0.0.0", 8080, true),
            (":8080", "127.0.0.1", 0, false),
            ("*:8080", "::1", 8080, true),
            ("[::1]:8080", "::1", 8080, true),
            ("::1", "::1", 9, true),
            ("0.0.0.0:80", "127.0.0.1", 80, false),
        ] {
            let address = ServerAddress::new(host, port).unwrap();
            let pattern = ServerPattern::parse(pattern).unwrap();
            assert_eq!(pattern.grants(&address), granted, "{pattern} {address}");
        }
        for text in ["", "localhost:", "localhost:http", "a:80", "127.0.0.1:+80", ":65536"] {
            assert!(ServerPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_interface_includes_a_denied_one() {
        let pattern = ServerPattern::parse("10.0.0.1:80").unwrap();
        assert!(pattern.denies(&ServerAddress::new("0.0.0.0", 80).unwrap()));
        assert!(pattern.denies(&ServerAddress::new("::", 80).unwrap()));
        assert!(!pattern.denies(&ServerAddress::new("0.0.0.0", 81).unwrap()));
        assert!(!pattern.denies(&ServerAddress::new("127.0.0.1", 80).unwrap()));
    }
}
