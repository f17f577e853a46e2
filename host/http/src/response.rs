//! Every outcome to a response, in one place. A client sees a status and the request id; the cause goes to the log.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::header::{TE, TRAILER, TRANSFER_ENCODING, UPGRADE, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Response, StatusCode};

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

/// Header fields of a script's response.
const MAX_FIELDS: usize = 1000;

/// Bytes of their names and values, with the four that separate them from each other.
const MAX_FIELD_BYTES: usize = 64 << 10;

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
    /// A host that the server does not answer for.
    WrongHost,
    /// The same path, spelled properly.
    Elsewhere(String),
    /// As many requests as the host takes are in flight.
    Busy,
    /// There is no memory for the body.
    NoMemory,
    /// No app of the node answers for the path.
    NoApp,
    /// The app that answers for the path does not run.
    Down,
    /// The request has the key of a preview that there is not.
    NoPreview,
    /// The tenant has used up a quota, and may ask again in so many seconds.
    Quota(&'static str, u64),
}

impl Refusal {
    /// Whether it is about the message itself: nothing that comes after such a one on its connection is to be trusted.
    #[must_use]
    pub fn is_of_the_message(&self) -> bool {
        match self {
            Self::BadHost | Self::BadPath | Self::LongUrl(_) | Self::ManyFields(_) => true,
            Self::BadBody | Self::SlowBody | Self::LargeBody(_) | Self::NoMemory => true,
            Self::NotFound | Self::WrongMethod(_) | Self::WrongHost | Self::Elsewhere(_) | Self::Busy => false,
            Self::NoApp | Self::Down | Self::NoPreview | Self::Quota(..) => false,
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
            Self::WrongHost => {
                text(StatusCode::MISDIRECTED_REQUEST, "421 Misdirected Request: not a host of this server\n")
            }
            Self::Elsewhere(location) => with(text(StatusCode::TEMPORARY_REDIRECT, ""), LOCATION, location),
            Self::NoApp => text(StatusCode::NOT_FOUND, "404 Not Found: no app of this node answers for this path\n"),
            Self::Down => {
                let body = "503 Service Unavailable: the app does not run\n";
                with(text(StatusCode::SERVICE_UNAVAILABLE, body), RETRY_AFTER, "10")
            }
            Self::NoPreview => text(StatusCode::FORBIDDEN, "403 Forbidden: no preview of this app has that key\n"),
            Self::Quota(name, seconds) => {
                let body = format!("429 Too Many Requests: the quota `{name}` is used up\n");
                with(text(StatusCode::TOO_MANY_REQUESTS, body), RETRY_AFTER, &seconds.to_string())
            }
            Self::Busy | Self::NoMemory => {
                with(text(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable\n"), RETRY_AFTER, "1")
            }
        }
    }
}

/// An answer as it fits the method of its request: to HEAD without a body.
#[must_use]
pub fn to_method(mut answer: Answer, method: &Method) -> Answer {
    if method == Method::HEAD {
        // Said here, since HTTP/2 would send the body along.
        let length = answer.body().len();
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
        answer.body_mut().clear();
    }
    answer
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
    let answer = text(status, body);
    if status == StatusCode::SERVICE_UNAVAILABLE { with(answer, RETRY_AFTER, "1") } else { answer }
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
    let (mut fields, mut bytes) = (0, 0);
    for (name, value) in headers {
        // Counted before anything is made of them: a header map that is too full would panic.
        (fields, bytes) = (fields + 1, bytes + name.len() + value.len() + 4);
        if fields > MAX_FIELDS || bytes > MAX_FIELD_BYTES {
            let limit = format!("at most {MAX_FIELDS} fields and {} KiB can be sent", MAX_FIELD_BYTES >> 10);
            return Err(format!("the handler returned too many headers, or too long ones: {limit}"));
        }
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
    fn a_head_has_bounds() {
        let fields = |count: usize, value: &str| {
            script(200, (0..count).map(|number| (format!("x{number}"), value.to_owned())), &b""[..])
        };
        assert_eq!(fields(1000, "a").unwrap().headers().len(), 1000);
        assert!(fields(1001, "").unwrap_err().contains("headers"));
        assert!(fields(25_000, "a").unwrap_err().contains("headers"));
        let kib = "a".repeat(1000);
        assert!(fields(64, &kib).is_ok());
        assert!(fields(66, &kib).unwrap_err().contains("64 KiB"));
        let same = script(200, (0..1001).map(|_| ("set-cookie".to_owned(), String::new())), &b""[..]);
        assert!(same.is_err(), "fields of one name count as well");
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
