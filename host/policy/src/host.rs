//! Host names and addresses, brought to one spelling before anything is compared.
//!
//! `http://2130706433/`, `http://0x7f.1/`, `http://[::ffff:127.0.0.1]/` and `http://127.0.0.1./`
//! reach the same machine, so they parse to the same [`Host`]. Names are ASCII only: a name that
//! would need IDNA mapping is refused, because two libraries may map it differently; its
//! `xn--` spelling is an ordinary name.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use crate::{egress, glob::Fault};

/// A host name in lower case without a trailing dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address; IPv4-mapped IPv6 has become IPv4.
    Address(IpAddr),
    /// A name that has to be resolved.
    Name(HostName),
}

/// A checked host name: ASCII, lower case, no trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

/// The reason why a text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// It looks like an address and is not one.
    #[error("the host is not a valid address")]
    BadAddress,
    /// A label is empty, longer than 63 bytes or holds a character names do not have.
    #[error("the host name is not valid")]
    BadName,
    /// There is none.
    #[error("the host is empty")]
    Empty,
    /// A listener was given a name instead of an address.
    #[error("a listener needs an address, or `localhost`, not a name")]
    NotAnAddress,
    /// The name is not ASCII.
    #[error("the host name is not ASCII; write it in its `xn--` form")]
    NotAscii,
}

impl Host {
    /// Reads a name or an address in any of its spellings; IPv6 may stand in brackets.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if !text.is_ascii() {
            return Err(HostError::NotAscii);
        }
        let bracketed = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        if bracketed.is_some() || text.contains(':') {
            let address: Ipv6Addr = bracketed.unwrap_or(text).parse().map_err(|_| HostError::BadAddress)?;
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() {
            return Err(if text.is_empty() { HostError::Empty } else { HostError::BadName });
        }
        if name.rsplit('.').next().is_some_and(is_number) {
            return ipv4(&name).map(|a| Self::Address(IpAddr::V4(a))).ok_or(HostError::BadAddress);
        }
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(HostError::BadName);
        }
        Ok(Self::Name(HostName(name)))
    }

    /// Whether it is this machine by its own word, where nobody else can listen to what is sent.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name.as_str() == "localhost",
        }
    }
}

impl HostName {
    /// The name as text, ready to be resolved.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An IPv6 address stands in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

/// Returns whether a last label makes the whole host an IPv4 address, as the URL standard decides it.
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x");
    match hex {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// One to four numbers in decimal, octal (`0177`) or hex (`0x7f`); the last fills what is left.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let numbers: Vec<u64> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, leading) = numbers.split_last()?;
    if leading.len() > 3 || leading.iter().any(|n| *n > 255) {
        return None;
    }
    let free_bits = 32 - 8 * leading.len() as u32;
    if *last >= 1 << free_bits {
        return None;
    }
    let high = leading.iter().fold(0, |sum, n| sum << 8 | n);
    u32::try_from(high << free_bits | last).ok().map(Ipv4Addr::from)
}

fn number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [] => return None,
        [b'0', b'x', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    if digits.is_empty() {
        return Some(0);
    }
    // The digit check keeps out the sign that the parser of the standard library takes.
    let digits_only = digits.chars().all(|c| c.is_digit(radix));
    if digits_only { u64::from_str_radix(digits, radix).ok() } else { None }
}

/// The host part of a rule: a name, `*.example.com`, `*`, an address or a CIDR range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum HostPattern {
    Any,
    Exact(HostName),
    Net(IpNet),
    Subdomains(HostName),
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let fault = |e: HostError| Fault::new(0, e.to_string());
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(parent) = text.strip_prefix("*.") {
            return match Host::parse(parent).map_err(|e| fault(e).shifted(2))? {
                Host::Name(name) => Ok(Self::Subdomains(name)),
                Host::Address(_) => Err(Fault::new(2, "an address has no subdomains")),
            };
        }
        if let Some(star) = text.find('*') {
            return Err(Fault::new(star, "`*` may only be the whole host or its first label"));
        }
        if let Some(slash) = text.find('/') {
            let net = text
                .parse::<IpNet>()
                .map_err(|_| Fault::new(slash, "expected an address range; a path needs a scheme before it"))?;
            return Ok(Self::Net(canonical_net(net)));
        }
        match Host::parse(text).map_err(fault)? {
            Host::Address(address) => Ok(Self::Net(IpNet::from(address))),
            Host::Name(name) => Ok(Self::Exact(name)),
        }
    }

    /// Returns whether it names the host; an address range names no name.
    pub(crate) fn names(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exact(name), Host::Name(host)) => name == host,
            (Self::Subdomains(parent), Host::Name(host)) => {
                host.0.strip_suffix(&parent.0).is_some_and(|prefix| prefix.ends_with('.'))
            }
            _ => false,
        }
    }

    /// Returns whether it is a range that holds the address.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        matches!(self, Self::Net(net) if net.contains(&address))
    }

    /// Returns whether it names and holds all that the other does. Any host is no address: only a range reaches one.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any | Self::Exact(_) | Self::Subdomains(_)) => true,
            (Self::Exact(name), Self::Exact(other)) => name == other,
            (Self::Subdomains(parent), Self::Exact(name)) => {
                name.0.strip_suffix(&parent.0).is_some_and(|prefix| prefix.ends_with('.'))
            }
            (Self::Subdomains(parent), Self::Subdomains(other)) => {
                parent == other || other.0.strip_suffix(&parent.0).is_some_and(|prefix| prefix.ends_with('.'))
            }
            (Self::Net(net), Self::Net(other)) => net.contains(other),
            _ => false,
        }
    }

    /// Whether, in a deny rule, it stops a connection to the address: as itself, as the address
    /// inside a translation or tunnel, or as the loopback address that `localhost` and the
    /// unspecified address reach.
    pub(crate) fn stops(&self, address: IpAddr) -> bool {
        match self {
            Self::Net(net) => {
                let inside = egress::embedded(address).into_iter().map(IpAddr::V4);
                let local = egress::reached_by_unspecified(address);
                inside.chain(local).chain([address]).any(|a| net.contains(&a))
            }
            Self::Exact(name) => name.0 == "localhost" && egress::is_local(address),
            Self::Any | Self::Subdomains(_) => false,
        }
    }
}

/// A range of IPv4-mapped addresses as the IPv4 range it stands for, with its host bits cleared.
fn canonical_net(net: IpNet) -> IpNet {
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => {
            let mapped = v6.network().to_ipv4_mapped();
            let narrow = mapped.and_then(|v4| Ipv4Net::new(v4, v6.prefix_len() - 96).ok());
            narrow.map_or(net.trunc(), IpNet::V4)
        }
        _ => net.trunc(),
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => name.fmt(f),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => Host::Address(net.addr()).fmt(f),
            Self::Net(IpNet::V4(net)) => net.fmt(f),
            Self::Net(IpNet::V6(net)) => write!(f, "[{net}]"),
            Self::Subdomains(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// A host without brackets, and the port with its offset.
pub(crate) type HostPort<'a> = (&'a str, Option<(usize, &'a str)>);

/// Splits `host:port`, `[v6]:port` or a bare IPv6 address.
pub(crate) fn split_port(text: &str) -> Result<HostPort<'_>, Fault> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or_else(|| Fault::new(text.len(), "expected `]`"))?;
        if !host.contains(':') {
            return Err(Fault::new(1, "only an IPv6 address stands in brackets"));
        }
        let at = host.len() + 2;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some((at + 1, port)))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(Fault::new(at, "expected `:` and a port")),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, port)) => Ok((host, Some((host.len() + 1, port)))),
        None => Ok((text, None)),
    }
}

/// A port in decimal digits only.
pub(crate) fn port_number(text: &str) -> Option<u16> {
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_that_address() {
        for text in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0X7F.1",
            "0177.0.0.1",
            "0177.0x0.0.01",
            "[::ffff:127.0.0.1]",
            "::ffff:7f00:1",
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), "127.0.0.1", "{text}");
        }
        assert_eq!(Host::parse("0").unwrap().to_string(), "0.0.0.0");
        assert_eq!(Host::parse("[0:0::1]").unwrap().to_string(), "[::1]");
    }

    #[test]
    fn names_are_folded() {
        for text in ["API.Example.com", "api.example.com.", "api.example.COM"] {
            assert_eq!(Host::parse(text).unwrap().to_string(), "api.example.com", "{text}");
        }
        assert!(matches!(Host::parse("xn--bcher-kva.example"), Ok(Host::Name(_))));
        assert!(matches!(Host::parse("0x7f.example"), Ok(Host::Name(_))));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for (text, error) in [
            ("", HostError::Empty),
            (".", HostError::BadName),
            ("a..b", HostError::BadName),
            ("a.b..", HostError::BadName),
            ("-a.b", HostError::BadName),
            ("a b", HostError::BadName),
            ("a%2eb", HostError::BadName),
            ("bücher.example", HostError::NotAscii),
            ("１２７.0.0.1", HostError::NotAscii),
            ("256.0.0.1", HostError::BadAddress),
            ("1.2.3.4.5", HostError::BadAddress),
            ("127.0.0.08", HostError::BadAddress),
            ("4294967296", HostError::BadAddress),
            ("example.1", HostError::BadAddress),
            ("[::1", HostError::BadAddress),
            ("[fe80::1%eth0]", HostError::BadAddress),
        ] {
            assert_eq!(Host::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_star_names_subdomains_only() {
        let pattern = HostPattern::parse("*.Example.com").unwrap();
        assert!(pattern.names(&Host::parse("a.b.example.com").unwrap()));
        assert!(!pattern.names(&Host::parse("example.com").unwrap()));
        assert!(!pattern.names(&Host::parse("notexample.com").unwrap()));
        assert!(HostPattern::parse("a.*.com").is_err());
        assert!(HostPattern::parse("*.10.0.0.1").is_err());
    }

    #[test]
    fn ranges_are_canonical() {
        for (text, printed) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("0x0a000005", "10.0.0.5"),
            ("fd00::1/8", "[fd00::/8]"),
            ("::1", "[::1]"),
        ] {
            assert_eq!(HostPattern::parse(text).unwrap().to_string(), printed);
        }
        assert!(HostPattern::parse("example.com/x").is_err());
    }

    #[test]
    fn a_denied_address_is_denied_in_disguise() {
        let pattern = HostPattern::parse("127.0.0.0/8").unwrap();
        for text in ["127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "0.0.0.0"] {
            assert!(pattern.stops(text.parse().unwrap()), "{text}");
        }
        assert!(!pattern.holds("64:ff9b::127.0.0.1".parse().unwrap()));
        assert!(HostPattern::parse("localhost").unwrap().stops("127.0.0.2".parse().unwrap()));
    }
}
