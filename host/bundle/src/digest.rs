//! The SHA-256 of bytes.

use sha2::{Digest as _, Sha256};
use starcell_config::ContentDigest;

/// The digest of these bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> ContentDigest {
    ContentDigest::of_hash(&Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second vector is the empty descriptor of the OCI image specification 1.1.
    #[test]
    fn digests_are_those_of_others() {
        for (bytes, digest) in [
            ("", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("{}", "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        ] {
            assert_eq!(digest_of(bytes.as_bytes()).as_str(), digest);
        }
    }
}
