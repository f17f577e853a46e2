//! URLs of outgoing requests: scheme, host, port and path in one spelling, query kept aside.
//!
//! The URL is parsed once; the rule and the connection both use the parts. Escapes that hide a
//! slash, a backslash or a NUL are refused, dot segments (encoded ones too) are resolved before
//! matching, and the path a rule sees is fully decoded. User names and passwords in a URL are
//! refused, and the query, which often holds keys, is in no message: [`Url`] prints without it.

use std::fmt;

use thiserror::Error;

use crate::host::{Host, HostError, port_number, split_port};

const MAX_URL: usize = 8192;

/// The scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// Its name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port when the URL names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    pub(crate) fn strip(text: &str) -> Option<(Self, &str)> {
        let (name, rest) = text.split_once("://")?;
        let known = [Self::Http, Self::Https];
        known.into_iter().find(|s| s.as_str().eq_ignore_ascii_case(name)).map(|s| (s, rest))
    }
}

/// The URL of a request, canonical and without credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: Scheme,
    host: Host,
    port: u16,
    path: String,
    segments: Vec<String>,
    query: Option<String>,
}

/// The reason why a text is not a URL that can be judged. The text itself is in no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// A percent sign without two hex digits, or a refused character behind one.
    #[error("the URL holds a bad or refused percent-encoding")]
    BadEscape,
    /// The host is missing or malformed.
    #[error("bad URL host: {0}")]
    BadHost(HostError),
    /// The port is not a number from 1 to 65535.
    #[error("the URL's port is not a number from 1 to 65535")]
    BadPort,
    /// A backslash, a space or a control character.
    #[error("the URL holds a backslash, a space or a control character")]
    Character,
    /// A user name or password before the host.
    #[error("the URL holds credentials; send them in a header")]
    Credentials,
    /// Neither http nor https.
    #[error("the URL does not start with http:// or https://")]
    Scheme,
    /// Longer than 8192 bytes.
    #[error("the URL is too long")]
    TooLong,
}

impl Url {
    /// Reads an absolute http or https URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > MAX_URL {
            return Err(UrlError::TooLong);
        }
        if text.chars().any(|c| c == '\\' || c == ' ' || c.is_control()) {
            return Err(UrlError::Character);
        }
        let (scheme, rest) = Scheme::strip(text).ok_or(UrlError::Scheme)?;
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(r, q)| (r, Some(q)));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = split_port(authority).map_err(|_| UrlError::BadHost(HostError::BadAddress))?;
        // Only brackets may hold an IPv6 address here: without them its last group reads as a port.
        if host.contains(':') != authority.starts_with('[') {
            return Err(UrlError::BadHost(HostError::BadAddress));
        }
        let port = match port {
            None | Some((_, "")) => scheme.default_port(),
            Some((_, digits)) => port_number(digits).filter(|p| *p > 0).ok_or(UrlError::BadPort)?,
        };
        let path = without_dots(&escaped(path)?);
        Ok(Self {
            scheme,
            host: Host::parse(host).map_err(UrlError::BadHost)?,
            port,
            segments: decoded(&path),
            path,
            query: query.map(escaped_query),
        })
    }

    /// Its scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host: a name to resolve, or an address.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port, the scheme's own when it names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its path, at least `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Path and query as the request line sends them. The query may hold secrets.
    pub fn request_target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Scheme, host and port, the port only when it is not the scheme's own.
    pub fn origin(&self) -> String {
        let Self { scheme, host, port, .. } = self;
        if *port == scheme.default_port() {
            format!("{}://{host}", scheme.as_str())
        } else {
            format!("{}://{host}:{port}", scheme.as_str())
        }
    }

    /// The decoded, non-empty segments of its path, which a rule compares.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.segments.iter().map(String::as_str)
    }
}

/// Origin and path, never the query.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

/// Writes the text of `Display`, so that no log line shows the query.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// The path with one spelling for every escape: unreserved characters plain, the rest upper case.
pub(crate) fn escaped(path: &str) -> Result<String, UrlError> {
    let mut out = String::from(if path.starts_with('/') { "" } else { "/" });
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || (bytes.next()? as char).to_digit(16);
            let (high, low) = digit().zip(digit()).ok_or(UrlError::BadEscape)?;
            match (high * 16 + low) as u8 {
                0..0x20 | 0x7f | b'/' | b'\\' => return Err(UrlError::BadEscape),
                c if is_unreserved(c) => out.push(char::from(c)),
                c => out.push_str(&format!("%{c:02X}")),
            }
        } else if is_unreserved(byte) || b"/!$&'()*+,;=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(out)
}

fn escaped_query(query: &str) -> String {
    let plain = |b: u8| b.is_ascii_graphic() && !b"\"<>`{|}^".contains(&b);
    query.bytes().fold(String::new(), |mut out, b| {
        if plain(b) {
            out.push(char::from(b))
        } else {
            out.push_str(&format!("%{b:02X}"))
        }
        out
    })
}

pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Resolves `.` and `..`; what climbs above the root stays at the root.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut open = false;
    for segment in path.split('/').skip(1) {
        open = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    if open {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

/// The segments a rule compares: decoded, empty ones left out.
fn decoded(path: &str) -> Vec<String> {
    path.split('/').filter(|s| !s.is_empty()).map(decoded_segment).collect()
}

pub(crate) fn decoded_segment(segment: &str) -> String {
    let mut out = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escape = match (first, tail) {
            (b'%', [high, low, ..]) => (*high as char).to_digit(16).zip((*low as char).to_digit(16)),
            _ => None,
        };
        match escape {
            Some((high, low)) => {
                out.push((high * 16 + low) as u8);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn every_spelling_becomes_one() {
        for text in [
            "http://h.example/a/b",
            "HTTP://H.Example:80/a/b",
            "http://h.example./a/./b",
            "http://h.example/x/../a/b",
            "http://h.example/x/%2e%2E/%61/b",
            "http://h.example:/a/b#fragment",
            "http://h.example/../a/b?q",
        ] {
            assert_eq!(url(text).to_string(), "http://h.example/a/b", "{text}");
        }
        assert_eq!(url("https://h").to_string(), "https://h/");
        assert_eq!(url("https://h?a=b c".replace(' ', "+").as_str()).request_target(), "/?a=b+c");
        assert_eq!(url("http://h/é").path(), "/%C3%A9");
        assert_eq!(url("http://h/a/..").path(), "/");
        assert_eq!(url("http://h/a/b/.").path(), "/a/b/");
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        for (text, error) in [
            ("ftp://h/", UrlError::Scheme),
            ("//h/", UrlError::Scheme),
            ("http:/h/", UrlError::Scheme),
            ("http://u:p@h/", UrlError::Credentials),
            ("http://h@10.0.0.1/", UrlError::Credentials),
            ("http:///a", UrlError::BadHost(HostError::Empty)),
            ("http://::1/", UrlError::BadHost(HostError::BadAddress)),
            ("http://[127.0.0.1]/", UrlError::BadHost(HostError::BadAddress)),
            ("http://[::1]x/", UrlError::BadHost(HostError::BadAddress)),
            ("http://h:0/", UrlError::BadPort),
            ("http://h:65536/", UrlError::BadPort),
            ("http://h:+80/", UrlError::BadPort),
            ("http://h/a b", UrlError::Character),
            ("http://h/a\r\nX: y", UrlError::Character),
            ("http://h\\@evil/", UrlError::Character),
            ("http://h/%2f", UrlError::BadEscape),
            ("http://h/%5C", UrlError::BadEscape),
            ("http://h/%00", UrlError::BadEscape),
            ("http://h/%0d%0a", UrlError::BadEscape),
            ("http://h/%+1", UrlError::BadEscape),
            ("http://h/%2", UrlError::BadEscape),
        ] {
            assert_eq!(Url::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_query_is_sent_and_never_shown() {
        let url = url("https://h/a?token=secret");
        assert_eq!(url.request_target(), "/a?token=secret");
        assert!(!format!("{url} {url:?}").contains("secret"));
    }
}
