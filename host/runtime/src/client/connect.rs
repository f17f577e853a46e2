//! A connection to a permitted address.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use starcell_policy::{Endpoint, Permit, Scheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::closed::is_closed;
use super::tls::{Tls, server_name};
use crate::os_words::os_words;

/// Where requests of a connection go in.
pub(crate) type Sender = SendRequest<Full<Bytes>>;

/// What moves a connection's bytes until it is closed.
pub(super) type Connection = BoxFuture<'static, hyper::Result<()>>;

/// How long a connection may take, the handshake included, so that the next address gets its turn.
const MAX_TIME: Duration = Duration::from_secs(10);

/// Bytes of a response that wait to be read: the largest head. hyper would take several hundred KiB for each connection.
const MAX_BUFFER: usize = 64 << 10;

pub(super) async fn connect(permit: &Permit<Endpoint>, tls: &Tls) -> Result<(Sender, Connection), String> {
    let connected = timeout(MAX_TIME, open(permit, tls)).await;
    connected.unwrap_or_else(|_elapsed| Err(format!("no connection within {} s", MAX_TIME.as_secs())))
}

#[expect(clippy::disallowed_methods, reason = "connects to the address that the permit holds, and to no other")]
async fn open(permit: &Permit<Endpoint>, tls: &Tls) -> Result<(Sender, Connection), String> {
    let endpoint = permit.resource();
    if is_closed(endpoint.socket_addr()) {
        return Err("the address is the host's own, so no rule grants it".to_owned());
    }
    let stream = TcpStream::connect(endpoint.socket_addr()).await.map_err(|error| os_words(&error))?;
    // Without it small requests wait for acknowledgements; failing to set it changes nothing else.
    let _ = stream.set_nodelay(true);
    match endpoint.url().scheme() {
        Scheme::Http => speak(stream).await,
        Scheme::Https => {
            let name = server_name(endpoint.host())?;
            let connector = tls.connector().await?;
            let stream = connector.connect(name, stream).await.map_err(|error| format!("TLS: {}", os_words(&error)))?;
            speak(stream).await
        }
    }
}

async fn speak<S>(stream: S) -> Result<(Sender, Connection), String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let spoken = http1::Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = spoken.map_err(|error| error.to_string())?;
    Ok((sender, Box::pin(connection)))
}
