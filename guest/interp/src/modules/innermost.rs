//! The end of a chain of middleware: the handler of a route, or the response of the host where no route serves.
//!
//! A request without a route runs through a chain that was built for a route, so that no factory runs again for it. At
//! the end of the chain this value looks at the session: a miss is answered with the response that the host would have
//! sent, as a dict that middleware can change like any other.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, Coerce, a type id")]

use std::fmt;

use allocative::Allocative;
use starlark::coerce::Coerce;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_complex_value;
use starlark::values::function::FUNCTION_TYPE;
use starlark::values::{
    Freeze, Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value, ValueLike, starlark_value,
};

use crate::callable;
use crate::error::usage;
use crate::response;
use crate::session::Session;

/// The last `next` of a chain.
#[derive(Clone, Debug, Trace, Freeze, Coerce, ProvidesStaticType, NoSerialize, Allocative)]
#[repr(C)]
pub(super) struct InnermostGen<V> {
    /// `None` in a chain that is for misses alone.
    handler: V,
}

starlark_complex_value!(pub(super) Innermost);

impl<'v> Innermost<'v> {
    /// The end of a chain for the handler of a route.
    pub(super) fn of(handler: Value<'v>, heap: Heap<'v>) -> Value<'v> {
        heap.alloc(Self { handler })
    }

    /// The end of a chain that answers misses alone.
    pub(super) fn of_misses(heap: Heap<'v>) -> Value<'v> {
        Self::of(Value::new_none(), heap)
    }
}

impl<V: fmt::Display> fmt::Display for InnermostGen<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handler.fmt(f)
    }
}

#[starlark_value(type = FUNCTION_TYPE)]
impl<'v, V: ValueLike<'v>> StarlarkValue<'v> for InnermostGen<V>
where
    Self: ProvidesStaticType<'v>,
{
    type Canonical = Innermost<'v>;

    fn name_for_call_stack(&self, _me: Value<'v>) -> String {
        callable::name(self.handler.to_value())
    }

    fn invoke(
        &self,
        _me: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let Some(miss) = Session::of(eval)?.miss else {
            return match self.handler.to_value().is_none() {
                false => self.handler.invoke(args, eval),
                true => Err(usage("this function answers requests without a route, and this request has one")),
            };
        };
        args.no_named_args()?;
        args.positional1(eval.heap())?;
        Ok(response::to_dict(&miss.response, eval.heap()))
    }
}
