//! The query of a request as names and values, by the WHATWG URL standard's rules for urlencoded text: the rules, and the
//! parser, of `req.form()` and `url.decode_query` in a script, so that one text has one meaning.
//!
//! Nothing is dropped. A malformed escape stays as it was written, and a semicolon is a character like any other: Go drops
//! such pairs, and a script that looks for a parameter does not see what a proxy in front of it saw.

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
    form_urlencoded::parse(raw.as_bytes()).into_owned().collect()
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
    fn nothing_is_dropped() {
        let expected = [("a", "%zz"), ("b;c", "1"), ("%", "2"), ("ok", "+"), ("d", "%4"), ("e", "x;y")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse("a=%zz&b;c=1&%=2&ok=%2B&d=%4&e=x;y"), expected);
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

    /// Go's answers, save for the pairs that Go drops: those with a semicolon or a malformed escape.
    #[test]
    fn agrees_with_go_on_what_go_keeps() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/query.jsonl");
        let (mut cases, mut dropped) = (0, 0);
        for line in std::fs::read_to_string(data).unwrap().lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let raw = case["raw"].as_str().unwrap();
            let kept: Vec<&str> = raw.split('&').filter(|pair| !is_dropped_by_go(pair)).collect();
            dropped += raw.split('&').count() - kept.len();
            let mut found = BTreeMap::<String, Vec<String>>::new();
            for (name, value) in parse(&kept.join("&")) {
                found.entry(name).or_default().push(value);
            }
            assert_eq!(serde_json::to_value(found).unwrap(), case["query"], "{raw}");
            cases += 1;
        }
        assert_eq!(cases, 600);
        assert!(dropped > 100, "{dropped}");
    }

    fn is_dropped_by_go(pair: &str) -> bool {
        pair.contains(';') || crate::router::has_malformed_escape(pair)
    }
}
