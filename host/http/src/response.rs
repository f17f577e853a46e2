//! Every outcome to a response, in one place. A client sees a status and the request id; the cause goes to the log.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::header::{TE, TRAILER, TRANSFER_ENCODING, UPGRADE, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};

/// A response as it is sent.
pub type Answer = Response<Bytes>;

/// Headers that describe the connection, or the message's length: hyper's business, never a script's.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Why a request was not handed to the script, or the script's response not to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No host, more than one, or one that is none.
    BadHost,
    /// A path that no route may see.
    BadPath,
    /// A target longer than so many bytes.
    LongUrl(usize),
    /// More header fields than so many.
    ManyFields(usize),
    /// The body did not arrive whole.
    BadBody,
    /// The body did not arrive in time.
    SlowBody,
    /// The body is larger than the server takes.
    LargeBody(usize),
    /// No route.
    NotFound,
    /// A route, for other methods.
    WrongMethod(String),
    /// The same path, spelled properly.
    Elsewhere(String),
    /// As many requests as the host takes are in flight.
    Busy,
}

impl Refusal {
    /// Whether it is about the message itself: nothing that comes after such a one on its connection is to be trusted.
    #[must_use]
    pub fn is_of_the_message(&self) -> bool {
        match self {
            Self::BadHost | Self::BadPath | Self::LongUrl(_) | Self::ManyFields(_) => true,
            Self::BadBody | Self::SlowBody | Self::LargeBody(_) => true,
            Self::NotFound | Self::WrongMethod(_) | Self::Elsewhere(_) | Self::Busy => false,
        }
    }

    /// The response.
    #[must_use]
    pub fn answer(&self) -> Answer {
        match self {
            Self::BadHost => text(StatusCode::BAD_REQUEST, "400 Bad Request: missing, repeated or illegal Host\n"),
            Self::BadPath => text(StatusCode::BAD_REQUEST, "400 Bad Request: illegal path\n"),
            Self::LongUrl(limit) => {
                text(StatusCode::URI_TOO_LONG, format!("414 URI Too Long: at most {limit} bytes\n"))
            }
            Self::ManyFields(limit) => text(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                format!("431 Request Header Fields Too Large: at most {limit} fields\n"),
            ),
            Self::BadBody => text(StatusCode::BAD_REQUEST, "400 Bad Request: the body is incomplete\n"),
            Self::SlowBody => text(StatusCode::REQUEST_TIMEOUT, "408 Request Timeout\n"),
            Self::LargeBody(limit) => {
                text(StatusCode::PAYLOAD_TOO_LARGE, format!("413 Content Too Large: at most {limit} bytes\n"))
            }
            Self::NotFound => text(StatusCode::NOT_FOUND, "404 page not found\n"),
            Self::WrongMethod(allow) => {
                with(text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n"), ALLOW, allow)
            }
            Self::Elsewhere(location) => with(text(StatusCode::TEMPORARY_REDIRECT, ""), LOCATION, location),
            Self::Busy => with(text(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable\n"), RETRY_AFTER, "1"),
        }
    }
}

/// The response to a request whose handler failed. The detail is for developers; a client of the public gets none.
#[must_use]
pub fn failed(status: StatusCode, id: &str, detail: Option<&str>) -> Answer {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut body = format!("{} {reason}\nrequest id: {id}\n", status.as_str());
    if let Some(detail) = detail {
        body.push('\n');
        body.push_str(detail);
    }
    text(status, body)
}

/// The response of a script, checked once more.
///
/// # Errors
/// What cannot be sent, for the log.
pub fn script(
    status: u16,
    headers: impl IntoIterator<Item = (String, String)>,
    body: impl Into<Bytes>,
) -> Result<Answer, String> {
    let sendable = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
    let status =
        sendable.ok_or_else(|| format!("the handler returned status {status}: only 200 to 999 can be sent"))?;
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    for (name, value) in headers {
        let (name, value) = header(&name, &value)?;
        if !HOP_BY_HOP.contains(&name) {
            answer.headers_mut().append(name, value);
        }
    }
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        answer.headers_mut().remove(CONTENT_TYPE);
    } else {
        *answer.body_mut() = body.into();
    }
    Ok(answer)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parsed = HeaderName::from_bytes(name.as_bytes());
    let name = parsed.map_err(|_| format!("the handler returned a header with the illegal name {name:?}"))?;
    let parsed = HeaderValue::from_bytes(value.as_bytes());
    let value =
        parsed.map_err(|_| format!("the handler returned an illegal value for the header {name}: {value:?}"))?;
    Ok((name, value))
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    // What the router gives is ASCII; a value that is not would be left out rather than sent broken.
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)]) -> Result<Answer, String> {
        script(status, headers.iter().map(|(name, value)| ((*name).into(), (*value).into())), &b"x"[..])
    }

    #[test]
    fn a_script_cannot_speak_for_the_connection() {
        let answer = response(
            200,
            &[("Content-Length", "99"), ("Transfer-Encoding", "chunked"), ("Connection", "close"), ("X-A", "1")],
        )
        .unwrap();
        assert_eq!(answer.headers().len(), 1);
        assert_eq!(answer.headers().get("x-a").unwrap(), "1");
    }

    #[test]
    fn several_cookies_stay_several() {
        let answer = response(200, &[("Set-Cookie", "a=1"), ("set-cookie", "b=2")]).unwrap();
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        assert!(response(101, &[]).unwrap_err().contains("101"));
        assert!(response(99, &[]).unwrap_err().contains("99"));
        assert!(response(200, &[("X-A", "1\r\nX-B: 2")]).unwrap_err().contains("x-a"));
        assert!(response(200, &[("X A", "1")]).unwrap_err().contains("X A"));
    }
}
