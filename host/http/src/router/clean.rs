//! Brings the path and the host of a request into the form patterns are compared with.
//!
//! A path with empty, `.` or `..` segments is another spelling of a clean one. Matching it as it is
//! would let `/public/../admin` pass whatever guards `/admin` by its prefix; matching the clean form
//! silently would give one resource many addresses. The client is sent to the clean path instead.
//! Redirects stay on this server: a clean path starts with exactly one slash, a backslash is escaped
//! and so is every byte that could end the header.

use std::borrow::Cow;
use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::path::{decode, has_malformed_escape};

/// What is escaped when a path has to be spelled anew.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// Returns whether a path is clean, has only characters that a path may have, and no escapes: as nearly all are. Then
/// each of its forms is the path itself.
pub(super) fn is_plain(target: &str) -> bool {
    let mut previous = 0;
    target.bytes().all(|byte| {
        let begins = std::mem::replace(&mut previous, byte) == b'/';
        is_legal(byte) && byte != b'%' && !(begins && matches!(byte, b'/' | b'.'))
    })
}

const fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'/' | b'%' | b'-' | b'_' | b'.' | b'~' | b'!' | b'$' | b'&' | b'\'')
        || matches!(byte, b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' | b'[' | b']')
}

/// The path as it was sent, when it has only characters that a path may have; otherwise the decoded
/// path, escaped anew.
pub(super) fn escaped(target: &str) -> Cow<'_, str> {
    if target.bytes().all(is_legal) || has_malformed_escape(target) {
        return Cow::Borrowed(target);
    }
    Cow::Owned(percent_encode(&decode(target), PATH).to_string())
}

/// The path without empty, `.` and `..` segments; a trailing slash stays.
pub(super) fn path(sent: &str) -> Cow<'_, str> {
    if sent.starts_with('/') && !sent.contains("//") && !sent.contains("/.") {
        return Cow::Borrowed(sent);
    }
    let mut kept = Vec::new();
    for segment in sent.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut cleaned = format!("/{}", kept.join("/"));
    if sent.ends_with('/') && cleaned != "/" {
        cleaned.push('/');
    }
    Cow::Owned(cleaned)
}

/// The host of a `Host` header: without the port, and without the brackets of an address that has
/// one. A header that is not `host:port` is taken as it is.
pub(super) fn host(header: &str) -> &str {
    let Some((host, port)) = header.rsplit_once(':') else {
        return header;
    };
    let (name, stray) = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => (address, address.contains(['[', ']'])),
        None => (host, host.contains([':', '[', ']'])),
    };
    if stray || port.contains(['[', ']']) { header } else { name }
}

/// The `Location` of a redirect to a clean path, with the query the request had.
pub(super) fn location(path: &str, query: Option<&str>) -> String {
    let query = query.filter(|query| !query.is_empty());
    let mut location = String::with_capacity(path.len() + query.map_or(0, |query| query.len() + 1));
    let mut push = |byte: u8, plain: bool| {
        if plain {
            location.push(char::from(byte));
        } else {
            let _ = write!(location, "%{byte:02x}");
        }
    };
    // A path whose escapes are malformed comes here as it was sent; browsers take its backslashes for slashes.
    path.bytes().for_each(|byte| push(byte, byte.is_ascii_graphic() && byte != b'\\'));
    if let Some(query) = query {
        push(b'?', true);
        query.bytes().for_each(|byte| push(byte, byte.is_ascii_graphic()));
    }
    location
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (sent, clean) in [
            ("/", "/"),
            ("//", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("/a//b", "/a/b"),
            ("/a/./b/", "/a/b/"),
            ("/a/../b", "/b"),
            ("/../../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a"),
            ("/a/b/../", "/a/"),
            ("/a/.", "/a"),
            ("/.hidden/..x", "/.hidden/..x"),
            ("/a/%2e%2e/b", "/a/%2e%2e/b"),
            ("//evil.example/x", "/evil.example/x"),
        ] {
            assert_eq!(path(sent), clean, "{sent}");
        }
    }

    #[test]
    fn what_is_plain_is_the_same_in_every_form() {
        use crate::router::path::canonical;

        for path in ["/", "/a", "/a/", "/a.b/c..d", "/a!$&'()*+,;=:@[]-_~/0", "/.", "//", "/a/..", "/%61", "/a b", "/é"]
        {
            if is_plain(path) {
                assert_eq!((&*escaped(path), &*self::path(path), &*canonical(path)), (path, path, path));
            }
        }
        let plain = ["/", "/a", "/a/", "/a.b/c..d", "/a!$&'()*+,;=:@[]-_~/0"];
        assert!(plain.into_iter().all(is_plain));
        let not =
            ["/.", "//", "/a/..", "/a//", "/a/./b", "/%61", "/a b", "/é", "/a\\b", "/a\0", "/a\x7f", "/a#", "/{a}"];
        assert!(!not.into_iter().any(is_plain));
    }

    #[test]
    fn only_paths_with_illegal_characters_are_escaped_anew() {
        assert_eq!(escaped("/a%2Fb/(x)'!*"), "/a%2Fb/(x)'!*");
        assert_eq!(escaped("/a%2Fb/\"é\\"), "/a/b/%22%C3%A9%5C");
        assert_eq!(escaped("/%zz\""), "/%zz\"");
    }

    #[test]
    fn ports_are_cut_off() {
        for (header, name) in [
            ("example.com", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com:", "example.com"),
            (":80", ""),
            ("[::1]:80", "::1"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a:b:c", "a:b:c"),
            ("[a]b:80", "[a]b:80"),
            ("[a]]:80", "[a]]:80"),
        ] {
            assert_eq!(host(header), name, "{header}");
        }
    }

    #[test]
    fn a_location_is_one_line_of_ascii() {
        assert_eq!(location("/a", None), "/a");
        assert_eq!(location("/a", Some("")), "/a");
        assert_eq!(location("/a", Some("q=é\r\nX: 1")), "/a?q=%c3%a9%0d%0aX:%201");
        assert_eq!(location("/%z\\a", Some("b\\c")), "/%z%5ca?b\\c");
    }
}
