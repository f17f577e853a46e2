//! A request of a client, as the script sees it.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, Version};

use crate::query;
use crate::response::Refusal;
use crate::router::has_malformed_escape;

/// Header fields of one request: what hyper takes over HTTP/1.
const MAX_FIELDS: usize = 100;

/// Names and values.
pub type Pairs = Vec<(String, String)>;

/// A request as values: what a handler gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals as it was sent.
    pub method: String,
    /// The path, percent-decoded.
    pub path: String,
    /// Scheme, host and the raw target.
    pub url: String,
    /// Wildcards of the matched pattern, in its order.
    pub params: Pairs,
    /// The query, decoded, repeats kept.
    pub query: Pairs,
    /// Header fields but for Host, repeats kept: `Name: value` and a line feed for each, with canonical names.
    pub headers: String,
    /// The body, whole.
    pub body: Bytes,
    /// Address and port of the client.
    pub remote_addr: String,
    /// The host that was asked for.
    pub host: String,
    /// True if the connection is encrypted.
    pub tls: bool,
    /// Names the request in every log.
    pub id: String,
    /// The protocol, such as `HTTP/1.1`.
    pub proto: &'static str,
}

/// The origin of a request, which its head does not tell.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Address and port of the client.
    pub remote: String,
    /// True if the connection is encrypted.
    pub tls: bool,
    /// Names the request.
    pub id: String,
}

/// The host a request names, once it is certain that it names one and that its target is fit to be routed.
///
/// # Errors
/// The response for a head that no route may see.
pub fn check(parts: &Parts, max_url: usize) -> Result<&str, Refusal> {
    if parts.uri.path_and_query().is_some_and(|target| target.as_str().len() > max_url) {
        return Err(Refusal::LongUrl(max_url));
    }
    if parts.headers.len() > MAX_FIELDS {
        return Err(Refusal::ManyFields(MAX_FIELDS));
    }
    let whole_server = parts.uri.path() == "*" && parts.method != Method::OPTIONS;
    if whole_server || is_deceptive(parts.uri.path()) {
        return Err(Refusal::BadPath);
    }
    host(parts).ok_or(Refusal::BadHost)
}

/// Returns whether a path reads differently once it is decoded: to what it is handed to, a NUL may be its end, a
/// backslash a separator, and an encoded dot segment a way up. An encoded slash is part of a name, as it is in
/// `ServeMux`.
fn is_deceptive(path: &str) -> bool {
    // `CONNECT` names no path, and nothing but `OPTIONS *` has this one.
    if !path.starts_with('/') && path != "*" {
        return true;
    }
    if !path.contains('%') {
        return path.contains('\\');
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
    let dots =
        |path: &[u8]| path.split(|&byte| byte == b'/').filter(|part| matches!(*part, [b'.'] | [b'.', b'.'])).count();
    has_malformed_escape(path)
        || decoded.contains(&b'\0')
        || decoded.contains(&b'\\')
        || dots(&decoded) > dots(path.as_bytes())
}

/// The host a request names: its absolute target's, which its Host header must not contradict, or its Host header's.
fn host(parts: &Parts) -> Option<&str> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let header = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Some(host.to_str().ok().filter(|host| is_authority(host))?),
        (None, _) => None,
        (Some(_), Some(_)) => return None,
    };
    match (parts.uri.authority(), header) {
        // Of the request line, so in HTTP/1.1 there must be a header besides.
        (Some(_), None) if parts.version == Version::HTTP_11 => None,
        (Some(_), _) if parts.uri.scheme_str().is_some_and(|scheme| !matches!(scheme, "http" | "https")) => None,
        (Some(target), header) => {
            let agree = header.is_none_or(|host| host.eq_ignore_ascii_case(target.as_str()));
            (agree && is_authority(target.as_str())).then_some(target.as_str())
        }
        (None, Some(host)) => Some(host),
        (None, None) => (parts.version <= Version::HTTP_10).then_some(""),
    }
}

/// Returns whether a host is a name or an address and perhaps a port, and nothing else that the grammar of RFC 3986
/// would take: a user, or a comma, which is what joining two Host headers leaves.
fn is_authority(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let after = |rest: &str| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && after(rest);
    }
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let name = host.bytes().take_while(is_name).count();
    name > 0 && host.get(name..).is_some_and(after)
}

/// The request as values; `path` is what of its path is behind the prefix of the app.
#[must_use]
pub fn read(parts: &Parts, path: &str, host: String, params: Pairs, body: Bytes, origin: Origin) -> Request {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let scheme = if origin.tls { "https" } else { "http" };
    Request {
        method: parts.method.as_str().to_owned(),
        path: decode(path),
        url: format!("{scheme}://{host}{target}"),
        params,
        query: query::parse(parts.uri.query().unwrap_or_default()),
        headers: headers(&parts.headers),
        body,
        remote_addr: origin.remote,
        host,
        tls: origin.tls,
        id: origin.id,
        proto: proto(parts.version),
    }
}

/// Returns whether a client's request id may stand in logs and records: short, and nothing but letters, digits and
/// `-_.:/+=`.
#[must_use]
pub fn is_request_id(id: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    (1..=128).contains(&id.len()) && id.iter().all(legal)
}

/// The header fields but for Host, which has a place of its own. No value has a line feed.
fn headers(map: &HeaderMap) -> String {
    let mut lines = String::with_capacity(32 * map.len());
    for (name, value) in map.iter().filter(|(name, _)| *name != HOST) {
        push_canonical(&mut lines, name.as_str());
        lines.extend([": ", &text(value.as_bytes()), "\n"]);
    }
    lines
}

/// `content-type` as `Content-Type`.
#[must_use]
pub fn canonical(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    push_canonical(&mut out, name);
    out
}

fn push_canonical(out: &mut String, name: &str) {
    for part in name.split_inclusive('-') {
        let (first, rest) = part.split_at(part.ceil_char_boundary(1));
        out.extend(first.chars().map(|c| c.to_ascii_uppercase()));
        out.push_str(rest);
    }
}

/// A header value as text: UTF-8, or else Latin-1, which is what HTTP once said such bytes are.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    let latin = |_| Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect());
    std::str::from_utf8(bytes).map_or_else(latin, Cow::Borrowed)
}

fn decode(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// The name of a protocol version.
#[must_use]
pub fn proto(version: Version) -> &'static str {
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
        assert_eq!(host(&parts(Version::HTTP_11, "/", &["[::1]:80"])), Some("[::1]:80"));
        assert_eq!(host(&parts(Version::HTTP_11, "http://b/", &["B"])), Some("b"));
        assert_eq!(host(&parts(Version::HTTP_2, "https://b/", &[])), Some("b"));
        assert_eq!(host(&parts(Version::HTTP_10, "/", &[])), Some(""));
        assert_eq!(host(&parts(Version::HTTP_11, "/", &[])), None);
        for hosts in [
            &["a", "a"][..],
            &["a b"],
            &["a/b"],
            &["u@a"],
            &[""],
            &["a:b:c"],
            &["a,b"],
            &["a:99999"],
            &["a:-1"],
            &["[zz]"],
            &["[::1"],
        ] {
            assert_eq!(host(&parts(Version::HTTP_11, "/", hosts)), None, "{hosts:?}");
        }
        assert_eq!(host(&parts(Version::HTTP_11, "http://b/", &["a"])), None);
        assert_eq!(host(&parts(Version::HTTP_11, "http://b/", &[])), None);
        assert_eq!(host(&parts(Version::HTTP_11, "ftp://b/", &["b"])), None);
        assert_eq!(host(&parts(Version::HTTP_11, "http://u@b/", &[])), None);
    }

    #[test]
    fn heads_that_no_route_may_see_are_refused() {
        let get = |target: &str| check(&parts(Version::HTTP_11, target, &["a"]), 20).map(str::to_owned);
        assert_eq!(get("/a%20b?c"), Ok("a".into()));
        for path in
            ["/a%00b", "/a%5cb", "/a\\b", "/a/%2e%2E/b", "/.%2e/b", "/%2e/b", "/..%2fa", "/a%2f..", "/a%", "/a%zz"]
        {
            assert!(is_deceptive(path), "{path}");
        }
        for path in ["/a%2fb", "/a%20b/../c", "/%2525", "/a..b%20", "/a/../b", "/%2ea"] {
            assert!(!is_deceptive(path), "{path}");
        }
        assert_eq!(get("/a%00b"), Err(Refusal::BadPath));
        assert_eq!(get("/12345678901234567890"), Err(Refusal::LongUrl(20)));
    }

    #[test]
    fn only_harmless_request_ids_are_kept() {
        assert!(is_request_id(b"01ARZ3-x_y.z:/+="));
        for id in [&b""[..], b"a b", b"a\n", b"\xc3\xa9", &[b'a'; 129]] {
            assert!(!is_request_id(id), "{id:?}");
        }
    }

    #[test]
    fn fields_are_lines() {
        let mut parts = parts(Version::HTTP_11, "/", &["a"]);
        for (name, value) in [("x-a", &b"1"[..]), ("x-b", b""), ("x-a", b"\xe9\x85: \t,")] {
            parts.headers.append(name, http::HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(headers(&parts.headers), "X-A: 1\nX-A: é\u{85}: \t,\nX-B: \n");
        http::HeaderValue::from_bytes(b"a\nb").unwrap_err();
    }

    #[test]
    fn names_are_canonical_and_values_are_text() {
        assert_eq!(canonical("x-request-id"), "X-Request-Id");
        assert_eq!(text("é".as_bytes()), "é");
        assert_eq!(text(b"\xe9"), "é");
    }
}
