//! TLS: certificates from files, read again when they change.
//!
//! A connection keeps the certificate it began with. A renewed one that is broken is reported and not used, so that a
//! half-written file takes nobody down.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ServerSessionMemoryCache;
use rustls::{ConfigBuilder, WantsVerifier};
use starcell_log::{Level, Logs};
use tokio_rustls::TlsAcceptor;

use crate::keys::{KeysSource, NamedKeys};
use crate::pem::CertificatePem;

/// How often the files are looked at.
pub(crate) const RELOAD: Duration = Duration::from_secs(1);

/// Sessions that can be resumed: a handshake saved for each client that comes back soon.
const SESSIONS: usize = 1024;

/// Tickets for each TLS 1.3 connection: as many as a client resumes at once to make two.
const TICKETS: usize = 2;

/// Reads the chain and the key anew. The error is a sentence.
pub type CertificateSource =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<CertificatePem, String>> + Send>> + Send + Sync>;

/// The TLS side of a server.
pub struct Tls {
    config: ArcSwap<ServerConfig>,
    certificates: Certificates,
    /// Why they could not be read again, once that has been said.
    reported: Mutex<Option<String>>,
}

/// Where the certificates of a server come from.
enum Certificates {
    /// One pair, and the files as they were read last.
    One(CertificateSource, Mutex<CertificatePem>),
    /// A pair for each name.
    Named(Arc<NamedKeys>),
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
        let certificates = Certificates::One(source, Mutex::new(files));
        Ok(Arc::new(Self { config: ArcSwap::new(config), certificates, reported: Mutex::default() }))
    }

    /// A pair for each name, chosen by what the client asks for. Those that cannot be used are told to `logs` and left out.
    ///
    /// # Errors
    /// The place of the pairs cannot be read.
    pub async fn named(source: KeysSource, logs: &Logs) -> Result<Arc<Self>, String> {
        let keys = NamedKeys::new(source);
        let broken = keys.read().await?.broken;
        let config = builder()?.with_no_client_auth().with_cert_resolver(Arc::clone(&keys) as _);
        let certificates = Certificates::Named(keys);
        let tls = Self { config: ArcSwap::new(served(config)), certificates, reported: Mutex::default() };
        tls.tell(&broken, logs);
        Ok(Arc::new(tls))
    }

    /// Accepts connections with the certificate of now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Looks at the files again, and says what came of it when that is news.
    pub(crate) async fn refresh(&self, logs: &Logs) {
        match &self.certificates {
            Certificates::One(source, files) => self.refresh_one(source, files, logs).await,
            Certificates::Named(keys) => self.refresh_named(keys, logs).await,
        }
    }

    async fn refresh_named(&self, keys: &NamedKeys, logs: &Logs) {
        match keys.read().await {
            Ok(reread) => {
                if !reread.changed.is_empty() {
                    logs.say(Level::Info, &format!("reloaded the TLS certificates of {}", reread.changed.join(", ")));
                }
                self.tell(&reread.broken, logs);
            }
            Err(why) => self.tell(&[format!("the TLS certificates cannot be read, the old ones stay: {why}")], logs),
        }
    }

    /// Says which pairs are not used, where that is news.
    fn tell(&self, broken: &[String], logs: &Logs) {
        let why = (!broken.is_empty()).then(|| broken.join("; "));
        if self.report(why.as_deref()) {
            for text in broken {
                logs.say(Level::Error, text);
            }
        }
    }

    async fn refresh_one(&self, source: &CertificateSource, files: &Mutex<CertificatePem>, logs: &Logs) {
        let (level, text) = match self.reload(source, files).await {
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
        let mut reported = self.reported.lock();
        let new = reported.as_deref() != why;
        *reported = why.map(str::to_owned);
        new
    }

    /// Whether the files had changed and are in use now.
    async fn reload(&self, source: &CertificateSource, files: &Mutex<CertificatePem>) -> Result<bool, String> {
        let read = source().await?;
        if *files.lock() == read {
            return Ok(false);
        }
        self.config.store(config(&read)?);
        *files.lock() = read;
        Ok(true)
    }
}

fn config(files: &CertificatePem) -> Result<Arc<ServerConfig>, String> {
    let (chain, key) = files.parts()?;
    let config = builder()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| format!("tls_cert {:?} and tls_key {:?}: {error}", files.cert_path, files.key_path))?;
    Ok(served(config))
}

/// TLS 1.2 and 1.3.
fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, String> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())
}

/// HTTP/2 before HTTP/1.1, no early data: that could be replayed.
fn served(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.send_tls13_tickets = TICKETS;
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    Arc::new(config)
}
