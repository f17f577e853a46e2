//! The value `http.server()` returns, and the life of a server.
//!
//! During setup it collects routes and middleware. Frozen, it is its number and nothing else: whether it runs, and on
//! which port, is asked of the host, so a handler's copy cannot be out of date.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, a type id")]

mod methods;

use std::cell::{Cell, RefCell};
use std::fmt;

use allocative::Allocative;
use starlark::docs::DocType;
use starlark::environment::Methods;
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::{
    AllocValue, Freeze, FreezeResult, Freezer, Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value,
    ValueLike, starlark_value,
};

use super::middleware;
use crate::args::describe;
use crate::callable::{self, is_callable, takes_one};
use crate::error::{from_host, usage};
use crate::host::{Position, ServerOptions};
use crate::serving::{At, Row};
use crate::session::{Session, position};

const TYPE: &str = "http.server";

/// A server during setup.
#[derive(Debug, Trace, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Server<'v> {
    number: u32,
    #[trace(static)]
    #[allocative(skip)]
    options: ServerOptions,
    #[allocative(skip)]
    routes: RefCell<Vec<Route<'v>>>,
    #[allocative(skip)]
    middleware: RefCell<Vec<Value<'v>>>,
    #[trace(static)]
    #[allocative(skip)]
    running: Cell<bool>,
}

/// One call of `handle`.
#[derive(Clone, Debug, Trace)]
struct Route<'v> {
    pattern: Value<'v>,
    handler: Value<'v>,
    #[trace(static)]
    at: Position,
}

impl Server<'_> {
    pub(super) fn new(number: u32, options: ServerOptions) -> Self {
        Self { number, options, routes: RefCell::default(), middleware: RefCell::default(), running: Cell::new(false) }
    }
}

impl<'v> AllocValue<'v> for Server<'v> {
    fn alloc_value(self, heap: Heap<'v>) -> Value<'v> {
        heap.alloc_complex(self)
    }
}

impl Freeze for Server<'_> {
    type Frozen = FrozenServer;

    fn freeze(self, _freezer: &Freezer<'_>) -> FreezeResult<FrozenServer> {
        Ok(FrozenServer { number: self.number })
    }
}

impl fmt::Display for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} {}>", self.number)
    }
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for Server<'v> {
    fn get_methods() -> Option<&'static Methods> {
        Some(methods::METHODS.methods())
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Server<'static>>()
}

/// A server as a handler sees it.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct FrozenServer {
    number: u32,
}

starlark_simple_value!(FrozenServer);

impl fmt::Display for FrozenServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} {}>", self.number)
    }
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for FrozenServer {
    type Canonical = Server<'v>;

    fn get_methods() -> Option<&'static Methods> {
        Some(methods::METHODS.methods())
    }
}

/// Registers one route with the host, which knows what patterns mean and which of them conflict.
pub(super) fn add_route<'v>(
    function: &str,
    server: &Server<'v>,
    pattern: Value<'v>,
    handler: Value<'v>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<()> {
    refuse_running(server)?;
    let Some(text) = pattern.unpack_str() else {
        return Err(usage(format!(
            "{function}: pattern must be a str such as \"GET /users/{{id}}\", got {}",
            describe(pattern)
        )));
    };
    check_handler(function, handler)?;
    let host = Session::of(eval)?.host;
    let number = host.add_route(server.number, text).map_err(usage)?;
    let mut routes = server.routes.borrow_mut();
    // A request names its route by the host's number, and the handler is found in this order.
    if usize::try_from(number) != Ok(routes.len()) {
        return Err(usage(format!("{function}: the host numbered route {} as {number}", routes.len())));
    }
    routes.push(Route { pattern, handler, at: position(eval) });
    Ok(())
}

fn check_handler(function: &str, handler: Value<'_>) -> starlark::Result<()> {
    if !is_callable(handler) {
        return Err(usage(format!("{function}: handler must be callable, got {}", describe(handler))));
    }
    if !takes_one(handler) {
        return Err(usage(format!(
            "{function}: a handler takes one argument, the request; {} does not",
            callable::signature(handler)
        )));
    }
    Ok(())
}

/// Builds the handlers, stores them where a fork finds them, and only then asks the host to start.
pub(super) fn start<'v>(
    server: &Server<'v>,
    options: &ServerOptions,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<()> {
    if Session::of(eval)?.is_loading() {
        return Err(usage("only the script that was started can serve, not a file that it loads"));
    }
    if server.running.get() {
        return Err(usage("server already running, call shutdown() first"));
    }
    let routes = server.routes.borrow().clone();
    let layers = server.middleware.borrow().clone();
    if routes.is_empty() {
        return Err(usage("no handlers registered, call handle() first"));
    }
    let mut rows = Vec::with_capacity(routes.len());
    for route in routes {
        rows.push(Row {
            wrapped: middleware::wrap(route.handler, &layers, eval)?,
            handler: route.handler,
            pattern: route.pattern,
            at: At::new(&route.at, eval.heap()),
        });
    }
    Row::store(&rows, eval.module());
    let host = Session::of(eval)?.host;
    host.start(server.number, options, &position(eval)).map_err(from_host)?;
    server.running.set(true);
    Ok(())
}

/// Blocks until the server has stopped.
pub(super) fn wait<'v>(server: &Server<'v>, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<()> {
    let outcome = Session::of(eval)?.host.wait(server.number);
    server.running.set(false);
    outcome.map_err(from_host)
}

/// Stops a server, in a handler too.
pub(super) fn shutdown<'v>(this: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    let outcome = Session::of(eval)?.host.shutdown(number(this)?);
    if let Some(server) = this.downcast_ref::<Server<'v>>() {
        server.running.set(false);
    }
    outcome.map_err(from_host)?;
    Ok(Value::new_none())
}

/// The port a server is bound to, in a handler too.
pub(super) fn port<'v>(this: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    match Session::of(eval)?.host.port(number(this)?) {
        Some(port) => Ok(eval.heap().alloc(i32::from(port))),
        None => Err(usage("the server has no port yet, call start() first")),
    }
}

/// The server, if it can still be set up.
pub(super) fn setup<'v>(function: &str, this: Value<'v>) -> starlark::Result<&'v Server<'v>> {
    this.downcast_ref::<Server<'v>>().ok_or_else(|| {
        usage(format!(
            "{function}: a server is set up before it serves, not while handling a request; \
             handlers can call shutdown() and port()"
        ))
    })
}

fn number<'v>(this: Value<'v>) -> starlark::Result<u32> {
    if let Some(server) = this.downcast_ref::<Server<'v>>() {
        return Ok(server.number);
    }
    match FrozenServer::from_value(this) {
        Some(server) => Ok(server.number),
        None => Err(usage(format!("expected a server, got {}", this.get_type()))),
    }
}

fn refuse_running(server: &Server<'_>) -> starlark::Result<()> {
    if server.running.get() {
        return Err(usage("cannot add handlers while the server is running; call shutdown() first"));
    }
    Ok(())
}
