//! Wrapping handlers in middleware, when a server starts.
//!
//! Two shapes, told apart by how many positional parameters the function needs: `fn(next)` returns a handler, once;
//! `fn(req, next)` returns a response, at every request. Guessing wrong would show at the first request only, so any
//! other number is refused when the middleware is registered.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, Coerce, a type id")]

use std::fmt;

use allocative::Allocative;
use starlark::coerce::Coerce;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_complex_value;
use starlark::values::function::FUNCTION_TYPE;
use starlark::values::{
    Freeze, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value, ValueLike, starlark_value,
};

use crate::args::describe;
use crate::callable::{self, Required, is_callable};
use crate::error::usage;
use crate::modules::innermost::Innermost;

/// Refuses what is no middleware.
pub(super) fn check(middleware: Value<'_>) -> starlark::Result<()> {
    if !is_callable(middleware) {
        return Err(usage(format!("middleware must be callable, got {}", describe(middleware))));
    }
    match callable::required_positional(middleware) {
        None | Some(Required::Exactly(1 | 2)) => Ok(()),
        Some(_) => Err(usage(format!(
            "middleware must be fn(next), returning a handler, or fn(req, next), \
             returning a response; {} is neither",
            callable::signature(middleware)
        ))),
    }
}

/// The handler inside all middleware, the first of which is outermost.
pub(super) fn wrap<'v>(
    handler: Value<'v>,
    middleware: &[Value<'v>],
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    match middleware {
        [] => Ok(handler),
        some => chain(Innermost::of(handler, eval.heap()), some, eval),
    }
}

/// The response of the host inside middleware; `None` where there is none.
pub(super) fn wrap_misses<'v>(
    middleware: &[Value<'v>],
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Option<Value<'v>>> {
    match middleware {
        [] => Ok(None),
        some => chain(Innermost::of_misses(eval.heap()), some, eval).map(Some),
    }
}

fn chain<'v>(
    innermost: Value<'v>,
    middleware: &[Value<'v>],
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut wrapped = innermost;
    for middleware in middleware.iter().rev() {
        wrapped = layer(*middleware, wrapped, eval)?;
    }
    Ok(wrapped)
}

fn layer<'v>(middleware: Value<'v>, next: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    if callable::required_positional(middleware) == Some(Required::Exactly(2)) {
        return Ok(eval.heap().alloc(Layer { middleware, next }));
    }
    let made = eval.eval_function(middleware, &[next], &[])?;
    if !is_callable(made) {
        return Err(usage(format!(
            "middleware {} must return a handler, returned {}",
            callable::name(middleware),
            describe(made)
        )));
    }
    Ok(made)
}

/// A `fn(req, next)` with its `next`: a handler.
#[derive(Clone, Debug, Trace, Freeze, Coerce, ProvidesStaticType, NoSerialize, Allocative)]
#[repr(C)]
struct LayerGen<V> {
    middleware: V,
    next: V,
}

starlark_complex_value!(Layer);

impl<V: fmt::Display> fmt::Display for LayerGen<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(next = {})", self.middleware, self.next)
    }
}

#[starlark_value(type = FUNCTION_TYPE)]
impl<'v, V: ValueLike<'v>> StarlarkValue<'v> for LayerGen<V>
where
    Self: ProvidesStaticType<'v>,
{
    type Canonical = Layer<'v>;

    fn name_for_call_stack(&self, _me: Value<'v>) -> String {
        callable::name(self.middleware.to_value())
    }

    fn invoke(
        &self,
        _me: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        args.no_named_args()?;
        let request = args.positional1(eval.heap())?;
        let arguments = [request, self.next.to_value()];
        eval.eval_function(self.middleware.to_value(), &arguments, &[])
    }
}
