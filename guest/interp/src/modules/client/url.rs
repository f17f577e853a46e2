//! The value `http.url(..)` returns. The host reads the text when something is sent to it.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::dict::DictRef;
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, Value, ValueLike, starlark_value};

use super::send::Question;
use crate::given::argument;
use crate::modules::time::Deadline;

const TYPE: &str = "http.url";

/// A URL as the script wrote it.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Url(String);

starlark_simple_value!(Url);

impl Url {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Url>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for Url {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }
}

argument! {
    /// A URL, as its text or as a value.
    Address<'v>(&'v str) as Value<'v>, "a str or what http.url() returns", |value| {
        value.downcast_ref::<Url>().map(|url| url.0.as_str()).or_else(|| value.unpack_str())
    }
}

#[builtins("http.url")]
fn methods(builder: &mut MethodsBuilder) {
    /// Asks a server to delete this URL; see `http.delete`.
    fn delete<'v>(
        this: &'v Url,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { headers, timeout, redirects, ..Question::to("DELETE", &this.0) }.send(eval)
    }

    /// Asks a server for this URL; see `http.get`.
    fn get<'v>(
        this: &'v Url,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { headers, timeout, redirects, ..Question::to("GET", &this.0) }.send(eval)
    }

    /// Asks a server for the head of this URL; see `http.head`.
    fn head<'v>(
        this: &'v Url,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { headers, timeout, redirects, ..Question::to("HEAD", &this.0) }.send(eval)
    }

    /// Asks a server what it offers for this URL; see `http.options`.
    fn options<'v>(
        this: &'v Url,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { headers, timeout, redirects, ..Question::to("OPTIONS", &this.0) }.send(eval)
    }

    /// Sends a change to this URL; see `http.patch`.
    fn patch<'v>(
        this: &'v Url,
        body: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { body, headers, timeout, redirects, ..Question::to("PATCH", &this.0) }.send(eval)
    }

    /// Sends a body to this URL; see `http.post`.
    fn post<'v>(
        this: &'v Url,
        body: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { body, headers, timeout, redirects, ..Question::to("POST", &this.0) }.send(eval)
    }

    /// Sends a content to this URL; see `http.put`.
    fn put<'v>(
        this: &'v Url,
        body: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { body, headers, timeout, redirects, ..Question::to("PUT", &this.0) }.send(eval)
    }
}
