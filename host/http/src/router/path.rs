//! One spelling for every path segment, so that patterns and requests are compared as strings.
//!
//! Segments are compared by what they decode to: `/%61` is `/a`. Decoding a whole path would turn
//! `/a%2Fb` into two segments, and let a request reach a route by hiding slashes, so a path is
//! instead brought to its canonical form: every escape is decoded, except that `%`, `/` and the bytes
//! above ASCII are always escaped. Two segments decode to the same bytes exactly when their
//! canonical forms are the same, and the slashes of a canonical path are those that were sent.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// The segment after the last slash of a path that ends in one.
///
/// It is also the canonical form of `%2F`: `ServeMux` takes a segment that decodes to a slash for
/// the end of a path with a trailing slash, in patterns and in requests.
pub(super) const END: &str = "%2F";

const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'/');

/// The canonical form of a path; borrowed when that is how it was sent.
#[must_use]
pub fn canonical(path: &str) -> Cow<'_, str> {
    if !path.bytes().any(|byte| byte == b'%' || byte.is_ascii_control() || !byte.is_ascii()) {
        return Cow::Borrowed(path);
    }
    let mut spelled = String::with_capacity(path.len());
    for (at, segment) in path.split('/').enumerate() {
        if at > 0 {
            spelled.push('/');
        }
        spelled.extend(percent_encode(&decode(segment), ESCAPED));
    }
    Cow::Owned(spelled)
}

/// The segments of a canonical path that starts with a slash. A trailing slash is [`END`].
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path.strip_prefix('/');
    std::iter::from_fn(move || {
        let here = rest?;
        let (segment, after) = split(here);
        rest = after;
        Some(if segment.is_empty() && after.is_none() { END } else { segment })
    })
}

/// Cuts a path without its first slash into the first segment and what follows the next slash.
pub(super) fn split(path: &str) -> (&str, Option<&str>) {
    match path.split_once('/') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (path, None),
    }
}

/// The value of a wildcard that matched this much of a path.
pub(super) fn value(raw: &str) -> String {
    String::from_utf8_lossy(&decode(raw)).into_owned()
}

/// The bytes that escaped text stands for. Text with a malformed escape stands for itself.
pub(super) fn decode(raw: &str) -> Cow<'_, [u8]> {
    if has_malformed_escape(raw) { Cow::Borrowed(raw.as_bytes()) } else { percent_decode_str(raw).into() }
}

/// Returns whether some `%` is not followed by two hexadecimal digits.
pub(crate) fn has_malformed_escape(raw: &str) -> bool {
    raw.split('%').skip(1).any(|after| {
        let mut bytes = after.bytes();
        !(bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit())
            && bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn equal_segments_have_one_canonical_form() {
        for (sent, expected) in [
            ("/a/b", "/a/b"),
            ("/%61/b", "/a/b"),
            ("/a%2fb", "/a%2Fb"),
            ("/é", "/%C3%A9"),
            ("/%c3%a9", "/%C3%A9"),
            ("/%ff", "/%FF"),
            ("/100%25", "/100%25"),
            ("/%zz%41", "/%25zz%2541"),
            ("/a%", "/a%25"),
            ("/%7B", "/{"),
        ] {
            assert_eq!(canonical(sent), expected, "{sent}");
        }
    }

    #[test]
    fn a_trailing_slash_is_a_segment() {
        let all = |path| segments(path).collect::<Vec<_>>();
        assert_eq!(all("/"), [END]);
        assert_eq!(all("/a"), ["a"]);
        assert_eq!(all("/a/"), ["a", END]);
        assert_eq!(all("//a//"), ["", "a", "", END]);
        assert!(all("").is_empty());
    }

    #[test]
    fn values_are_decoded_once_and_made_utf8() {
        assert_eq!(value("a%2Fb%2525"), "a/b%25");
        assert_eq!(value("%ff!"), "\u{fffd}!");
        assert_eq!(value("%4"), "%4");
    }
}
