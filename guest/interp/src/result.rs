//! `Result(ok, value, error)`: errors as values, for a language without exceptions.
//!
//! Every fallible builtin `m.f` has a twin `m.try_f` that is `attempt(f(..))`: this file is the one place that decides
//! what a `try_` form catches. It catches everything, denials included, except the host ending the script.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, Coerce, a type id")]

use std::fmt;

use allocative::Allocative;
use starlark::coerce::Coerce;
use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;
use starlark::starlark_complex_value;
use starlark::starlark_module;
use starlark::values::{
    Freeze, Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value, ValueLike, starlark_value,
};

use crate::{diagnostic, error};

const TYPE: &str = "Result";
const ATTRIBUTES: [&str; 3] = ["error", "ok", "value"];

/// Turns the outcome of a fallible builtin into a `Result` value.
pub(crate) fn attempt<'v>(outcome: starlark::Result<Value<'v>>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
    match outcome {
        Ok(value) => Ok(heap.alloc(Outcome { ok: true, value, error: Value::new_none() })),
        Err(error) if error::is_stopped(&error) => Err(error),
        Err(error) => Ok(heap.alloc(Outcome {
            ok: false,
            value: Value::new_none(),
            error: heap.alloc(diagnostic::message(&error)),
        })),
    }
}

/// A failure that has something to show all the same.
pub(crate) fn failed<'v>(value: Value<'v>, error: &str, heap: Heap<'v>) -> Value<'v> {
    heap.alloc(Outcome { ok: false, value, error: heap.alloc(error) })
}

/// The value behind `Result`.
#[derive(Clone, Debug, Trace, Freeze, Coerce, ProvidesStaticType, NoSerialize, Allocative)]
#[repr(C)]
pub(crate) struct OutcomeGen<V> {
    ok: bool,
    value: V,
    error: V,
}

starlark_complex_value!(pub(crate) Outcome);

impl<V: fmt::Display> fmt::Display for OutcomeGen<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ok = if self.ok { "True" } else { "False" };
        write!(f, "Result(ok={ok}, value={}, error={})", self.value, self.error)
    }
}

/// What the reference says of the type.
pub(crate) fn documented() -> DocType {
    DocType::from_starlark_value::<OutcomeGen<Value<'static>>>()
}

#[starlark_value(type = TYPE)]
impl<'v, V: ValueLike<'v>> StarlarkValue<'v> for OutcomeGen<V>
where
    Self: ProvidesStaticType<'v>,
{
    fn to_bool(&self) -> bool {
        self.ok
    }

    fn get_attr(&self, attribute: &str, _heap: Heap<'v>) -> Option<Value<'v>> {
        match attribute {
            "ok" => Some(Value::new_bool(self.ok)),
            "value" => Some(self.value.to_value()),
            "error" => Some(self.error.to_value()),
            _ => None,
        }
    }

    fn has_attr(&self, attribute: &str, _heap: Heap<'v>) -> bool {
        ATTRIBUTES.contains(&attribute)
    }

    fn dir_attr(&self) -> Vec<String> {
        ATTRIBUTES.map(str::to_owned).to_vec()
    }
}

/// What is in a `Result`: its value or its error. Any other value is itself.
pub(crate) fn opened(value: Value<'_>) -> Result<Value<'_>, Value<'_>> {
    match Outcome::from_value(value) {
        None => Ok(value),
        Some(outcome) if outcome.ok => Ok(outcome.value.to_value()),
        Some(outcome) => Err(outcome.error.to_value()),
    }
}

/// The global constructor, for scripts that hand errors on as values themselves.
#[starlark_module]
pub(crate) fn register(builder: &mut GlobalsBuilder) {
    /// A value that says whether something worked, true when it did.
    fn Result<'v>(
        ok: bool,
        value: Option<Value<'v>>,
        error: Option<Value<'v>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(Outcome { ok, value: value.unwrap_or_default(), error: error.unwrap_or_default() }))
    }
}
