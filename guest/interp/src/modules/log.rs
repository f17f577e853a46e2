//! `log.debug/info/warn/error`: a message and attributes, to the host.
//!
//! Attributes come as a positional dict, as `attrs=`, and as keywords, all three. They cross to the host as JSON; a value
//! JSON cannot hold becomes its repr, because a log call must not be what makes a request fail.

use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::dict::DictRef;
use starlark::values::none::NoneType;

use super::json_encode;
use crate::args::{Args, describe};
use crate::host::{Level, LogRecord};
use crate::session::{Session, position};

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Logs detail for debugging.
    fn debug<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        log("log.debug", Level::Debug, args, eval)
    }

    /// Logs the normal course of events.
    fn info<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        log("log.info", Level::Info, args, eval)
    }

    /// Logs something to look at.
    fn warn<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        log("log.warn", Level::Warn, args, eval)
    }

    /// Logs a failure.
    fn error<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        log("log.error", Level::Error, args, eval)
    }
}

fn log<'v>(
    function: &'static str,
    level: Level,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<NoneType> {
    let mut args = Args::new(function, args, eval.heap())?;
    let message = args.required("msg")?.to_str();
    let record = LogRecord { level, message, attributes: attributes(&mut args)?, at: position(eval) };
    Session::of(eval)?.host.log(&record);
    Ok(NoneType)
}

fn attributes(args: &mut Args<'_>) -> starlark::Result<Vec<(String, String)>> {
    let mut attributes = Vec::new();
    if let Some(given) = args.either("attrs")?
        && !given.is_none()
    {
        let Some(dict) = DictRef::from_value(given) else {
            return Err(args.wrong("attrs", "a dict", given));
        };
        for (name, value) in dict.iter() {
            let Some(name) = name.unpack_str() else {
                let text = describe(name);
                return Err(args.error(format_args!("an attribute's name must be a str, got {text}")));
            };
            attributes.push((name.to_owned(), json(value)));
        }
    }
    for (name, value) in std::mem::take(&mut args.named) {
        if attributes.iter().any(|(given, _)| given == name) {
            return Err(args.error(format_args!("attribute {name} given twice")));
        }
        attributes.push((name.to_owned(), json(value)));
    }
    args.finish("msg, attrs, and any attribute by name")?;
    Ok(attributes)
}

fn json(value: Value<'_>) -> String {
    json_encode::encode(value, None).unwrap_or_else(|_| json_encode::string(&value.to_repr()))
}
