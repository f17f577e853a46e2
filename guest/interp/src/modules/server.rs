//! The value `http.server()` returns, and the life of a server.
//!
//! During setup it collects routes and middleware. Frozen, it is its number and nothing else: whether it runs, and on
//! which port, is asked of the host, so a handler's copy cannot be out of date.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, a type id")]

mod made;
mod wiring;

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic, Module};
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_simple_value;
use starlark::values::list::{AllocList, ListRef};
use starlark::values::none::NoneType;
use starlark::values::{
    AllocValue, Freeze, FreezeResult, Freezer, Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value,
    ValueLike, starlark_value,
};

use super::options;
use crate::args::Args;
use crate::error::{from_host, usage};
use crate::host::{Incoming, Outgoing, ServerOptions};
use crate::phase::Phase;
use crate::session::Session;
use made::Made;
use wiring::Wiring;

const TYPE: &str = "http.server";

/// Where the servers of a test are kept: a name that no script can spell.
const MADE: &str = "http.made";

/// Built once, shared by servers before and after freezing.
static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);

/// A server during setup.
#[derive(Debug, Trace, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Server<'v>(#[allocative(skip)] Wiring<'v>);

impl<'v> Server<'v> {
    /// A server that is not started.
    pub(super) fn new(number: u32, options: ServerOptions) -> Self {
        Self(Wiring::new(number, options))
    }

    /// Registers the routes, starts, and returns when the server has stopped.
    pub(super) fn serve(
        this: Value<'v>,
        routes: Vec<(Value<'v>, Value<'v>)>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<()> {
        not_in_a_test(eval)?;
        let server = setup(this)?;
        for (pattern, handler) in routes {
            server.add_route(pattern, handler, eval)?;
        }
        server.start(&server.options, eval)?;
        server.wait(eval)
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
        Ok(FrozenServer { number: self.0.number })
    }
}

impl fmt::Display for Server<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} {}>", self.0.number)
    }
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for Server<'v> {
    fn get_methods() -> Option<&'static Methods> {
        Some(METHODS.methods())
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
        Some(METHODS.methods())
    }
}

#[builtins("server")]
fn methods(builder: &mut MethodsBuilder) {
    /// Registers a handler, a function of the request, for a pattern `[METHOD ][HOST]/path` with `{name}`, `{rest...}`
    /// and `{$}`.
    ///
    /// Errors: a malformed pattern, one that conflicts with an earlier one, a handler that does not take one argument,
    /// a server that runs.
    fn handle<'v>(
        this: Value<'v>,
        pattern: Value<'v>,
        handler: Value<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        setup(this)?.add_route(pattern, handler, eval)?;
        Ok(NoneType)
    }

    /// Registers middleware: `fn(next)`, which is called once for each route when the server starts and returns a handler, or
    /// `fn(req, next)`, which is called for each request.
    ///
    /// The first registered is outermost. It runs for the requests of every route, and for an OPTIONS request to a path
    /// that has routes for other methods alone: there `next` returns the response of the host, which is status 405 with
    /// `Allow`, as a dict. With `all = True` it also runs around the other answers of the host: 404, 405 and redirects.
    /// Errors: what can take neither one nor two arguments, a server that runs.
    fn r#use<'v>(
        this: Value<'v>,
        middleware: Value<'v>,
        #[starlark(require = named, default = false)] all: bool,
    ) -> starlark::Result<NoneType> {
        setup(this)?.add_middleware(middleware, all)?;
        Ok(NoneType)
    }

    /// Starts serving and returns. Requests are answered by forks of what the script has set up until here; in a test,
    /// its own requests are answered by the handlers in the test itself, and nothing is bound.
    ///
    /// `start(port: int = None, *, host: str = None, tls_cert: str = None, tls_key: str = None, read_timeout: str =
    /// None, write_timeout: str = None, idle_timeout: str = None, shutdown_timeout: str = None, max_header_bytes: int =
    /// None, max_body_bytes: int = None) -> None`
    ///
    /// Options override those of the server. Errors: no handler, a server that runs, an address that is not granted or
    /// cannot be bound.
    fn start<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        begin(this, args, eval)?;
        Ok(NoneType)
    }

    /// Starts serving and returns when the server has stopped, after requests in flight were answered.
    ///
    /// `serve(port: int = None, *, host: str = None, tls_cert: str = None, tls_key: str = None, read_timeout: str =
    /// None, write_timeout: str = None, idle_timeout: str = None, shutdown_timeout: str = None, max_header_bytes: int =
    /// None, max_body_bytes: int = None) -> None`
    ///
    /// Options and errors are those of `start`.
    fn serve<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        not_in_a_test(eval)?;
        begin(this, args, eval)?;
        setup(this)?.wait(eval)?;
        Ok(NoneType)
    }

    /// Stops accepting, and returns when requests in flight are done.
    fn shutdown<'v>(this: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        let session = Session::of(eval)?;
        let outcome = match session.phase {
            Phase::Test => Ok(()),
            Phase::Setup | Phase::Request => session.host.shutdown(number(this)?),
        };
        if let Some(server) = this.downcast_ref::<Server<'v>>() {
            server.0.stopped();
        }
        outcome.map_err(from_host)?;
        Ok(NoneType)
    }

    /// The port the server is bound to, in a handler too. Errors: a server that was not started.
    fn port<'v>(this: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<u32> {
        let session = Session::of(eval)?;
        let port = match (session.phase, this.downcast_ref::<Server<'v>>()) {
            (Phase::Test, Some(server)) => server.0.told(),
            _ => session.host.port(number(this)?),
        };
        port.map(u32::from).ok_or_else(|| usage("the server has no port yet, call start() first"))
    }
}

/// Starts a server with the options of a call.
fn begin<'v>(this: Value<'v>, args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<()> {
    let server = setup(this)?;
    let mut args = Args::new(args, eval.heap())?;
    let options = options::read(&mut args, &server.options)?;
    if Session::of(eval)?.phase != Phase::Test {
        return server.start(&options, eval);
    }
    let port = made::port(server.number, options.port);
    if running(port, eval.module()).is_some_and(|other| server.made().is_none_or(|own| own.port != other.port)) {
        return Err(usage(format!("another server of this test has port {port}")));
    }
    server.start_made(&options, eval)?;
    let servers = made_servers(eval.module()).into_iter().filter(|other| !other.ptr_eq(this)).chain([this]);
    let servers = eval.heap().alloc(AllocList(servers.collect::<Vec<_>>()));
    eval.module().set(MADE, servers);
    Ok(())
}

/// The response of a server that the running test made, if the request is one to such a server. Redirects are followed
/// as far as they lead to one; behind that, the request is the caller's to send.
pub(super) fn answered<'v>(
    request: &mut Outgoing,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Option<Incoming>> {
    if Session::of(eval)?.phase != Phase::Test {
        return Ok(None);
    }
    loop {
        let Some(local) = made::local(&request.url) else { return Ok(None) };
        let Some(server) = running(local.port, eval.module()) else { return Ok(None) };
        let response = server.answer(request, local, eval)?;
        if !made::follow(request, &response) {
            return Ok(Some(response));
        }
    }
}

/// The server of this test that has a port.
fn running<'v>(port: u16, module: &Module<'v>) -> Option<Made<'v>> {
    let servers = made_servers(module);
    let mut made = servers.iter().filter_map(|server| server.downcast_ref::<Server<'v>>()?.0.made());
    made.find(|made| made.port == port)
}

/// The servers that this test has started so far.
fn made_servers<'v>(module: &Module<'v>) -> Vec<Value<'v>> {
    module.get(MADE).and_then(ListRef::from_value).map(|list| list.content().to_vec()).unwrap_or_default()
}

/// Refuses to wait for a server in a test: nobody would stop it.
fn not_in_a_test(eval: &Evaluator<'_, '_, '_>) -> starlark::Result<()> {
    match Session::of(eval)?.phase {
        Phase::Test => Err(usage("a test starts a server with start(), as nothing would end serve()")),
        Phase::Setup | Phase::Request => Ok(()),
    }
}

/// The server, if it can still be set up.
fn setup<'v>(this: Value<'v>) -> starlark::Result<&'v Wiring<'v>> {
    this.downcast_ref::<Server<'v>>().map(|server| &server.0).ok_or_else(|| {
        usage(
            "a server is set up before it serves, not while handling a request; handlers can call shutdown() and port()",
        )
    })
}

fn number<'v>(this: Value<'v>) -> starlark::Result<u32> {
    if let Some(server) = this.downcast_ref::<Server<'v>>() {
        return Ok(server.0.number);
    }
    match FrozenServer::from_value(this) {
        Some(server) => Ok(server.number),
        None => Err(usage(format!("expected a server, got {}", this.get_type()))),
    }
}
