//! Assertions, for test files alone: each error has what was got and what was wanted.

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::none::NoneType;
use starlark::values::tuple::UnpackTuple;

use super::fmt::formatted;
use crate::diagnostic;
use crate::error::{self, is_stopped, usage};
use crate::given::Function;
use crate::shorten::shorten;

/// Longest quotation of a value.
const MAX_QUOTED_BYTES: usize = 2000;

/// Texts that are longer are shown from where they begin to differ, too.
const LONG_TEXT: usize = 80;

#[builtins]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Fails the test unless the value is true, as an `if` would have it: `assert(n > 0, "n is %d", n)`.
    ///
    /// In a test file `assert` is this function; the word is reserved everywhere else. As in all assertions, `msg` is
    /// added to the error, and with `args` it is a format as `sprintf` takes it.
    fn aSSERT<'v>(
        value: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        check(value.to_bool(), (msg, &args), || format!("got {}", quoted(value)))
    }

    /// Fails the test unless the two are equal: `assert_eq(reply.status, 200)`.
    fn assert_eq<'v>(
        got: Value<'v>,
        want: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        equal(got, want, (msg, &args))
    }

    /// Another name of `assert_eq`.
    fn assert_equal<'v>(
        got: Value<'v>,
        want: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        equal(got, want, (msg, &args))
    }

    /// Fails the test if the two are equal: `assert_ne(first.body, second.body)`.
    fn assert_ne<'v>(
        got: Value<'v>,
        unwanted: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        not_equal(got, unwanted, (msg, &args))
    }

    /// Another name of `assert_ne`.
    fn assert_not_equal<'v>(
        got: Value<'v>,
        unwanted: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        not_equal(got, unwanted, (msg, &args))
    }

    /// Fails the test unless the value is true, as an `if` would have it: `assert_true(reply.body.startswith("<p>"))`.
    fn assert_true<'v>(
        value: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        check(value.to_bool(), (msg, &args), || format!("got {}", quoted(value)))
    }

    /// Fails the test if the value is true: `assert_false("secret" in reply.body)`.
    fn assert_false<'v>(
        value: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        check(!value.to_bool(), (msg, &args), || format!("got {}", quoted(value)))
    }

    /// Fails the test unless `item in container`: `assert_contains(reply.body, "Ann")`.
    fn assert_contains<'v>(
        container: Value<'v>,
        item: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        let text = || format!("{} is not in {}", quoted(item), quoted(container));
        check(container.is_in(item)?, (msg, &args), text)
    }

    /// Fails the test if `item in container`: `assert_not_contains(reply.body, "<script>")`.
    fn assert_not_contains<'v>(
        container: Value<'v>,
        item: Value<'v>,
        msg: Option<Value<'v>>,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        let text = || format!("{} is in {}", quoted(item), quoted(container));
        check(!container.is_in(item)?, (msg, &args), text)
    }

    /// Calls a function, fails the test unless that raises, and returns the error's text, which must have `contains` in
    /// it if that is given: `assert_fails(lambda: parse("x"), "not a number")`.
    fn assert_fails<'v>(
        r#fn: Function<'v>,
        contains: Option<&'v str>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<String> {
        let error = match eval.eval_function(r#fn.0, &[], &[]) {
            Ok(value) => return Err(usage(format!("nothing was raised, got {}", quoted(value)))),
            Err(error) if is_stopped(&error) => return Err(error),
            Err(error) => diagnostic::message(&error),
        };
        match contains {
            Some(part) if !error.contains(part) => {
                Err(usage(format!("got the error {error:?}, want one with {part:?}")))
            }
            _ => Ok(error),
        }
    }

    /// Ends the test as one that does not apply: `skip("needs a network")`.
    fn skip<'v>(
        #[starlark(default = "")] reason: &'v str,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
    ) -> starlark::Result<NoneType> {
        Err(error::skip(&formatted(reason, &args.items)?))
    }
}

/// What only the module `test` has.
#[builtins]
pub(super) fn register_test(builder: &mut GlobalsBuilder) {
    /// Fails the test: `test.fail("got %d", n)`.
    fn fail<'v>(msg: Value<'v>, #[starlark(args)] args: UnpackTuple<Value<'v>>) -> starlark::Result<NoneType> {
        Err(usage(message(msg, &args)?))
    }
}

/// A message, and the arguments of its format.
type Message<'v, 'a> = (Option<Value<'v>>, &'a UnpackTuple<Value<'v>>);

fn equal<'v>(got: Value<'v>, want: Value<'v>, msg: Message<'v, '_>) -> starlark::Result<NoneType> {
    check(got.equals(want)?, msg, || {
        format!("got {}, want {}{}", quoted(got), quoted(want), difference(got, want).unwrap_or_default())
    })
}

fn not_equal<'v>(got: Value<'v>, other: Value<'v>, msg: Message<'v, '_>) -> starlark::Result<NoneType> {
    check(!got.equals(other)?, msg, || format!("got {}, want anything else", quoted(got)))
}

fn check(holds: bool, (msg, args): Message<'_, '_>, text: impl FnOnce() -> String) -> starlark::Result<NoneType> {
    if holds {
        return Ok(NoneType);
    }
    match msg.filter(|msg| !msg.is_none()) {
        Some(msg) => Err(usage(format!("{} ({})", text(), message(msg, args)?))),
        None => Err(usage(text())),
    }
}

fn message<'v>(msg: Value<'v>, args: &UnpackTuple<Value<'v>>) -> starlark::Result<String> {
    match msg.unpack_str() {
        Some(format) if !args.items.is_empty() => formatted(format, &args.items),
        _ => Ok(msg.to_str()),
    }
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
