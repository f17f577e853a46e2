//! `fmt`: Go's verbs over Starlark's values.
//!
//! What Go writes into the output (`%!d(string=x)`) is an error here: an argument that fits no verb, one that is missing,
//! and one that is left over.

mod arguments;
mod float;
mod spec;
mod verb;

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::none::NoneType;
use starlark::values::tuple::UnpackTuple;

use arguments::Arguments;

use crate::error::usage;
use crate::session::{Session, position};

#[builtins("fmt")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A format with its verbs replaced by the arguments, in order.
    ///
    /// `%v` any value as `str` shows it, `%s` the same, `%#v` as `repr` shows it, `%q` a str in quotes, `%d` `%b` `%o` `%x`
    /// `%X` an int, `%x` also str and bytes, `%c` `%U` a character's number, `%e` `%f` `%g` a number, `%t` a bool, `%T` the
    /// type, `%%` a percent sign. Between `%` and the letter: flags `-` (left), `0`, `+`, space and `#`, a width and a
    /// `.precision` up to 1000, either of them `*` for an argument. `[n]` before the letter or `*` chooses the argument, the
    /// first is 1. Errors: an argument that does not fit, is missing or is left over, an unknown verb.
    ///
    /// ```text
    /// >>> fmt.sprintf("%-5s|%05.1f|%x", "ab", 3.14159, 255)
    /// "ab   |003.1|ff"
    /// ```
    fn sprintf<'v>(format: &'v str, #[starlark(args)] args: UnpackTuple<Value<'v>>) -> starlark::Result<String> {
        formatted(format, &args.items)
    }

    /// Prints what `sprintf` returns. One call is one line: a newline at its end is left out, as `print` ends lines.
    ///
    /// ```text
    /// >>> fmt.printf("%d items\n", 3)
    /// None
    /// ```
    fn printf<'v>(
        format: &'v str,
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        let text = formatted(format, &args.items)?;
        Session::of(eval)?.host.print(text.strip_suffix('\n').unwrap_or(&text), &position(eval));
        Ok(NoneType)
    }

    /// Prints its arguments, separated by spaces.
    ///
    /// ```text
    /// >>> fmt.println("a", 1)
    /// None
    /// ```
    fn println<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        let parts: Vec<String> = args.items.iter().map(|value| value.to_str()).collect();
        Session::of(eval)?.host.print(&parts.join(" "), &position(eval));
        Ok(NoneType)
    }
}

/// A format with its verbs replaced.
pub(super) fn formatted<'v>(format: &'v str, args: &[Value<'v>]) -> starlark::Result<String> {
    let mut output = String::new();
    let mut args = Arguments::new(args);
    let mut rest = format;
    while let Some((literal, verb)) = rest.split_once('%') {
        output.push_str(literal);
        rest = verb::write(verb, &mut args, &mut output).map_err(usage)?;
    }
    output.push_str(rest);
    match args.left_over() {
        0 => Ok(output),
        left => Err(usage(format!("{left} more arguments than verbs"))),
    }
}
