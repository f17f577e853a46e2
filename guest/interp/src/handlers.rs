//! The handlers of a server, as `start()` stores them in the extra value of the module and a request finds them.
//!
//! Freezing the module reaches that value, so whatever hangs in it is built once, during setup, and shared by all
//! requests.

use starlark::environment::Module;
use starlark::values::list::{AllocList, ListRef};
use starlark::values::tuple::{AllocTuple, TupleRef};
use starlark::values::{FrozenValue, Heap, Value};

use crate::callable;
use crate::host::{Failure, FailureKind, Position};
use crate::logging::LogSettings;

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
    fn pack(&self, heap: Heap<'v>) -> Value<'v> {
        heap.alloc(AllocTuple([self.wrapped, self.handler, self.pattern, self.at.file, self.at.line, self.at.column]))
    }

    fn unpack(row: Value<'v>) -> Option<Self> {
        let [wrapped, handler, pattern, file, line, column] = *TupleRef::from_value(row)?.content() else {
            return None;
        };
        Some(Row { wrapped, handler, pattern, at: At { file, line, column } })
    }

    /// The failure for a handler that returned what is not a response.
    pub(crate) fn failure(&self, wrong: &str) -> Failure {
        let message = format!("handler {} of {}: {wrong}", callable::name(self.handler), self.pattern.to_repr());
        let at = self.at.position();
        let Position { file, line, column } = &at;
        Failure {
            kind: FailureKind::Script,
            report: format!("error: {message}\n  registered at {file}:{line}:{column}"),
            message,
            hint: None,
            at,
        }
    }
}

/// Stores the rows, the chain of middleware for all requests, and how the log is written by now, where freezing will find
/// them.
pub(crate) fn store<'v>(rows: &[Row<'v>], for_all: Option<Value<'v>>, log: LogSettings, module: &Module<'v>) {
    let heap = module.heap();
    let rows = heap.alloc(AllocList(rows.iter().map(|row| row.pack(heap))));
    let routes = heap.alloc(AllocTuple([rows, for_all.unwrap_or_default()]));
    let [level, format, output] = log.names().map(|name| heap.alloc(name));
    module.set_extra_value(heap.alloc(AllocTuple([routes, level, format, output])));
}

/// The routes and the settings of the log, as [`store`] packed them.
pub(crate) fn unpack(started: FrozenValue) -> Option<(FrozenValue, LogSettings)> {
    let [routes, level, format, output] = TupleRef::from_value(started.to_value())?.content() else { return None };
    let names = [level.unpack_str()?, format.unpack_str()?, output.unpack_str()?];
    Some((routes.unpack_frozen()?, LogSettings::of_names(names)?))
}

/// The row of a route.
pub(crate) fn route(stored: Value<'_>, route: u32) -> Option<Row<'_>> {
    let [rows, _] = *TupleRef::from_value(stored)?.content() else { return None };
    Row::unpack(*ListRef::from_value(rows)?.content().get(usize::try_from(route).ok()?)?)
}

/// The chain for a request without a route: for a preflight all middleware, which any route's chain has, else the
/// middleware for all requests.
pub(crate) fn miss(stored: Value<'_>, preflight: bool) -> Option<Value<'_>> {
    if preflight {
        return route(stored, 0).map(|row| row.wrapped);
    }
    let [_, for_all] = *TupleRef::from_value(stored)?.content() else { return None };
    Some(for_all).filter(|chain| !chain.is_none())
}
