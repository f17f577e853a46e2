//! How a connection to a registry is had: by whoever knows the certificates and the names of the process.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;

use starcell_policy::{AddressClass, Host};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection, encrypted or not.
pub trait RegistryStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> RegistryStream for T {}

/// A connection that is on its way: with the address that it goes to, or the end of a sentence about why there is none.
pub type Dialled<'a> = Pin<Box<dyn Future<Output = Result<(IpAddr, Box<dyn RegistryStream>), String>> + Send + 'a>>;

/// Who opens connections to registries.
pub trait RegistryDial: fmt::Debug + Send + Sync {
    /// Connects to a host. With `tls` the connection is encrypted and the name of the server verified. With `within`, no
    /// address is connected to but public ones and those of this class.
    fn dial<'a>(&'a self, host: &'a Host, port: u16, tls: bool, within: Option<AddressClass>) -> Dialled<'a>;
}

/// Returns whether a redirect of a server at an address of one class may lead to an address: to a public one, or to one in
/// the same kind of network.
#[must_use]
pub fn may_lead(within: Option<AddressClass>, address: IpAddr) -> bool {
    let class = AddressClass::of(address);
    class == AddressClass::Public || within.is_none_or(|within| within == class)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_into_no_other_network() {
        use AddressClass::{Loopback, Private, Public};
        for (within, address, may) in [
            (None, "127.0.0.1", true),
            (Some(Public), "8.8.8.8", true),
            (Some(Public), "10.0.0.1", false),
            (Some(Public), "127.0.0.1", false),
            (Some(Public), "169.254.169.254", false),
            (Some(Private), "10.0.0.2", true),
            (Some(Private), "169.254.169.254", false),
            (Some(Private), "8.8.8.8", true),
            (Some(Loopback), "::1", true),
            (Some(Loopback), "10.0.0.1", false),
        ] {
            assert_eq!(may_lead(within, address.parse().unwrap()), may, "{within:?} {address}");
        }
    }
}
