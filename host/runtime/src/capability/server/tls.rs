//! The certificate and key of a server: files, so each reading of them passes the gate as `fs.read`, and is recorded.
//!
//! They are judged anew each time they are read again, links included, since certificates are renewed by moving a link.

use std::sync::Arc;

use crate::Position;
use crate::bindings::starcell::guest::server::Options;
use crate::call_error::HostCallError;
use crate::caller::Caller;
use crate::capability::fs::read_for_host;
use crate::host::{TlsFiles, TlsSource};

/// Bytes of a certificate chain or a key; real ones have a few thousand.
const MAX_BYTES: usize = 1 << 20;

/// Reads the files that the options name, and again whenever it is called. None if they name none.
pub(super) async fn source(
    caller: &Caller,
    at: &Position,
    options: &Options,
) -> Result<Option<TlsSource>, HostCallError> {
    let (Some(cert), Some(key)) = (options.tls_cert.clone(), options.tls_key.clone()) else { return Ok(None) };
    // Read once here, as a refusal is told from a failure only here.
    read(caller, at, &cert, &key).await?;
    let (caller, at) = (caller.clone(), at.clone());
    Ok(Some(Arc::new(move || {
        let (caller, at, cert, key) = (caller.clone(), at.clone(), cert.clone(), key.clone());
        Box::pin(async move { read(&caller, &at, &cert, &key).await.map_err(|error| error.to_string()) })
    })))
}

async fn read(caller: &Caller, at: &Position, cert_path: &str, key_path: &str) -> Result<TlsFiles, HostCallError> {
    let cert = read_for_host(caller, "tls_cert", cert_path, MAX_BYTES, at).await?;
    let key = read_for_host(caller, "tls_key", key_path, MAX_BYTES, at).await?;
    Ok(TlsFiles { cert_path: cert_path.to_owned(), cert, key_path: key_path.to_owned(), key })
}
