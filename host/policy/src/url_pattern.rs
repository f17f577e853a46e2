//! URL patterns of rules: a name, a range, or an origin with a path.
//!
//! A pattern is brought to the spelling that a [`Url`] has, so that the two compare part by part:
//! `https://API.example.com:443/%7Euser` and `https://api.example.com/~user` are one rule. It
//! answers three questions: does it name the URL, does it name the address the URL leads to, and
//! does a deny rule with it stop either.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;

use crate::{
    capability::HttpMethod,
    glob::{Fault, PathGlob, starred},
    host::{Host, HostPattern, port_number, split_port},
    permit::Reached,
    resource::{MAX_RULE, Pattern, ROOM_FOR_NAMES, Reading, Resource},
    url::{Scheme, Url, decoded_segment, escaped, is_unreserved},
};

impl Resource for Url {
    type Pattern = UrlPattern;

    fn read(text: &str, _reading: &Reading<'_>) -> Result<Self, String> {
        Self::parse(text).map_err(|error| error.to_string())
    }

    fn in_rule(&self) -> Option<String> {
        Some(self.origin())
    }

    fn covering(&self) -> String {
        with_path(self, self.origin())
    }

    fn address(&self) -> Option<IpAddr> {
        match self.host() {
            Host::Address(address) => Some(*address),
            Host::Name(_) => None,
        }
    }

    fn at_address(&self, address: IpAddr) -> Option<String> {
        Some(Host::Address(address).to_string())
    }
}

impl Reached for Url {
    type Function = HttpMethod;

    fn named(function: &str) -> Option<HttpMethod> {
        HttpMethod::named(function)
    }

    fn host(&self) -> Option<&Host> {
        Some(self.host())
    }

    fn port(&self) -> u16 {
        self.port()
    }
}

/// The resource of a rule that lets a request for the URL connect to an address its host was resolved to.
pub(crate) fn covering_address(url: &Url, address: IpAddr) -> String {
    let host = Host::Address(address.to_canonical());
    with_path(url, format!("{}://{host}:{}", url.scheme().as_str(), url.port()))
}

/// An origin with the path of the URL; without one, where both are too long for a rule, it is about all paths.
fn with_path(url: &Url, origin: String) -> String {
    let path = starred(&url.path().replace("%2A", "*"), |c| c == '*');
    if origin.len() + path.len() > MAX_RULE - ROOM_FOR_NAMES { origin } else { origin + &path }
}

/// `[scheme://]host[:port][/path]` of a rule; a path needs a scheme. With a scheme and no port the
/// port is the scheme's own, without a scheme it is any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UrlPattern {
    scheme: Option<Scheme>,
    host: HostPattern,
    port: Option<u16>,
    path: Option<PathGlob>,
}

impl UrlPattern {
    fn fits(&self, url: &Url, denying: bool) -> bool {
        let segments = url.segments();
        self.scheme.is_none_or(|scheme| scheme == url.scheme())
            && self.port.is_none_or(|port| port == url.port())
            && self.path.as_ref().is_none_or(
                |path| {
                    if denying { path.covers(segments) } else { path.matches(segments) }
                },
            )
    }
}

impl Pattern<Url> for UrlPattern {
    fn parse(text: &str) -> Result<Self, Fault> {
        let (scheme, rest) = match Scheme::strip(text) {
            Some((scheme, rest)) => (Some(scheme), rest),
            None if text.contains("://") => {
                return Err(Fault::new(0, "expected the scheme http or https"));
            }
            None => (None, text),
        };
        let start = text.len() - rest.len();
        let (authority, path) = match scheme {
            Some(_) => match rest.strip_prefix('[').and_then(|r| r.find(']')) {
                // A range in brackets holds a slash of its own.
                Some(close) => {
                    let after = close + 2;
                    let slash = rest.get(after..).and_then(|r| r.find('/'));
                    rest.split_at(slash.map_or(rest.len(), |s| after + s))
                }
                None => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            },
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(Fault::new(start, "a rule holds no credentials"));
        }
        let (host, port) = split_port(authority).map_err(|f| f.shifted(start))?;
        let port = match port {
            None => scheme.map(Scheme::default_port),
            Some((_, "*")) => None,
            Some((at, digits)) => Some(
                port_number(digits)
                    .filter(|p| *p > 0)
                    .ok_or_else(|| Fault::new(start + at, "expected a port or `*`"))?,
            ),
        };
        let host_at = start + usize::from(authority.starts_with('['));
        let host = HostPattern::parse(host).map_err(|f| f.shifted(host_at))?;
        if scheme.is_some() && matches!(&host, HostPattern::Net(IpNet::V4(n)) if n.prefix_len() < 32) {
            return Err(Fault::new(host_at, "an IPv4 range takes no scheme"));
        }
        let path = match path {
            "" => None,
            path => Some(path_glob(path).map_err(|f| f.shifted(start + authority.len()))?),
        };
        Ok(Self { scheme, host, port, path })
    }

    fn grants(&self, url: &Url) -> bool {
        self.fits(url, false) && self.host.names(url.host())
    }

    fn reaches(&self, url: &Url, address: IpAddr) -> bool {
        self.fits(url, false) && self.host.holds(address)
    }

    fn denies(&self, url: &Url, address: Option<IpAddr>, _beneath: bool) -> bool {
        self.fits(url, true) && (self.host.names(url.host()) || address.is_some_and(|a| self.host.stops(a)))
    }

    fn includes(&self, other: &Self) -> bool {
        let path = match (&self.path, &other.path) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(path), Some(other)) => path.includes(other),
        };
        path && self.scheme.is_none_or(|scheme| other.scheme == Some(scheme))
            && self.port.is_none_or(|port| other.port == Some(port))
            && self.host.includes(&other.host)
    }

    fn is_of_addresses(&self) -> bool {
        matches!(self.host, HostPattern::Net(_))
    }
}

/// A path glob in the spelling that URL segments have.
fn path_glob(path: &str) -> Result<PathGlob, Fault> {
    if let Some(at) = path.find(['?', '#', '\\', ' ']) {
        return Err(Fault::new(at, "a rule's path holds no query, fragment, backslash or space"));
    }
    if let Some(at) = path.to_ascii_lowercase().find("%2a") {
        return Err(Fault::new(at, "a star cannot be escaped"));
    }
    let plain = escaped(path).map_err(|e| Fault::new(0, e.to_string()))?;
    PathGlob::parse(&plain.split('/').map(decoded_segment).collect::<Vec<_>>().join("/"))
}

impl fmt::Display for UrlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.as_str())?;
        }
        self.host.fmt(f)?;
        match (self.port, self.scheme) {
            (Some(port), Some(scheme)) if port == scheme.default_port() => {}
            (Some(port), _) => write!(f, ":{port}")?,
            (None, Some(_)) => f.write_str(":*")?,
            (None, None) => {}
        }
        match &self.path {
            // Escaped as a URL spells it; stars and slashes are plain in both.
            Some(path) => f.write_str(&escaped_glob(&path.to_string())),
            None => Ok(()),
        }
    }
}

fn escaped_glob(glob: &str) -> String {
    let plain = |b: u8| is_unreserved(b) || b"/!$&'()*+,;=:@".contains(&b);
    glob.bytes().fold(String::new(), |mut out, b| {
        if plain(b) {
            out.push(char::from(b))
        } else {
            out.push_str(&format!("%{b:02X}"))
        }
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("h", "http://h/", true),
            ("h", "https://h:8443/a", true),
            ("h:443", "https://h/a", true),
            ("h:443", "http://h/a", false),
            ("https://h", "https://h/a", true),
            ("https://h", "https://h:8443/a", false),
            ("https://h:*", "https://h:8443/a", true),
            ("https://h", "http://h:443/a", false),
            ("https://h/api/**", "https://h/api/x/y", true),
            ("https://h/api/**", "https://h/api", false),
            ("https://h/api/**", "https://h/api/../x", false),
            ("https://h/api/*", "https://h//api//x/", true),
            ("https://h/a!b", "https://h/a%21b", true),
            ("https://*.h/x", "https://a.h/x", true),
            ("*", "https://h/x", true),
            ("10.0.0.0/8", "http://10.1.1.1/", false),
        ] {
            let parsed = UrlPattern::parse(pattern).unwrap();
            assert_eq!(parsed.grants(&url(text)), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn ranges_reach_addresses() {
        let pattern = UrlPattern::parse("10.0.0.0/8:8080").unwrap();
        let call = url("http://db.example:8080/");
        assert!(pattern.reaches(&call, "10.2.3.4".parse().unwrap()));
        assert!(!pattern.reaches(&call, "11.2.3.4".parse().unwrap()));
        assert!(!pattern.reaches(&url("http://db.example/"), "10.2.3.4".parse().unwrap()));
        assert!(pattern.denies(&call, Some("64:ff9b::10.0.0.1".parse().unwrap()), false));
    }

    #[test]
    fn patterns_print_canonically() {
        for (text, printed) in [
            ("API.example.com.", "api.example.com"),
            ("HTTPS://h:443/a/", "https://h/a"),
            ("http://h:443", "http://h:443"),
            ("http://h:*/a/**", "http://h:*/a/**"),
            ("http://h/%7euser/%c3%a9", "http://h/~user/%C3%A9"),
            ("[fd00::/8]:443", "[fd00::/8]:443"),
            ("fd00::/8", "[fd00::/8]"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("https://[fd00::/8]/x", "https://[fd00::/8]/x"),
            ("0x7f.1", "127.0.0.1"),
        ] {
            let pattern = UrlPattern::parse(text).unwrap();
            assert_eq!(pattern.to_string(), printed);
            assert_eq!(UrlPattern::parse(printed).unwrap(), pattern);
        }
    }

    #[test]
    fn bad_patterns_have_a_position() {
        for (text, at) in [
            ("ftp://h", 0),
            ("", 0),
            ("h:port", 2),
            ("https://u@h/", 8),
            ("https://h:0/", 10),
            ("https://h/../x", 10),
            ("https://h/?q", 10),
            ("https://h/%2a", 10),
            ("h/path", 1),
            ("a.*.b", 2),
            ("[h]:80", 1),
        ] {
            assert_eq!(UrlPattern::parse(text).unwrap_err().at, at, "{text}");
        }
    }
}
