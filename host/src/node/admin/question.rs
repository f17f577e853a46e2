//! What a request says beside its path: the values of its query, and its body.
//!
//! A key that the operation does not take is an error: a misspelt one that is passed over would be answered as if it had
//! not been there.

use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::api::paths::ApiPath;
use crate::node::orders::Refused;

/// Bytes of a body, and of one that has the files of an app: their 4 MiB, and what JSON adds to them.
pub(crate) const MAX_BODY: usize = 64 << 10;
pub(super) const MAX_FILES_BODY: usize = 6 << 20;

/// Time for a body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// How many lines or records are answered when the query does not say, and at most.
const TAIL: usize = 100;
const MAX_TAIL: usize = 1000;

/// The values of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// How many lines or records.
    pub(super) tail: usize,
    /// Whether the answer goes on.
    pub(super) follow: bool,
}

impl Question {
    /// Reads a query of an operation.
    pub(super) fn read(query: Option<&str>, entry: &ApiPath) -> Result<Self, Refused> {
        let bad = |message: String| Refused::new(StatusCode::BAD_REQUEST, "bad_query", message);
        let mut found = Self { tail: TAIL, follow: false };
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !entry.query.iter().any(|(name, ..)| *name == key) {
                let known: Vec<&str> = entry.query.iter().map(|(name, ..)| *name).collect();
                let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                let key: String = key.chars().take(64).collect();
                return Err(bad(format!("this path takes no {key:?} in its query; it takes {known}")));
            }
            match key {
                "tail" => {
                    let number = value.parse().ok().filter(|number| *number <= MAX_TAIL);
                    found.tail = number.ok_or_else(|| bad(format!("`tail` is a number from 0 to {MAX_TAIL}")))?;
                }
                _ => {
                    let wrong = || bad("`follow` is true or false".to_owned());
                    found.follow = value.parse().map_err(|_| wrong())?;
                }
            }
        }
        Ok(found)
    }
}

/// Reads the body of a request, of so many bytes at most; an empty one is an empty object.
pub(super) async fn body<T: DeserializeOwned>(request: Request<Incoming>, most: usize) -> Result<T, Refused> {
    let bytes = body_bytes(request, most).await?;
    let text: &[u8] = if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text).map_err(|error| bad(format!("the body is not what this path takes: {error}")))
}

/// Reads the bytes of a body, so many at most.
pub(crate) async fn body_bytes(request: Request<Incoming>, most: usize) -> Result<Vec<u8>, Refused> {
    let mut incoming = request.into_body();
    let mut bytes = Vec::new();
    let read = async {
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|_| bad("the body did not arrive whole".to_owned()))?;
            bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            if bytes.len() > most {
                let message = format!("the body of this path has at most {most} bytes");
                return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "large_body", message));
            }
        }
        Ok(())
    };
    timeout(BODY_TIME, read).await.map_err(|_| bad("the body did not arrive in time".to_owned()))??;
    Ok(bytes)
}

fn bad(message: String) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "bad_body", message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;
    use crate::api::paths::{ApiRoute, route};

    #[test]
    fn a_query_is_what_the_operation_takes() {
        let entry = |path: &'static str| {
            let ApiRoute::To(entry, _) = route("GET", path) else { panic!("{path}") };
            entry
        };
        let logs = entry("/v1/apps/a/logs");
        let read = |query| Question::read(query, logs).map_err(|refused| refused.message);
        assert_eq!(read(None).unwrap(), Question { tail: 100, follow: false });
        assert_eq!(read(Some("tail=5&follow=true")).unwrap(), Question { tail: 5, follow: true });
        for (query, told) in [
            ("tail=1001", "from 0 to 1000"),
            ("tail=-1", "from 0 to 1000"),
            ("tail", "from 0 to 1000"),
            ("follow=yes", "true or false"),
            ("fallow=true", "takes no \"fallow\""),
        ] {
            assert!(read(Some(query)).unwrap_err().contains(told), "{query}");
        }
        assert!(
            Question::read(Some("follow=true"), entry("/v1/apps")).unwrap_err().message.contains("it takes nothing")
        );
    }
}
