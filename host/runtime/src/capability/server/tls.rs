//! The certificate and key of a server: files, so each reading of them needs `fs.read` as well.
//!
//! What is judged is the file that the name leads to, links followed, since certificates are renewed by moving a link.
//! It is judged anew each time the files are read again.

#![expect(clippy::disallowed_methods, reason = "reads what its permit holds, on a thread of its own")]

use std::path::Path;
use std::sync::Arc;

use starcell_policy::PathFunction;
use starcell_policy::{CanonicalPath, Grants, Permit};

use crate::bindings::starcell::guest::server::{Error, Options};
use crate::edge::{TlsFiles, TlsSource};

/// Bytes of a certificate chain or a key; real ones have a few thousand.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the files that the options name, and again whenever it is called. None if they name none.
pub(super) async fn source(grants: &Grants, options: &Options) -> Result<Option<TlsSource>, Error> {
    let (Some(cert), Some(key)) = (options.tls_cert.clone(), options.tls_key.clone()) else { return Ok(None) };
    let grants = grants.clone();
    let read = move || {
        let (grants, cert, key) = (grants.clone(), cert.clone(), key.clone());
        tokio::task::spawn_blocking(move || read(&grants, cert, key))
    };
    // Read once here, as a refusal is told from a failure only here.
    read().await.unwrap_or_else(|error| Err(Error::Failed(error.to_string())))?;
    Ok(Some(Arc::new(move || {
        let reading = read();
        Box::pin(async move {
            match reading.await {
                Ok(Ok(files)) => Ok(files),
                Ok(Err(Error::Denied(why) | Error::Failed(why))) => Err(why),
                Ok(Err(Error::Stopped)) => Err("the script was stopped".into()),
                Err(error) => Err(error.to_string()),
            }
        })
    })))
}

fn read(grants: &Grants, cert_path: String, key_path: String) -> Result<TlsFiles, Error> {
    let cert = file(grants, "tls_cert", &cert_path)?;
    let key = file(grants, "tls_key", &key_path)?;
    Ok(TlsFiles { cert_path, cert, key_path, key })
}

fn file(grants: &Grants, option: &str, name: &str) -> Result<Vec<u8>, Error> {
    let failed = |why: &dyn std::fmt::Display| Error::Failed(format!("{option} {name:?}: {why}"));
    let path = Path::new(name).canonicalize().map_err(|error| failed(&error))?;
    let path = path.to_str().ok_or_else(|| failed(&"its path is not UTF-8"))?;
    let path = CanonicalPath::absolute(path).map_err(|error| failed(&error))?;
    let permit = grants.path(PathFunction::ReadBytes, path).map_err(|denial| Error::Denied(denial.to_string()))?;
    contents(&permit).map_err(|why| failed(&why))
}

fn contents(permit: &Permit<CanonicalPath>) -> Result<Vec<u8>, String> {
    let path = Path::new(permit.resource().as_str());
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?;
    match size.is_file() && size.len() <= MAX_BYTES {
        true => std::fs::read(path).map_err(|error| error.to_string()),
        false => Err(format!("not a file of at most {MAX_BYTES} bytes")),
    }
}
