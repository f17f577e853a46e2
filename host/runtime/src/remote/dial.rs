//! A connection to a server of the operator's.
//!
//! An encrypted connection is one to the server that was named: its certificate is verified against the machine's roots
//! and its name, always. There is no mode in between, which would encrypt for whoever answers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use starcell_policy::Host;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::client::resolve::{Resolve as _, System};
use crate::client::tls::roots;

/// Connects to the first address of a host that answers.
pub(crate) async fn tcp(resolver: &System, host: &Host, port: u16) -> Result<TcpStream, String> {
    let addresses: Vec<IpAddr> = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            resolver.resolve(name).await.map_err(|error| format!("cannot resolve {name}: {}", words(&error)))?
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
    let stream = TcpStream::connect(address).await.map_err(|error| words(&error))?;
    // Without it small requests wait for acknowledgements; failing to set it changes nothing else.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// The TLS side of a connection. Reads the machine's roots when they are first needed, which blocks.
pub(crate) async fn connector() -> Result<TlsConnector, String> {
    let made = tokio::task::spawn_blocking(|| {
        let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?;
        let config = versions.with_root_certificates(roots()?).with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    });
    made.await.map_err(|error| format!("the host failed: {error}"))?
}

/// The name that the certificate of a host must have.
pub(crate) fn server_name(host: &Host) -> Result<ServerName<'static>, String> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => {
            let name = name.as_str();
            ServerName::try_from(name.to_owned()).map_err(|_| format!("no certificate can name {name:?}"))
        }
    }
}

/// An error of the system, without its number.
pub(crate) fn words(error: &std::io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_lowercase()
}
