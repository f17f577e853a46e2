//! The frozen module and its handlers: what a request runs on.
//!
//! `start()` stores one row per route in the module's extra value, each handler already wrapped in the middleware, and
//! only then asks the host to fork; so a fork taken in the middle of that call holds everything, and freezing reaches it.
//! A request never resumes setup code: it calls a frozen function with a fresh heap that is thrown away after it.

use std::pin::Pin;
use std::task::{Context, Waker};

use starlark::environment::{FrozenModule, Module};
use starlark::eval::Evaluator;
use starlark::values::{FrozenValue, Value};

use crate::error::usage;
use crate::host::{Failure, Host, Miss, Request, Response};
use crate::logging::LogSettings;
use crate::phase::Phase;
use crate::session::{Session, surround};
use crate::{diagnostic, handlers, request, response};

/// A script ready to answer requests: its module, frozen, and the handlers of the server it started.
#[derive(Debug)]
pub struct Serving {
    /// Owns the heap that `routes` points into.
    module: FrozenModule,
    routes: FrozenValue,
    /// How log lines are written, as the setup left it.
    log: LogSettings,
}

impl Serving {
    /// Freezes a module whose script has started a server. From here on its values cannot change.
    ///
    /// # Errors
    ///
    /// The script has not started a server, or a value in the module cannot be frozen.
    pub fn freeze(module: Module<'_>) -> Result<Self, Failure> {
        let failed = |text: String| diagnostic::failure(usage(text), Phase::Setup);
        let module = module.freeze().map_err(|e| failed(format!("cannot freeze the module: {}", e.err_msg)))?;
        let started = module.extra_value().ok_or_else(|| failed("the script has not started a server".to_owned()))?;
        let (routes, log) =
            handlers::unpack(started).ok_or_else(|| failed("the script's routes were not kept".to_owned()))?;
        Ok(Self { module, routes, log })
    }

    /// Answers one request with the handler of a route; routes count from 0 in order of registration.
    ///
    /// # Errors
    ///
    /// The handler raised, the host stopped it, or it returned what is not a response.
    pub fn handle(&self, host: &dyn Host, route: u32, request: Request) -> Result<Response, Failure> {
        Module::with_temp_heap(|module| self.answer(&module, host, route, request))
    }

    /// The same, and whatever the handler made stays where it is: for an instance that is thrown away after one request,
    /// where taking a heap apart value by value is time for nothing.
    ///
    /// # Errors
    ///
    /// As [`handle`](Self::handle).
    pub fn handle_last(&self, host: &dyn Host, route: u32, request: Request) -> Result<Response, Failure> {
        last(|module| self.answer(module, host, route, request))
    }

    /// Answers one request that no route serves with the middleware of the server, around the response of the host.
    ///
    /// # Errors
    ///
    /// As [`handle`](Self::handle), and a server without middleware for such a request.
    pub fn handle_miss(&self, host: &dyn Host, miss: &Miss, request: Request) -> Result<Response, Failure> {
        Module::with_temp_heap(|module| self.answer_miss(&module, host, miss, request))
    }

    /// The same, as [`handle_last`](Self::handle_last) leaves a heap behind.
    ///
    /// # Errors
    ///
    /// As [`handle_miss`](Self::handle_miss).
    pub fn handle_miss_last(&self, host: &dyn Host, miss: &Miss, request: Request) -> Result<Response, Failure> {
        last(|module| self.answer_miss(module, host, miss, request))
    }

    fn answer(&self, module: &Module<'_>, host: &dyn Host, route: u32, request: Request) -> Result<Response, Failure> {
        let session = Session::request(host, &self.module, self.log);
        let row = handlers::route(self.routes.to_value(), route)
            .ok_or_else(|| usage(format!("no route {route}")))
            .map_err(|e| diagnostic::failure(e, Phase::Request))?;
        let returned =
            call(module, &session, row.wrapped, request).map_err(|e| diagnostic::failure(e, Phase::Request))?;
        response::convert(returned).map_err(|wrong| row.failure(&wrong))
    }

    fn answer_miss(
        &self,
        module: &Module<'_>,
        host: &dyn Host,
        miss: &Miss,
        request: Request,
    ) -> Result<Response, Failure> {
        let session = Session::missed(host, &self.module, self.log, miss);
        let failed = |error| diagnostic::failure(error, Phase::Request);
        let chain = handlers::miss(self.routes.to_value(), miss.preflight)
            .ok_or_else(|| failed(usage("the server has no middleware for requests without a route")))?;
        let returned = call(module, &session, chain, request).map_err(failed)?;
        response::convert(returned)
            .map_err(|wrong| failed(usage(format!("the middleware answered a request without a route and {wrong}"))))
    }
}

/// Evaluates something in a module whose heap stays where it is.
fn last(answer: impl FnOnce(&Module<'_>) -> Result<Response, Failure>) -> Result<Response, Failure> {
    let mut answered = None;
    let mut endless = endless(answer, &mut answered);
    let _pending = endless.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    std::mem::forget(endless);
    answered.unwrap_or_else(|| Err(diagnostic::failure(usage("the handler did not run"), Phase::Request)))
}

/// What evaluates in a module whose heap is dropped when it ends. It never does: it is asked once, and forgotten.
///
/// Not inlined: on its way to the heap it is on the stack, twice, and below it there the handler would run. A request
/// touches one page of stack less so.
#[inline(never)]
fn endless<'a>(
    answer: impl FnOnce(&Module<'_>) -> Result<Response, Failure> + 'a,
    answered: &'a mut Option<Result<Response, Failure>>,
) -> Pin<Box<impl Future<Output = ()> + 'a>> {
    Box::pin(Module::with_temp_heap_async(async move |module| {
        *answered = Some(answer(&module));
        std::future::pending::<()>().await;
    }))
}

fn call<'v>(
    module: &Module<'v>,
    session: &Session<'_>,
    handler: Value<'v>,
    request: Request,
) -> starlark::Result<Value<'v>> {
    let mut eval = Evaluator::new(module);
    surround(&mut eval, session)?;
    eval.disable_gc();
    let request = request::allocate(request, module.heap());
    eval.eval_function(handler, &[request], &[])
}
