//! The value `http.url(..)` returns. The host reads the text when something is sent to it.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::starlark_simple_value;
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, Value, ValueLike, starlark_value};

use super::send::{self, Method};
use crate::result::attempt;

const TYPE: &str = "http.url";

/// A URL as the script wrote it.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Url(String);

starlark_simple_value!(Url);

impl Url {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text of a URL value.
    pub(super) fn text<'v>(value: Value<'v>) -> Option<&'v str> {
        value.downcast_ref::<Self>().map(|url| url.0.as_str())
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

#[starlark_module]
fn methods(builder: &mut MethodsBuilder) {
    /// Asks a server to delete this URL; see `http.delete`.
    ///
    /// `delete(*, headers: dict = None, timeout: str = None, redirects: int = 10)`
    fn delete<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        send::send("delete", Method::Delete, Some(this), args, eval)
    }

    /// Like `delete`, as a `Result`.
    fn try_delete<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(send::send("try_delete", Method::Delete, Some(this), args, eval), eval.heap())
    }

    /// Asks a server for this URL; see `http.get`.
    ///
    /// `get(*, headers: dict = None, timeout: str = None, redirects: int = 10)`
    fn get<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        send::send("get", Method::Get, Some(this), args, eval)
    }

    /// Like `get`, as a `Result`.
    fn try_get<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(send::send("try_get", Method::Get, Some(this), args, eval), eval.heap())
    }

    /// Asks a server for the head of this URL; see `http.head`.
    ///
    /// `head(*, headers: dict = None, timeout: str = None, redirects: int = 10)`
    fn head<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        send::send("head", Method::Head, Some(this), args, eval)
    }

    /// Like `head`, as a `Result`.
    fn try_head<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(send::send("try_head", Method::Head, Some(this), args, eval), eval.heap())
    }

    /// Asks a server what it offers for this URL; see `http.options`.
    ///
    /// `options(*, headers: dict = None, timeout: str = None, redirects: int = 10)`
    fn options<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        send::send("options", Method::Options, Some(this), args, eval)
    }

    /// Like `options`, as a `Result`.
    fn try_options<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(send::send("try_options", Method::Options, Some(this), args, eval), eval.heap())
    }

    /// Sends a change to this URL; see `http.patch`.
    ///
    /// `patch(body = None, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    fn patch<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        send::send("patch", Method::Patch, Some(this), args, eval)
    }

    /// Like `patch`, as a `Result`.
    fn try_patch<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(send::send("try_patch", Method::Patch, Some(this), args, eval), eval.heap())
    }

    /// Sends a body to this URL; see `http.post`.
    ///
    /// `post(body = None, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    fn post<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        send::send("post", Method::Post, Some(this), args, eval)
    }

    /// Like `post`, as a `Result`.
    fn try_post<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(send::send("try_post", Method::Post, Some(this), args, eval), eval.heap())
    }

    /// Sends a content to this URL; see `http.put`.
    ///
    /// `put(body = None, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    fn put<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        send::send("put", Method::Put, Some(this), args, eval)
    }

    /// Like `put`, as a `Result`.
    fn try_put<'v>(
        this: Value<'v>,
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(send::send("try_put", Method::Put, Some(this), args, eval), eval.heap())
    }
}
