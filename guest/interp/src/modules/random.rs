//! `random`: bytes from the host at every call. A generator in the guest's memory would be copied by a fork, and two
//! requests would see the same secrets.

use std::fmt::Write;

use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::Value;

use crate::args::Args;
use crate::result::attempt;
use crate::session::Session;

/// Most bytes of one token; a secret needs 32.
const MAX_BYTES: usize = 1024;
const DEFAULT_BYTES: usize = 16;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// `n` random bytes (16 unless given) in hexadecimal.
    fn token<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        hex_token("random.token", args, eval)
    }

    /// Like `token`, as a `Result`.
    fn try_token<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(hex_token("random.try_token", args, eval), eval.heap())
    }
}

fn hex_token<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let length = match args.either("n")? {
        None => DEFAULT_BYTES,
        Some(n) => length(&args, n)?,
    };
    args.finish("n")?;
    let bytes = Session::of(eval)?.host.random(length);
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(eval.heap().alloc(hex))
}

fn length<'v>(args: &Args<'v>, n: Value<'v>) -> starlark::Result<usize> {
    let expected = "an int from 1 to 1024";
    let length: usize = args.int("n", expected, n)?;
    if length == 0 || length > MAX_BYTES {
        return Err(args.wrong("n", expected, n));
    }
    Ok(length)
}
