//! Keys that sign anchors and bundles: Ed25519, as `openssl genpkey -algorithm ed25519` makes them.

use std::{fmt, sync::Arc};

use data_encoding::{BASE64, HEXLOWER};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, pem::PemObject as _};
use thiserror::Error;

/// What a text is that is signed. It stands before the text, so that a signature of one kind is none of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedKind {
    /// The line of an anchor.
    Anchor,
    /// The digest of a bundle of apps.
    Bundle,
}

impl SignedKind {
    const fn context(self) -> &'static [u8] {
        match self {
            Self::Anchor => b"starcell audit anchor 1\n",
            Self::Bundle => b"starcell bundle 1\n",
        }
    }
}

/// The bytes before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4).
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A private key. Cheap to clone; its bytes are in no message.
#[derive(Clone)]
pub struct SigningKey(Arc<Ed25519KeyPair>);

/// The public key of a [`SigningKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey([u8; 32]);

/// A text that is not a key of this kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It is no private key.
    #[error("not an Ed25519 private key in PEM (PKCS #8); make one with `openssl genpkey -algorithm ed25519`")]
    Private,
    /// It is no public key.
    #[error("not an Ed25519 public key in PEM; print that of a private key with `openssl pkey -pubout`")]
    Public,
}

impl SigningKey {
    /// Reads a PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem).map_err(|_| KeyError::Private)?;
        // OpenSSL leaves the public key out of the file; then there is nothing to check the private one against.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| KeyError::Private)?;
        Ok(Self(Arc::new(pair)))
    }

    /// The key that verifies what this one signs, in hexadecimal.
    pub(crate) fn public(&self) -> String {
        HEXLOWER.encode(self.0.public_key().as_ref())
    }

    /// Signs a text, in base64.
    #[must_use]
    pub fn sign(&self, kind: SignedKind, text: &str) -> String {
        BASE64.encode(self.0.sign(&signed(kind, text)).as_ref())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(public {})", self.public())
    }
}

impl VerifyingKey {
    /// Reads a PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| KeyError::Public)?;
        let key = der.as_ref().strip_prefix(&PUBLIC_PREFIX).ok_or(KeyError::Public)?;
        key.try_into().map(Self).map_err(|_| KeyError::Public)
    }

    /// Returns whether a signature is one of this text by the private key.
    #[must_use]
    pub fn verifies(&self, kind: SignedKind, text: &str, signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature.as_bytes()) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(&signed(kind, text), &signature).is_ok()
    }
}

fn signed(kind: SignedKind, text: &str) -> Vec<u8> {
    [kind.context(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const PRIVATE: &[u8] = include_bytes!("../tests/keys/private.pem");
    const PUBLIC: &[u8] = include_bytes!("../tests/keys/public.pem");
    const OTHER: &[u8] = include_bytes!("../tests/keys/other.pem");

    #[test]
    fn a_signature_holds_for_its_text_and_key_alone() {
        let (private, public) = (SigningKey::from_pem(PRIVATE).unwrap(), VerifyingKey::from_pem(PUBLIC).unwrap());
        let signature = private.sign(SignedKind::Anchor, "text");
        let verifies = |text, signature: &str| public.verifies(SignedKind::Anchor, text, signature);
        assert!(verifies("text", &signature));
        assert!(!verifies("texts", &signature));
        assert!(!verifies("text", "AAAA"));
        assert!(!verifies("text", "not base64"));
        assert!(!VerifyingKey::from_pem(OTHER).unwrap().verifies(SignedKind::Anchor, "text", &signature));
        assert!(!public.verifies(SignedKind::Bundle, "text", &signature), "an anchor is no bundle");
        assert!(!verifies("text", &private.sign(SignedKind::Bundle, "text")));
        assert!(format!("{private:?}").contains(&private.public()));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for pem in [PUBLIC, b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(SigningKey::from_pem(pem).err(), Some(KeyError::Private));
        }
        for pem in [PRIVATE, b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            assert_eq!(VerifyingKey::from_pem(pem).err(), Some(KeyError::Public));
        }
    }
}
