//! Serving.

use crate::Field;

/// Which requests without a route run through the middleware of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Misses {
    /// None: the host answers all of them.
    #[default]
    None,
    /// Requests with the method OPTIONS for which other methods have a route.
    Preflights,
    /// All.
    All,
}

/// Options of one server, merged from the constructor and from `serve()` or `start()`; `None` is "not given".
///
/// Durations are nanoseconds, sizes bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// Address or name to bind.
    pub host: Option<String>,
    /// Port to bind; 0 lets the system choose.
    pub port: Option<u16>,
    /// Longest time to read a whole request.
    pub read_timeout: Option<u64>,
    /// Longest time to answer.
    pub write_timeout: Option<u64>,
    /// Longest time a connection may be idle.
    pub idle_timeout: Option<u64>,
    /// How long in-flight requests may go on after a shutdown.
    pub shutdown_timeout: Option<u64>,
    /// Largest request head.
    pub max_header_bytes: Option<u64>,
    /// Largest request body.
    pub max_body_bytes: Option<u64>,
    /// Path of the certificate chain, PEM.
    pub tls_cert: Option<String>,
    /// Path of the private key, PEM.
    pub tls_key: Option<String>,
    /// Which requests without a route run through its middleware.
    pub misses: Misses,
    /// Names and values of the options as the script wrote them, for messages.
    pub written: Vec<Field>,
}
