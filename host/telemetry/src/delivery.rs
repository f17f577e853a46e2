//! One document on its way to the collector, over a connection that is kept.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value as Json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::endpoint::CollectorEndpoint;

/// How long one document may take.
const TIME: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 << 10;

/// Whoever brings documents to a collector.
pub(crate) struct Delivery {
    endpoint: CollectorEndpoint,
    connection: Option<SendRequest<Full<Bytes>>>,
    tasks: JoinSet<()>,
}

/// Why a document did not arrive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// The collector is not there, or asks to be asked again.
    Later(String),
    /// It will not take this document.
    Refused(String),
}

impl Delivery {
    pub(crate) fn new(endpoint: CollectorEndpoint) -> Self {
        Self { endpoint, connection: None, tasks: JoinSet::new() }
    }

    /// Brings a document to a path.
    pub(crate) async fn bring(&mut self, path: &str, document: &Json) -> Result<(), Undelivered> {
        let body = Bytes::from(document.to_string());
        let brought = timeout(TIME, self.post(path, body)).await;
        let status = match brought {
            Ok(Ok(status)) => status,
            Ok(Err(why)) => {
                self.connection = None;
                return Err(Undelivered::Later(why));
            }
            Err(_) => {
                self.connection = None;
                return Err(Undelivered::Later(format!("no answer within {} s", TIME.as_secs())));
            }
        };
        match status {
            status if status.is_success() => Ok(()),
            // Those that the protocol says to try again.
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Undelivered::Later(format!("status {status}"))),
            status => Err(Undelivered::Refused(format!("status {status}"))),
        }
    }

    async fn post(&mut self, path: &str, body: Bytes) -> Result<StatusCode, String> {
        let told = |error: &dyn std::error::Error| error.to_string();
        let mut request = Request::post(format!("{}{path}", self.endpoint.path))
            .header(HOST, self.endpoint.authority())
            .header(USER_AGENT, concat!("starcell/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(body))
            .map_err(|error| told(&error))?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let kept = match self.connection.take() {
            Some(mut kept) => kept.ready().await.is_ok().then_some(kept),
            None => None,
        };
        // One that the collector has closed meanwhile is made anew.
        let mut connection = match kept {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let response = connection.send_request(request).await.map_err(|error| told(&error))?;
        let status = response.status();
        // Read to its end, so that the connection can be used again.
        Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        self.connection = Some(connection);
        Ok(status)
    }

    #[expect(clippy::disallowed_methods, reason = "connects to the collector that the operator names")]
    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, String> {
        let host = self.endpoint.host.trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((host, self.endpoint.port)).await.map_err(|error| error.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(socket)).await.map_err(|error| error.to_string())?;
        while self.tasks.try_join_next().is_some() {}
        // Its error is that of the request which is under way.
        self.tasks.spawn(async move { connection.await.unwrap_or_default() });
        Ok(sender)
    }
}
