//! A certificate chain and its key, as files have them.

use std::fmt;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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

impl CertificatePem {
    /// The chain and the key.
    pub(crate) fn parts(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<_, _>>()
            .map_err(|error| format!("tls_cert {:?}: {error}", self.cert_path))?;
        if chain.is_empty() {
            return Err(format!("tls_cert {:?}: there is no certificate in it; it must be PEM", self.cert_path));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| format!("tls_key {:?}: there is no private key in it: {error}", self.key_path))?;
        Ok((chain, key))
    }
}
