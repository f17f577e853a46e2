//! Which certificates are believed: those of the system, read once for the process. What a session leaves for the next
//! one is kept for each app by itself.

use std::sync::{Arc, OnceLock};

use crate::slow::on_blocking_thread;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use starcell_policy::Host;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

/// The TLS side of one app's client, made when it is first needed.
#[derive(Default)]
pub(super) struct Tls(OnceCell<TlsConnector>);

impl Tls {
    pub(super) async fn connector(&self) -> Result<&TlsConnector, String> {
        self.0.get_or_try_init(|| connector(&[b"http/1.1"])).await
    }
}

/// The TLS side of connections that speak one of these protocols; of none, where the protocol has no name in TLS.
/// Reads the machine's roots when they are first needed, which blocks.
pub(crate) async fn connector(protocols: &'static [&'static [u8]]) -> Result<TlsConnector, String> {
    let made = on_blocking_thread(|| {
        let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?;
        let mut config = versions.with_root_certificates(roots()?).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsConnector::from(Arc::new(config)))
    });
    made.await.map_err(|error| format!("the host failed: {error}"))?
}

/// The name that the certificate of a host must have.
pub(crate) fn server_name(host: &Host) -> Result<ServerName<'static>, String> {
    match host {
        Host::Address(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Name(name) => {
            ServerName::try_from(name.as_str().to_owned()).map_err(|_| format!("no certificate can name {name:?}"))
        }
    }
}

/// The roots of the system. Without any, no server can be believed.
fn roots() -> Result<Arc<RootCertStore>, String> {
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
