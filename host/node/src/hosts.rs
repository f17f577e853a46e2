//! The hosts that a server answers for.
//!
//! A page that rebinds its own name to a loopback address can read whatever answers any `Host` there. So an operator
//! can name the hosts with `--allow-host`, and a server under development on a loopback address answers for the names
//! of loopback and for the hosts of its own patterns alone. Without either a server answers for any host, since proxies
//! on the same machine send theirs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use starcell_http::router::Routes;

/// The hosts that a server answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Any.
    Any,
    /// These names, in lower case, and the names of loopback if so.
    Only {
        /// Names without a port.
        names: BTreeSet<String>,
        /// Whether `localhost`, its subdomains and loopback addresses are among them.
        loopback: bool,
    },
}

impl Hosts {
    /// The hosts of a server at `address`: those that the operator allows, and what `dev` implies.
    #[must_use]
    pub fn new(allowed: &[String], dev: bool, address: IpAddr, routes: &Routes) -> Self {
        let loopback = dev && address.to_canonical().is_loopback();
        if allowed.is_empty() && !loopback {
            return Self::Any;
        }
        let of_patterns = routes.hosts().filter(|_| loopback);
        let names = allowed.iter().map(String::as_str).chain(of_patterns).map(|host| name(host).to_ascii_lowercase());
        Self::Only { names: names.collect(), loopback }
    }

    /// True for a host, with or without its port, that the server answers for.
    #[must_use]
    pub fn allows(&self, host: &str) -> bool {
        let Self::Only { names, loopback } = self else { return true };
        let host = name(host).to_ascii_lowercase();
        names.contains(&host) || (*loopback && is_loopback(&host))
    }
}

/// A host in its one spelling: in lower case, without its port and without the dot that may end a name.
pub(crate) fn plain(host: &str) -> String {
    name(host).to_ascii_lowercase()
}

/// A host without its port and without the dot that may end a name.
fn name(host: &str) -> &str {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _port)) => address,
        None => host.split_once(':').filter(|(_, port)| !port.contains(':')).map_or(host, |(name, _port)| name),
    };
    name.strip_suffix('.').unwrap_or(name)
}

fn is_loopback(name: &str) -> bool {
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

    fn hosts(allowed: &[&str], dev: bool, address: [u8; 4]) -> Hosts {
        let mut routes = Routes::new();
        routes.add("GET api.example/x").unwrap();
        let allowed: Vec<_> = allowed.iter().map(|host| (*host).to_owned()).collect();
        Hosts::new(&allowed, dev, address.into(), &routes)
    }

    #[test]
    fn without_a_flag_any_host_is_answered() {
        assert_eq!(hosts(&[], false, LOOPBACK), Hosts::Any);
        assert_eq!(hosts(&[], true, [192, 0, 2, 1]), Hosts::Any);
        assert!(Hosts::Any.allows("evil.example") && Hosts::Any.allows(""));
    }

    #[test]
    fn only_the_named_hosts_are_answered() {
        let only = hosts(&["Example.com", "[2001:db8::1]"], false, LOOPBACK);
        for host in ["example.com", "EXAMPLE.com:8080", "example.com.", "[2001:db8::1]:80"] {
            assert!(only.allows(host), "{host}");
        }
        for host in ["", "evil.example", "www.example.com", "localhost", "127.0.0.1:8080", "api.example"] {
            assert!(!only.allows(host), "{host}");
        }
    }

    #[test]
    fn dev_answers_for_loopback_and_for_its_patterns() {
        let dev = hosts(&["example.com"], true, LOOPBACK);
        for host in
            ["localhost:8080", "a.localhost", "127.0.0.1", "127.8.9.1:1", "[::1]:8080", "api.example", "example.com"]
        {
            assert!(dev.allows(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example", "192.0.2.1", "127.0.0.1.nip.io", "notlocalhost"] {
            assert!(!dev.allows(host), "{host}");
        }
    }
}
