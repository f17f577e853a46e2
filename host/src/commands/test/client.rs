//! The client of a test: its requests go where those of a socket go, one function call later.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use parking_lot::Mutex;
use starcell_edge::{Asked, Body, Ids, Peer, Responding};
use starcell_http::request::canonical;
use starcell_http::router::Routes;
use starcell_node::routes::add_route;
use starcell_node::{AppTerms, FailureNotes, Handlers, Hosts, Site};
use starcell_runtime::host::BoxFuture;
use starcell_runtime::{
    App, Destination, Failure, Handled, MadeServer, Question, Reply, Request, Response, Routed, ServerOptions, Tool,
};
use starcell_telemetry::TraceContext;
use starcell_text::terminal;
use tokio::task::JoinSet;

use super::stage::Stage;

/// Who asks, as far as a handler can see: the port is nobody's.
const PEER: &str = "127.0.0.1:1";

/// The host of a request that does not say.
const DEFAULT_HOST: &str = "localhost";

/// The client of one test.
pub(super) struct TestClient {
    /// The app as it answers this test: its store and its words are the test's.
    pub(super) app: Option<Arc<App>>,
    pub(super) stage: Arc<Stage>,
    pub(super) terms: Arc<AppTerms>,
    /// Why there is nothing to ask, where there is no app.
    pub(super) missing: String,
}

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient").finish_non_exhaustive()
    }
}

impl Tool for TestClient {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Reply, String>> {
        Box::pin(async move {
            let app = self.app.as_ref().ok_or_else(|| self.missing.clone())?;
            let served = self.stage.served(question.server)?;
            let failures = Arc::new(Failures { stage: Arc::clone(&self.stage), last: Mutex::default() });
            let (serving, notes) = (served.serving.under(app), Arc::clone(&failures));
            let site = Site::new(served.routes, serving, &served.options, &self.terms, Hosts::Any, notes);
            let (parts, body) = request(question)?;
            // A task of its own: the time that the app's fork runs is not the test's.
            let mut task = JoinSet::new();
            task.spawn(async move { answer(site, &Ids::new(), &failures, parts, body).await });
            match task.join_next().await {
                Some(Ok(reply)) => Ok(reply),
                Some(Err(error)) => Err(format!("the request was not answered: {error}")),
                None => Err("the request was not answered".into()),
            }
        })
    }

    fn route(&self, server: MadeServer, question: Question) -> BoxFuture<'_, Result<Routed, String>> {
        Box::pin(async move {
            let options = ServerOptions { max_body_bytes: server.max_body_bytes, ..ServerOptions::default() };
            let failures = Arc::new(Failures { stage: Arc::clone(&self.stage), last: Mutex::default() });
            let (handed, notes) = (Arc::<Mutex<_>>::default(), Arc::clone(&failures));
            let handlers = Handed(Arc::clone(&handed));
            let site = Site::with(routes(&server.patterns)?, handlers, &options, &self.terms, Hosts::Any, notes);
            let (parts, body) = request(question)?;
            let reply = answer(site, &Ids::new(), &failures, parts, body).await;
            let matched = handed.lock().take();
            Ok(match matched {
                Some((route, request)) => Routed::Handler(route, Box::new(request)),
                None => Routed::Reply(reply),
            })
        })
    }
}

/// The handlers of a server that a test made: they hand the request over, for the test to answer it.
#[derive(Debug, Default)]
struct Handed(Arc<Mutex<Option<(u32, Request)>>>);

impl Handlers for Handed {
    async fn answer(
        self: Arc<Self>,
        destination: Destination,
        request: Request,
        _trace: Option<TraceContext>,
    ) -> Handled {
        let result = match destination {
            Destination::Route(route) => {
                *self.0.lock() = Some((route, request));
                Ok(Response { status: 204, headers: Vec::new(), body: Vec::new() })
            }
            Destination::Miss(_) => Err(Failure::Host("a server of a test has no middleware for misses".into())),
        };
        Handled { result, cpu: Duration::ZERO, fork: None }
    }

    fn bytes(&self) -> u64 {
        0
    }
}

/// The routes of a server that a test made.
fn routes(patterns: &[String]) -> Result<Arc<Routes>, String> {
    let mut servers = vec![Arc::new(Routes::new())];
    for pattern in patterns {
        add_route(&mut servers, 0, pattern, |routes| routes)?;
    }
    servers.pop().ok_or_else(|| "out of memory".to_owned())
}

/// A head as a client would have sent it, and the body.
fn request(question: Question) -> Result<(Parts, Bytes), String> {
    let Question { method, target, headers, body, .. } = question;
    let mut builder = http::Request::builder().method(method.as_str()).uri(&target);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        builder = builder.header(HOST, DEFAULT_HOST);
    }
    for (name, value) in &headers {
        builder = builder.header(name, value);
    }
    let request = builder.body(()).map_err(|error| format!("{method} {target} cannot be sent: {error}"))?;
    Ok((request.into_parts().0, body.into()))
}

async fn answer<H: Handlers>(site: Arc<Site<H>>, ids: &Ids, failures: &Failures, parts: Parts, body: Bytes) -> Reply {
    let peer = Arc::new(Peer::within(PEER.to_owned()));
    let body = Body::whole(body, site.client_limits());
    let answered = match starcell_node::answer(site, Asked { parts, id: ids.next(), peer, prefix: 0, body }) {
        Responding::Now(answered) => answered,
        Responding::Later(answered) => answered.await,
    };
    let (head, body) = answered.into_answer().into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(|(name, value)| (canonical(name.as_str()), text(value))).collect(),
        body: body.to_vec(),
        failure: failures.take(),
    }
}

/// Keeps why a handler failed, for its test.
#[derive(Debug)]
struct Failures {
    stage: Arc<Stage>,
    last: Mutex<Option<String>>,
}

impl Failures {
    fn take(&self) -> Option<String> {
        self.last.lock().take()
    }
}

impl FailureNotes for Failures {
    fn note(&self, parts: &Parts, _id: &str, failure: &Failure) {
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        self.stage.note(&terminal(&format!("{method} {path} failed: {}\n", failure.report())));
        *self.last.lock() = Some(message(failure));
    }
}

/// The error alone.
fn message(failure: &Failure) -> String {
    match failure {
        Failure::Script(failure) => failure.message.clone(),
        other => other.to_string(),
    }
}
