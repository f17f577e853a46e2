//! Which certificates are believed: those of the system, read once for the process. What a session leaves for the next
//! one is kept for each app by itself.

use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

/// The TLS side of one app's client, made when it is first needed.
#[derive(Default)]
pub(super) struct Tls(OnceCell<TlsConnector>);

impl Tls {
    pub(super) async fn connector(&self) -> Result<&TlsConnector, String> {
        self.0
            .get_or_try_init(|| async {
                let made = tokio::task::spawn_blocking(connector).await;
                made.map_err(|error| format!("the host failed: {error}"))?
            })
            .await
    }
}

fn connector() -> Result<TlsConnector, String> {
    let roots = roots()?;
    let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The roots of the system. Without any, no server can be believed.
pub(crate) fn roots() -> Result<Arc<RootCertStore>, String> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    match roots.is_empty() {
        true => Err("TLS: this machine has no root certificates; install ca-certificates or set SSL_CERT_FILE".into()),
        false => Ok(Arc::clone(roots)),
    }
}
