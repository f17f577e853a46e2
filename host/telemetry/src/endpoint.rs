//! Where a collector is: `http://HOST:PORT`, and a path before `/v1/traces` where it has one.

use std::str::FromStr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

/// The port that OTLP has over HTTP.
const PORT: u16 = 4318;

/// Where a collector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorEndpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Without a slash at its end.
    pub(crate) path: String,
}

/// A text that is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no endpoint of a collector: {why}; write it like http://127.0.0.1:4318")]
pub struct EndpointError {
    text: String,
    why: &'static str,
}

impl CollectorEndpoint {
    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for CollectorEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let wrong = |why| EndpointError { text: text.chars().take(200).collect(), why };
        let uri: Uri = text.parse().map_err(|_| wrong("it is no URL"))?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) if *scheme == Scheme::HTTPS => {
                return Err(wrong("it is sent without TLS, to a collector on this machine or in its network"));
            }
            _ => return Err(wrong("it has no scheme")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it holds a user"));
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        let path = uri.path_and_query().map_or("", PathAndQuery::path).trim_end_matches('/').to_owned();
        Ok(Self { host: authority.host().to_owned(), port: authority.port_u16().unwrap_or(PORT), path })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_read() {
        let read = |text: &str| text.parse::<CollectorEndpoint>().unwrap();
        let at = |host: &str, port, path: &str| CollectorEndpoint { host: host.into(), port, path: path.into() };
        assert_eq!(read("http://127.0.0.1:4318"), at("127.0.0.1", 4318, ""));
        assert_eq!(read("http://collector/"), at("collector", 4318, ""));
        assert_eq!(read("http://[::1]:1/otlp/"), at("[::1]", 1, "/otlp"));
        for (text, why) in [
            ("", "no URL"),
            ("127.0.0.1:4318", "no scheme"),
            ("https://collector", "without TLS"),
            ("ftp://collector", "no scheme"),
            ("http://user:secret@collector", "holds a user"),
            ("http://collector?token=secret", "has a query"),
        ] {
            let error = text.parse::<CollectorEndpoint>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
