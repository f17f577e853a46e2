//! The manifest of a bundle: what a registry keeps under a tag, and under the digest of its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use starcell_bundle::MAX_PACKED;
use starcell_config::ContentDigest;

/// The type of a bundle among artifacts.
pub const ARTIFACT: &str = "application/vnd.starcell.bundle.v1";

/// The type of its one layer: a tar archive within gzip.
pub const LAYER: &str = "application/vnd.starcell.bundle.v1.tar+gzip";

/// The type of a manifest (OCI image specification 1.1).
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The type and the bytes of a configuration that is none, by the same specification.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(crate) const EMPTY_BYTES: &[u8] = b"{}";

/// The note with the signature of the layer's digest.
const SIGNATURE: &str = "dev.starcell.bundle.signature";

/// Characters of a signature: those of Ed25519 are 88 in base64.
const MAX_SIGNATURE: usize = 128;

/// A bundle as its manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedBundle {
    /// The digest of the manifest.
    pub manifest: ContentDigest,
    /// The digest of the bundle itself.
    pub layer: ContentDigest,
    /// Its bytes.
    pub size: usize,
    /// What is said to be a signature of its digest.
    pub signature: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// Reads a manifest whose digest was compared. The error is the end of a sentence.
pub(crate) fn read(bytes: &[u8], manifest: ContentDigest) -> Result<ListedBundle, String> {
    let document: Document =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no manifest of an artifact ({error})"))?;
    let shown = |text: &str| text.chars().take(80).collect::<String>();
    if document.schema_version != 2 || document.artifact_type != ARTIFACT {
        return Err(format!("it is of the type {:?}, not {ARTIFACT}", shown(&document.artifact_type)));
    }
    let [layer] = document.layers.as_slice() else {
        return Err(format!("it has {} layers, not one", document.layers.len()));
    };
    if layer.media_type != LAYER {
        return Err(format!("its layer is of the type {:?}, not {LAYER}", shown(&layer.media_type)));
    }
    let digest = layer.digest.parse().map_err(|error| format!("the digest of its layer is wrong: {error}"))?;
    let size = usize::try_from(layer.size).ok().filter(|size| *size <= MAX_PACKED);
    let size = size.ok_or_else(|| format!("its layer has more than {} MiB", MAX_PACKED >> 20))?;
    let signature = document.annotations.get(SIGNATURE);
    if signature.is_some_and(|signature| signature.len() > MAX_SIGNATURE) {
        return Err("its signature is too long".to_owned());
    }
    Ok(ListedBundle { manifest, layer: digest, size, signature: signature.cloned() })
}

/// The manifest of a bundle: the same bytes for the same bundle and signature.
pub(crate) fn write(layer: &ContentDigest, size: usize, config: &ContentDigest, signature: Option<&str>) -> Vec<u8> {
    let descriptor = |kind: &str, digest: &ContentDigest, size: usize| Descriptor {
        media_type: kind.to_owned(),
        digest: digest.to_string(),
        size: size as u64,
    };
    let document = Document {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        artifact_type: ARTIFACT.to_owned(),
        config: descriptor(EMPTY, config, EMPTY_BYTES.len()),
        layers: vec![descriptor(LAYER, layer, size)],
        annotations: signature.map(|signature| (SIGNATURE.to_owned(), signature.to_owned())).into_iter().collect(),
    };
    // Texts and numbers alone, which are JSON in any case.
    serde_json::to_vec(&document).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use starcell_bundle::digest_of;

    use super::*;

    #[test]
    fn a_manifest_reads_back() {
        let (layer, config) = (digest_of(b"bundle"), digest_of(EMPTY_BYTES));
        for signature in [None, Some("c2lnbmF0dXJl")] {
            let bytes = write(&layer, 6, &config, signature);
            let listed = read(&bytes, digest_of(&bytes)).unwrap();
            assert_eq!((&listed.layer, listed.size, listed.signature.as_deref()), (&layer, 6, signature));
            assert_eq!(bytes, write(&layer, 6, &config, signature));
        }
    }

    #[test]
    fn what_is_no_bundle_is_named() {
        let bytes = write(&digest_of(b"bundle"), 6, &digest_of(EMPTY_BYTES), Some("c2ln"));
        let sound = String::from_utf8(bytes).unwrap();
        let long = format!("\"{}\"", "A".repeat(200));
        for (from, to, part) in [
            ("{", "[", "no manifest of an artifact"),
            (ARTIFACT, "application/vnd.oci.image.config.v1+json", "it is of the type"),
            ("\"schemaVersion\":2", "\"schemaVersion\":1", "it is of the type"),
            ("\"layers\":[", "\"layers\":[],\"l\":[", "it has 0 layers, not one"),
            (".tar+gzip", ".zip", "its layer is of the type"),
            (digest_of(b"bundle").as_str(), "sha512:00", "the digest of its layer is wrong"),
            ("\"size\":6", "\"size\":33554433", "more than 32 MiB"),
            ("\"size\":6", "\"size\":-6", "no manifest of an artifact"),
            ("\"c2ln\"", &long, "its signature is too long"),
        ] {
            let changed = sound.replace(from, to);
            assert_ne!(changed, sound, "{from}");
            let error = read(changed.as_bytes(), digest_of(b"")).unwrap_err();
            assert!(error.contains(part), "{from}: {error}");
        }
    }
}
