//! One look at a bundle file or a registry, and the judgement of what is there.
//!
//! The decision: a bundle is believed when its digest is the one that was pinned, its signature is one by the configured key,
//! and all of it can be read. Keys and logins are read at each look, so that new ones need no restart. A file counts once it
//! has rested for one look, so that half of an upload is not read; what a registry sends has a digest instead.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use starcell_bundle::Bundle;
use starcell_config::{AppsPlace, BundleTerms, ContentDigest, ManifestVersion, RegistryReference};
use starcell_registry::{Registry, RegistryError, RegistryLogins, RegistryTerms};
use starcell_runtime::slow::on_blocking_thread;

use super::kept::KeptContent;
use crate::bundle::{PackedBundle, signature_of, small_text};
use crate::dial::OwnNetwork;
use crate::node::files::NodeFiles;
use crate::stamp::{Stamp, stamps};

/// How often a file is looked at.
const FILE: Duration = Duration::from_secs(1);

/// A bundle that may be taken.
#[derive(Clone, Debug)]
pub(super) struct Believed {
    pub(super) content: KeptContent,
    pub(super) bundle: Bundle,
}

/// What a look came to.
pub(super) enum Looked {
    /// Another bundle than the one that was taken last.
    New(Box<Believed>),
    /// Nothing that says anything about what was wrong before.
    NoNews,
    /// The bundle that was taken last.
    Same,
}

/// Why there is no bundle to take, as a sentence without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unbelieved {
    text: String,
    /// Whether nothing is wrong but that nobody answers.
    pub(super) is_away: bool,
}

impl Unbelieved {
    pub(super) fn away(text: String) -> Self {
        Self { text, is_away: true }
    }
}

impl fmt::Display for Unbelieved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<String> for Unbelieved {
    fn from(text: String) -> Self {
        Self { text, is_away: false }
    }
}

impl From<RegistryError> for Unbelieved {
    fn from(error: RegistryError) -> Self {
        Self { text: error.to_string(), is_away: error.is_away() }
    }
}

/// Where bundles come from, and what was seen there.
pub(super) struct BundleSource {
    place: AppsPlace,
    terms: BundleTerms,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// What was taken last.
    taken: Option<KeptContent>,
    /// The file and its signature at the last look, and when they were last read.
    before: Vec<(PathBuf, Stamp)>,
    read: Vec<(PathBuf, Stamp)>,
}

impl BundleSource {
    /// The source that a configuration names, with its paths from the root on.
    pub(super) fn new(files: &NodeFiles) -> Self {
        let place = match &files.config.apps {
            AppsPlace::Bundle { file, digest } => AppsPlace::Bundle { file: files.path(file), digest: digest.clone() },
            other => other.clone(),
        };
        let terms = &files.config.bundle;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| files.path(path));
        let terms =
            BundleTerms { key: path(&terms.key), credentials_file: path(&terms.credentials_file), ..terms.clone() };
        Self { place, terms, seen: Mutex::default() }
    }

    /// The time between two looks.
    pub(super) fn every(&self) -> Duration {
        if matches!(self.place, AppsPlace::Registry(_)) { self.terms.every } else { FILE }
    }

    /// Whether a bundle must be signed.
    pub(super) fn is_trusted_by_key(&self) -> bool {
        self.terms.key.is_some()
    }

    /// Whether a kept bundle is the only one that a registry could answer with.
    pub(super) fn is_settled_by(&self, kept: &Believed) -> bool {
        match &self.place {
            AppsPlace::Registry(RegistryReference { version: ManifestVersion::Digest(digest), .. }) => {
                kept.content.manifest.as_ref() == Some(digest)
            }
            _ => false,
        }
    }

    /// Notes what was taken.
    pub(super) fn took(&self, content: KeptContent) {
        self.seen.lock().taken = Some(content);
    }

    /// Has a file that could not be used be read again although it did not change.
    pub(super) fn forget_failure(&self) {
        self.seen.lock().read.clear();
    }

    /// Looks once.
    ///
    /// # Errors
    /// Why there is no bundle, or none that can be believed.
    pub(super) async fn look(self: &Arc<Self>) -> Result<Looked, Unbelieved> {
        match &self.place {
            AppsPlace::Folder(_) => Ok(Looked::NoNews),
            AppsPlace::Bundle { file, .. } => {
                let (source, file) = (Arc::clone(self), file.clone());
                let looked = on_blocking_thread(move || source.look_at_file(&file));
                Ok(looked.await.unwrap_or_else(|error| Err(error.to_string()))?)
            }
            AppsPlace::Registry(reference) => self.look_at_registry(reference).await,
        }
    }

    fn look_at_file(&self, file: &Path) -> Result<Looked, String> {
        let now: Vec<_> = stamps(vec![file.to_owned(), signature_of(file)]).into_iter().collect();
        {
            let mut seen = self.seen.lock();
            let before = std::mem::replace(&mut seen.before, now.clone());
            // The first look is that of a start, which waits for it.
            let rests = before.is_empty() || before == now;
            if !rests || seen.read == now {
                return Ok(Looked::NoNews);
            }
            seen.read = now;
        }
        let packed = PackedBundle::read(file)?;
        let content = KeptContent { digest: packed.digest(), manifest: None, packed };
        if self.has(&content.digest, content.packed.signature.as_deref()) {
            return Ok(Looked::Same);
        }
        self.judge(content).map(|believed| Looked::New(Box::new(believed)))
    }

    async fn look_at_registry(self: &Arc<Self>, reference: &RegistryReference) -> Result<Looked, Unbelieved> {
        let (file, plain_http) = (self.terms.credentials_file.clone(), self.terms.plain_http);
        let logins =
            on_blocking_thread(move || file.map_or_else(|| Ok(RegistryLogins::default()), |file| logins(&file)));
        let logins = logins.await.unwrap_or_else(|error| Err(error.to_string()))?;
        let registry = Registry::new(reference.clone(), RegistryTerms { logins, plain_http }, Arc::new(OwnNetwork));
        let listed = registry.list().await?;
        if self.has(&listed.layer, listed.signature.as_deref()) {
            return Ok(Looked::Same);
        }
        let bytes = registry.fetch(&listed).await?;
        let packed = PackedBundle { bytes, signature: listed.signature };
        let content = KeptContent { digest: listed.layer, manifest: Some(listed.manifest), packed };
        let source = Arc::clone(self);
        let judged = on_blocking_thread(move || source.judge(content));
        let judged = judged.await.unwrap_or_else(|error| Err(error.to_string()))?;
        Ok(Looked::New(Box::new(judged)))
    }

    /// Whether a bundle is the one that was taken last.
    fn has(&self, digest: &ContentDigest, signature: Option<&str>) -> bool {
        let seen = self.seen.lock();
        let same = |taken: &KeptContent| taken.digest == *digest && taken.packed.signature.as_deref() == signature;
        seen.taken.as_ref().is_some_and(same)
    }

    /// Judges bytes whose digest is known. Blocks.
    ///
    /// # Errors
    /// The sentence about what is wrong with them.
    pub(super) fn judge(&self, content: KeptContent) -> Result<Believed, String> {
        let cannot = |why: String| format!("the bundle {} cannot be used: {why}", self.place);
        if let AppsPlace::Bundle { digest: Some(pinned), .. } = &self.place
            && *pinned != content.digest
        {
            return Err(cannot(format!(
                "its digest is {}; put the pinned file in its place, or pin this digest",
                content.digest
            )));
        }
        if let Some(key) = &self.terms.key {
            content.packed.verify(key).map_err(cannot)?;
        }
        let bundle = Bundle::read(&content.packed.bytes).map_err(|error| cannot(error.to_string()))?;
        Ok(Believed { content, bundle })
    }
}

/// The logins in a file of the operator's. Blocks.
fn logins(file: &Path) -> Result<RegistryLogins, String> {
    let text = small_text(file)?;
    RegistryLogins::parse(&text).map_err(|error| format!("cannot use the logins of {}: {error}", file.display()))
}
