//! Sessions with PostgreSQL, and the few that are kept for the next call.
//!
//! A session that is given back may still be busy with a call that nobody waits for any more: the server ends that call at
//! its timeout, and the next one waits behind it within its own deadline. So a client that leaves closes no connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, NoTls};

use super::dial;
use super::messages::{Guarded, TransactionStatus};
use super::presence::NoConnection;
use crate::os_words::with_causes;

/// A session.
pub(crate) struct Session<P> {
    pub(crate) client: Client,
    /// What the owner prepared on it.
    pub(crate) prepared: P,
    /// Whether the server is in a transaction.
    pub(crate) status: TransactionStatus,
    /// Moves its bytes, and ends with it.
    _task: JoinSet<()>,
}

impl<P> fmt::Debug for Session<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session<()> {
    /// Begins a session over a connection, encrypted to the server of this name if there is one.
    pub(crate) async fn begin(
        stream: TcpStream,
        tls: Option<ServerName<'static>>,
        config: &Config,
    ) -> Result<Self, tokio_postgres::Error> {
        let mut task = JoinSet::new();
        let status = TransactionStatus::default();
        let client = match tls {
            None => {
                let (client, connection) = config.connect_raw(Guarded::new(stream, &status), NoTls).await?;
                // Its error is that of the call which is under way.
                task.spawn(async move { connection.await.unwrap_or_default() });
                client
            }
            Some(name) => {
                let (client, connection) = config.connect_raw(stream, Verified(name, status.clone())).await?;
                task.spawn(async move { connection.await.unwrap_or_default() });
                client
            }
        };
        Ok(Self { client, prepared: (), status, _task: task })
    }

    /// The same session with what was prepared on it.
    pub(crate) fn with<P>(self, prepared: P) -> Session<P> {
        Session { client: self.client, prepared, status: self.status, _task: self._task }
    }
}

/// The sessions that wait for the next call, and the bound on all of them.
#[derive(Debug)]
pub(crate) struct Sessions<P> {
    places: Arc<Semaphore>,
    waiting: Waiting<P>,
}

/// Sessions, and since when they wait.
type Waiting<P> = Arc<Mutex<Vec<(Session<P>, Instant)>>>;

/// A session that a call has for itself.
#[derive(Debug)]
pub(crate) struct Borrowed<P> {
    /// None once it has been given back.
    session: Option<Session<P>>,
    waiting: Waiting<P>,
    _place: OwnedSemaphorePermit,
}

impl<P> Sessions<P> {
    /// Room for so many sessions.
    pub(crate) fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most)), waiting: Arc::default() }
    }

    /// A place for one session, and a session that waits, if one does.
    pub(crate) async fn place(&self) -> Result<(OwnedSemaphorePermit, Option<Session<P>>), String> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| "the sessions are closed".to_owned())?;
        let mut waiting = self.waiting.lock();
        let session = loop {
            match waiting.pop() {
                Some((session, _)) if session.client.is_closed() => {}
                found => break found.map(|(session, _)| session),
            }
        };
        Ok((place, session))
    }

    /// Lends a session to whoever has the place.
    pub(crate) fn lend(&self, place: OwnedSemaphorePermit, session: Session<P>) -> Borrowed<P> {
        Borrowed { session: Some(session), waiting: Arc::clone(&self.waiting), _place: place }
    }

    /// Returns whether no session waits, and none of so many is lent.
    pub(crate) fn is_unused(&self, most: usize) -> bool {
        self.places.available_permits() >= most && self.waiting.lock().is_empty()
    }

    /// Ends sessions that have waited since before this moment.
    pub(crate) fn end_before(&self, moment: Instant) {
        self.waiting.lock().retain(|(session, since)| *since >= moment && !session.client.is_closed());
    }
}

impl<P> Borrowed<P> {
    /// The session.
    pub(crate) fn session(&self) -> Result<&Session<P>, String> {
        self.session.as_ref().ok_or_else(|| "the session has ended".to_owned())
    }

    /// Ends the session: nobody knows what state it is in.
    pub(crate) fn end(mut self) {
        self.session = None;
    }
}

impl<P> Drop for Borrowed<P> {
    fn drop(&mut self) {
        if let Some(session) = self.session.take().filter(|session| !session.client.is_closed()) {
            self.waiting.lock().push((session, Instant::now()));
        }
    }
}

/// Encrypts a connection to the server of this name, and notes its status.
struct Verified(ServerName<'static>, TransactionStatus);

type Handshake = Pin<Box<dyn Future<Output = Result<Encrypted, NoConnection>> + Send>>;

impl TlsConnect<TcpStream> for Verified {
    type Stream = Encrypted;
    type Error = NoConnection;
    type Future = Handshake;

    fn connect(self, stream: TcpStream) -> Handshake {
        Box::pin(async move {
            let stream = dial::encrypted(self.0, stream, &[]).await?;
            Ok(Encrypted(Guarded::new(Box::new(stream), &self.1)))
        })
    }
}

/// An encrypted connection.
struct Encrypted(Guarded<Box<tokio_rustls::client::TlsStream<TcpStream>>>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// An error of PostgreSQL with its causes.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} ({})", error.message(), error.code().code()),
        None => with_causes(error),
    }
}
