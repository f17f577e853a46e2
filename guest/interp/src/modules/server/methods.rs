//! The methods of a server, each fallible one with its `try_` twin.

use starlark::environment::{MethodsBuilder, MethodsStatic};
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::Value;

use super::{TYPE, add_route, port as port_of, refuse_running, setup, shutdown as shutdown_server, start, wait};
use crate::args::Args;
use crate::modules::{middleware, options};
use crate::result::attempt;

/// Built once, shared by servers before and after freezing.
pub(super) static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);

#[starlark_module]
fn methods(builder: &mut MethodsBuilder) {
    /// Registers a handler, a function of the request, for a pattern `[METHOD ][HOST]/path` with `{name}`, `{rest...}`
    /// and `{$}`.
    ///
    /// `handle(pattern: str, handler) -> None`
    ///
    /// Errors: a malformed pattern, one that conflicts with an earlier one, a handler that does not take one argument,
    /// a server that runs.
    fn handle<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call_handle("handle", this, args, eval)
    }

    /// Like `handle`, as a `Result`.
    fn try_handle<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(call_handle("try_handle", this, args, eval), eval.heap())
    }

    /// Registers middleware: `fn(next)`, called once and returning a handler, or `fn(req, next)`, called for each
    /// request.
    ///
    /// `use(middleware) -> None`
    ///
    /// The first registered is outermost. Errors: what can take neither one nor two arguments, a server that runs.
    fn r#use<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        call_use("use", this, args, eval)
    }

    /// Like `use`, as a `Result`.
    fn try_use<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(call_use("try_use", this, args, eval), eval.heap())
    }

    /// Starts serving and returns. Requests are answered by forks of what the script has set up until here.
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
    ) -> starlark::Result<Value<'v>> {
        call_start("start", this, args, eval)
    }

    /// Like `start`, as a `Result`.
    fn try_start<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(call_start("try_start", this, args, eval), eval.heap())
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
    ) -> starlark::Result<Value<'v>> {
        call_serve("serve", this, args, eval)
    }

    /// Like `serve`, as a `Result`.
    fn try_serve<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(call_serve("try_serve", this, args, eval), eval.heap())
    }

    /// Stops accepting, and returns when requests in flight are done.
    fn shutdown<'v>(this: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        shutdown_server(this, eval)
    }

    /// Like `shutdown`, as a `Result`.
    fn try_shutdown<'v>(this: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(shutdown_server(this, eval), eval.heap())
    }

    /// The port the server is bound to. Errors: a server that was not started.
    fn port<'v>(this: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        port_of(this, eval)
    }

    /// Like `port`, as a `Result`.
    fn try_port<'v>(this: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(port_of(this, eval), eval.heap())
    }
}

fn call_handle<'v>(
    function: &'static str,
    this: Value<'v>,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let server = setup(function, this)?;
    let mut args = Args::new(function, args, eval.heap())?;
    let pattern = args.required("pattern")?;
    let handler = args.required("handler")?;
    args.finish("pattern, handler")?;
    add_route(function, server, pattern, handler, eval)?;
    Ok(Value::new_none())
}

fn call_use<'v>(
    function: &'static str,
    this: Value<'v>,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let server = setup(function, this)?;
    let mut args = Args::new(function, args, eval.heap())?;
    let middleware = args.required("middleware")?;
    args.finish("middleware")?;
    refuse_running(server)?;
    middleware::check(function, middleware)?;
    server.middleware.borrow_mut().push(middleware);
    Ok(Value::new_none())
}

fn call_start<'v>(
    function: &'static str,
    this: Value<'v>,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let server = setup(function, this)?;
    let mut args = Args::new(function, args, eval.heap())?;
    let options = options::read(&mut args, &server.options)?;
    start(server, &options, eval)?;
    Ok(Value::new_none())
}

fn call_serve<'v>(
    function: &'static str,
    this: Value<'v>,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    call_start(function, this, args, eval)?;
    wait(setup(function, this)?, eval)?;
    Ok(Value::new_none())
}
