//! `log.debug/info/warn/error`: a message and attributes, to the host; `log.child` and `log.logger`: the same with
//! attributes, and with settings, of their own.
//!
//! The decision: a script chooses level, format and stream, and its operator overrules it. A choice of the setup holds for
//! every handler, one of a handler for the rest of its request.

mod attributes;
mod logger;
mod record;

use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::dict::DictRef;
use starlark::values::none::NoneType;

use attributes::Attributes;
use logger::Logger;
use record::{given, log};

use crate::given::argument;
use crate::host::{Level, LogFormat, LogOutput};
use crate::logging::{self, LogSettings};
use crate::session::Session;

argument! {
    /// A level by its name.
    LevelName<'v>(Level) as &'v str, "\"debug\", \"info\", \"warn\" or \"error\"", |value| logging::level(value.unpack_str()?)
}

argument! {
    /// A format by its name.
    FormatName<'v>(LogFormat) as &'v str, "\"text\" or \"json\"", |value| logging::format(value.unpack_str()?)
}

argument! {
    /// A stream by its name.
    OutputName<'v>(LogOutput) as &'v str, "\"stderr\" or \"stdout\"", |value| logging::output(value.unpack_str()?)
}

#[builtins("log")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Logs detail for debugging. Such lines are written only where `set_level` or the operator asks for them.
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
        log(Level::Debug, (None, &Attributes::default()), msg, (attrs, &attributes), eval)
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
        log(Level::Info, (None, &Attributes::default()), msg, (attrs, &attributes), eval)
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
        log(Level::Warn, (None, &Attributes::default()), msg, (attrs, &attributes), eval)
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
        log(Level::Error, (None, &Attributes::default()), msg, (attrs, &attributes), eval)
    }

    /// A logger that adds these attributes to each of its records.
    ///
    /// It has the methods `debug`, `info`, `warn`, `error`, `child` and `group`, and follows `set_level`, `set_format` and
    /// `set_output`. An attribute given again replaces the logger's.
    ///
    /// ```text
    /// >>> log.child(component = "auth").child({"user": 7})
    /// Logger({"component":"auth","user":7})
    /// ```
    fn child<'v>(attrs: Option<DictRef<'v>>, #[starlark(kwargs)] attributes: DictRef<'v>) -> starlark::Result<Logger> {
        Ok(Logger { own: None, attributes: Attributes::default().with(given(attrs, &attributes)?) })
    }

    /// A logger with a level, a format and a stream of its own: `"info"`, `"text"` and `"stderr"` where none is given.
    ///
    /// It has the methods of `child`'s. The operator's `--log-level` and `--log-format` come first.
    ///
    /// ```text
    /// >>> log.logger(level = "warn").attrs({"app": "shop"}).group("req")
    /// Logger(level="warn", format="text", output="stderr", {"app":"shop"})
    /// ```
    fn logger<'v>(
        level: Option<LevelName<'v>>,
        format: Option<FormatName<'v>>,
        output: Option<OutputName<'v>>,
    ) -> starlark::Result<Logger> {
        let settings = LogSettings {
            level: level.map_or_else(Level::default, |level| level.0),
            format: format.map_or_else(LogFormat::default, |format| format.0),
            output: output.map_or_else(LogOutput::default, |output| output.0),
        };
        Ok(Logger { own: Some(settings), attributes: Attributes::default() })
    }

    /// Sets the least severe lines that the functions of this module write: `"debug"`, `"info"`, which it is when nothing
    /// is said, `"warn"` or `"error"`. The operator's `--log-level` comes first.
    ///
    /// What the top level of a script sets holds for every handler; what a handler sets holds for the rest of its request.
    ///
    /// ```text
    /// >>> log.set_level("debug")
    /// None
    /// ```
    fn set_level<'v>(level: LevelName<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        set(eval, |settings| settings.level = level.0)
    }

    /// Sets how the functions of this module write lines: `"text"`, or `"json"`. The operator's `--log-format` comes first.
    ///
    /// ```text
    /// >>> log.set_format("json")
    /// None
    /// ```
    fn set_format<'v>(format: FormatName<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        set(eval, |settings| settings.format = format.0)
    }

    /// Sets where the functions of this module write lines: `"stderr"`, or `"stdout"`.
    ///
    /// ```text
    /// >>> log.set_output("stdout")
    /// None
    /// ```
    fn set_output<'v>(output: OutputName<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        set(eval, |settings| settings.output = output.0)
    }
}

fn set(eval: &Evaluator<'_, '_, '_>, change: impl FnOnce(&mut LogSettings)) -> starlark::Result<NoneType> {
    let log = &Session::of(eval)?.log;
    let mut settings = log.get();
    change(&mut settings);
    log.set(settings);
    Ok(NoneType)
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    logger::documented()
}
