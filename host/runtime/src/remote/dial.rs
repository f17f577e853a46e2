//! A connection to a server of the operator's.
//!
//! An encrypted connection is one to the server that was named: its certificate is verified against the machine's roots
//! and its name, always. There is no mode in between, which would encrypt for whoever answers.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use starcell_policy::Host;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::client::resolve::{Resolve as _, System};
use crate::client::tls::{connector, server_name};
use crate::os_words::os_words;
use crate::store_failure::StoreFailure;

use super::presence::NoConnection;

/// How long a connection for HTTP may take, the name and the handshake included.
const MAX_TIME: Duration = Duration::from_secs(15);

/// A connection that speaks HTTP/1, encrypted or not.
pub trait ServerStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ServerStream for T {}

/// Connects to a server of the operator's that speaks HTTP/1, and returns the address that answered. With `tls` the
/// connection is encrypted. Addresses of the host that `may` refuses are not connected to.
///
/// # Errors
/// The end of a sentence: why no address answers.
pub async fn http(
    host: &Host,
    port: u16,
    tls: bool,
    may: impl Fn(IpAddr) -> bool,
) -> Result<(IpAddr, Box<dyn ServerStream>), String> {
    let connect = async {
        let (address, stream) = tcp_to(&System::default(), host, port, may).await?;
        if !tls {
            return Ok((address, Box::new(stream) as Box<dyn ServerStream>));
        }
        let stream = encrypted(server_name(host)?, stream, &[b"http/1.1"]).await.map_err(|error| error.reason)?;
        Ok((address, Box::new(stream) as Box<dyn ServerStream>))
    };
    let connected = timeout(MAX_TIME, connect).await;
    connected.unwrap_or_else(|_elapsed| Err(format!("no connection within {} s", MAX_TIME.as_secs())))
}

/// Connects to the first address of a host that answers.
pub(crate) async fn tcp(resolver: &System, host: &Host, port: u16) -> Result<TcpStream, String> {
    tcp_to(resolver, host, port, |_| true).await.map(|(_, stream)| stream)
}

async fn tcp_to(
    resolver: &System,
    host: &Host,
    port: u16,
    may: impl Fn(IpAddr) -> bool,
) -> Result<(IpAddr, TcpStream), String> {
    let addresses: Vec<IpAddr> = match host {
        Host::Address(address) => vec![*address],
        Host::Name(name) => {
            resolver.resolve(name).await.map_err(|error| format!("cannot resolve {name}: {}", os_words(&error)))?
        }
    };
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        if !may(address) {
            last = format!("{address} is in another kind of network than the server that leads there");
            continue;
        }
        match to_address(SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok((address, stream)),
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

/// Encrypts a connection to the server of this name. One that is not accepted is told from one that ends the connection
/// meanwhile.
pub(crate) async fn encrypted(
    name: ServerName<'static>,
    stream: TcpStream,
    protocols: &'static [&'static [u8]],
) -> Result<TlsStream<TcpStream>, NoConnection> {
    let unready = |reason| NoConnection::new(StoreFailure::Certificate, reason);
    let connector = connector(protocols).await.map_err(unready)?;
    connector.connect(name, stream).await.map_err(|error| {
        let failure = match error.kind() {
            ErrorKind::InvalidData => StoreFailure::Certificate,
            _ => StoreFailure::Away,
        };
        NoConnection::new(failure, format!("TLS: {}", os_words(&error)))
    })
}
