//! Requests that a browser makes for a page of somebody else.
//!
//! The decision: an operator uses a program, or a page that the node itself has sent. So the host of a request over an
//! address is one of loopback, by number or as `localhost`, and a request that says which page it comes from (`Origin`,
//! `Sec-Fetch-Site`) comes from the node's own. This is looked at before the token: a browser may have been told one.
//! No answer has a header that opens it to other pages.
//!
//! The attack it answers: a page of a stranger asks a loopback address of whoever looks at it, or gives its own name that
//! address (DNS rebinding), and so acts as an operator or reads what the node answers.

use std::net::{IpAddr, Ipv6Addr};

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{Request, StatusCode};

use crate::node::orders::Refused;

use super::access::Caller;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a request that a page of somebody else makes, or that is for another host.
pub(super) fn check<B>(caller: Caller, request: &Request<B>) -> Result<(), Refused> {
    let headers = request.headers();
    let host = one(headers, &HOST)?;
    if matches!(caller, Caller::Address) {
        let asked = [host, request.uri().authority().map(Authority::as_str)];
        if host.is_none() || !asked.into_iter().flatten().all(is_loopback) {
            return Err(foreign("foreign_host", "the host of a request is 127.0.0.1, [::1] or localhost"));
        }
    }
    let own = host.map(|host| format!("http://{host}"));
    if let Some(origin) = one(headers, &ORIGIN)?
        && own.as_deref() != Some(origin)
    {
        return Err(foreign("foreign_origin", "a page of another origin may not ask this node"));
    }
    match one(headers, &SEC_FETCH_SITE)? {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(foreign("foreign_origin", "a page of another site may not ask this node")),
    }
}

/// The value of a header that is there at most once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    let wrong = || {
        let code = if name == HOST { "foreign_host" } else { "foreign_origin" };
        foreign(code, &format!("the header {name} is there twice, or is no text"))
    };
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| wrong()),
        (Some(_), Some(_)) => Err(wrong()),
    }
}

/// Whether an authority is this machine by its number, or by the one name that no other machine can have.
fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => {
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

fn foreign(code: &'static str, message: &str) -> Refused {
    Refused::new(StatusCode::FORBIDDEN, code, message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn checked(caller: Caller, uri: &str, headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(caller, &request.body(()).unwrap()).map_err(|refused| refused.code)
    }

    #[test]
    fn a_host_is_loopback_and_a_page_is_the_nodes_own() {
        let address = |headers: &[(&str, &str)]| checked(Caller::Address, "/v1/health", headers);
        for host in ["127.0.0.1", "127.0.0.1:9090", "127.8.0.1:1", "localhost", "LOCALHOST:80", "[::1]:9090", "[::1]"] {
            assert_eq!(address(&[("host", host)]), Ok(()), "{host}");
            let origin = format!("http://{host}");
            assert_eq!(address(&[("host", host), ("origin", &origin), ("sec-fetch-site", "same-origin")]), Ok(()));
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.", "a@127.0.0.1", "0.0.0.0", "192.0.2.1", ""]
        {
            assert_eq!(address(&[("host", host)]), Err("foreign_host"), "{host:?}");
        }
        assert_eq!(address(&[]), Err("foreign_host"));
        assert_eq!(address(&[("host", "localhost"), ("host", "localhost")]), Err("foreign_host"));
        let absolute = |uri: &str| checked(Caller::Address, uri, &[("host", "localhost")]);
        assert_eq!(absolute("http://evil.example/v1/health"), Err("foreign_host"));
        assert_eq!(absolute("http://localhost/v1/health"), Ok(()));
        for origin in
            ["null", "http://evil.example", "https://localhost", "http://localhost:81", "http://127.0.0.1", ""]
        {
            assert_eq!(address(&[("host", "localhost"), ("origin", origin)]), Err("foreign_origin"), "{origin}");
        }
        for site in ["cross-site", "same-site", "x"] {
            assert_eq!(address(&[("host", "localhost"), ("sec-fetch-site", site)]), Err("foreign_origin"), "{site}");
        }
        assert_eq!(address(&[("host", "localhost"), ("sec-fetch-site", "none")]), Ok(()));
        let unix = |headers: &[(&str, &str)]| checked(Caller::User(None), "/v1/health", headers);
        assert_eq!(unix(&[]), Ok(()), "nobody reaches a socket by a name");
        assert_eq!(unix(&[("host", "a"), ("origin", "http://evil.example")]), Err("foreign_origin"));
    }
}
