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
use starlark::environment::GlobalsBuilder;
use starlark::starlark_module;
use starlark::values::none::NoneOr;

use crate::bytes::Bytes;
use crate::error::usage;
use crate::given::Given;

#[starlark_module]
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
    fn sign<'v>(
        algorithm: Given<'v, &'v str>,
        key: Given<'v, Bytes<'v>>,
        message: Given<'v, Bytes<'v>>,
    ) -> starlark::Result<String> {
        let mac = Signature::new("hmac.sign", algorithm, key, message)?;
        Ok(mac.hex())
    }

    /// Whether a signature is the HMAC of a message, compared in constant time.
    ///
    /// `signature` is hexadecimal or base64 (either alphabet, padded or not), a prefix such as `sha256=` is left out, or
    /// it is the raw bytes. What is none of that, or `None` for a header that was not sent, is `False` and no error.
    /// Errors: another algorithm than `sign` knows, an empty key.
    ///
    /// ```text
    /// >>> hmac.verify("sha1", "key", "message", "sha1=2088df74d5f2146b48146caf4965377e9d0be3a4")
    /// True
    /// ```
    fn verify<'v>(
        algorithm: Given<'v, &'v str>,
        key: Given<'v, Bytes<'v>>,
        message: Given<'v, Bytes<'v>>,
        signature: Given<'v, NoneOr<Bytes<'v>>>,
    ) -> starlark::Result<bool> {
        let mac = Signature::new("hmac.verify", algorithm, key, message)?;
        let Some(given) = signature.bytes_or_none("hmac.verify", "signature")? else {
            return Ok(false);
        };
        let name = algorithm.get("hmac.verify", "algorithm")?;
        let is_text = signature.0.unpack_str().is_some();
        Ok(mac.matches(name, given, is_text))
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
    fn new<'v>(
        function: &str,
        algorithm: Given<'v, &'v str>,
        key: Given<'v, Bytes<'v>>,
        message: Given<'v, Bytes<'v>>,
    ) -> starlark::Result<Self> {
        let name = algorithm.get(function, "algorithm")?;
        let (key, message) = (key.bytes(function, "key")?, message.bytes(function, "message")?);
        if key.is_empty() {
            return Err(usage(format!("{function}: key is empty: anyone could sign with it")));
        }
        let mac = match name {
            "md5" => Self::Md5(mac(key, message)?),
            "sha1" => Self::Sha1(mac(key, message)?),
            "sha256" => Self::Sha256(mac(key, message)?),
            "sha384" => Self::Sha384(mac(key, message)?),
            "sha512" => Self::Sha512(mac(key, message)?),
            _ => return Err(algorithm.wrong(function, "algorithm", "md5, sha1, sha256, sha384 or sha512")),
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
    let mac = <M as Mac>::new_from_slice(key).map_err(|_| usage("hmac: key has a wrong length"))?;
    Ok(mac.chain_update(message))
}

/// The bytes of a written signature of `size` bytes. Its length tells the form, since none is as long as another.
fn decode(algorithm: &str, text: &[u8], size: usize) -> Option<Vec<u8>> {
    let prefix = text.strip_prefix(algorithm.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
    let text = prefix.unwrap_or(text);
    let forms: [&Encoding; 5] = [&HEXLOWER_PERMISSIVE, &BASE64, &BASE64_NOPAD, &BASE64URL, &BASE64URL_NOPAD];
    forms.into_iter().filter(|form| form.encode_len(size) == text.len()).find_map(|form| form.decode(text).ok())
}
