//! The store of the images of one node.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{Context, SHA256};
use ring::hmac::{self, HMAC_SHA256, Key};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Semaphore;

use super::files::{Folder, ImageName};
use crate::artifact::Artifact;

/// Images that are read or written at once. Each takes a thread while it is, and less than a millisecond of it.
const AT_ONCE: usize = 8;

/// The store of the images of one node.
pub struct ImageStore {
    pub(super) folder: Folder,
    pub(super) key: Key,
    /// The digest of the guest: of its code, and of the image that every script starts from.
    pub(super) interpreter: [u8; 32],
    /// A random number of this process, which images that do not last are named with.
    process: [u8; 32],
    passing: AtomicU64,
    pub(super) places: Semaphore,
    pub(super) counted: Counted,
}

/// What became of images so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageCounts {
    /// Revisions that began to answer from an image, without evaluating.
    pub found: u64,
    /// Images that came back into memory.
    pub recalled: u64,
    /// Images that were dropped from memory.
    pub dropped: u64,
    /// Images that were refused: damaged, cut, foreign.
    pub refused: u64,
    /// Bytes of all images on disk.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) found: AtomicU64,
    pub(super) recalled: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl fmt::Debug for ImageStore {
    /// Without its keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ImageStore {
    /// Opens the store in a folder, for the guest of this process and at most so many bytes. Blocks.
    ///
    /// # Errors
    /// The sentence about a folder that cannot be used.
    pub fn open(folder: &Path, most: u64, guest: &Artifact) -> Result<Arc<Self>, String> {
        let random = SystemRandom::new();
        let new = || {
            let mut bytes = [0; 32];
            random.fill(&mut bytes).ok().map(|()| bytes)
        };
        let failed = |error| format!("cannot keep images in {}: {error}", folder.display());
        let (opened, key) = Folder::open(folder, most, new).map_err(failed)?;
        let process = new().ok_or_else(|| "the system has no random number".to_owned())?;
        Ok(Arc::new(Self {
            folder: opened,
            key: Key::new(HMAC_SHA256, &key),
            interpreter: digest_of(guest),
            process,
            passing: AtomicU64::new(0),
            places: Semaphore::new(AT_ONCE),
            counted: Counted::default(),
        }))
    }

    /// What became of images so far.
    #[must_use]
    pub fn counts(&self) -> ImageCounts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counted { found, recalled, dropped, refused } = &self.counted;
        let [found, recalled, dropped, refused] = [found, recalled, dropped, refused].map(load);
        ImageCounts { found, recalled, dropped, refused, bytes: self.folder.bytes() }
    }

    /// Notes that an image was dropped from memory.
    pub fn note_dropped(&self) {
        self.counted.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// A name for an image that does not last: nobody else can compute it, and it is used once.
    pub(super) fn passing_name(&self) -> ImageName {
        let number = self.passing.fetch_add(1, Ordering::Relaxed);
        let tag = hmac::sign(&Key::new(HMAC_SHA256, &self.process), &number.to_le_bytes());
        let mut digest = [0; 32];
        // A code of this kind has 32 bytes.
        digest.copy_from_slice(tag.as_ref());
        ImageName { digest, lasts: false }
    }
}

fn digest_of(guest: &Artifact) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(&(guest.component.len() as u64).to_le_bytes());
    context.update(guest.component);
    context.update(guest.base);
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
