//! What an operator asks of a registry: to keep a bundle under a tag.
//!
//! The decision: blobs first and the manifest last, so that a tag never names what is not there. A blob that the registry has
//! is not sent again. A place for an upload at another origin is refused: the bytes would go where the login does not.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use starcell_bundle::digest_of;
use starcell_config::{ContentDigest, ManifestVersion};

use crate::error::RegistryError;
use crate::exchange::Reply;
use crate::manifest::{EMPTY_BYTES, MANIFEST, write};
use crate::session::{Registry, Session, follow};

/// How long an upload may take.
const LONG: Duration = Duration::from_secs(300);

impl Registry {
    /// Pushes the bytes of a bundle, and returns the digest of its manifest, which names it for ever.
    ///
    /// # Errors
    /// The registry does not take it, or the reference names another digest.
    pub async fn push(&self, packed: Bytes, signature: Option<&str>) -> Result<ContentDigest, RegistryError> {
        let (layer, config) = (digest_of(&packed), digest_of(EMPTY_BYTES));
        let manifest = write(&layer, packed.len(), &config, signature);
        let found = digest_of(&manifest);
        let version = match &self.reference.version {
            ManifestVersion::Digest(expected) if *expected != found => {
                let what = "the manifest of this bundle".to_owned();
                return Err(RegistryError::WrongDigest { what, expected: expected.clone(), found });
            }
            ManifestVersion::Digest(digest) => digest.as_str(),
            ManifestVersion::Tag(tag) => tag.as_str(),
        };
        let mut session = self.session("pull,push")?;
        for (digest, bytes) in [(&layer, packed), (&config, Bytes::from_static(EMPTY_BYTES))] {
            session.put_blob(digest, bytes).await?;
        }
        let mut asking = session.asking(Method::PUT, session.url(&format!("manifests/{version}"))?);
        asking.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MANIFEST));
        asking.body = manifest.into();
        let reply = session.ask(asking).await?;
        session.expect(&reply, StatusCode::CREATED, "the manifest")?;
        Ok(found)
    }
}

impl Session<'_> {
    async fn put_blob(&mut self, digest: &ContentDigest, bytes: Bytes) -> Result<(), RegistryError> {
        let known = self.ask(self.asking(Method::HEAD, self.url(&format!("blobs/{digest}"))?)).await?;
        if known.status == StatusCode::OK {
            return Ok(());
        }
        let place = self.ask(self.asking(Method::POST, self.url("blobs/uploads/")?)).await?;
        self.expect(&place, StatusCode::ACCEPTED, "an upload")?;
        let location = place.header(LOCATION.as_str()).unwrap_or_default();
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = follow(&self.url("blobs/uploads/")?, &format!("{location}{separator}digest={digest}"));
        let url = url.ok_or_else(|| self.nowhere("a text that is no URL", "which leads nowhere"))?;
        if url.origin() != self.name() {
            return Err(self.nowhere(&url.origin(), "where the login for the registry does not go"));
        }
        let mut asking = self.asking(Method::PUT, url);
        asking.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        (asking.body, asking.time) = (bytes, LONG);
        let reply = self.ask(asking).await?;
        self.expect(&reply, StatusCode::CREATED, "a blob")
    }

    fn nowhere(&self, to: &str, why: &'static str) -> RegistryError {
        RegistryError::Redirect(self.name(), to.to_owned(), why)
    }

    fn expect(&self, reply: &Reply, status: StatusCode, what: &str) -> Result<(), RegistryError> {
        match reply.status {
            found if found == status => Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(RegistryError::Refused(self.name(), what.to_owned(), reply.status.as_u16()))
            }
            found => Err(RegistryError::Status(self.name(), what.to_owned(), found.as_u16(), reply.said())),
        }
    }
}
