//! Which header fields of a request a script may set. The host alone sets the fields that frame the message.

use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http_body_util::Full;
use hyper::body::Bytes;
use starcell_policy::{HttpMethod, Scheme, Url};
use starcell_telemetry::parent::TRACEPARENT;

use crate::bindings::starcell::guest::client::{Incoming, Outgoing};
use crate::call_error::{Cause, HostCallError, shown};

/// Fields that say where a message ends or what its connection is for.
const HOSTS_OWN: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Fields that go along when a redirect leads to another origin. Any other may be a secret, under whatever name: it was
/// meant for one server.
const FOR_EVERYBODY: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];

/// Header fields of one request that a script sends, and bytes of their names and values.
const MAX_FIELDS: usize = 1000;
const MAX_FIELD_BYTES: usize = 64 << 10;

/// How requests introduce themselves unless the script does.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("starcell/", env!("CARGO_PKG_VERSION")));

/// A request, checked.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) method: HttpMethod,
    pub(super) url: Url,
    pub(super) body: Bytes,
    headers: HeaderMap,
}

impl Message {
    /// A request with a body, which is no part of `request` any more.
    pub(super) fn new(request: &Outgoing, body: Bytes, limit: usize) -> Result<Self, String> {
        let method =
            HttpMethod::named(&request.method).ok_or_else(|| format!("no method {:?}", shown(&request.method)))?;
        let url = Url::parse(&request.url).map_err(|error| error.to_string())?;
        if body.len() > limit {
            return Err(format!("the body is larger than {} MiB", limit >> 20));
        }
        let bytes = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if request.headers.len() > MAX_FIELDS || bytes > MAX_FIELD_BYTES {
            let limit = format!("at most {MAX_FIELDS} fields and {} KiB can be sent", MAX_FIELD_BYTES >> 10);
            return Err(format!("too many headers, or too long ones: {limit}"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let bad = || format!("the header {:?} holds a character that headers cannot", shown(name));
            let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            if HOSTS_OWN.contains(&known) || known == "keep-alive" || known == "proxy-connection" {
                return Err(format!("the header {name} is the host's to set"));
            }
            headers.append(known, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad())?);
        }
        headers.entry(USER_AGENT).or_insert(AGENT);
        Ok(Self { method, url, body, headers })
    }

    /// The request as it is sent, with its place in a trace unless the script names one.
    pub(super) fn request(&self, trace: Option<HeaderValue>) -> Result<http::Request<Full<Bytes>>, String> {
        let origin = self.url.origin();
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.name().parse().map_err(|_| "no such method".to_owned())?;
        *request.uri_mut() = self.url.request_target().parse().map_err(|_| "the URL cannot be sent".to_owned())?;
        *request.headers_mut() = self.headers.clone();
        let authority = HeaderValue::from_str(authority).map_err(|_| "the host cannot be sent".to_owned())?;
        request.headers_mut().insert(HOST, authority);
        if let Some(trace) = trace {
            request.headers_mut().entry(TRACEPARENT).or_insert(trace);
        }
        Ok(request)
    }

    /// What a redirect asks for instead; `None` when the response is none.
    pub(super) fn redirected(&self, response: &http::Response<Bytes>) -> Result<Option<Self>, String> {
        let keeps_method = match response.status().as_u16() {
            301..=303 => false,
            307 | 308 => true,
            _ => return Ok(None),
        };
        let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
        let location = location.to_str().map_err(|_| "the redirect is not text".to_owned())?;
        let url = Url::parse(&joined(&self.url, location)).map_err(|error| format!("the redirect: {error}"))?;
        if self.url.scheme() == Scheme::Https && url.scheme() == Scheme::Http {
            return Err("the redirect leads from https to http".to_owned());
        }
        let mut next = Self { url, ..self.clone() };
        if !keeps_method && !matches!(self.method, HttpMethod::Get | HttpMethod::Head) {
            next.method = HttpMethod::Get;
            next.body = Bytes::new();
            next.headers.remove(CONTENT_TYPE);
        }
        if next.url.origin() != self.url.origin() {
            let kept =
                FOR_EVERYBODY.iter().flat_map(|name| next.headers.get_all(name).iter().map(move |value| (name, value)));
            next.headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        Ok(Some(next))
    }

    /// An error that names the request without its query.
    pub(super) fn failed(&self, cause: impl Into<Cause>) -> HostCallError {
        let function = format!("http.{}", self.method.name().to_ascii_lowercase());
        HostCallError::about(function, &self.url.to_string(), cause)
    }
}

/// Where a redirect leads, as it was sent.
pub(super) fn location(response: &http::Response<Bytes>) -> String {
    let location = response.headers().get(LOCATION).map(HeaderValue::as_bytes).unwrap_or_default();
    String::from_utf8_lossy(location).into_owned()
}

/// A reference as an absolute URL.
fn joined(base: &Url, reference: &str) -> String {
    let path = base.path();
    if reference.contains("://") {
        reference.to_owned()
    } else if reference.starts_with("//") {
        format!("{}:{reference}", base.scheme().as_str())
    } else if reference.starts_with('/') {
        format!("{}{reference}", base.origin())
    } else if reference.starts_with(['?', '#']) {
        format!("{}{path}{reference}", base.origin())
    } else {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{}{folder}/{reference}", base.origin())
    }
}

/// The response as a script sees it.
pub(super) fn incoming(url: &Url, response: http::Response<Bytes>) -> Incoming {
    let (parts, body) = response.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fields = parts.headers.iter().map(|(name, value)| (canonical(name.as_str()), text(value)));
    Incoming {
        status: parts.status.as_u16(),
        reason: parts.status.canonical_reason().unwrap_or_default().to_owned(),
        url: format!("{}{}", url.origin(), url.request_target()),
        headers: fields.collect(),
        body: body.into(),
    }
}

/// `content-type` as `Content-Type`, which is how a script's own requests have it too.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn references_are_joined() {
        let base = Url::parse("https://h.example:8443/a/b?q=1").unwrap();
        for (reference, joined) in [
            ("http://x.example/", "http://x.example/"),
            ("//x.example/y", "https://x.example/y"),
            ("/c?d", "https://h.example:8443/c"),
            ("c", "https://h.example:8443/a/c"),
            ("../c", "https://h.example:8443/c"),
            ("?z", "https://h.example:8443/a/b"),
        ] {
            assert_eq!(Url::parse(&super::joined(&base, reference)).unwrap().to_string(), joined, "{reference}");
        }
    }

    fn outgoing(headers: &[(&str, &str)]) -> Outgoing {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Outgoing {
            method: "POST".into(),
            url: "http://h.example/".into(),
            headers: headers.collect(),
            body: Vec::new(),
            timeout: None,
            redirects: 5,
        }
    }

    fn message(headers: &[(&str, &str)]) -> Result<Message, String> {
        Message::new(&outgoing(headers), Bytes::from_static(b"x"), 10)
    }

    #[test]
    fn a_head_has_bounds() {
        let send = |count: usize, value: &str| {
            let names: Vec<_> = (0..count).map(|number| format!("x{number}")).collect();
            message(&names.iter().map(|name| (name.as_str(), value)).collect::<Vec<_>>())
        };
        assert!(send(1000, "a").is_ok());
        for (count, value) in [(1001, ""), (25_000, "a"), (66, "a".repeat(1000).as_str())] {
            assert!(send(count, value).unwrap_err().contains("headers"), "{count}");
        }
    }

    #[test]
    fn the_frame_is_not_the_scripts() {
        for (name, value) in [
            ("Host", "evil"),
            ("content-length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("Keep-Alive", "1"),
            ("X", "a\r\nY: b"),
            ("X\n", "a"),
            ("", "a"),
        ] {
            assert!(message(&[(name, value)]).is_err(), "{name}");
        }
        assert!(message(&[("X-A", "1"), ("Cookie", "a=b")]).is_ok());
        assert!(Message::new(&outgoing(&[]), Bytes::from_static(b"x"), 0).is_err());
    }

    #[test]
    fn a_redirect_takes_no_secret_along() {
        let message = message(&[("Authorization", "s"), ("Cookie", "s"), ("X", "1")]).unwrap();
        let answer = |status: u16, location: &str| {
            let mut response = http::Response::new(Bytes::new());
            *response.status_mut() = status.try_into().unwrap();
            response.headers_mut().insert(LOCATION, location.parse().unwrap());
            message.redirected(&response)
        };
        let near = answer(307, "/next").unwrap().unwrap();
        assert!(
            near.headers.contains_key(http::header::COOKIE) && near.method == HttpMethod::Post && !near.body.is_empty()
        );
        let far = answer(302, "http://other.example/").unwrap().unwrap();
        assert!(
            !far.headers.contains_key(http::header::COOKIE) && !far.headers.contains_key(http::header::AUTHORIZATION)
        );
        assert!(!far.headers.contains_key("x") && far.method == HttpMethod::Get && far.body.is_empty());
        assert!(answer(200, "/next").unwrap().is_none());
        assert!(answer(302, "file:///etc/passwd").is_err());
        assert!(answer(302, "http://user:pass@h.example/").is_err());
    }
}
