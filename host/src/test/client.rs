//! The client of a test: its requests go where those of a socket go, one function call later.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use starcell_http::request::{Origin, canonical};
use starcell_http::response::Refusal;
use starcell_runtime::edge::BoxFuture;
use starcell_runtime::{App, Question, Reply, Tool};
use tokio::task::JoinSet;

use super::stage::Stage;
use crate::access::Access;
use crate::exchange::{self, Exchange, exchange};
use crate::ids;
use crate::servers::Operator;
use crate::site::Site;

/// Who asks, as far as a handler can see: the port is nobody's.
const PEER: &str = "127.0.0.1:1";

/// The host of a request that does not say.
const DEFAULT_HOST: &str = "localhost";

/// The client of one test.
pub(super) struct Client {
    /// The app as it answers this test: its store and its words are the test's.
    pub(super) app: Option<Arc<App>>,
    pub(super) stage: Arc<Stage>,
    pub(super) operator: Arc<Operator>,
    /// Why there is nothing to ask, where there is no app.
    pub(super) missing: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Tool for Client {
    fn ask(&self, question: Question) -> BoxFuture<'_, Result<Reply, String>> {
        Box::pin(async move {
            let app = self.app.as_ref().ok_or_else(|| self.missing.clone())?;
            let served = self.stage.served(question.server)?;
            let site = Site::new(served.routes, served.serving.under(app), &served.options, &self.operator);
            let (parts, body) = request(question)?;
            let (operator, stage) = (Arc::clone(&self.operator), Arc::clone(&self.stage));
            // A task of its own: the time that the app's fork runs is not the test's.
            let mut task = JoinSet::new();
            task.spawn(async move { answer(&site, &operator, &stage, &parts, body).await });
            match task.join_next().await {
                Some(Ok(reply)) => Ok(reply),
                Some(Err(error)) => Err(format!("the request was not answered: {error}")),
                None => Err("the request was not answered".into()),
            }
        })
    }
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

async fn answer(site: &Site, operator: &Operator, stage: &Stage, parts: &Parts, body: Bytes) -> Reply {
    let id = operator.ids.next();
    let origin = Origin { remote: PEER.to_owned(), tls: false, id: ids::text(&id).to_owned() };
    let limit = site.limits.body_bytes;
    let body = async move {
        match body.len() > limit {
            true => Err(Refusal::LargeBody(limit)),
            false => Ok(body),
        }
    };
    let mut failed = None;
    let access = &mut Access::default();
    let outcome = match exchange::find(site, operator, parts, access) {
        Ok(target) => exchange(site, operator, parts, target, origin, body, access).await,
        Err(refusal) => Exchange::Refused(refusal),
    };
    let answer = match outcome {
        Exchange::Answered(answer) => answer,
        Exchange::Refused(refusal) => refusal.answer(),
        Exchange::Failed(failure) => {
            let (method, path) = (parts.method.as_str(), parts.uri.path());
            stage.note(&starcell_text::terminal(&format!("{method} {path} failed: {}\n", failure.report())));
            failed = Some(message(&failure));
            exchange::failed(&failure, ids::text(&id), None)
        }
    };
    let mut answer = exchange::fit(answer, parts);
    exchange::name(&mut answer, id);
    let (head, body) = answer.into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers.iter().map(|(name, value)| (canonical(name.as_str()), text(value))).collect(),
        body: body.to_vec(),
        failure: failed,
    }
}

/// The error alone.
fn message(failure: &starcell_runtime::Failure) -> String {
    match failure {
        starcell_runtime::Failure::Script(failure) => failure.message.clone(),
        other => other.to_string(),
    }
}
