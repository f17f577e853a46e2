//! The frozen module and its handlers: what a request runs on.
//!
//! `start()` stores one row per route in the module's extra value, each handler already wrapped in the middleware, and
//! only then asks the host to fork; so a fork taken in the middle of that call holds everything, and freezing reaches it.
//! A request never resumes setup code: it calls a frozen function with a fresh heap that is thrown away after it.

use std::task::{Context, Waker};

use starlark::environment::{FrozenModule, Module};
use starlark::values::list::{AllocList, ListRef};
use starlark::values::tuple::{AllocTuple, TupleRef};
use starlark::values::{FrozenValue, Heap, Value};

use crate::error::usage;
use crate::host::{Failure, FailureKind, Host, Position, Request, Response};
use crate::phase::Phase;
use crate::session::{Session, evaluator};
use crate::{callable, diagnostic, request, response};

/// A script ready to answer requests: its module, frozen, and the handlers of the server it started.
#[derive(Debug)]
pub struct Serving {
    /// Owns the heap that `routes` points into.
    module: FrozenModule,
    routes: FrozenValue,
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
        let routes = module.extra_value().ok_or_else(|| failed("the script has not started a server".to_owned()))?;
        Ok(Self { module, routes })
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
        let mut answer = None;
        // The heap is dropped when what uses it ends. This never does: it is asked once, and forgotten.
        let endless = Module::with_temp_heap_async(async |module| {
            answer = Some(self.answer(&module, host, route, request));
            std::future::pending::<()>().await;
        });
        let mut endless = Box::pin(endless);
        let _pending = endless.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        std::mem::forget(endless);
        answer.unwrap_or_else(|| Err(diagnostic::failure(usage("the handler did not run"), Phase::Request)))
    }

    fn answer(&self, module: &Module<'_>, host: &dyn Host, route: u32, request: Request) -> Result<Response, Failure> {
        let session = Session::request(host, &self.module);
        let row = Row::find(self.routes.to_value(), route)
            .ok_or_else(|| usage(format!("no route {route}")))
            .map_err(|e| diagnostic::failure(e, Phase::Request))?;
        let returned =
            call(module, &session, row.wrapped, request).map_err(|e| diagnostic::failure(e, Phase::Request))?;
        response::convert(returned).map_err(|wrong| row.failure(&wrong))
    }
}

fn call<'v>(
    module: &Module<'v>,
    session: &Session<'_>,
    handler: Value<'v>,
    request: Request,
) -> starlark::Result<Value<'v>> {
    let mut eval = evaluator(module, session)?;
    eval.disable_gc();
    let request = request::allocate(request, module.heap());
    eval.eval_function(handler, &[request], &[])
}

/// One route as `start()` stores it.
#[derive(Clone, Debug)]
pub(crate) struct Row<'v> {
    /// The handler inside its middleware.
    pub(crate) wrapped: Value<'v>,
    /// The handler as registered, for messages.
    pub(crate) handler: Value<'v>,
    pub(crate) pattern: Value<'v>,
    /// Where it was registered.
    pub(crate) at: At<'v>,
}

/// A place as values: read back only when there is something to report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'v> {
    file: Value<'v>,
    line: Value<'v>,
    column: Value<'v>,
}

impl<'v> At<'v> {
    pub(crate) fn new(at: &Position, heap: Heap<'v>) -> Self {
        Self { file: heap.alloc(at.file.as_str()), line: heap.alloc(at.line), column: heap.alloc(at.column) }
    }

    fn position(self) -> Position {
        let number = |v: Value<'v>| v.unpack_i32().and_then(|n| u32::try_from(n).ok());
        Position {
            file: self.file.unpack_str().unwrap_or_default().to_owned(),
            line: number(self.line).unwrap_or_default(),
            column: number(self.column).unwrap_or_default(),
        }
    }
}

impl<'v> Row<'v> {
    /// Stores the rows where freezing will find them.
    pub(crate) fn store(rows: &[Self], module: &Module<'v>) {
        let heap = module.heap();
        let rows = rows.iter().map(|row| row.pack(heap));
        module.set_extra_value(heap.alloc(AllocList(rows)));
    }

    fn pack(&self, heap: Heap<'v>) -> Value<'v> {
        heap.alloc(AllocTuple([self.wrapped, self.handler, self.pattern, self.at.file, self.at.line, self.at.column]))
    }

    fn find(rows: Value<'v>, route: u32) -> Option<Self> {
        let rows = ListRef::from_value(rows)?.content();
        let row = TupleRef::from_value(*rows.get(usize::try_from(route).ok()?)?)?;
        let [wrapped, handler, pattern, file, line, column] = row.content() else {
            return None;
        };
        Some(Row {
            wrapped: *wrapped,
            handler: *handler,
            pattern: *pattern,
            at: At { file: *file, line: *line, column: *column },
        })
    }

    /// The failure for a handler that returned what is not a response.
    fn failure(&self, wrong: &str) -> Failure {
        let message = format!("handler {} of {}: {wrong}", callable::name(self.handler), self.pattern.to_repr());
        let at = self.at.position();
        let Position { file, line, column } = &at;
        Failure {
            kind: FailureKind::Script,
            report: format!("error: {message}\n  registered at {file}:{line}:{column}"),
            message,
            at,
        }
    }
}
