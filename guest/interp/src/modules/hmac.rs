//! `hmac`: signing messages, and checking signatures in constant time.
//!
//! Webhook receivers are written with `==` on hex digits first, which tells a patient caller how many digits were right.
//! So there is `verify`, and it answers `False` for whatever a caller may send: only a mistake of the script's own is an
//! error. An empty key is one: it is a secret that was never configured, and anyone can sign with it.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::values::none::NoneOr;

use crate::bytes::Bytes;
use crate::error::usage;
use crate::given::{Given, argument};

#[builtins("hmac")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The HMAC of a message, in lower-case hexadecimal.
    ///
    /// `algorithm` is `md5`, `sha1`, `sha256`, `sha384` or `sha512`; `key` and `message` are str (as UTF-8) or bytes.
    /// Errors: another algorithm, an empty key. `hex.decode` and `base64.encode` give the other forms.
    ///
    /// ```text
    /// >>> hmac.sign("sha256", "key", "message")
    /// "6e9ef29b75fffc5b7abae527d58fdadb2fe42e7219011976917343065f58ed4a"
    /// ```
    fn sign<'v>(algorithm: Algorithm<'v>, key: Bytes<'v>, message: Bytes<'v>) -> starlark::Result<String> {
        let mac = Signature::new(algorithm.0, key.0, message.0)?;
        Ok(mac.hex())
    }

    /// Whether a signature is the HMAC of a message, compared in constant time.
    ///
    /// `signature` is hexadecimal or base64 (either alphabet, padded or not), a short name and a `=` before it, such as
    /// `sha256=` or `v0=`, are left out; or it is the raw bytes. What is none of that, or `None` for a header that was not sent, is `False` and no error.
    /// Errors: another algorithm than `sign` knows, an empty key.
    ///
    /// ```text
    /// >>> hmac.verify("sha1", "key", "message", "sha1=2088df74d5f2146b48146caf4965377e9d0be3a4")
    /// True
    /// ```
    fn verify<'v>(
        algorithm: Algorithm<'v>,
        key: Bytes<'v>,
        message: Bytes<'v>,
        signature: Given<'v, NoneOr<Bytes<'v>>>,
    ) -> starlark::Result<bool> {
        let mac = Signature::new(algorithm.0, key.0, message.0)?;
        let NoneOr::Other(Bytes(given)) = signature.take("signature")? else {
            return Ok(false);
        };
        let is_text = signature.0.unpack_str().is_some();
        Ok(mac.matches(algorithm.0, given, is_text))
    }
}

/// The digests by name.
const ALGORITHMS: [&str; 5] = ["md5", "sha1", "sha256", "sha384", "sha512"];

argument! {
    /// The name of a digest.
    Algorithm<'v>(&'v str) as &'v str, "md5, sha1, sha256, sha384 or sha512", |value| {
        value.unpack_str().filter(|name| ALGORITHMS.contains(name))
    }
}

/// A keyed digest with the whole message in it.
enum Signature {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Signature {
    fn new(algorithm: &str, key: &[u8], message: &[u8]) -> starlark::Result<Self> {
        if key.is_empty() {
            return Err(usage("key is empty: anyone could sign with it"));
        }
        let mac = match algorithm {
            "md5" => Self::Md5(mac(key, message)?),
            "sha1" => Self::Sha1(mac(key, message)?),
            "sha256" => Self::Sha256(mac(key, message)?),
            "sha384" => Self::Sha384(mac(key, message)?),
            _ => Self::Sha512(mac(key, message)?),
        };
        Ok(mac)
    }

    fn hex(self) -> String {
        match self {
            Self::Md5(mac) => HEXLOWER.encode(&mac.finalize().into_bytes()),
            Self::Sha1(mac) => HEXLOWER.encode(&mac.finalize().into_bytes()),
            Self::Sha256(mac) => HEXLOWER.encode(&mac.finalize().into_bytes()),
            Self::Sha384(mac) => HEXLOWER.encode(&mac.finalize().into_bytes()),
            Self::Sha512(mac) => HEXLOWER.encode(&mac.finalize().into_bytes()),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Md5(_) => 16,
            Self::Sha1(_) => 20,
            Self::Sha256(_) => 32,
            Self::Sha384(_) => 48,
            Self::Sha512(_) => 64,
        }
    }

    fn matches(self, algorithm: &str, given: &[u8], is_text: bool) -> bool {
        let decoded = if is_text { decode(algorithm, given, self.size()) } else { Some(given.to_vec()) };
        let Some(signature) = decoded else {
            return false;
        };
        match self {
            Self::Md5(mac) => mac.verify_slice(&signature),
            Self::Sha1(mac) => mac.verify_slice(&signature),
            Self::Sha256(mac) => mac.verify_slice(&signature),
            Self::Sha384(mac) => mac.verify_slice(&signature),
            Self::Sha512(mac) => mac.verify_slice(&signature),
        }
        .is_ok()
    }
}

fn mac<M: Mac + hmac::digest::KeyInit>(key: &[u8], message: &[u8]) -> starlark::Result<M> {
    // An HMAC takes keys of any length; the type does not say so.
    let mac = <M as Mac>::new_from_slice(key).map_err(|_| usage("key has a wrong length"))?;
    Ok(mac.chain_update(message))
}

/// The bytes of a written signature of `size` bytes. Its length tells the form, since none is as long as another.
///
/// A short name and a `=` may stand before it: `sha256=` as GitHub sends it, `v0=` as Slack, `t1=` as others do. The `=`
/// that pads base64 is at the end, so nothing of a signature is taken for a name.
fn decode(algorithm: &str, text: &[u8], size: usize) -> Option<Vec<u8>> {
    let named = text.iter().position(|byte| *byte == b'=').and_then(|at| text.split_at_checked(at));
    let is_name = |name: &[u8]| {
        (1..=MAX_NAME_BYTES).contains(&name.len())
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte))
    };
    let Some((name, rest)) = named.filter(|(name, rest)| is_name(name) && rest.len() > 2) else {
        return written(text, size);
    };
    // The name of another digest says that it is another signature.
    let is_other = |known: &&str| known.as_bytes().eq_ignore_ascii_case(name) && *known != algorithm;
    if ALGORITHMS.iter().any(is_other) {
        return None;
    }
    written(rest.get(1..).unwrap_or_default(), size)
}

/// Longest name before a signature; the shortest signature, MD5 in base64, has 22 characters.
const MAX_NAME_BYTES: usize = 16;

fn written(text: &[u8], size: usize) -> Option<Vec<u8>> {
    let forms: [&Encoding; 5] = [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64_NOPAD, &BASE64URL, &BASE64URL_NOPAD];
    forms.into_iter().filter(|form| form.encode_len(size) == text.len()).find_map(|form| form.decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_before_a_signature_is_left_out() {
        let digest = [7; 32];
        for text in [HEXLOWER.encode(&digest), BASE64.encode(&digest), BASE64URL_NOPAD.encode(&digest)] {
            for name in ["", "sha256=", "SHA256=", "v0=", "t=", "v1-beta_2="] {
                let signed = format!("{name}{text}");
                assert_eq!(decode("sha256", signed.as_bytes(), 32).as_deref(), Some(&digest[..]), "{signed}");
            }
            for name in ["sha1=", "md5=", "=", "a b=", "a-name-that-is-too-long=", "v0:"] {
                let signed = format!("{name}{text}");
                assert_eq!(decode("sha256", signed.as_bytes(), 32), None, "{signed}");
            }
        }
        assert_eq!(decode("sha256", b"v0=", 32), None);
    }
}
