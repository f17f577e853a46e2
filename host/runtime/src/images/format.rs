//! An image as bytes: a head that only this node can have written, and the pages behind it.
//!
//! ```text
//! magic and version      8 bytes
//! length of the head     4 bytes, the lowest first
//! authentication code   32 bytes: HMAC-SHA256 of all of the above and the head
//! head                   JSON
//! pages                  as many as the head says, to the end of the file
//! ```
//!
//! The head has the digest of the pages. It is read by itself when a node starts, so that thousands of apps cost their heads.

use ring::hmac::{self, Context, Key};
use serde::{Deserialize, Serialize};

use crate::memory::image::ImageLayout;
use crate::witness::Asked;

/// What a file begins with. The last byte is the version of the format.
const MAGIC: [u8; 8] = *b"scimage\x01";

/// Bytes of the code.
const CODE: usize = 32;

/// Bytes before the head.
pub(super) const FIXED: usize = MAGIC.len() + 4 + CODE;

/// Bytes that a head may have: a thousand routes of 1 KiB, escaped, and a thousand files and calls.
const MAX_HEAD: usize = 8 << 20;

/// What an image is beside its pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    /// The digest of what the setup could see.
    pub(super) identity: [u8; 32],
    /// What the setup asked for; none if it looked at the world.
    pub(super) asked: Option<Asked>,
    /// The server that answers.
    pub(super) server: u32,
    /// The patterns of its routes, in their order.
    pub(super) routes: Vec<String>,
    /// Which pages lie behind the head.
    pub(super) layout: ImageLayout,
    /// Their digest.
    pub(super) digest: [u8; 32],
}

/// The head as it stands at the beginning of a file.
pub(super) fn encode(key: &Key, head: &Head) -> Result<Vec<u8>, String> {
    let text = serde_json::to_vec(head).map_err(|error| error.to_string())?;
    let length = u32::try_from(text.len()).ok().filter(|length| *length as usize <= MAX_HEAD);
    let length = length.ok_or_else(|| format!("its head has more than {MAX_HEAD} bytes"))?;
    let length = length.to_le_bytes();
    let mut bytes = [&MAGIC[..], &length].concat();
    bytes.extend_from_slice(code(key, &length, &text).as_ref());
    bytes.extend_from_slice(&text);
    Ok(bytes)
}

/// Bytes of the head, of a file that begins like this. The error is a sentence.
pub(super) fn head_length(fixed: &[u8; FIXED]) -> Result<usize, &'static str> {
    let (magic, rest) = fixed.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err("it is no image of this version");
    }
    let length = rest.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    if length <= MAX_HEAD { Ok(length) } else { Err("its head is too long") }
}

/// Reads a head. Nothing of `head` is interpreted before its code is verified. The error is a sentence.
pub(super) fn decode(key: &Key, fixed: &[u8; FIXED], head: &[u8]) -> Result<Head, &'static str> {
    let length = head_length(fixed)?;
    let (_, rest) = fixed.split_at(MAGIC.len());
    let (length_bytes, code) = rest.split_at(4);
    if head.len() != length {
        return Err("it is cut off");
    }
    let mut signed = Vec::with_capacity(FIXED + length);
    signed.extend_from_slice(&MAGIC);
    signed.extend_from_slice(length_bytes);
    signed.extend_from_slice(head);
    hmac::verify(key, &signed, code).map_err(|_| "its head is damaged, or of another node")?;
    serde_json::from_slice(head).map_err(|_| "its head is of another version")
}

fn code(key: &Key, length: &[u8], head: &[u8]) -> hmac::Tag {
    let mut context = Context::with_key(key);
    [&MAGIC[..], length, head].into_iter().for_each(|part| context.update(part));
    context.sign()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::{Misses, ServerOptions};
    use crate::witness::{SetupCall, SetupCallKind};

    fn key() -> Key {
        Key::new(hmac::HMAC_SHA256, b"the key of a node")
    }

    fn head() -> Head {
        let options = ServerOptions { misses: Misses::All, max_body_bytes: Some(u64::MAX), ..ServerOptions::default() };
        let listen = SetupCallKind::Listen { server: 1, host: "127.0.0.1".to_owned(), port: 80, options };
        let calls = [SetupCallKind::Env("KEY".to_owned()), listen];
        let call = |what| SetupCall { file: "a/main.star".to_owned(), line: 3, column: 1, what };
        let asked = Asked { loaded: vec![("lib.star".to_owned(), [7; 32])], calls: calls.map(call).to_vec() };
        Head {
            identity: [1; 32],
            asked: Some(asked),
            server: 1,
            routes: vec!["GET /{$}".to_owned(), "/\u{1F600}\"\n".to_owned()],
            layout: ImageLayout {
                page: 4096,
                stored: 540,
                size: 64 << 20,
                stack_pointer: 9,
                own: vec![(0, 3), (17, 1)],
            },
            digest: [2; 32],
        }
    }

    fn read(bytes: &[u8]) -> Result<Head, &'static str> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or("short")?;
        decode(&key(), fixed, rest)
    }

    #[test]
    fn a_head_comes_back_as_it_was_written() {
        for head in [head(), Head { asked: None, routes: Vec::new(), ..head() }] {
            let bytes = encode(&key(), &head).unwrap();
            assert_eq!(head_length(bytes.first_chunk().unwrap()), Ok(bytes.len() - FIXED));
            assert_eq!(read(&bytes).unwrap(), head);
            let (fixed, rest) = bytes.split_first_chunk().unwrap();
            let other = Key::new(hmac::HMAC_SHA256, b"the key of another node");
            assert_eq!(decode(&other, fixed, rest), Err("its head is damaged, or of another node"));
        }
    }

    #[test]
    fn every_bit_of_a_head_is_covered() {
        let bytes = encode(&key(), &head()).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(read(&damaged).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn every_cut_is_refused_and_so_is_more() {
        let bytes = encode(&key(), &head()).unwrap();
        assert!((0..bytes.len()).all(|end| read(&bytes[..end]).is_err()));
        assert_eq!(read(&[&bytes[..], b" "].concat()), Err("it is cut off"));
    }

    #[test]
    fn a_head_that_is_too_long_is_not_asked_for() {
        let mut fixed = [0; FIXED];
        fixed[..8].copy_from_slice(&MAGIC);
        fixed[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(head_length(&fixed), Err("its head is too long"));
        let routes = vec!["x".repeat(MAX_HEAD)];
        assert!(encode(&key(), &Head { routes, ..head() }).unwrap_err().contains("more than"));
    }

    proptest! {
        #[test]
        fn no_bytes_confuse_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).is_err());
            // What is signed and is no head is refused too.
            let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            let mut file = [&MAGIC[..], &length].concat();
            file.extend_from_slice(code(&key(), &length, &bytes).as_ref());
            file.extend_from_slice(&bytes);
            prop_assert_eq!(read(&file), Err("its head is of another version"));
        }

        #[test]
        fn any_routes_and_runs_come_back(
            routes in proptest::collection::vec(".*", 0..20),
            own in proptest::collection::vec((any::<usize>(), any::<usize>()), 0..20),
        ) {
            let layout = ImageLayout { own, ..head().layout };
            let head = Head { routes, layout, ..head() };
            prop_assert_eq!(read(&encode(&key(), &head).unwrap()).unwrap(), head);
        }
    }
}
