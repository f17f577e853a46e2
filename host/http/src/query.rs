//! The query of a request as names and values, by the rules of Go's `url.ParseQuery`.
//!
//! A pair that cannot be read is dropped and the rest is kept, as Go's server does: a malformed
//! escape, or a semicolon, which some proxies take for a separator and others do not. Reading it
//! either way would let a request mean one thing to the proxy's filter and another to the script.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::router::has_malformed_escape;

/// A query with more pairs than this is read as empty, as Go does: each pair costs a name and a value
/// in memory, many times the byte it takes to send.
const MAX_PAIRS: usize = 10_000;

/// The pairs of a query in the order they were sent.
///
/// `raw` is what follows the `?`. `+` is a space, a name without `=` has the value `""`, and bytes
/// that are not UTF-8 once decoded are replaced by U+FFFD.
pub fn parse(raw: &str) -> Vec<(String, String)> {
    if raw.split('&').nth(MAX_PAIRS).is_some() {
        return Vec::new();
    }
    raw.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')).filter_map(pair).collect()
}

fn pair(raw: &str) -> Option<(String, String)> {
    let (name, value) = raw.split_once('=').unwrap_or((raw, ""));
    Some((decode(name)?, decode(value)?))
}

/// The decoded text, or nothing when an escape in it is malformed.
fn decode(raw: &str) -> Option<String> {
    if has_malformed_escape(raw) {
        return None;
    }
    let spaced = if raw.contains('+') { Cow::Owned(raw.replace('+', " ")) } else { Cow::Borrowed(raw) };
    Some(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn names_and_values_are_decoded_in_order() {
        let expected = [("b", "1"), ("a", "x y"), ("b", "é"), ("c", ""), ("", "v")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse("b=1&&a=x+y&b=%C3%A9&c&=v"), expected);
    }

    #[test]
    fn unreadable_pairs_are_dropped_alone() {
        assert_eq!(parse("a=%zz&b;c=1&%=2&ok=%2B&d=%4"), [("ok".to_owned(), "+".to_owned())]);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(parse("a=%ff%41"), [("a".to_owned(), "\u{fffd}A".to_owned())]);
    }

    #[test]
    fn too_many_pairs_are_none() {
        assert_eq!(parse(&vec!["a"; MAX_PAIRS].join("&")).len(), MAX_PAIRS);
        assert!(parse(&vec!["a"; MAX_PAIRS + 1].join("&")).is_empty());
    }

    #[test]
    fn agrees_with_go() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/query.jsonl");
        let mut cases = 0;
        for line in std::fs::read_to_string(data).unwrap().lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let raw = case["raw"].as_str().unwrap();
            let mut found = BTreeMap::<String, Vec<String>>::new();
            for (name, value) in parse(raw) {
                found.entry(name).or_default().push(value);
            }
            assert_eq!(serde_json::to_value(found).unwrap(), case["query"], "{raw}");
            cases += 1;
        }
        assert_eq!(cases, 600);
    }
}
