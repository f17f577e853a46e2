//! An argument of a builtin that has a type in its signature but is checked inside the call.
//!
//! starlark's own unpacking refuses a wrong type before the builtin runs. Then `try_` forms could not catch it, and the
//! error would quote neither the function nor the value. The signature still names the type, for documentation and
//! hover. `#[builtins]` writes this type around that of each parameter; a builtin that has to quote a value which has the
//! right type but is out of bounds writes it itself.

use std::convert::Infallible;
use std::marker::PhantomData;

use starlark::typing::Ty;
use starlark::values::type_repr::StarlarkTypeRepr;
use starlark::values::{UnpackValue, Value};

use crate::args::describe;
use crate::error::{Expected, cause, usage};

/// A value given where a `T` is wanted.
pub(crate) struct Given<'v, T>(pub(crate) Value<'v>, PhantomData<fn() -> T>);

impl<T> Clone for Given<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Given<'_, T> {}

impl<'v, T: UnpackValue<'v>> Given<'v, T> {
    /// The value, if it is a `T`; the error names the argument.
    pub(crate) fn take(self, name: &str) -> starlark::Result<T> {
        let error = match T::unpack_value(self.0) {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let of_type = || match std::any::type_name::<T>() {
            "i32" => "an int of 32 bits".to_owned(),
            "i64" => "an int of 64 bits".to_owned(),
            "u32" => "an int from 0 to 4294967295".to_owned(),
            // An int is the right type, so what is wrong is its size.
            name if name.ends_with("::UnpackFloat") && self.0.get_type() == "int" => {
                "a number that a float can hold".to_owned()
            }
            _ => T::starlark_type_repr().to_string().replace(" | ", " or "),
        };
        let wanted = error.as_ref().and_then(cause).and_then(|cause| cause.downcast_ref::<Expected>());
        Err(self.wrong(name, &wanted.map_or_else(of_type, |wanted| wanted.0.to_owned())))
    }

    /// The value of an argument that may be left out, or be `None`.
    pub(crate) fn maybe(given: Option<Self>, name: &str) -> starlark::Result<Option<T>> {
        match given {
            Some(given) if !given.0.is_none() => given.take(name).map(Some),
            _ => Ok(None),
        }
    }
}

impl<T> Given<'_, T> {
    /// An error about the value; `expected` is how what was wanted reads.
    #[cold]
    pub(crate) fn wrong(self, name: &str, expected: &str) -> starlark::Error {
        wrong(name, expected, self.0)
    }
}

/// An error about one wrong value: the argument, what was wanted, and what was given.
#[cold]
pub(crate) fn wrong(name: &str, expected: &str, value: Value<'_>) -> starlark::Error {
    usage(format!("{name} must be {expected}, got {}", describe(value)))
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

/// A value given where a `T` may be left out: `None` leaves it out too, and the type checker knows it.
pub(crate) struct OrNone<'v, T>(Given<'v, T>);

impl<'v, T: UnpackValue<'v>> OrNone<'v, T> {
    /// As [`Given::maybe`].
    pub(crate) fn maybe(given: Option<Self>, name: &str) -> starlark::Result<Option<T>> {
        Given::maybe(given.map(|given| given.0), name)
    }
}

impl<T: StarlarkTypeRepr> StarlarkTypeRepr for OrNone<'_, T> {
    type Canonical = Self;

    fn starlark_type_repr() -> Ty {
        Ty::union2(T::starlark_type_repr(), Ty::none())
    }
}

impl<'v, T: StarlarkTypeRepr> UnpackValue<'v> for OrNone<'v, T> {
    type Error = Infallible;

    fn unpack_value_impl(value: Value<'v>) -> Result<Option<Self>, Self::Error> {
        Ok(Some(Self(Given(value, PhantomData))))
    }
}

/// Declares the type of an argument that a type of starlark's says too little about: which type the signature shows, what
/// an error says is expected, and how the value is read.
macro_rules! argument {
    ($(#[$doc:meta])* $name:ident<'v>($inner:ty) as $shown:ty, $expected:expr, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name<'v>(pub(crate) $inner, std::marker::PhantomData<&'v ()>);

        impl<'v> starlark::values::type_repr::StarlarkTypeRepr for $name<'v> {
            type Canonical = <$shown as starlark::values::type_repr::StarlarkTypeRepr>::Canonical;

            fn starlark_type_repr() -> starlark::typing::Ty {
                <$shown as starlark::values::type_repr::StarlarkTypeRepr>::starlark_type_repr()
            }
        }

        impl<'v> starlark::values::UnpackValue<'v> for $name<'v> {
            type Error = starlark::Error;

            fn unpack_value_impl(value: starlark::values::Value<'v>) -> starlark::Result<Option<Self>> {
                let read: fn(starlark::values::Value<'v>) -> Option<$inner> = $read;
                match read(value) {
                    Some(value) => Ok(Some(Self(value, std::marker::PhantomData))),
                    None => Err($crate::error::expected($expected)),
                }
            }
        }
    };
}
pub(crate) use argument;

argument! {
    /// A text that is not empty.
    Text<'v>(&'v str) as &'v str, "a non-empty string", |value| value.unpack_str().filter(|text| !text.is_empty())
}

argument! {
    /// A function, or whatever else can be called.
    Function<'v>(Value<'v>) as Value<'v>, "a function", |value| crate::callable::is_callable(value).then_some(value)
}
