//! What a server is made of during setup, and its life: routes and middleware are collected, then it starts, once.

use std::cell::{Cell, RefCell};

use starlark::eval::Evaluator;
use starlark::values::{Trace, Value};

use crate::args::describe;
use crate::callable::{self, is_callable, takes_one};
use crate::error::{from_host, usage};
use crate::handlers::{self, At, Row};
use crate::host::{MadeServer, Misses, Position, ServerOptions};
use crate::modules::middleware;
use crate::phase::Phase;
use crate::session::{Session, position};

use super::made::{self, Made};

/// A server during setup.
#[derive(Debug, Trace)]
pub(super) struct Wiring<'v> {
    pub(super) number: u32,
    #[trace(static)]
    pub(super) options: ServerOptions,
    routes: RefCell<Vec<Route<'v>>>,
    middleware: RefCell<Vec<Use<'v>>>,
    #[trace(static)]
    running: Cell<bool>,
    /// What a test has in place of a socket, while the server runs.
    made: RefCell<Option<Made<'v>>>,
    /// The port that a test was told.
    #[trace(static)]
    told: Cell<Option<u16>>,
}

/// One call of `handle`.
#[derive(Clone, Debug, Trace)]
struct Route<'v> {
    pattern: Value<'v>,
    handler: Value<'v>,
    #[trace(static)]
    at: Position,
}

/// One call of `use`.
#[derive(Clone, Copy, Debug, Trace)]
struct Use<'v> {
    middleware: Value<'v>,
    /// Whether it runs for requests without a route too.
    all: bool,
}

impl<'v> Wiring<'v> {
    /// A server with neither routes nor middleware.
    pub(super) fn new(number: u32, options: ServerOptions) -> Self {
        Self {
            number,
            options,
            routes: RefCell::default(),
            middleware: RefCell::default(),
            running: Cell::new(false),
            made: RefCell::default(),
            told: Cell::default(),
        }
    }

    /// Registers one route with the host, which knows what patterns mean and which of them conflict.
    pub(super) fn add_route(
        &self,
        pattern: Value<'v>,
        handler: Value<'v>,
        eval: &Evaluator<'v, '_, '_>,
    ) -> starlark::Result<()> {
        self.refuse_running("handlers")?;
        let Some(text) = pattern.unpack_str() else {
            let pattern = describe(pattern);
            return Err(usage(format!("pattern must be a str such as \"GET /users/{{id}}\", got {pattern}")));
        };
        check_handler(handler)?;
        let session = Session::of(eval)?;
        if session.phase == Phase::Test {
            made::check(self.patterns(Some(text)), eval)?;
            self.routes.borrow_mut().push(Route { pattern, handler, at: position(eval) });
            return Ok(());
        }
        let number = session.host.add_route(self.number, text).map_err(usage)?;
        let mut routes = self.routes.borrow_mut();
        // A request names its route by the host's number, and the handler is found in this order.
        if usize::try_from(number) != Ok(routes.len()) {
            return Err(usage(format!("the host numbered route {} as {number}", routes.len())));
        }
        routes.push(Route { pattern, handler, at: position(eval) });
        Ok(())
    }

    /// Registers middleware, which wraps the handlers when the server starts.
    /// With `all` it wraps the host's own answers to requests without a route, too.
    pub(super) fn add_middleware(&self, middleware: Value<'v>, all: bool) -> starlark::Result<()> {
        self.refuse_running("middleware")?;
        middleware::check(middleware)?;
        self.middleware.borrow_mut().push(Use { middleware, all });
        Ok(())
    }

    /// Builds the handlers, stores them where a fork finds them, and only then asks the host to start.
    pub(super) fn start(&self, options: &ServerOptions, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<()> {
        if Session::of(eval)?.is_loading() {
            return Err(usage("only the script that was started can serve, not a file that it loads"));
        }
        if self.running.get() {
            return Err(usage("server already running, call shutdown() first"));
        }
        let routes = self.routes.borrow().clone();
        let uses = self.middleware.borrow().clone();
        if routes.is_empty() {
            return Err(usage("no handlers registered, call handle() first"));
        }
        let layers: Vec<Value<'v>> = uses.iter().map(|used| used.middleware).collect();
        let mut rows = Vec::with_capacity(routes.len());
        for route in routes {
            rows.push(Row {
                wrapped: middleware::wrap(route.handler, &layers, eval)?,
                handler: route.handler,
                pattern: route.pattern,
                at: At::new(&route.at, eval.heap()),
            });
        }
        let for_all: Vec<Value<'v>> = uses.iter().filter(|used| used.all).map(|used| used.middleware).collect();
        let misses = match (layers.is_empty(), for_all.is_empty()) {
            (true, _) => Misses::None,
            (false, true) => Misses::Preflights,
            (false, false) => Misses::All,
        };
        let for_all = middleware::wrap_misses(&for_all, eval)?;
        let session = Session::of(eval)?;
        handlers::store(&rows, for_all, session.log.get(), eval.module());
        let options = ServerOptions { misses, ..options.clone() };
        session.host.start(self.number, &options, &position(eval)).map_err(from_host)?;
        self.running.set(true);
        Ok(())
    }

    /// Starts a server of a test, which answers that test alone.
    pub(super) fn start_made(&self, options: &ServerOptions, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<()> {
        if self.running.get() {
            return Err(usage("server already running, call shutdown() first"));
        }
        let routes = self.routes.borrow().clone();
        if routes.is_empty() {
            return Err(usage("no handlers registered, call handle() first"));
        }
        let uses = self.middleware.borrow().clone();
        if uses.iter().any(|used| used.all) {
            let text = "a server that a test makes has no middleware for requests without a route, so use(.., all = True) is \
                        for the script beside the test";
            return Err(usage(text));
        }
        let layers: Vec<Value<'v>> = uses.iter().map(|used| used.middleware).collect();
        let mut handlers = Vec::with_capacity(routes.len());
        for route in routes {
            handlers.push(middleware::wrap(route.handler, &layers, eval)?);
        }
        let server = MadeServer { patterns: self.patterns(None), max_body_bytes: options.max_body_bytes };
        let port = made::port(self.number, options.port);
        *self.made.borrow_mut() = Some(Made { port, server, handlers });
        self.told.set(Some(port));
        self.running.set(true);
        Ok(())
    }

    /// What answers a test while this server runs.
    pub(super) fn made(&self) -> Option<Made<'v>> {
        self.made.borrow().clone()
    }

    /// The port that a test was told when it started this server last.
    pub(super) fn told(&self) -> Option<u16> {
        self.told.get()
    }

    fn patterns(&self, one_more: Option<&str>) -> Vec<String> {
        let routes = self.routes.borrow();
        let patterns = routes.iter().filter_map(|route| route.pattern.unpack_str()).chain(one_more);
        patterns.map(str::to_owned).collect()
    }

    /// Blocks until the server has stopped.
    pub(super) fn wait(&self, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<()> {
        let outcome = Session::of(eval)?.host.wait(self.number);
        self.stopped();
        outcome.map_err(from_host)
    }

    /// It can be set up again.
    pub(super) fn stopped(&self) {
        self.running.set(false);
        *self.made.borrow_mut() = None;
    }

    fn refuse_running(&self, what: &str) -> starlark::Result<()> {
        if self.running.get() {
            return Err(usage(format!("cannot add {what} while the server is running; call shutdown() first")));
        }
        Ok(())
    }
}

fn check_handler(handler: Value<'_>) -> starlark::Result<()> {
    if !is_callable(handler) {
        return Err(usage(format!("handler must be callable, got {}", describe(handler))));
    }
    if !takes_one(handler) {
        return Err(usage(format!(
            "a handler takes one argument, the request; {} does not",
            callable::signature(handler)
        )));
    }
    Ok(())
}
