//! Assertions, for test files alone: each error has what was got and what was wanted.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::none::NoneType;

use crate::callable::is_callable;
use crate::diagnostic::{self, shorten};
use crate::error::{is_stopped, usage};

/// Longest quotation of a value.
const MAX_QUOTED_BYTES: usize = 2000;

/// Texts that are longer are shown from where they begin to differ, too.
const LONG_TEXT: usize = 80;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Fails the test unless the two are equal: `assert_eq(reply.status, 200)`.
    fn assert_eq<'v>(got: Value<'v>, want: Value<'v>, msg: Option<Value<'v>>) -> starlark::Result<NoneType> {
        equal("assert_eq", got, want, msg)
    }

    /// Another name of `assert_eq`.
    fn assert_equal<'v>(got: Value<'v>, want: Value<'v>, msg: Option<Value<'v>>) -> starlark::Result<NoneType> {
        equal("assert_equal", got, want, msg)
    }

    /// Fails the test if the two are equal: `assert_ne(first.body, second.body)`.
    fn assert_ne<'v>(got: Value<'v>, unwanted: Value<'v>, msg: Option<Value<'v>>) -> starlark::Result<NoneType> {
        not_equal("assert_ne", got, unwanted, msg)
    }

    /// Another name of `assert_ne`.
    fn assert_not_equal<'v>(got: Value<'v>, unwanted: Value<'v>, msg: Option<Value<'v>>) -> starlark::Result<NoneType> {
        not_equal("assert_not_equal", got, unwanted, msg)
    }

    /// Fails the test unless the value is true, as an `if` would have it: `assert_true(reply.body.startswith("<p>"))`.
    fn assert_true<'v>(value: Value<'v>, msg: Option<Value<'v>>) -> starlark::Result<NoneType> {
        check(value.to_bool(), "assert_true", msg, || format!("got {}", quoted(value)))
    }

    /// Fails the test if the value is true: `assert_false("secret" in reply.body)`.
    fn assert_false<'v>(value: Value<'v>, msg: Option<Value<'v>>) -> starlark::Result<NoneType> {
        check(!value.to_bool(), "assert_false", msg, || format!("got {}", quoted(value)))
    }

    /// Fails the test unless `item in container`: `assert_contains(reply.body, "Ann")`.
    fn assert_contains<'v>(
        container: Value<'v>,
        item: Value<'v>,
        msg: Option<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        let text = || format!("{} is not in {}", quoted(item), quoted(container));
        check(container.is_in(item)?, "assert_contains", msg, text)
    }

    /// Fails the test if `item in container`: `assert_not_contains(reply.body, "<script>")`.
    fn assert_not_contains<'v>(
        container: Value<'v>,
        item: Value<'v>,
        msg: Option<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        let text = || format!("{} is in {}", quoted(item), quoted(container));
        check(!container.is_in(item)?, "assert_not_contains", msg, text)
    }

    /// Calls a function, fails the test unless that raises, and returns the error's text, which must have `contains` in
    /// it if that is given: `assert_fails(lambda: parse("x"), "not a number")`.
    fn assert_fails<'v>(
        r#fn: Value<'v>,
        contains: Option<&str>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<String> {
        let name = "assert_fails";
        if !is_callable(r#fn) {
            return Err(usage(format!("{name}: fn must be a function without arguments, got {}", quoted(r#fn))));
        }
        let error = match eval.eval_function(r#fn, &[], &[]) {
            Ok(value) => return Err(usage(format!("{name}: nothing was raised, got {}", quoted(value)))),
            Err(error) if is_stopped(&error) => return Err(error),
            Err(error) => diagnostic::message(&error),
        };
        match contains {
            Some(part) if !error.contains(part) => {
                Err(usage(format!("{name}: got the error {error:?}, want one with {part:?}")))
            }
            _ => Ok(error),
        }
    }
}

fn equal<'v>(name: &str, got: Value<'v>, want: Value<'v>, msg: Option<Value<'v>>) -> starlark::Result<NoneType> {
    check(got.equals(want)?, name, msg, || {
        format!("got {}, want {}{}", quoted(got), quoted(want), difference(got, want).unwrap_or_default())
    })
}

fn not_equal<'v>(name: &str, got: Value<'v>, other: Value<'v>, msg: Option<Value<'v>>) -> starlark::Result<NoneType> {
    check(!got.equals(other)?, name, msg, || format!("got {}, want anything else", quoted(got)))
}

fn check(holds: bool, name: &str, msg: Option<Value<'_>>, text: impl FnOnce() -> String) -> starlark::Result<NoneType> {
    if holds {
        return Ok(NoneType);
    }
    let msg = msg.filter(|msg| !msg.is_none()).map(|msg| format!(" ({})", msg.to_str())).unwrap_or_default();
    Err(usage(format!("{name}: {}{msg}", text())))
}

fn quoted(value: Value<'_>) -> String {
    shorten(value.to_repr(), MAX_QUOTED_BYTES)
}

/// Where two long texts begin to differ.
fn difference(got: Value<'_>, want: Value<'_>) -> Option<String> {
    let (got, want) = (got.unpack_str()?, want.unpack_str()?);
    if got.len().max(want.len()) <= LONG_TEXT {
        return None;
    }
    let same = got.chars().zip(want.chars()).take_while(|(a, b)| a == b).count();
    let rest = |text: &str| -> String { text.chars().skip(same).take(LONG_TEXT / 2).collect() };
    Some(format!("; from character {same} on: got {:?}, want {:?}", rest(got), rest(want)))
}
