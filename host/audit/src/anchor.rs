//! One anchor: the head of the chain at a time, as a line of a file that lies elsewhere.
//!
//! A chain shows that its lines belong together; it does not show that lines were cut off its end, that the file was
//! written anew from the first line, or that it was removed and begun again. An anchor does: it holds the hash of a line
//! and its number. Anchors are only ever added, so a later one cannot hide an earlier one. With a key each is signed, so
//! that whoever can write to the second place too can still not make one up.
//!
//! | field | meaning |
//! |---|---|
//! | `v`, `kind`, `time` | 1, `anchor`, when it was made |
//! | `log` | the name of the log's file |
//! | `lines` | lines of the log up to the head, as far back as its writers know |
//! | `head` | the hash of the last line |
//! | `key`, `signature` | the public key in hexadecimal, and the signature of the line before it in base64 |

use std::time::SystemTime;

use serde::Deserialize;
use starcell_text::push_json_bounded;

use crate::{
    chain::Hash,
    signing::{SignedKind, SigningKey, VerifyingKey},
};

/// Bytes of a line of an anchor file that no anchor exceeds.
pub(crate) const MAX_ANCHOR: usize = 2048;

/// Bytes of the name of a log.
const MAX_NAME: usize = 1024;

/// Separates the signed text of a line from its signature.
const SIGNATURE: &str = ",\"signature\":\"";

/// The head of a log at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Lines of the log up to the head.
    pub(crate) lines: u64,
    /// The hash of the last of them.
    pub(crate) head: Hash,
}

/// The signature of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// There is none.
    No,
    /// There is one, and no key to verify it with.
    Unknown,
    /// It is the key's.
    Verified,
    /// It is not the key's, or not of this text.
    Wrong,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnchorLine {
    v: u32,
    kind: String,
    #[serde(rename = "time")]
    _time: String,
    #[serde(rename = "log")]
    _log: String,
    lines: u64,
    head: String,
    #[serde(rename = "key")]
    _key: Option<String>,
    signature: Option<String>,
}

impl Anchor {
    /// The line, with its newline.
    pub(crate) fn line(self, time: SystemTime, log: &str, key: Option<&SigningKey>) -> String {
        let time = humantime::format_rfc3339_micros(time);
        let mut line = format!("{{\"v\":1,\"kind\":\"anchor\",\"time\":\"{time}\",\"log\":");
        push_json_bounded(&mut line, log, MAX_NAME);
        line += &format!(",\"lines\":{},\"head\":\"{}\"", self.lines, self.head);
        if let Some(key) = key {
            line += &format!(",\"key\":\"{}\"", key.public());
            let signature = key.sign(SignedKind::Anchor, &line);
            line += &format!("{SIGNATURE}{signature}\"");
        }
        line + "}\n"
    }

    /// Reads a line without its newline.
    pub(crate) fn parse(line: &str, key: Option<&VerifyingKey>) -> Result<(Self, Signed), String> {
        let found: AnchorLine = serde_json::from_str(line).map_err(|error| error.to_string())?;
        if (found.v, found.kind.as_str()) != (1, "anchor") {
            return Err(format!("version {} of {:?}; this reader knows version 1 of \"anchor\"", found.v, found.kind));
        }
        let head = found.head.parse().map_err(|error| format!("`head`: {error}"))?;
        let signed = match (&found.signature, key) {
            (None, _) => Signed::No,
            (Some(_), None) => Signed::Unknown,
            (Some(signature), Some(key)) => match line.rsplit_once(SIGNATURE) {
                Some((text, _)) if key.verifies(SignedKind::Anchor, text, signature) => Signed::Verified,
                _ => Signed::Wrong,
            },
        };
        Ok((Self { lines: found.lines, head }, signed))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const ANCHOR: Anchor = Anchor { lines: 7, head: Hash::ZERO };

    #[test]
    fn an_anchor_reads_back() {
        let line = ANCHOR.line(SystemTime::UNIX_EPOCH, "a\n\".jsonl", None);
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(Anchor::parse(line.trim_end(), None), Ok((ANCHOR, Signed::No)));
        let long = ANCHOR.line(SystemTime::UNIX_EPOCH, &"\u{202e}".repeat(5000), None);
        assert!(long.len() < MAX_ANCHOR && Anchor::parse(long.trim_end(), None).is_ok());
        for (from, to) in [("\"v\":1", "\"v\":2"), ("anchor", "call"), ("\"lines\"", "\"more\""), ("000\"}", "00G\"}")]
        {
            assert!(Anchor::parse(line.replace(from, to).trim_end(), None).is_err(), "{from}");
        }
    }

    #[test]
    fn a_changed_anchor_is_not_signed() {
        let private = SigningKey::from_pem(include_bytes!("../tests/keys/private.pem")).unwrap();
        let public = VerifyingKey::from_pem(include_bytes!("../tests/keys/public.pem")).unwrap();
        let line = ANCHOR.line(SystemTime::UNIX_EPOCH, "a.jsonl", Some(&private));
        assert!(line.len() < MAX_ANCHOR);
        let line = line.trim_end();
        assert_eq!(Anchor::parse(line, Some(&public)), Ok((ANCHOR, Signed::Verified)));
        assert_eq!(Anchor::parse(line, None), Ok((ANCHOR, Signed::Unknown)));
        let changed = line.replace("\"lines\":7", "\"lines\":8");
        assert_eq!(Anchor::parse(&changed, Some(&public)).unwrap().1, Signed::Wrong);
        // Fields that stand behind the signature are not signed, so there may be none.
        let moved = line.replace("\"lines\":7,", "").replace("\"}", "\",\"lines\":9}");
        assert_eq!(Anchor::parse(&moved, Some(&public)).unwrap().1, Signed::Wrong);
    }
}
