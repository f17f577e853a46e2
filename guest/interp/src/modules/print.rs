//! `print`: one line to the host, with the place it was printed at.

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::none::NoneType;
use starlark::values::tuple::UnpackTuple;

use crate::session::{Session, position};

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Prints its arguments, separated by spaces or by `sep`.
    fn print<'v>(
        #[starlark(args)] args: UnpackTuple<Value<'v>>,
        #[starlark(require = named, default = " ")] sep: &str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        let parts: Vec<String> = args.items.iter().map(|value| value.to_str()).collect();
        Session::of(eval)?.host.print(&parts.join(sep), &position(eval));
        Ok(NoneType)
    }
}
