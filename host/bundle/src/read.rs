//! Bytes of a stranger to files: gzip is told by its first bytes, everything else must be tar.

use std::collections::BTreeMap;

use flate2::bufread::GzDecoder;

use crate::bounds::MAX_PACKED;
use crate::error::BundleError;
use crate::tar;

/// How gzip begins (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// All files of an archive.
pub(crate) fn files(packed: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    if packed.len() > MAX_PACKED {
        return Err(BundleError::LargePacked);
    }
    if !packed.starts_with(&GZIP) {
        return tar::files(&mut { packed });
    }
    let mut unpacked = GzDecoder::new(packed);
    // Read to its end, so that its checksum was compared.
    let files = tar::files(&mut unpacked)?;
    if unpacked.into_inner().is_empty() { Ok(files) } else { Err(BundleError::Behind) }
}
