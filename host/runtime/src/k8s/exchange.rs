//! One request and its answer, within bounds.

use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use kube::client::Body;
use kube::core::Status;
use kube::{Client, Error};
use starcell_budget::BufferError;

use super::words;
use crate::holding::{Holding, NO_MEMORY, PATIENCE};

/// How requests introduce themselves.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("starcell/", env!("CARGO_PKG_VERSION")));

/// A request to a cluster.
#[derive(Clone, Debug)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
}

/// What a cluster said to one.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Something may have been done.
    Failed(String),
    /// The answer was over the limit, and something may have been done.
    TooLarge,
    /// There was no connection, so nothing was asked.
    Unreached(String),
}

impl ApiRequest {
    /// A request for what is at a path.
    pub(crate) fn get(target: String) -> Self {
        Self { method: Method::GET, target, content_type: None, body: Bytes::new() }
    }

    /// A request with a body.
    pub(crate) fn with_body(method: Method, target: String, content_type: &'static str, body: Bytes) -> Self {
        Self { method, target, content_type: Some(content_type), body }
    }

    /// Sends it; `host` is the server where the connection is to an address alone. The memory of the answer stays taken
    /// for as long as `holding` keeps it.
    pub(crate) async fn send(
        &self,
        client: &Client,
        host: Option<&str>,
        (holding, limit): (&Holding, usize),
    ) -> Result<Answer, Fault> {
        let failed = |text: &str| Fault::Failed(text.to_owned());
        let _sent = holding.take(self.body.len()).await.map_err(Fault::Failed)?;
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.parse().map_err(|_| failed("the path cannot be sent"))?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        headers.insert(USER_AGENT, AGENT);
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(host) = host {
            headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| failed("the host cannot be sent"))?);
        }
        let response = client.send(request).await.map_err(|error| fault(&error))?;
        let (head, mut body) = response.into_parts();
        // In one buffer: a piece that is kept would keep the whole buffer that it was read into.
        let mut buffer = holding.buffer(limit);
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| failed("the cluster broke its answer off"))?.into_data() else {
                continue;
            };
            buffer.add(&piece, PATIENCE).await.map_err(|error| match error {
                BufferError::TooLarge => Fault::TooLarge,
                BufferError::NoMemory => failed(NO_MEMORY),
            })?;
        }
        let (bytes, taken) = buffer.into_parts();
        holding.keep(taken);
        Ok(Answer { status: head.status, body: bytes.into() })
    }
}

fn fault(error: &Error) -> Fault {
    let text = words::of(error);
    let unreached = match error {
        Error::Service(error) => {
            error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
        }
        _ => false,
    };
    if unreached { Fault::Unreached(text) } else { Fault::Failed(text) }
}

impl Answer {
    /// The body of a success; otherwise what the cluster says is wrong.
    pub(crate) fn body(self) -> Result<Bytes, String> {
        if self.status.is_success() { Ok(self.body) } else { Err(self.refusal()) }
    }

    /// The body of an answer; none if there is no object of this name.
    pub(crate) fn found(self, name: &str) -> Result<Option<Bytes>, String> {
        match self.status == StatusCode::NOT_FOUND && self.is_about(name) {
            true => Ok(None),
            false => self.body().map(Some),
        }
    }

    /// Returns whether it says that an object of the name is not there, rather than the path to it.
    fn is_about(&self, name: &str) -> bool {
        self.status().is_some_and(|status| status.details.is_some_and(|details| details.name == name))
    }

    fn status(&self) -> Option<Status> {
        serde_json::from_slice(&self.body).ok()
    }

    fn refusal(&self) -> String {
        let code = self.status.as_u16();
        match self.status() {
            Some(status) if !status.message.is_empty() => {
                format!("{code} {}: {}", words::bounded(&status.reason), words::bounded(&status.message))
            }
            _ => format!("{code} {}", self.status.canonical_reason().unwrap_or("without a reason")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status: StatusCode::from_u16(status).unwrap(), body: Bytes::from(body.to_owned()) }
    }

    #[test]
    fn a_refusal_is_told_as_the_cluster_tells_it() {
        let forbidden =
            r#"{"kind":"Status","status":"Failure","message":"pods is forbidden","reason":"Forbidden","code":403}"#;
        assert_eq!(answer(403, forbidden).body().unwrap_err(), "403 Forbidden: pods is forbidden");
        assert_eq!(answer(502, "<html>secret</html>").body().unwrap_err(), "502 Bad Gateway");
        assert_eq!(answer(201, "x").body().unwrap(), "x");
    }

    #[test]
    fn no_object_is_not_no_path() {
        let missing =
            r#"{"kind":"Status","reason":"NotFound","message":"no","details":{"name":"web","kind":"pods"},"code":404}"#;
        assert_eq!(answer(404, missing).found("web").unwrap(), None);
        assert_eq!(answer(404, missing).found("other").unwrap_err(), "404 NotFound: no");
        assert_eq!(answer(404, "404 page not found").found("web").unwrap_err(), "404 Not Found");
        assert_eq!(answer(200, "{}").found("web").unwrap().unwrap(), "{}");
    }
}
