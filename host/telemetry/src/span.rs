//! What a request did, and each request that it sent to another server.
//!
//! A span is sent when it ends. One that is dropped before that was given up: by its client, or by a limit.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, StatusCode};

use crate::ended::{SpanData, Value};
use crate::ids::{SpanId, TraceId, now};
use crate::parent::TraceParent;
use crate::queue::Telemetry;

/// Characters of a text that a span carries: a path can have thousands.
const MAX_TEXT: usize = 512;

/// The kinds of spans, as OTLP numbers them.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// An app whose requests are traced. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TracedApp {
    telemetry: Telemetry,
    attributes: Arc<[(&'static str, String)]>,
}

/// A request that is being answered.
#[derive(Debug)]
pub struct RequestSpan {
    app: TracedApp,
    own: TraceParent,
    parent: Option<SpanId>,
    began: u64,
    method: String,
    attributes: Vec<(&'static str, Value)>,
    has_ended: bool,
}

/// Where in its trace a request is. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TraceContext {
    telemetry: Telemetry,
    own: TraceParent,
}

/// A request to another server, sent for a request.
#[derive(Debug)]
pub struct CallSpan {
    telemetry: Telemetry,
    own: TraceParent,
    parent: SpanId,
    began: u64,
    method: String,
    attributes: Vec<(&'static str, Value)>,
    has_ended: bool,
}

impl TracedApp {
    /// An app of a tenant, at a revision where it has several.
    #[must_use]
    pub fn new(telemetry: &Telemetry, tenant: Option<&str>, app: &str, revision: Option<u64>) -> Self {
        let tenant = tenant.map(|tenant| ("starcell.tenant", tenant.to_owned()));
        let revision = revision.map(|revision| ("starcell.revision", revision.to_string()));
        let attributes = [("starcell.app", app.to_owned())].into_iter().chain(tenant).chain(revision).collect();
        Self { telemetry: telemetry.clone(), attributes }
    }

    /// A request begins. It goes on with the trace that its client names where the operator trusts that, else it begins
    /// one of its own.
    #[must_use]
    pub fn request(&self, parts: &Parts, id: &str, client: &str) -> RequestSpan {
        let given = if self.telemetry.trusts_clients() { TraceParent::of(&parts.headers) } else { None };
        let trace = given.map_or_else(|| TraceId::of_request(id), |given| given.trace);
        let is_sampled = given.map_or_else(|| trace.is_among(self.telemetry.sample()), |given| given.is_sampled);
        let mut span = RequestSpan {
            app: self.clone(),
            own: TraceParent { trace, span: SpanId::new(), is_sampled },
            parent: given.map(|given| given.span),
            began: now(),
            method: short(parts.method.as_str()).into_owned(),
            attributes: Vec::new(),
            has_ended: false,
        };
        if is_sampled {
            let method = Value::Text(span.method.clone());
            span.attributes.extend([("http.request.method", method), ("url.path", text(parts.uri.path()))]);
            span.attributes.extend([("starcell.request", text(id)), ("client.address", text(client))]);
        }
        span
    }
}

impl RequestSpan {
    /// Where in its trace it is, for the requests that it sends.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        TraceContext { telemetry: self.app.telemetry.clone(), own: self.own }
    }

    /// It was answered: with a status, by a route, in a fork of a kind, with so much CPU time.
    pub fn answered(mut self, status: StatusCode, route: Option<&str>, fork: Option<&str>, cpu: Option<Duration>) {
        if self.own.is_sampled {
            let micros = |cpu: Duration| Value::Number(u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX));
            self.attributes.push(("http.response.status_code", Value::Number(status.as_u16().into())));
            self.attributes.extend(route.map(|route| ("http.route", text(route))));
            self.attributes.extend(fork.map(|fork| ("starcell.fork", text(fork))));
            self.attributes.extend(cpu.map(|cpu| ("starcell.cpu_us", micros(cpu))));
        }
        // A route has its method in it, unless it is for all.
        let name = match route {
            Some(route) if route.starts_with('/') => format!("{} {}", self.method, short(route)),
            Some(route) => short(route).into_owned(),
            None => self.method.clone(),
        };
        self.end(name, status.is_server_error());
    }

    fn end(&mut self, name: String, is_error: bool) {
        if std::mem::replace(&mut self.has_ended, true) || !self.own.is_sampled {
            return;
        }
        self.app.telemetry.span(SpanData {
            own: self.own,
            parent: self.parent,
            kind: SERVER,
            name,
            began: self.began,
            ended: now(),
            attributes: std::mem::take(&mut self.attributes),
            common: Some(Arc::clone(&self.app.attributes)),
            is_error,
        });
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        self.attributes.push(("error.type", text("given up")));
        self.end(self.method.clone(), true);
    }
}

impl TraceContext {
    /// A request to another server begins.
    #[must_use]
    pub fn call(&self, method: &str, host: &str, port: u16, path: &str) -> CallSpan {
        let mut attributes = Vec::new();
        if self.own.is_sampled {
            attributes.extend([("http.request.method", text(method)), ("server.address", text(host))]);
            attributes.extend([("server.port", Value::Number(port.into())), ("url.path", text(path))]);
        }
        CallSpan {
            telemetry: self.telemetry.clone(),
            own: TraceParent { span: SpanId::new(), ..self.own },
            parent: self.own.span,
            began: now(),
            method: short(method).into_owned(),
            attributes,
            has_ended: false,
        }
    }
}

impl CallSpan {
    /// The value of `traceparent` for the other server.
    #[must_use]
    pub fn value(&self) -> Option<HeaderValue> {
        self.own.value()
    }

    /// The other server has answered with a status.
    pub fn answered(mut self, status: StatusCode) {
        self.attributes.push(("http.response.status_code", Value::Number(status.as_u16().into())));
        self.end(status.is_client_error() || status.is_server_error());
    }

    /// There was no answer, for a reason in a word or two.
    pub fn failed(mut self, why: &str) {
        self.attributes.push(("error.type", text(why)));
        self.end(true);
    }

    fn end(&mut self, is_error: bool) {
        if std::mem::replace(&mut self.has_ended, true) || !self.own.is_sampled {
            return;
        }
        self.telemetry.span(SpanData {
            own: self.own,
            parent: Some(self.parent),
            kind: CLIENT,
            name: self.method.clone(),
            began: self.began,
            ended: now(),
            attributes: std::mem::take(&mut self.attributes),
            common: None,
            is_error,
        });
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.attributes.push(("error.type", text("given up")));
        self.end(true);
    }
}

fn text(text: &str) -> Value {
    Value::Text(short(text).into_owned())
}

/// The start of a text that a client or a script chose.
fn short(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}
