//! `log.debug/info/warn/error`: a message and attributes, to the host; `log.child`: the same with attributes of its own.
//!
//! Attributes come as a positional dict, as `attrs=`, and as keywords, all three. They cross to the host as JSON; a
//! value JSON cannot hold becomes its repr, because a log call must not be what makes a request fail. Which levels are
//! kept is for whoever runs the script: a level set in a script would be one fork's.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{GlobalsBuilder, Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::dict::DictRef;
use starlark::values::none::NoneType;
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use super::{json_encode, json_string};
use crate::args::describe;
use crate::error::usage;
use crate::host::{Level, LogLine};
use crate::session::{Session, position};

#[builtins("log")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Logs detail for debugging.
    ///
    /// ```text
    /// >>> log.debug("cache", {"hit": True}, size = 3)
    /// None
    /// ```
    fn debug<'v>(
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Debug, &[], msg, attrs, &attributes, eval)
    }

    /// Logs the normal course of events.
    ///
    /// ```text
    /// >>> log.info("started", attrs = {"port": 8080})
    /// None
    /// ```
    fn info<'v>(
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Info, &[], msg, attrs, &attributes, eval)
    }

    /// Logs something to look at.
    ///
    /// ```text
    /// >>> log.warn("slow", seconds = 2.5)
    /// None
    /// ```
    fn warn<'v>(
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Warn, &[], msg, attrs, &attributes, eval)
    }

    /// Logs a failure.
    ///
    /// ```text
    /// >>> log.error("no answer", host = "db-1")
    /// None
    /// ```
    fn error<'v>(
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Error, &[], msg, attrs, &attributes, eval)
    }

    /// A logger that adds these attributes to each of its records.
    ///
    /// It has the methods `debug`, `info`, `warn`, `error` and `child`. An attribute given again replaces the logger's.
    ///
    /// ```text
    /// >>> log.child(component = "auth").child({"user": 7})
    /// Logger({"component":"auth","user":7})
    /// ```
    fn child<'v>(attrs: Option<DictRef<'v>>, #[starlark(kwargs)] attributes: DictRef<'v>) -> starlark::Result<Logger> {
        Ok(Logger { attributes: merged(&[], given(attrs, &attributes)?) })
    }
}

/// Names and values, each value one JSON text.
type Attributes = Vec<(String, String)>;

fn log<'v>(
    level: Level,
    inherited: &[(String, String)],
    msg: Value<'v>,
    attrs: Option<DictRef<'v>>,
    named: &DictRef<'v>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<NoneType> {
    let attributes = merged(inherited, given(attrs, named)?);
    let line = LogLine { level, message: msg.to_str(), attributes, at: position(eval) };
    Session::of(eval)?.host.log(&line);
    Ok(NoneType)
}

/// The attributes of a call, those of the dict first.
fn given<'v>(attrs: Option<DictRef<'v>>, named: &DictRef<'v>) -> starlark::Result<Attributes> {
    let mut attributes = Attributes::new();
    for (name, value) in attrs.iter().flat_map(|attrs| attrs.iter()) {
        let Some(name) = name.unpack_str() else {
            return Err(usage(format!("an attribute's name must be a str, got {}", describe(name))));
        };
        attributes.push((name.to_owned(), json(value)));
    }
    for (name, value) in named.iter() {
        let name = name.unpack_str().unwrap_or_default();
        if attributes.iter().any(|(given, _)| given == name) {
            return Err(usage(format!("attribute {name} given twice")));
        }
        attributes.push((name.to_owned(), json(value)));
    }
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
    json_encode::encode(value, None).unwrap_or_else(|_| json_string::string(&value.to_repr()))
}

/// What `log.child` returns. Its attributes were written as JSON when it was made, so that it can be frozen and shared.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
struct Logger {
    attributes: Attributes,
}

starlark_simple_value!(Logger);

impl fmt::Display for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> =
            self.attributes.iter().map(|(name, json)| format!("{}:{json}", json_string::string(name))).collect();
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

#[builtins("logger")]
fn methods(builder: &mut MethodsBuilder) {
    /// Logs detail for debugging, with the logger's attributes.
    fn debug<'v>(
        this: &Logger,
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Debug, &this.attributes, msg, attrs, &attributes, eval)
    }

    /// Logs the normal course of events, with the logger's attributes.
    fn info<'v>(
        this: &Logger,
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Info, &this.attributes, msg, attrs, &attributes, eval)
    }

    /// Logs something to look at, with the logger's attributes.
    fn warn<'v>(
        this: &Logger,
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Warn, &this.attributes, msg, attrs, &attributes, eval)
    }

    /// Logs a failure, with the logger's attributes.
    fn error<'v>(
        this: &Logger,
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Error, &this.attributes, msg, attrs, &attributes, eval)
    }

    /// A logger with this one's attributes and more of its own.
    fn child<'v>(
        this: &Logger,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
    ) -> starlark::Result<Logger> {
        Ok(Logger { attributes: merged(&this.attributes, given(attrs, &attributes)?) })
    }
}
