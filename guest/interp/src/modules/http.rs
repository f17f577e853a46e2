//! `http.server(..)` and `http.serve(..)`. Making a server needs no permission; starting it does.

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::values::Value;
use starlark::values::dict::DictRef;

use super::options;
use super::server::Server;
use crate::args::{Args, describe};
use crate::callable::is_callable;
use crate::error::usage;
use crate::host::ServerOptions;
use crate::phase::Phase;
use crate::session::Session;

#[builtins("http")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A new server, not yet started: an `http.server`. Making one needs no permission, starting it does.
    ///
    /// `http.server(port: int = None, *, host: str = None, tls_cert: str = None, tls_key: str = None, read_timeout: str
    /// = None, write_timeout: str = None, idle_timeout: str = None, shutdown_timeout: str = None, max_header_bytes: int
    /// = None, max_body_bytes: int = None)`
    ///
    /// Times are texts such as `"30s"`; `port` 0 or none lets the system choose; the default `host` is 127.0.0.1.
    /// `tls_cert` and `tls_key` are PEM files, which are read as `fs.read` allows. Errors: unknown and wrongly typed
    /// options, one half of a TLS configuration, and making a server in a handler.
    ///
    /// ```text
    /// >>> http.try_server(prot = 1).error
    /// "http.server: servers are made during setup, not while handling a request"
    /// ```
    fn server<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        make(args, eval)
    }

    /// Makes a server, registers a dict of patterns and handlers (or one handler for everything), serves, and returns
    /// when the server has stopped.
    ///
    /// `http.serve(routes, port: int = None, *, host: str = None, tls_cert: str = None, tls_key: str = None,
    /// read_timeout: str = None, write_timeout: str = None, idle_timeout: str = None, shutdown_timeout: str = None,
    /// max_header_bytes: int = None, max_body_bytes: int = None) -> None`
    ///
    /// The options are those of `http.server`. Errors: as those of `http.server`, `handle` and `serve` together.
    fn serve<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        serve_routes(args, eval)
    }
}

fn make<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    let session = setup_session(eval)?;
    let mut args = Args::new(args, eval.heap())?;
    let options = options::read(&mut args, &ServerOptions::default())?;
    Ok(eval.heap().alloc(Server::new(session.next_server(), options)))
}

fn serve_routes<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    let session = setup_session(eval)?;
    let mut args = Args::new(args, eval.heap())?;
    let routes = args.required("routes")?;
    let options = options::read(&mut args, &ServerOptions::default())?;
    let pairs = self::routes(routes, eval)?;
    let server = eval.heap().alloc(Server::new(session.next_server(), options));
    Server::serve(server, pairs, eval)?;
    Ok(Value::new_none())
}

fn routes<'v>(routes: Value<'v>, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Vec<(Value<'v>, Value<'v>)>> {
    if let Some(dict) = DictRef::from_value(routes) {
        return Ok(dict.iter().collect());
    }
    if is_callable(routes) {
        return Ok(vec![(eval.heap().alloc("/"), routes)]);
    }
    Err(usage(format!("routes must be a dict of patterns and handlers, or one handler, got {}", describe(routes))))
}

/// A fork cannot fork again, so a server made in a handler could never start; saying so at once is kinder.
fn setup_session<'a, 'e>(eval: &Evaluator<'_, 'a, 'e>) -> starlark::Result<&'a Session<'e>> {
    let session = Session::of(eval)?;
    match session.phase {
        Phase::Setup if session.is_test_file() => {
            Err(usage("a test file makes servers inside of its tests; they can ask those of the script beside it, too"))
        }
        Phase::Request => Err(usage("servers are made during setup, not while handling a request")),
        Phase::Setup | Phase::Test => Ok(session),
    }
}
