//! What the client sent, as the script will see it.

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Version};
use std::net::SocketAddr;

use starcell_runtime::{Field, Request};

use crate::query;

/// The host a request names: its absolute target's, or its Host header's. `None` when it names none or more than one.
pub(crate) fn host(parts: &Parts) -> Option<&str> {
    if let Some(authority) = parts.uri.authority() {
        return Some(authority.as_str());
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, _) if parts.version <= Version::HTTP_10 => Some(""),
        _ => None,
    }
}

/// The request as a record for the guest.
pub(crate) fn record(
    parts: &Parts,
    host: &str,
    params: Vec<(String, String)>,
    body: Bytes,
    peer: SocketAddr,
    id: String,
) -> Request {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    Request {
        method: parts.method.as_str().to_owned(),
        path: decode(parts.uri.path()),
        url: format!("http://{host}{target}"),
        params: fields(params),
        query: fields(query::parse(parts.uri.query().unwrap_or_default())),
        headers: headers(&parts.headers),
        body: body.into(),
        remote_addr: peer.to_string(),
        host: host.to_owned(),
        tls: false,
        id,
        proto: proto(parts.version).to_owned(),
    }
}

fn fields(pairs: Vec<(String, String)>) -> Vec<Field> {
    pairs.into_iter().map(|(name, value)| Field { name, value }).collect()
}

/// The header fields but for Host, which has a place of its own.
fn headers(map: &HeaderMap) -> Vec<Field> {
    let fields = map.iter().filter(|(name, _)| *name != HOST);
    fields.map(|(name, value)| Field { name: canonical(name.as_str()), value: text(value.as_bytes()) }).collect()
}

/// `content-type` as `Content-Type`.
fn canonical(name: &str) -> String {
    let mut start = true;
    let capital = |c: char| {
        let c = if start { c.to_ascii_uppercase() } else { c };
        start = c == '-';
        c
    };
    name.chars().map(capital).collect()
}

/// A header value as text: UTF-8, or else Latin-1, which is what HTTP once said such bytes are.
fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|&byte| char::from(byte)).collect(), str::to_owned)
}

fn decode(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

fn proto(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/0.9",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn parts(version: Version, target: &str, hosts: &[&str]) -> Parts {
        let mut builder = http::Request::builder().version(version).uri(target);
        for host in hosts {
            builder = builder.header(HOST, *host);
        }
        builder.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_names_one_host() {
        assert_eq!(host(&parts(Version::HTTP_11, "/", &["a:1"])), Some("a:1"));
        assert_eq!(host(&parts(Version::HTTP_11, "http://b/", &["a"])), Some("b"));
        assert_eq!(host(&parts(Version::HTTP_11, "/", &["a", "a"])), None);
        assert_eq!(host(&parts(Version::HTTP_11, "/", &[])), None);
        assert_eq!(host(&parts(Version::HTTP_10, "/", &[])), Some(""));
    }

    #[test]
    fn names_are_canonical_and_values_are_text() {
        assert_eq!(canonical("x-request-id"), "X-Request-Id");
        assert_eq!(text("é".as_bytes()), "é");
        assert_eq!(text(b"\xe9"), "é");
    }
}
