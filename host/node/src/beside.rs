//! What runs beside the revision of an app that answers: a canary, which answers a part of its requests, and previews,
//! which answer the requests that ask for them.
//!
//! The decision: a request is for a preview if it has the header [`PREVIEW`] with the key of one. A key is 128 random bits
//! that the node makes when an operator asks for a preview; it is of one revision of one app, and ends with the preview.
//! The canary gets so many of every hundred requests, spread evenly, and none of those that came for a preview.
//!
//! What is refused: a key that is not that of a preview of this app. The script never sees the header.
//!
//! The attack it answers: a stranger who could name a revision would reach code that was replaced because it was broken, or
//! was never meant for the public. Whoever has no key reaches what answers; a key of one app opens nothing of another one,
//! since only the keys of the app that the host and the path lead to are compared, each as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use starcell_http::response::Refusal;
use subtle::ConstantTimeEq as _;

use crate::revision::Revision;

/// The header that asks for a preview.
pub const PREVIEW: HeaderName = HeaderName::from_static("starcell-preview");

/// What runs beside the revision that answers.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// What answers a part of the requests.
    pub canary: Option<Arc<Canary>>,
    /// Whether requests may ask for previews, though there is none.
    pub has_previews: bool,
    /// What answers requests that ask for it.
    pub previews: Vec<Preview>,
}

/// A revision that answers a part of the requests.
#[derive(Debug)]
pub struct Canary {
    revision: Arc<Revision>,
    percent: u8,
    asked: AtomicU64,
}

/// A revision that answers requests with its key.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The revision.
    pub revision: Arc<Revision>,
    /// Its key.
    pub key: PreviewKey,
}

/// The key of a preview.
#[derive(Clone)]
pub struct PreviewKey(String);

impl std::fmt::Debug for PreviewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PreviewKey")
    }
}

impl PreviewKey {
    /// The key of a text that nobody can guess.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The text, for whoever may know it.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    fn is(&self, given: &HeaderValue) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl Canary {
    /// A canary for so many of every hundred requests.
    #[must_use]
    pub fn new(revision: Arc<Revision>, percent: u8) -> Self {
        Self { revision, percent: percent.min(100), asked: AtomicU64::new(0) }
    }

    /// The revision.
    #[must_use]
    pub fn revision(&self) -> &Arc<Revision> {
        &self.revision
    }

    /// How many of every hundred requests it answers.
    #[must_use]
    pub fn percent(&self) -> u8 {
        self.percent
    }

    fn takes(&self) -> bool {
        takes(self.asked.fetch_add(1, Ordering::Relaxed), self.percent)
    }
}

/// Whether the request of this number is one of those so many of every hundred.
fn takes(number: u64, percent: u8) -> bool {
    (number % 100 * u64::from(percent)) % 100 + u64::from(percent) >= 100 && percent > 0
}

impl Beside {
    /// The revision that a request is for, other than the one that answers; none where it is for that.
    ///
    /// # Errors
    /// It asks for a preview that there is not.
    pub(crate) fn choose(&self, parts: &mut Parts) -> Result<Option<Arc<Revision>>, Refusal> {
        // Taken away first, so that no script learns the key of a preview.
        if self.has_previews
            && let Some(given) = parts.headers.remove(PREVIEW)
        {
            let found = self.previews.iter().find(|preview| preview.key.is(&given) && !preview.revision.is_over());
            return found.map(|preview| Some(Arc::clone(&preview.revision))).ok_or(Refusal::NoPreview);
        }
        let canary = self.canary.as_ref().filter(|canary| !canary.revision.is_over() && canary.takes());
        Ok(canary.map(|canary| Arc::clone(&canary.revision)))
    }

    /// All revisions that run beside.
    pub fn revisions(&self) -> impl Iterator<Item = &Arc<Revision>> {
        let previews = self.previews.iter().map(|preview| &preview.revision);
        self.canary.iter().map(|canary| &canary.revision).chain(previews)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_has_its_part_of_every_hundred_spread_evenly() {
        for percent in [0, 1, 10, 33, 50, 99, 100] {
            let taken: Vec<u64> = (0..200).filter(|number| takes(*number, percent)).collect();
            assert_eq!(taken.len(), 2 * usize::from(percent), "{percent}");
            let most = 100_u64.div_ceil(u64::from(percent.max(1)));
            let gaps = taken.windows(2).filter_map(|pair| Some(pair.last()? - pair.first()?));
            assert!(gaps.max().unwrap_or_default() <= most, "{percent}");
        }
    }

    #[test]
    fn a_key_is_compared_as_a_whole_and_never_shown() {
        let key = PreviewKey::new("0123".to_owned());
        for (given, same) in [("0123", true), ("012", false), ("01234", false), ("0124", false), ("", false)] {
            assert_eq!(key.is(&HeaderValue::from_static(given)), same, "{given}");
        }
        assert_eq!(format!("{key:?}"), "PreviewKey");
    }
}
