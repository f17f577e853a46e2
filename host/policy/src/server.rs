//! The address a listener binds.
//!
//! A listener takes an address, not a name: what is judged is then exactly what is bound, and no
//! resolver stands between. `localhost` is the one name with a fixed meaning. An unspecified
//! address binds every interface, so a deny rule for any address stops it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::IpNet;

use crate::{
    glob::Fault,
    host::{Host, HostError, port_number, split_port},
    resource::{MissingRoot, Pattern, Reading, Resource},
    roots::Roots,
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

/// The variable for the address that the operator has servers listen on.
const OPERATORS: &str = "$HOST";

impl Resource for ServerAddress {
    type Pattern = ServerPattern;

    /// Reads `address:port`; without an address it is the one that servers have by default.
    fn read(text: &str, _reading: &Reading<'_>) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let address = text.rsplit_once(':').and_then(|(host, port)| {
            Self::new(if host.is_empty() { "localhost" } else { host }, port.parse().ok()?).ok()
        });
        address.ok_or_else(|| "expected address:port".to_owned())
    }
}

/// `host:port`, `host:*` or `:port` of a rule; the host is an address, a range of them, or `$HOST`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerPattern {
    hosts: Hosts,
    port: Option<u16>,
}

/// The addresses that a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Hosts {
    Any,
    /// One address is a range of one.
    Net(IpNet),
    Operators,
}

impl ServerPattern {
    /// The addresses of the loopback interface, on any port.
    pub(crate) fn loopback() -> [Self; 2] {
        let v4 = IpNet::new_assert(IpAddr::V4(Ipv4Addr::LOCALHOST), 8).trunc();
        [v4, IpAddr::V6(Ipv6Addr::LOCALHOST).into()].map(|net| Self { hosts: Hosts::Net(net), port: None })
    }

    /// `$HOST`, on any port.
    pub(crate) fn operators() -> Self {
        Self { hosts: Hosts::Operators, port: None }
    }

    fn on_port(&self, address: &ServerAddress) -> bool {
        self.port.is_none_or(|port| port == address.port())
    }

    fn on_host(&self, address: &ServerAddress) -> bool {
        match self.hosts {
            Hosts::Any => true,
            Hosts::Net(net) => net.contains(&address.host()),
            // A variable that was not replaced stands for nothing.
            Hosts::Operators => false,
        }
    }
}

impl Pattern<ServerAddress> for ServerPattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        let (host, port) = split_port(text)?;
        let port = match port {
            None | Some((_, "*")) => None,
            Some((at, digits)) => Some(port_number(digits).ok_or_else(|| Fault::new(at, "expected a port or `*`"))?),
        };
        let hosts = match host {
            "*" => Hosts::Any,
            "" if text.starts_with(':') => Hosts::Any,
            OPERATORS => Hosts::Operators,
            range if range.contains('/') => {
                let net: IpNet = range.parse().map_err(|_| Fault::new(0, "expected a range such as 127.0.0.0/8"))?;
                Hosts::Net(net.trunc())
            }
            host => Hosts::Net(address(host).map_err(|e| Fault::new(0, e.to_string()))?.into()),
        };
        Ok(Self { hosts, port })
    }

    fn spellings(&self, roots: &Roots) -> Result<Vec<Self>, MissingRoot> {
        match self.hosts {
            Hosts::Operators => {
                let on = |host: IpAddr| Self { hosts: Hosts::Net(host.into()), port: self.port };
                Ok(roots.host().map(on).into_iter().collect())
            }
            Hosts::Any | Hosts::Net(_) => Ok(vec![self.clone()]),
        }
    }

    fn grants(&self, address: &ServerAddress) -> bool {
        self.on_port(address) && self.on_host(address)
    }

    fn denies(&self, server: &ServerAddress, _address: Option<IpAddr>, _beneath: bool) -> bool {
        self.on_port(server) && (server.host().is_unspecified() || self.on_host(server))
    }

    fn includes(&self, other: &Self) -> bool {
        let hosts = match (self.hosts, other.hosts) {
            (Hosts::Any, _) => true,
            (Hosts::Net(net), Hosts::Net(other)) => net.contains(&other),
            (Hosts::Operators, Hosts::Operators) => true,
            (Hosts::Net(_) | Hosts::Operators, _) => false,
        };
        hosts && self.port.is_none_or(|port| other.port == Some(port))
    }
}

impl fmt::Display for ServerPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hosts {
            Hosts::Any => {}
            Hosts::Net(net) if net.prefix_len() == net.max_prefix_len() => Host::Address(net.addr()).fmt(f)?,
            Hosts::Net(IpNet::V6(net)) => write!(f, "[{net}]")?,
            Hosts::Net(net) => net.fmt(f)?,
            Hosts::Operators => f.write_str(OPERATORS)?,
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
            ("127.0.0.0/8", "127.1.2.3", 9, true),
            ("127.0.0.0/8:80", "127.1.2.3", 81, false),
            ("127.0.0.0/8", "128.0.0.1", 9, false),
            ("[fd00::/8]:80", "fd12::1", 80, true),
            ("$HOST", "127.0.0.1", 80, false),
        ] {
            let address = ServerAddress::new(host, port).unwrap();
            let pattern = ServerPattern::parse(pattern).unwrap();
            assert_eq!(pattern.grants(&address), granted, "{pattern} {address}");
        }
        for text in ["127.0.0.0/33", "$HOME:80", "", "localhost:", "localhost:http", "a:80", "127.0.0.1:+80", ":65536"]
        {
            assert!(ServerPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_interface_includes_a_denied_one() {
        let pattern = ServerPattern::parse("10.0.0.1:80").unwrap();
        let denies = |host, port| pattern.denies(&ServerAddress::new(host, port).unwrap(), None, false);
        assert!(denies("0.0.0.0", 80));
        assert!(denies("::", 80));
        assert!(!denies("0.0.0.0", 81));
        assert!(!denies("127.0.0.1", 80));
    }

    #[test]
    fn the_variable_stands_for_the_operators_address() {
        let roots = Roots::new(crate::path::CanonicalPath::absolute("/srv").unwrap());
        let pattern = ServerPattern::parse("$HOST:*").unwrap();
        assert_eq!((pattern.spellings(&roots).unwrap().len(), pattern.to_string()), (0, "$HOST:*".to_owned()));
        let spellings = pattern.spellings(&roots.with_host("10.0.0.7".parse().unwrap())).unwrap();
        assert_eq!(spellings, [ServerPattern::parse("10.0.0.7").unwrap()]);
        assert!(ServerPattern::loopback().iter().all(|p| ServerPattern::parse(&p.to_string()).as_ref() == Ok(p)));
    }
}
