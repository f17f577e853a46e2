//! What surrounds an app: routes, sockets and logs.
//!
//! The runtime decides whether a script may serve; the host of its app does it. `listen` takes a permit, which only the policy
//! crate's decision can make, and binds what the permit holds: the address that was checked is the one that is used.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use starcell_log::{Format, Level, LogStream};
use starcell_policy::{Permit, ServerAddress};

use crate::bindings::starcell::guest::types::Position;

pub use futures_util::future::BoxFuture;

/// What a script wrote.
#[derive(Debug)]
pub struct LogRecord<'a> {
    /// Severity; `None` for `print`.
    pub level: Option<Level>,
    /// The message, unescaped and as long as the script made it.
    pub message: &'a str,
    /// Names with one JSON text each.
    pub attributes: &'a [(String, String)],
    /// Where the script wrote it.
    pub at: &'a Position,
    /// The request it was written for, none during setup.
    pub request: Option<&'a str>,
    /// How the script wants the line to look. The operator's choice comes first.
    pub format: Format,
    /// Where the script wants the line to go.
    pub stream: LogStream,
}

impl<'a> LogRecord<'a> {
    /// A failure that the host itself has to tell.
    pub(crate) fn of_host(message: &'a str, at: &'a Position, request: Option<&'a str>) -> Self {
        let (level, format, stream) = (Some(Level::Error), Format::default(), LogStream::Err);
        Self { level, message, attributes: &[], at, request, format, stream }
    }
}

/// Which requests without a route run through the middleware of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Misses {
    /// None: the host answers all of them.
    #[default]
    None,
    /// Requests with the method OPTIONS for which other methods have a route.
    Preflights,
    /// All.
    All,
}

/// Options of one server as the script gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerOptions {
    /// Longest time to read a whole request.
    pub read_timeout: Option<Duration>,
    /// Longest time to answer.
    pub write_timeout: Option<Duration>,
    /// Longest time a connection may be idle.
    pub idle_timeout: Option<Duration>,
    /// How long in-flight requests may go on after a shutdown.
    pub shutdown_timeout: Option<Duration>,
    /// Largest request head, in bytes.
    pub max_header_bytes: Option<u64>,
    /// Largest request body, in bytes.
    pub max_body_bytes: Option<u64>,
    /// Which requests without a route run through its middleware.
    pub misses: Misses,
    /// Names and values of the options as the script wrote them, for messages.
    pub written: Vec<(String, String)>,
}

/// The files that a server needs for TLS, as they were when they were read.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// What the script calls the certificate chain.
    pub cert_path: String,
    /// The chain, as PEM.
    pub cert: Vec<u8>,
    /// What the script calls the private key.
    pub key_path: String,
    /// The key, as PEM.
    pub key: Vec<u8>,
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFiles").field("cert", &self.cert_path).field("key", &self.key_path).finish_non_exhaustive()
    }
}

/// Reads the files anew, under the script's permissions as they are then. The error is a sentence.
pub type TlsSource = Arc<dyn Fn() -> BoxFuture<'static, Result<TlsFiles, String>> + Send + Sync>;

/// Why a server cannot listen. The text is a sentence for the script's developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// The host could not do its part: there is no such server, or its certificate cannot be used.
    #[error("{0}")]
    Failed(String),
    /// The system does not give the address.
    #[error("{0}")]
    Unbound(String),
}

/// The side of an app that faces the network. Errors are sentences for the script's developer.
pub trait AppHost: fmt::Debug + Send + Sync + 'static {
    /// Adds a pattern to the routes of a server, whose number may be new; returns the number of the route.
    fn add_route(&self, server: u32, pattern: &str) -> Result<u32, String>;

    /// Binds the address that was permitted, for TLS if there are files for it; returns the port.
    fn listen<'a>(
        &'a self,
        server: u32,
        options: ServerOptions,
        permit: Permit<ServerAddress>,
        tls: Option<TlsSource>,
    ) -> BoxFuture<'a, Result<u16, ListenError>>;

    /// Gives up a server that was bound and cannot be served.
    fn abandon(&self, server: u32);

    /// Waits until a server has stopped and drained.
    fn wait(&self, server: u32) -> BoxFuture<'_, ()>;

    /// Tells a server to stop, without waiting for it.
    fn stop(&self, server: u32);

    /// Whether the app shall end: a server that is served now answers nobody, and waiting for it is over at once.
    fn is_over(&self) -> bool {
        false
    }

    /// The port that a server was last bound to.
    fn port(&self, server: u32) -> Option<u16>;

    /// Writes what a script said; waits while the log is full.
    fn log<'a>(&'a self, record: &'a LogRecord<'a>) -> BoxFuture<'a, ()>;
}
