//! One request and its answer, over a connection of its own. Both are bounded, in bytes and in time.
//!
//! A connection is made for each request: a pull has three, once a minute, and one that is kept would have to be judged anew
//! each time.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use starcell_policy::{AddressClass, Scheme, Url};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::dial::RegistryDial;
use crate::error::RegistryError;

/// Bytes of the head of an answer.
const MAX_HEAD: usize = 64 << 10;

/// Bytes of an answer that says no: as many as a message repeats from.
const MAX_REFUSAL: usize = 4 << 10;

/// Characters of it that a message repeats.
const MAX_SHOWN: usize = 200;

/// A request, and what its answer may be.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Bytes of the answer.
    pub(crate) most: usize,
    /// From the connection to the last byte of the answer.
    pub(crate) time: Duration,
    /// The kind of network that its address is in, if it is not public.
    pub(crate) within: Option<AddressClass>,
}

/// An answer with its whole body. That of a refusal is cut.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The address that answered.
    pub(crate) address: IpAddr,
}

impl Reply {
    /// A field that is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What the server says about its refusal, as the end of a sentence.
    pub(crate) fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.trim().chars().take(MAX_SHOWN).collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

/// Sends a request and reads the answer.
pub(crate) async fn exchange(dial: &dyn RegistryDial, asking: Asking) -> Result<Reply, RegistryError> {
    let (place, time) = (asking.url.origin(), asking.time);
    let late = || RegistryError::Away(place, format!("no whole answer within {} s", time.as_secs()));
    timeout(time, within_time(dial, asking)).await.unwrap_or_else(|_elapsed| Err(late()))
}

async fn within_time(dial: &dyn RegistryDial, asking: Asking) -> Result<Reply, RegistryError> {
    let Asking { method, url, headers, body, most, within, .. } = asking;
    let away = |why: String| RegistryError::Away(url.origin(), why);
    let tls = url.scheme() == Scheme::Https;
    let (address, stream) = dial.dial(url.host(), url.port(), tls, within).await.map_err(away)?;
    let connection = http1::Builder::new().max_buf_size(MAX_HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connection.map_err(|error| away(error.to_string()))?;
    let mut connections = JoinSet::new();
    connections.spawn(async move {
        // What goes wrong shows at the request.
        let _ = connection.await;
    });
    // The length of an answer to it is that of what it does not send.
    let has_body = method != Method::HEAD;
    let mut request = Request::builder().method(method).uri(url.request_target());
    if let Some(all) = request.headers_mut() {
        *all = headers;
        all.insert(HOST, host(&url)?);
        all.insert(USER_AGENT, HeaderValue::from_static(concat!("starcell/", env!("CARGO_PKG_VERSION"))));
    }
    let request = request.body(Full::new(body)).map_err(|error| away(error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(|error| away(with_causes(&error)))?;
    let (head, body) = answer.into_parts();
    let body = match head.status.is_success() {
        true if !has_body => Bytes::new(),
        true => whole(body, &head.headers, most).await.map_err(|broken| match broken {
            Broken::Large => RegistryError::Large(url.origin(), most, url.path().to_owned()),
            Broken::Connection(error) => away(format!("the answer was cut short: {}", with_causes(&error))),
        })?,
        false => beginning(body).await,
    };
    Ok(Reply { status: head.status, headers: head.headers, body, address })
}

/// Why a body is not whole.
enum Broken {
    Large,
    Connection(hyper::Error),
}

/// The body, which has no more than so many bytes. A length that is claimed is compared before anything is read.
async fn whole(mut body: Incoming, headers: &HeaderMap, most: usize) -> Result<Bytes, Broken> {
    let claimed = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|claimed| claimed > most as u64) {
        return Err(Broken::Large);
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(Broken::Connection)?.into_data() else { continue };
        if bytes.len() + piece.len() > most {
            return Err(Broken::Large);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

/// The first bytes of a body that is not needed.
async fn beginning(mut body: Incoming) -> Bytes {
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(piece) = frame.into_data() else { continue };
        let room = MAX_REFUSAL.saturating_sub(bytes.len());
        bytes.extend_from_slice(piece.get(..room).unwrap_or(&piece));
        if piece.len() >= room {
            break;
        }
    }
    bytes.into()
}

/// The field that names the server, as it is in the URL.
fn host(url: &Url) -> Result<HeaderValue, RegistryError> {
    let origin = url.origin();
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    authority.parse().map_err(|_| RegistryError::Away(origin.clone(), "its name fits no request".to_owned()))
}

/// An error of hyper and what it comes from.
fn with_causes(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
