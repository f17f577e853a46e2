//! `log.debug/info/warn/error`: a message and attributes, to the host; `log.child`: the same with attributes of its own.
//!
//! Attributes come as a positional dict, as `attrs=`, and as keywords, all three. They cross to the host as JSON; a
//! value JSON cannot hold becomes its repr, because a log call must not be what makes a request fail. Which levels are
//! kept is for whoever runs the script: a level set in a script would be one fork's.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starlark::docs::DocType;
use starlark::environment::{GlobalsBuilder, Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::starlark_simple_value;
use starlark::values::dict::DictRef;
use starlark::values::none::NoneType;
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, Value, ValueLike, starlark_value};

use super::json_encode;
use crate::args::{Args, describe};
use crate::error::usage;
use crate::host::{Level, LogLine};
use crate::session::{Session, position};

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Logs detail for debugging.
    ///
    /// `log.debug(msg, attrs: dict = {}, **attributes) -> None`
    ///
    /// ```text
    /// >>> log.debug("cache", {"hit": True}, size = 3)
    /// None
    /// ```
    fn debug<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        log("log.debug", Level::Debug, &[], args, eval)
    }

    /// Logs the normal course of events.
    ///
    /// `log.info(msg, attrs: dict = {}, **attributes) -> None`
    ///
    /// ```text
    /// >>> log.info("started", attrs = {"port": 8080})
    /// None
    /// ```
    fn info<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        log("log.info", Level::Info, &[], args, eval)
    }

    /// Logs something to look at.
    ///
    /// `log.warn(msg, attrs: dict = {}, **attributes) -> None`
    ///
    /// ```text
    /// >>> log.warn("slow", seconds = 2.5)
    /// None
    /// ```
    fn warn<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        log("log.warn", Level::Warn, &[], args, eval)
    }

    /// Logs a failure.
    ///
    /// `log.error(msg, attrs: dict = {}, **attributes) -> None`
    ///
    /// ```text
    /// >>> log.error("no answer", host = "db-1")
    /// None
    /// ```
    fn error<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        log("log.error", Level::Error, &[], args, eval)
    }

    /// A logger that adds these attributes to each of its records.
    ///
    /// `log.child(attrs: dict = {}, **attributes)`
    ///
    /// It has the methods `debug`, `info`, `warn`, `error` and `child`. An attribute given again replaces the logger's.
    ///
    /// ```text
    /// >>> log.child(component = "auth").child({"user": 7})
    /// Logger({"component":"auth","user":7})
    /// ```
    fn child<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Logger> {
        child("log.child", &[], args, eval)
    }
}

/// Names and values, each value one JSON text.
type Attributes = Vec<(String, String)>;

fn log<'v>(
    function: &'static str,
    level: Level,
    inherited: &[(String, String)],
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<NoneType> {
    let mut args = Args::new(function, args, eval.heap())?;
    let message = args.required("msg")?.to_str();
    let attributes = merged(inherited, attributes(&mut args, "msg, attrs, and any attribute by name")?);
    let line = LogLine { level, message, attributes, at: position(eval) };
    Session::of(eval)?.host.log(&line);
    Ok(NoneType)
}

fn child<'v>(
    function: &'static str,
    inherited: &[(String, String)],
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Logger> {
    let mut args = Args::new(function, args, eval.heap())?;
    let own = attributes(&mut args, "attrs, and any attribute by name")?;
    Ok(Logger { attributes: merged(inherited, own) })
}

fn attributes(args: &mut Args<'_>, accepted: &str) -> starlark::Result<Attributes> {
    let mut attributes = Attributes::new();
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
    args.finish(accepted)?;
    Ok(attributes)
}

/// What was inherited and is not given again, then what was given.
fn merged(inherited: &[(String, String)], own: Attributes) -> Attributes {
    let kept = inherited.iter().filter(|(name, _)| !own.iter().any(|(given, _)| given == name));
    let mut attributes: Attributes = kept.cloned().collect();
    attributes.extend(own);
    attributes
}

fn json(value: Value<'_>) -> String {
    json_encode::encode(value, None).unwrap_or_else(|_| json_encode::string(&value.to_repr()))
}

/// What `log.child` returns. Its attributes were written as JSON when it was made, so that it can be frozen and shared.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
struct Logger {
    attributes: Attributes,
}

starlark_simple_value!(Logger);

impl Logger {
    fn of<'v>(this: Value<'v>) -> starlark::Result<&'v Self> {
        this.downcast_ref().ok_or_else(|| usage(format!("not a logger: {}", describe(this))))
    }
}

impl fmt::Display for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> =
            self.attributes.iter().map(|(name, json)| format!("{}:{json}", json_encode::string(name))).collect();
        write!(f, "Logger({{{}}})", pairs.join(","))
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Logger>()
}

#[starlark_value(type = "log.logger")]
impl<'v> StarlarkValue<'v> for Logger {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("log.logger", methods);
        Some(METHODS.methods())
    }
}

#[starlark_module]
fn methods(builder: &mut MethodsBuilder) {
    /// Logs detail for debugging, with the logger's attributes.
    ///
    /// `debug(msg, attrs: dict = {}, **attributes) -> None`
    fn debug<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log("logger.debug", Level::Debug, &Logger::of(this)?.attributes, args, eval)
    }

    /// Logs the normal course of events, with the logger's attributes.
    ///
    /// `info(msg, attrs: dict = {}, **attributes) -> None`
    fn info<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log("logger.info", Level::Info, &Logger::of(this)?.attributes, args, eval)
    }

    /// Logs something to look at, with the logger's attributes.
    ///
    /// `warn(msg, attrs: dict = {}, **attributes) -> None`
    fn warn<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log("logger.warn", Level::Warn, &Logger::of(this)?.attributes, args, eval)
    }

    /// Logs a failure, with the logger's attributes.
    ///
    /// `error(msg, attrs: dict = {}, **attributes) -> None`
    fn error<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log("logger.error", Level::Error, &Logger::of(this)?.attributes, args, eval)
    }

    /// A logger with this one's attributes and more of its own.
    ///
    /// `child(attrs: dict = {}, **attributes)`
    fn child<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Logger> {
        child("logger.child", &Logger::of(this)?.attributes, args, eval)
    }
}
