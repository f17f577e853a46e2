//! `time.sleep`: waits on the host, where waiting costs nothing and ends with the request.

use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::Value;

use crate::args::Args;
use crate::duration;
use crate::result::attempt;
use crate::session::Session;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Waits: `time.sleep("250ms")`. The time that the request may take goes on.
    fn sleep<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        sleep_of("time.sleep", args, eval)
    }

    /// Like `sleep`, as a `Result`.
    fn try_sleep<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(sleep_of("time.try_sleep", args, eval), eval.heap())
    }
}

fn sleep_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let duration = args.required("duration")?;
    args.finish("duration")?;
    let nanoseconds = duration.unpack_str().and_then(duration::parse);
    let nanoseconds = nanoseconds.ok_or_else(|| args.wrong("duration", duration::EXPECTED, duration))?;
    Session::of(eval)?.host.sleep(nanoseconds);
    Ok(Value::new_none())
}
