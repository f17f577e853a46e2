//! Questions about functions a script hands over: can it be called, with how many arguments, and what is it called.

use starlark::values::typing::StarlarkCallable;
use starlark::values::{UnpackValue, Value};

/// Whether a value can be called at all.
pub(crate) fn is_callable(value: Value<'_>) -> bool {
    let unpacked: Result<Option<StarlarkCallable<'_>>, _> = UnpackValue::unpack_value(value);
    unpacked.is_ok_and(|callable| callable.is_some())
}

/// How many positional arguments a `def` or `lambda` needs; `None` for other callables, which do not say.
pub(crate) fn required_positional(value: Value<'_>) -> Option<Required> {
    let parameters = value.parameters_spec()?;
    let needs = (0..=parameters.len()).find(|n| parameters.can_fill_with_args(*n, &[]));
    Some(needs.map_or(Required::NamedOnly, Required::Exactly))
}

/// What a function needs at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Required {
    /// This many positional arguments.
    Exactly(usize),
    /// A keyword-only argument without a default: positional arguments alone never do.
    NamedOnly,
}

/// Whether a function takes exactly one positional argument; callables that do not say are believed.
pub(crate) fn takes_one(value: Value<'_>) -> bool {
    value.parameters_spec().is_none_or(|parameters| parameters.can_fill_with_args(1, &[]))
}

/// A function as messages name it.
pub(crate) fn name(value: Value<'_>) -> String {
    match value.function_name() {
        Some(name) => name.to_owned(),
        None => crate::shorten::shorten(value.to_repr(), 80),
    }
}

/// A function with its parameters, as an error about its arity shows it.
pub(crate) fn signature(value: Value<'_>) -> String {
    match value.parameters_spec() {
        Some(parameters) => format!("{}({})", name(value), parameters.parameters_str()),
        None => name(value),
    }
}
