//! TLS: certificates from files, read again when they change.
//!
//! A connection keeps the certificate it began with. A renewed one that is broken is reported and not used, so that a
//! half-written file takes nobody down.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerSessionMemoryCache;
use starcell_log::{Level, Logs};
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
pub(crate) const RELOAD: Duration = Duration::from_secs(1);

/// Sessions that can be resumed: a handshake saved for each client that comes back soon.
const SESSIONS: usize = 1024;

/// Tickets for each TLS 1.3 connection: as many as a client resumes at once to make two.
const TICKETS: usize = 2;

/// A certificate chain and its key, as they were when they were read.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificatePem {
    /// The name of the chain in messages.
    pub cert_path: String,
    /// The chain, as PEM.
    pub cert: Vec<u8>,
    /// The name of the private key in messages.
    pub key_path: String,
    /// The key, as PEM.
    pub key: Vec<u8>,
}

impl fmt::Debug for CertificatePem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificatePem")
            .field("cert", &self.cert_path)
            .field("key", &self.key_path)
            .finish_non_exhaustive()
    }
}

/// Reads the chain and the key anew. The error is a sentence.
pub type CertificateSource =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<CertificatePem, String>> + Send>> + Send + Sync>;

/// The TLS side of a server.
pub struct Tls {
    config: ArcSwap<ServerConfig>,
    source: CertificateSource,
    files: Mutex<CertificatePem>,
    /// Why they could not be read again, once that has been said.
    reported: Mutex<Option<String>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files; the error is a sentence for the script's developer.
    ///
    /// # Errors
    /// The files cannot be read, or hold no certificate and key that belong together.
    pub async fn load(source: CertificateSource) -> Result<Arc<Self>, String> {
        let files = source().await?;
        let config = config(&files)?;
        Ok(Arc::new(Self {
            config: ArcSwap::new(config),
            source,
            files: Mutex::new(files),
            reported: Mutex::default(),
        }))
    }

    /// Accepts connections with the certificate of now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Looks at the files again, and says what came of it when that is news.
    pub(crate) async fn refresh(&self, logs: &Logs) {
        let (level, text) = match self.reload().await {
            Ok(false) => return,
            Ok(true) => {
                self.report(None);
                (Level::Info, "reloaded the TLS certificate".to_owned())
            }
            Err(why) if !self.report(Some(&why)) => return,
            Err(why) => (Level::Error, format!("cannot reload the TLS certificate, the old one stays: {why}")),
        };
        logs.say(level, &text);
    }

    /// Notes a reason and says whether it is a new one.
    fn report(&self, why: Option<&str>) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let new = reported.as_deref() != why;
        *reported = why.map(str::to_owned);
        new
    }

    /// Whether the files had changed and are in use now.
    async fn reload(&self) -> Result<bool, String> {
        let files = (self.source)().await?;
        if *self.files.lock().unwrap_or_else(PoisonError::into_inner) == files {
            return Ok(false);
        }
        self.config.store(config(&files)?);
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        Ok(true)
    }
}

/// TLS 1.2 and 1.3, HTTP/2 before HTTP/1.1, no early data: that could be replayed.
fn config(files: &CertificatePem) -> Result<Arc<ServerConfig>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&files.cert)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("tls_cert {:?}: {error}", files.cert_path))?;
    if chain.is_empty() {
        return Err(format!("tls_cert {:?}: there is no certificate in it; it must be PEM", files.cert_path));
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|error| format!("tls_key {:?}: there is no private key in it: {error}", files.key_path))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("tls_cert {:?} and tls_key {:?}: {error}", files.cert_path, files.key_path))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.send_tls13_tickets = TICKETS;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    Ok(Arc::new(config))
}
