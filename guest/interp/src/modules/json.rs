//! `json.encode` and `json.decode`: ints of any size stay ints, floats stay floats, order is kept both ways.

use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::{Value, ValueLike};

use super::{json_decode, json_encode};
use crate::args::Args;
use crate::error::usage;
use crate::result::attempt;

/// Widest indentation. Each level of nesting repeats it, so it multiplies what a script can make the encoder write.
const MAX_INDENT: usize = 16;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The JSON text of a value.
    ///
    /// `json.encode(value, *, indent = None) -> str`
    ///
    /// `indent` is a number of spaces, or the spaces and tabs to indent with. Ints of any size stay ints, floats stay
    /// floats, dicts keep their order. Errors: what JSON cannot hold, with the path to it; a key that is no str; values
    /// nested more than 500 deep; a text of more than 16 MB.
    ///
    /// ```text
    /// >>> json.encode({"b": [1, 2.0, None], "a": struct(x = True)})
    /// "{\"b\":[1,2.0,null],\"a\":{\"x\":true}}"
    /// ```
    fn encode<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        encoded("json.encode", args, eval)
    }

    /// Like `encode`, as a `Result`.
    fn try_encode<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(encoded("json.try_encode", args, eval), eval.heap())
    }

    /// The value of a JSON text, given as str or bytes.
    ///
    /// `json.decode(text, default = None)`
    ///
    /// With `default`, that is the value of a text that is not JSON. Of a repeated key the last value counts. Errors:
    /// anything else than one JSON value in UTF-8, with line and column; values nested more than 127 deep; more than
    /// 1000000 values; an int of more than 4300 digits.
    ///
    /// ```text
    /// >>> json.decode("{\"id\": 12345678901234567890, \"rate\": 1.0}")
    /// {"id": 12345678901234567890, "rate": 1.0}
    /// >>> json.decode("nope", default = [])
    /// []
    /// ```
    fn decode<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        decoded("json.decode", args, eval)
    }

    /// Like `decode`, as a `Result`.
    fn try_decode<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(decoded("json.try_decode", args, eval), eval.heap())
    }
}

fn encoded<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let heap = eval.heap();
    let mut args = Args::new(function, args, heap)?;
    let value = args.required("value")?;
    let indent = match args.take("indent") {
        None => None,
        Some(indent) => self::indent(&args, indent)?,
    };
    args.finish("value, indent")?;
    match json_encode::encode(value, indent.as_deref()) {
        Ok(text) => Ok(heap.alloc(text)),
        Err(wrong) => Err(usage(format!("{function}: {wrong}"))),
    }
}

fn indent<'v>(args: &Args<'v>, indent: Value<'v>) -> starlark::Result<Option<String>> {
    if indent.is_none() {
        return Ok(None);
    }
    let text = match indent.unpack_str() {
        Some(text) => Some(text.to_owned()),
        None => indent
            .unpack_i32()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n <= MAX_INDENT)
            .map(|n| " ".repeat(n)),
    };
    match text {
        Some(text) if text.len() <= MAX_INDENT && text.bytes().all(|b| b == b' ' || b == b'\t') => Ok(Some(text)),
        _ => {
            let expected = "None, an int from 0 to 16, or up to 16 spaces and tabs";
            Err(args.wrong("indent", expected, indent))
        }
    }
}

fn decoded<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let heap = eval.heap();
    let mut args = Args::new(function, args, heap)?;
    let text = args.required("text")?;
    let default = args.either("default")?;
    args.finish("text, default")?;
    let outcome = match (text.unpack_str(), text.downcast_ref::<StarlarkBytes>()) {
        (Some(text), _) => json_decode::decode(text.as_bytes(), heap),
        (None, Some(bytes)) => json_decode::decode(bytes.as_bytes(), heap),
        (None, None) => return Err(args.wrong("text", "str or bytes", text)),
    };
    match (outcome, default) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(default)) => Ok(default),
        (Err(wrong), None) => Err(usage(format!("{function}: {wrong}"))),
    }
}
