//! A logger: attributes that stand on each of its lines, and perhaps a level, a format and a stream of its own.
//!
//! Its attributes were written as JSON when it was made, so that it can be frozen and shared.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::dict::DictRef;
use starlark::values::none::{NoneOr, NoneType};
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use super::attributes::Attributes;
use super::record::{given, log};
use crate::given::Text;
use crate::host::Level;
use crate::logging::LogSettings;

/// What `log.child` and `log.logger` return.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Logger {
    /// None where it follows the functions of the module.
    #[allocative(skip)]
    pub(super) own: Option<LogSettings>,
    pub(super) attributes: Attributes,
}

starlark_simple_value!(Logger);

impl Logger {
    /// A logger with these attributes added to its own.
    fn extended<'v>(&self, attrs: Option<DictRef<'v>>, named: &DictRef<'v>) -> starlark::Result<Self> {
        Ok(Self { own: self.own, attributes: self.attributes.with(given(attrs, named)?) })
    }

    fn name(&self, of: impl FnOnce([&'static str; 3]) -> &'static str) -> NoneOr<&'static str> {
        self.own.map_or(NoneOr::None, |own| NoneOr::Other(of(own.names())))
    }
}

impl fmt::Display for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = self.attributes.object();
        let Some(own) = self.own else { return write!(f, "Logger({object})") };
        let [level, format, output] = own.names();
        write!(f, "Logger(level={level:?}, format={format:?}, output={output:?}")?;
        if !self.attributes.is_empty() {
            write!(f, ", {object}")?;
        }
        f.write_str(")")
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
    /// The level of a logger that `log.logger` made; `None` for one that follows `log.set_level`.
    #[starlark(attribute)]
    fn level(this: &Logger) -> starlark::Result<NoneOr<&'static str>> {
        Ok(this.name(|[level, _, _]| level))
    }

    /// The format of a logger that `log.logger` made; `None` for one that follows `log.set_format`.
    #[starlark(attribute)]
    fn format(this: &Logger) -> starlark::Result<NoneOr<&'static str>> {
        Ok(this.name(|[_, format, _]| format))
    }

    /// The stream of a logger that `log.logger` made; `None` for one that follows `log.set_output`.
    #[starlark(attribute)]
    fn output(this: &Logger) -> starlark::Result<NoneOr<&'static str>> {
        Ok(this.name(|[_, _, output]| output))
    }

    /// Logs detail for debugging, with the logger's attributes.
    fn debug<'v>(
        this: &Logger,
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Debug, (this.own, &this.attributes), msg, (attrs, &attributes), eval)
    }

    /// Logs the normal course of events, with the logger's attributes.
    fn info<'v>(
        this: &Logger,
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Info, (this.own, &this.attributes), msg, (attrs, &attributes), eval)
    }

    /// Logs something to look at, with the logger's attributes.
    fn warn<'v>(
        this: &Logger,
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Warn, (this.own, &this.attributes), msg, (attrs, &attributes), eval)
    }

    /// Logs a failure, with the logger's attributes.
    fn error<'v>(
        this: &Logger,
        msg: Value<'v>,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        log(Level::Error, (this.own, &this.attributes), msg, (attrs, &attributes), eval)
    }

    /// A logger with this one's attributes and more of its own.
    fn child<'v>(
        this: &Logger,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
    ) -> starlark::Result<Logger> {
        this.extended(attrs, &attributes)
    }

    /// The same as `child`, under the name that Starkite's loggers have for it.
    fn attrs<'v>(
        this: &Logger,
        attrs: Option<DictRef<'v>>,
        #[starlark(kwargs)] attributes: DictRef<'v>,
    ) -> starlark::Result<Logger> {
        this.extended(attrs, &attributes)
    }

    /// A logger whose further attributes stand in a group: an object in JSON, `name.` before each of them in text.
    ///
    /// Errors: more than 16 groups.
    fn group<'v>(this: &Logger, name: Text<'v>) -> starlark::Result<Logger> {
        Ok(Logger { own: this.own, attributes: this.attributes.within(name.0)? })
    }
}
