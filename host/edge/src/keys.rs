//! Certificates of many names behind one address, chosen by the name that a client asks for (SNI).
//!
//! Each name has a pair of its own, and a pair that is broken takes nobody else down: where there was a good one before, it
//! stays in use, and its name is reported. A client that asks for a name which nobody has gets the pair called `default`,
//! or an alert where there is none, since any other certificate would name a neighbour.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use starcell_http::names::named;

use crate::pem::CertificatePem;

/// The pairs that there are now, by their names; or why one cannot be read.
pub type NamedPem = BTreeMap<String, Result<CertificatePem, String>>;

/// Reads all pairs anew. The error is a sentence.
pub type KeysSource = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<NamedPem, String>> + Send>> + Send + Sync>;

/// The certificates of many names.
pub(crate) struct NamedKeys {
    source: KeysSource,
    keys: ArcSwap<BTreeMap<String, Pair>>,
}

/// A pair in use, and what it was made of.
#[derive(Clone)]
struct Pair {
    pem: CertificatePem,
    key: Arc<CertifiedKey>,
}

/// What came of reading the pairs again.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reread {
    /// The names whose pair is another one now, or gone.
    pub(crate) changed: Vec<String>,
    /// Why a pair is not used, one sentence each.
    pub(crate) broken: Vec<String>,
}

impl fmt::Debug for NamedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.load().keys()).finish()
    }
}

impl NamedKeys {
    /// No pairs yet.
    pub(crate) fn new(source: KeysSource) -> Arc<Self> {
        Arc::new(Self { source, keys: ArcSwap::default() })
    }

    /// Reads the pairs again.
    pub(crate) async fn read(&self) -> Result<Reread, String> {
        let found = (self.source)().await?;
        let before = self.keys.load_full();
        let (mut keys, mut reread) = (BTreeMap::new(), Reread::default());
        for (name, pem) in found {
            let name = name.to_ascii_lowercase();
            let old = before.get(&name);
            match pem.and_then(|pem| Pair::of(pem, old)) {
                Ok(pair) => {
                    if old.is_none_or(|old| old.pem != pair.pem) {
                        reread.changed.push(name.clone());
                    }
                    keys.insert(name, pair);
                }
                Err(why) => {
                    reread.broken.push(format!("the certificate of {name}: {why}"));
                    keys.extend(old.map(|old| (name, old.clone())));
                }
            }
        }
        reread.changed.extend(before.keys().filter(|name| !keys.contains_key(*name)).cloned());
        self.keys.store(Arc::new(keys));
        Ok(reread)
    }

    /// The pair for a name: its own, that of the names one label below its parent, the default one.
    fn of(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        named(&self.keys.load(), name).map(|pair| Arc::clone(&pair.key))
    }
}

impl ResolvesServerCert for NamedKeys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.of(hello.server_name())
    }
}

impl Pair {
    /// The pair of files that were read, or the one before where they say the same.
    fn of(pem: CertificatePem, old: Option<&Self>) -> Result<Self, String> {
        match old.filter(|old| old.pem == pem) {
            Some(old) => Ok(old.clone()),
            None => Ok(Self { key: certified(&pem)?, pem }),
        }
    }
}

fn certified(files: &CertificatePem) -> Result<Arc<CertifiedKey>, String> {
    let (chain, key) = files.parts()?;
    let belong = |error: rustls::Error| format!("{:?} and {:?}: {error}", files.cert_path, files.key_path);
    let key = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(belong)?;
    Ok(Arc::new(key))
}
