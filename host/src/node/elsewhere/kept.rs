//! The last bundle that was believed, in `bundle/` of the state folder: what a node starts with while its registry is away.
//!
//! The decision: the bytes are kept as they came, and are judged again by whoever reads them, the signature included. So a
//! file that was changed on disk is worth no more than one that a registry changed. The bytes are written before the note that
//! names them, both durably.
//!
//! What is refused: what was kept for another place. A node whose `apps` names another repository must not start with the
//! apps of the one before.

#![expect(clippy::disallowed_methods, reason = "owns a folder in the state of a node")]

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use starcell_config::ContentDigest;

use crate::bundle::{PackedBundle, small_text};
use crate::node::durable::{make_folders, write};

/// The folder in the state of a node, and the note in it.
const FOLDER: &str = "bundle";
const NOTE: &str = "kept.json";

/// What the names of files with bytes end with.
const PACKED: &str = "packed";

/// A bundle as it came, with its digest, which was compared with its bytes.
#[derive(Clone, Debug)]
pub(super) struct KeptContent {
    /// The digest of the bytes.
    pub(super) digest: ContentDigest,
    /// The digest of the manifest that listed it, where it came from a registry.
    pub(super) manifest: Option<ContentDigest>,
    /// The bytes and their signature.
    pub(super) packed: PackedBundle,
}

/// The note about what is kept.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    place: String,
    digest: String,
    manifest: Option<String>,
    signature: Option<String>,
}

/// Where the last bundle of a place is kept; nowhere, while a node is only checked.
#[derive(Clone, Debug)]
pub(super) struct KeptBundle {
    folder: Option<PathBuf>,
    place: String,
}

impl KeptBundle {
    /// The one below the state of a node, for a place as the configuration has it.
    pub(super) fn new(state: Option<&Path>, place: &str) -> Self {
        Self { folder: state.map(|state| state.join(FOLDER)), place: place.to_owned() }
    }

    /// Reads what is kept; none where nothing is, or what is kept came from another place. Blocks.
    ///
    /// # Errors
    /// The sentence about a file that cannot be used.
    pub(super) fn read(&self) -> Result<Option<KeptContent>, String> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let note = folder.join(NOTE);
        if fs::metadata(&note).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(None);
        }
        let shown = note.display();
        let parsed: Note =
            serde_json::from_str(&small_text(&note)?).map_err(|error| format!("{shown} is damaged: {error}"))?;
        if parsed.place != self.place {
            return Ok(None);
        }
        let digest: ContentDigest = parsed.digest.parse().map_err(|error| format!("{shown} is damaged: {error}"))?;
        let manifest = parsed.manifest.map(|manifest| manifest.parse()).transpose();
        let manifest = manifest.map_err(|error: String| format!("{shown} is damaged: {error}"))?;
        let file = file(folder, &digest);
        let packed = PackedBundle { signature: parsed.signature, ..PackedBundle::read(&file)? };
        match packed.digest() == digest {
            true => Ok(Some(KeptContent { digest, manifest, packed })),
            false => Err(format!("{} is damaged: its digest is {}", file.display(), packed.digest())),
        }
    }

    /// Keeps a bundle in the place of the one before. Blocks.
    ///
    /// # Errors
    /// The sentence about a file that cannot be written.
    pub(super) fn write(&self, content: &KeptContent) -> Result<(), String> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let cannot = |error: std::io::Error| format!("cannot write to {}: {error}", folder.display());
        make_folders(folder).map_err(cannot)?;
        let file = file(folder, &content.digest);
        let note = Note {
            place: self.place.clone(),
            digest: content.digest.to_string(),
            manifest: content.manifest.as_ref().map(ToString::to_string),
            signature: content.packed.signature.clone(),
        };
        let note = serde_json::to_vec(&note).map_err(|error| cannot(error.into()))?;
        if fs::read(&file).ok().as_deref() != Some(&*content.packed.bytes) {
            write(&file, &content.packed.bytes).map_err(cannot)?;
        }
        write(&folder.join(NOTE), &note).map_err(cannot)?;
        for entry in fs::read_dir(folder).map_err(cannot)?.flatten() {
            let path = entry.path();
            if path != file && path.extension().is_some_and(|end| end == PACKED) {
                // One that stays takes room and nothing else.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// The file of bytes with a digest.
fn file(folder: &Path, digest: &ContentDigest) -> PathBuf {
    folder.join(format!("{}.{PACKED}", digest.hex()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn content(bytes: &str) -> KeptContent {
        let packed = PackedBundle { bytes: bytes.to_owned().into(), signature: Some("c2ln".into()) };
        KeptContent { digest: packed.digest(), manifest: Some(packed.digest()), packed }
    }

    #[test]
    fn the_last_bundle_of_a_place_is_kept_and_none_of_another() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptBundle::new(Some(state.path()), "oci://r.example/a:b");
        assert!(kept.read().unwrap().is_none());
        for bytes in ["one", "two", "two"] {
            kept.write(&content(bytes)).unwrap();
            let read = kept.read().unwrap().unwrap();
            assert_eq!((read.digest, read.packed.bytes.as_ref()), (content(bytes).digest, bytes.as_bytes()));
            assert_eq!((read.manifest, read.packed.signature.as_deref()), (content(bytes).manifest, Some("c2ln")));
        }
        assert_eq!(fs::read_dir(state.path().join(FOLDER)).unwrap().count(), 2, "the one before is gone");
        assert!(KeptBundle::new(Some(state.path()), "oci://r.example/a:c").read().unwrap().is_none());
        let unkept = KeptBundle::new(None, "oci://r.example/a:b");
        unkept.write(&content("three")).unwrap();
        assert!(unkept.read().unwrap().is_none());
    }

    #[test]
    fn what_was_changed_on_disk_is_not_used() {
        let state = tempfile::tempdir().unwrap();
        let kept = KeptBundle::new(Some(state.path()), "apps.tar.gz");
        kept.write(&content("one")).unwrap();
        let folder = state.path().join(FOLDER);
        fs::write(file(&folder, &content("one").digest), "other").unwrap();
        assert!(kept.read().unwrap_err().contains("is damaged: its digest is"));
        kept.write(&content("one")).unwrap();
        assert!(kept.read().unwrap().is_some(), "written again");
        fs::write(folder.join(NOTE), "{").unwrap();
        assert!(kept.read().unwrap_err().contains("kept.json is damaged"));
    }
}
