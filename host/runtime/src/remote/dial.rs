//! A connection to a server of the operator's.
//!
//! An encrypted connection is one to the server that was named: its certificate is verified against the machine's roots
//! and its name, always. There is no mode in between, which would encrypt for whoever answers.

use std::io;
use std::net::{IpAddr, SocketAddr};

use starcell_policy::Host;
use tokio::net::TcpStream;

use crate::client::resolve::{Resolve as _, System};
use crate::os_words::os_words;
use crate::store_failure::StoreFailure;

/// Connects to the first address of a host that answers.
pub(crate) async fn tcp(resolver: &System, host: &Host, port: u16) -> Result<TcpStream, String> {
    let addresses: Vec<IpAddr> = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            resolver.resolve(name).await.map_err(|error| format!("cannot resolve {name}: {}", os_words(&error)))?
        }
    };
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match to_address(SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects to an address that was found to be the right one.
#[expect(clippy::disallowed_methods, reason = "connects to what the operator names, or what a permit holds")]
pub(crate) async fn to_address(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| os_words(&error))?;
    // Without it small requests wait for acknowledgements; failing to set it changes nothing else.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Tells a server that was not accepted from one that ended the connection while it was encrypted.
pub(crate) fn tls_failure(error: &io::Error) -> StoreFailure {
    match error.kind() {
        io::ErrorKind::InvalidData => StoreFailure::Certificate,
        _ => StoreFailure::Away,
    }
}
