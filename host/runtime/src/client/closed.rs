//! The addresses of the host itself, which no script connects to.
//!
//! **The decision.** Where the numbers of a node are read, and where it is told what to do, nobody asks who comes from this
//! machine. A script that may connect to loopback comes from this machine. So these addresses are closed to the clients of
//! all scripts, whatever they are granted, as the files of the host are.
//!
//! They are those of the process, not of an app: they are bound once, before the first app is set up.

use std::net::SocketAddr;

use parking_lot::RwLock;
use starcell_policy::AddressClass;

static CLOSED: RwLock<Vec<SocketAddr>> = RwLock::new(Vec::new());

/// Keeps the clients of scripts away from an address that the host has bound for itself.
pub fn close_address(address: SocketAddr) {
    CLOSED.write().push(address);
}

/// Whether an address leads to one that is closed.
pub(super) fn is_closed(target: SocketAddr) -> bool {
    CLOSED.read().iter().any(|closed| leads_to(target, *closed))
}

/// Whether a connection to an address arrives at a listener. The address 0.0.0.0 leads to this machine. A listener of all
/// addresses has those of all networks; which ones these are is not known, so only a public one counts as another machine's.
fn leads_to(target: SocketAddr, closed: SocketAddr) -> bool {
    let (to, at) = (target.ip().to_canonical(), closed.ip().to_canonical());
    let here = to.is_unspecified() || to.is_loopback();
    let reaches = match at {
        at if at.is_unspecified() => here || AddressClass::of(to) != AddressClass::Public,
        at => to == at || (at.is_loopback() && to.is_unspecified()),
    };
    reaches && target.port() == closed.port()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_a_listener_of_the_host_is_closed() {
        for (target, closed, leads) in [
            ("127.0.0.1:9091", "127.0.0.1:9091", true),
            ("0.0.0.0:9091", "127.0.0.1:9091", true),
            ("[::ffff:127.0.0.1]:9091", "127.0.0.1:9091", true),
            ("[::]:9091", "[::1]:9091", true),
            ("127.0.0.1:9092", "127.0.0.1:9091", false),
            ("127.0.0.2:9091", "127.0.0.1:9091", false),
            ("10.0.0.1:9091", "0.0.0.0:9091", true),
            ("127.9.9.9:9091", "0.0.0.0:9091", true),
            ("8.8.8.8:9091", "0.0.0.0:9091", false),
            ("10.0.0.1:9091", "127.0.0.1:9091", false),
        ] {
            assert_eq!(leads_to(target.parse().unwrap(), closed.parse().unwrap()), leads, "{target} to {closed}");
        }
    }
}
