//! A server as its clients meet it: routes, what answers them, and what a client may use.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use starcell_edge::{ClientLimits, ClientWishes};
use starcell_http::router::Routes;
use starcell_log::{Field, Logs};
use starcell_runtime::{Destination, Failure, Misses, Request, ServerOptions, Serving};
use starcell_telemetry::TraceContext;

use crate::hosts::Hosts;
use crate::queue::Queue;
use crate::terms::AppTerms;

/// What runs the handlers of a server: forks of a serving image, or what a test has in their place.
pub trait Handlers: fmt::Debug + Send + Sync + 'static {
    /// Answers a request with the handler of a route, or with the middleware around a miss. `trace` is where in its trace the
    /// request is.
    fn answer(
        self: Arc<Self>,
        destination: Destination,
        request: Request,
        trace: Option<TraceContext>,
    ) -> impl Future<Output = starcell_runtime::Handled> + Send + 'static;

    /// Bytes of memory that one request may take before it grows.
    fn bytes(&self) -> u64;
}

impl Handlers for Serving {
    async fn answer(
        self: Arc<Self>,
        destination: Destination,
        request: Request,
        trace: Option<TraceContext>,
    ) -> starcell_runtime::Handled {
        self.respond(destination, request, trace).await
    }

    fn bytes(&self) -> u64 {
        self.fork_bytes()
    }
}

/// A server as its clients meet it.
#[derive(Debug)]
pub struct Site<H = Serving> {
    pub(crate) routes: Arc<Routes>,
    pub(crate) handlers: Arc<H>,
    /// Which requests without a route run through the middleware.
    pub(crate) misses: Misses,
    pub(crate) limits: ClientLimits,
    pub(crate) queue: Queue,
    /// How long a handler may take.
    pub(crate) handler_time: Duration,
    pub(crate) terms: Arc<AppTerms>,
    pub(crate) hosts: Hosts,
    pub(crate) failures: Arc<dyn FailureNotes>,
}

/// Where the failures of handlers are noted.
pub trait FailureNotes: fmt::Debug + Send + Sync + 'static {
    /// Notes why the handler of a request failed. Must not wait: the answer is held back meanwhile.
    fn note(&self, parts: &Parts, id: &str, failure: &Failure);
}

impl FailureNotes for Logs {
    fn note(&self, parts: &Parts, id: &str, failure: &Failure) {
        self.failure(&failure.report(), |line| {
            line.text(Field::REQUEST, id);
            line.text(Field::METHOD, parts.method.as_str());
            line.text(Field::PATH, parts.uri.path());
        });
    }
}

impl Site {
    /// A server that is about to be served. Its handlers have no more time than it has for a response.
    #[must_use]
    pub fn new(
        routes: Arc<Routes>,
        serving: Serving,
        options: &ServerOptions,
        terms: &Arc<AppTerms>,
        hosts: Hosts,
        failures: Arc<dyn FailureNotes>,
    ) -> Arc<Self> {
        Self::with(routes, serving.within(handler_time(options, terms)), options, terms, hosts, failures)
    }
}

/// The time of a handler: no more than its server has for a response.
pub(crate) fn handler_time(options: &ServerOptions, terms: &AppTerms) -> Duration {
    options.write_timeout.map_or(terms.request_time, |time| time.min(terms.request_time))
}

impl<H: Handlers> Site<H> {
    /// A server with these handlers.
    #[must_use]
    pub fn with(
        routes: Arc<Routes>,
        handlers: H,
        options: &ServerOptions,
        terms: &Arc<AppTerms>,
        hosts: Hosts,
        failures: Arc<dyn FailureNotes>,
    ) -> Arc<Self> {
        let wishes = ClientWishes {
            read: options.read_timeout,
            idle: options.idle_timeout,
            send: options.write_timeout,
            header_bytes: options.max_header_bytes,
            body_bytes: options.max_body_bytes,
        };
        Arc::new(Self {
            routes,
            handlers: Arc::new(handlers),
            misses: options.misses,
            limits: ClientLimits::new(&terms.edge.config, &wishes),
            queue: Queue::new(terms.max_requests, terms.max_queue),
            handler_time: handler_time(options, terms),
            terms: Arc::clone(terms),
            hosts,
            failures,
        })
    }

    /// What clients may use.
    #[must_use]
    pub fn client_limits(&self) -> &ClientLimits {
        &self.limits
    }
}
