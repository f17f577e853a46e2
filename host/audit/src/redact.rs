//! Secrets that a resource may hold, taken out by what kind of resource it is.
//!
//! The policy already refuses URLs with credentials and keeps queries out of its texts; but a refused call is recorded
//! too, and what is refused may have any form. The mark is made of stars, which a rule reads as "anything": a rule made
//! from a redacted record still fits the call.

use std::{borrow::Cow, net::IpAddr};

use starcell_policy::Url;

const MARK: &str = "***";

/// A URL and the address its host was resolved to, which the policy prints after it and a space. A request is decided
/// twice, by its URL and by the address, and the second decision is recorded so.
pub(crate) fn split_connection(resource: &str) -> (&str, Option<IpAddr>) {
    let parts = resource.rsplit_once(' ').map(|(url, address)| (url, address.parse().ok()));
    parts.filter(|(_, address)| address.is_some()).unwrap_or((resource, None))
}

/// The resource without the user name and password of a URL, the query of a request and the value of a variable.
pub(crate) fn redacted<'a>(category: &str, resource: &'a str) -> Cow<'a, str> {
    match category {
        "http.client" => request(resource),
        "os.env" => Cow::Borrowed(resource.split_once('=').map_or(resource, |(name, _)| name)),
        _ => without_userinfo(resource),
    }
}

fn request(resource: &str) -> Cow<'_, str> {
    let (url, address) = split_connection(resource);
    let url = match Url::parse(url) {
        Ok(url) => url.to_string(),
        // A text that is no URL may hold credentials anywhere before an `@`, and a query after any `?`.
        Err(_) => {
            let (before, rest) = url.rsplit_once('@').map_or(("", url), |(before, rest)| (before, rest));
            let scheme = before.split_once("://").map(|(scheme, _)| format!("{scheme}://")).unwrap_or_default();
            let mark = if rest.len() == url.len() { String::new() } else { format!("{scheme}{MARK}@") };
            format!("{mark}{}", rest.split(['?', '#']).next().unwrap_or_default())
        }
    };
    match address {
        Some(address) => Cow::Owned(format!("{url} {address}")),
        None if url == resource => Cow::Borrowed(resource),
        None => Cow::Owned(url),
    }
}

/// The text without the user name and password of a URL in it.
pub(crate) fn without_userinfo(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Cow::Borrowed(text);
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{scheme}://{MARK}@{host}{path}")),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_by_type() {
        for (category, resource, written) in [
            ("http.client", "https://h.example/a/@b", "https://h.example/a/@b"),
            ("http.client", "https://h.example/a?token=secret#secret", "https://h.example/a"),
            ("http.client", "https://u:secret@h.example/a", "https://***@h.example/a"),
            ("http.client", "https://u:sec/ret?x@h.example/a?secret", "https://***@h.example/a"),
            ("http.client", "http:/u:secret@h/", "***@h/"),
            ("http.client", "u:secret@h", "***@h"),
            ("http.client", "no url?secret", "no url"),
            ("http.client", "http://h/a 10.0.0.5", "http://h/a 10.0.0.5"),
            ("http.client", "http://h/a?secret ::1", "http://h/a ::1"),
            ("os.env", "TOKEN=secret", "TOKEN"),
            ("os.env", "TOKEN", "TOKEN"),
            ("kv.read", "http://u:secret@h/p?q", "http://***@h/p?q"),
            ("kv.read", "a?b=c", "a?b=c"),
            ("fs.read", "/srv/a=b@c?d", "/srv/a=b@c?d"),
        ] {
            let found = redacted(category, resource);
            assert_eq!(found, written, "{category}");
            assert_eq!(redacted(category, &found), written, "{category}: a second time");
            assert!(!found.contains("secret"));
        }
    }

    #[test]
    fn a_connection_splits_again() {
        let text = "http://db.example:8080/a fd00::1";
        assert_eq!(split_connection(text), ("http://db.example:8080/a", "fd00::1".parse().ok()));
        assert_eq!(split_connection("/a b"), ("/a b", None));
    }
}
