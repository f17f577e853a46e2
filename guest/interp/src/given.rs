//! An argument of a builtin that has a type in its signature but is checked inside the call.
//!
//! starlark's own unpacking refuses a wrong type before the builtin runs. Then `try_` forms could not catch it, and the
//! error would quote neither the function nor the value. The signature still names the type, for documentation and
//! hover.

use std::convert::Infallible;
use std::marker::PhantomData;

use starlark::typing::Ty;
use starlark::values::type_repr::StarlarkTypeRepr;
use starlark::values::{UnpackValue, Value};

use crate::args::describe;
use crate::error::usage;

/// A value given where a `T` is wanted.
pub(crate) struct Given<'v, T>(pub(crate) Value<'v>, PhantomData<fn() -> T>);

impl<T> Clone for Given<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Given<'_, T> {}

impl<'v, T: UnpackValue<'v>> Given<'v, T> {
    /// The value, if it is a `T`; the error names the function and the argument.
    pub(crate) fn get(self, function: &str, name: &str) -> starlark::Result<T> {
        match T::unpack_value(self.0) {
            Ok(Some(value)) => Ok(value),
            _ => Err(self.wrong(function, name, &T::starlark_type_repr().to_string())),
        }
    }

    /// An error about the value; `expected` is how what was wanted reads.
    #[cold]
    pub(crate) fn wrong(self, function: &str, name: &str, expected: &str) -> starlark::Error {
        usage(format!("{function}: {name} must be {expected}, got {}", describe(self.0)))
    }
}

/// An optional argument: the default when it was not given or is `None`.
pub(crate) fn optional<'v, T: UnpackValue<'v>>(
    given: Option<Given<'v, T>>,
    function: &str,
    name: &str,
    default: T,
) -> starlark::Result<T> {
    match given {
        Some(given) if !given.0.is_none() => given.get(function, name),
        _ => Ok(default),
    }
}

impl<T: StarlarkTypeRepr> StarlarkTypeRepr for Given<'_, T> {
    type Canonical = T::Canonical;

    fn starlark_type_repr() -> Ty {
        T::starlark_type_repr()
    }
}

impl<'v, T: StarlarkTypeRepr> UnpackValue<'v> for Given<'v, T> {
    type Error = Infallible;

    fn unpack_value_impl(value: Value<'v>) -> Result<Option<Self>, Self::Error> {
        Ok(Some(Self(value, PhantomData)))
    }
}
