//! What a node asks of a registry: which bundle a reference names, and the bundle itself.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http::{Method, StatusCode};
use starcell_bundle::digest_of;
use starcell_config::{ContentDigest, ManifestVersion};

use crate::error::RegistryError;
use crate::exchange::Asking;
use crate::manifest::{ListedBundle, MANIFEST, read};
use crate::session::{Registry, Session};

/// Bytes of a manifest: one with a layer and a signature has less than a KiB.
const MAX_MANIFEST: usize = 256 << 10;

/// How long a layer may take: 32 MiB at 1 Mbit/s.
const LONG: Duration = Duration::from_secs(300);

/// The header in which a registry may name the digest of what it sends.
const DIGEST: &str = "docker-content-digest";

impl Registry {
    /// Asks which bundle the reference names now.
    ///
    /// # Errors
    /// No answer, or one that is no manifest of a bundle or has another digest than it must have.
    pub async fn list(&self) -> Result<ListedBundle, RegistryError> {
        let (version, expected) = match &self.reference.version {
            ManifestVersion::Digest(digest) => (digest.as_str(), Some(digest.clone())),
            ManifestVersion::Tag(tag) => (tag.as_str(), None),
        };
        let mut session = self.session("pull")?;
        let mut asking = session.asking(Method::GET, session.url(&format!("manifests/{version}"))?);
        asking.headers.insert(ACCEPT, HeaderValue::from_static(MANIFEST));
        asking.most = MAX_MANIFEST;
        let (bytes, named) = fetched(&mut session, asking, &self.reference.to_string()).await?;
        let found = digest_of(&bytes);
        let expected = expected.or(named).unwrap_or_else(|| found.clone());
        if found != expected {
            return Err(RegistryError::WrongDigest {
                what: format!("the manifest {}", self.reference),
                expected,
                found,
            });
        }
        read(&bytes, found).map_err(|why| RegistryError::BadManifest(self.reference.to_string(), why))
    }

    /// Fetches the bundle that a manifest lists.
    ///
    /// # Errors
    /// No answer, or other bytes than the manifest says.
    pub async fn fetch(&self, listed: &ListedBundle) -> Result<Bytes, RegistryError> {
        let mut session = self.session("pull")?;
        let mut asking = session.asking(Method::GET, session.url(&format!("blobs/{}", listed.layer))?);
        (asking.most, asking.time) = (listed.size, LONG);
        let what = format!("the layer {} of {}", listed.layer, self.reference);
        let (bytes, _) = fetched(&mut session, asking, &what).await?;
        if bytes.len() != listed.size {
            return Err(RegistryError::WrongSize(self.reference.to_string(), bytes.len(), listed.size));
        }
        let found = digest_of(&bytes);
        match found == listed.layer {
            true => Ok(bytes),
            false => Err(RegistryError::WrongDigest { what, expected: listed.layer.clone(), found }),
        }
    }
}

/// The bytes of an answer, and the digest that the registry says they have.
async fn fetched(
    session: &mut Session<'_>,
    asking: Asking,
    what: &str,
) -> Result<(Bytes, Option<ContentDigest>), RegistryError> {
    let reply = session.ask(asking).await?;
    match reply.status {
        StatusCode::OK => {
            let named = reply.header(DIGEST).and_then(|digest| digest.parse().ok());
            Ok((reply.body, named))
        }
        StatusCode::NOT_FOUND => Err(RegistryError::Missing(what.to_owned())),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(RegistryError::Refused(session.name(), what.to_owned(), reply.status.as_u16()))
        }
        status => Err(RegistryError::Status(session.name(), what.to_owned(), status.as_u16(), reply.said())),
    }
}
