//! The half of `http` that asks: `http.get(..)` and its siblings, `http.url(..)`, `http.config(..)`.

mod response;
mod send;
mod url;

use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::Value;

use crate::args::Args;
use crate::result::attempt;
pub(super) use send::{pairs, set_body, set_header};

use send::Method;
use url::Url;

/// The types of the values that these functions return.
pub(super) fn types() -> [(&'static str, DocType); 2] {
    [("http.client_response", response::documented()), ("http.url", url::documented())]
}

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Asks a server to delete a URL.
    ///
    /// `http.delete(url, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    ///
    /// Arguments, value and errors are those of `http.get`.
    fn delete<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        send::send("http.delete", Method::Delete, None, args, eval)
    }

    /// Like `delete`, as a `Result`.
    fn try_delete<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(send::send("http.try_delete", Method::Delete, None, args, eval), eval.heap())
    }

    /// Asks a server for a URL.
    ///
    /// `http.get(url, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    ///
    /// `headers` is a dict of str, `timeout` a time such as `"5s"`, `redirects` how many are followed, each of them
    /// judged like the first. Returns an `http.client_response`, whatever its status. Errors: a server that cannot be
    /// reached or takes too long, an answer that is too large.
    ///
    /// ```text
    /// >>> reply = http.get("http://api.example.com/items", headers = {"Accept": "application/json"}, timeout = "5s")
    /// ... [reply.status_code, reply.ok]
    /// [200, True]
    /// ```
    fn get<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        send::send("http.get", Method::Get, None, args, eval)
    }

    /// Like `get`, as a `Result`.
    fn try_get<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(send::send("http.try_get", Method::Get, None, args, eval), eval.heap())
    }

    /// Asks a server for the head of a URL.
    ///
    /// `http.head(url, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    ///
    /// Arguments, value and errors are those of `http.get`.
    fn head<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        send::send("http.head", Method::Head, None, args, eval)
    }

    /// Like `head`, as a `Result`.
    fn try_head<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(send::send("http.try_head", Method::Head, None, args, eval), eval.heap())
    }

    /// Asks a server what it offers for a URL.
    ///
    /// `http.options(url, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    ///
    /// Arguments, value and errors are those of `http.get`.
    fn options<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        send::send("http.options", Method::Options, None, args, eval)
    }

    /// Like `options`, as a `Result`.
    fn try_options<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(send::send("http.try_options", Method::Options, None, args, eval), eval.heap())
    }

    /// Sends a change to a URL.
    ///
    /// `http.patch(url, body = None, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    ///
    /// `body` is str, bytes, or a value that is sent as JSON. Everything else is as with `http.get`.
    fn patch<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        send::send("http.patch", Method::Patch, None, args, eval)
    }

    /// Like `patch`, as a `Result`.
    fn try_patch<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(send::send("http.try_patch", Method::Patch, None, args, eval), eval.heap())
    }

    /// Sends a body to a URL.
    ///
    /// `http.post(url, body = None, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    ///
    /// `body` is str, bytes, or a value that is sent as JSON. Everything else is as with `http.get`.
    fn post<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        send::send("http.post", Method::Post, None, args, eval)
    }

    /// Like `post`, as a `Result`.
    fn try_post<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(send::send("http.try_post", Method::Post, None, args, eval), eval.heap())
    }

    /// Sends a content to a URL.
    ///
    /// `http.put(url, body = None, *, headers: dict = None, timeout: str = None, redirects: int = 10)`
    ///
    /// `body` is str, bytes, or a value that is sent as JSON. Everything else is as with `http.get`.
    fn put<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        send::send("http.put", Method::Put, None, args, eval)
    }

    /// Like `put`, as a `Result`.
    fn try_put<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(send::send("http.try_put", Method::Put, None, args, eval), eval.heap())
    }

    /// A URL with the methods of `http`, for several requests to it: an `http.url`. Making one needs no permission.
    ///
    /// `http.url(url: str)`
    ///
    /// ```text
    /// >>> http.url("http://api.example.com/items").post({"name": "Ada"}, timeout = "5s").status
    /// "200 OK"
    /// ```
    fn url<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        make_url("http.url", args, eval)
    }

    /// Like `url`, as a `Result`.
    fn try_url<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(make_url("http.try_url", args, eval), eval.heap())
    }

    /// What later requests have unless they say otherwise: during setup for the whole script, in a handler for its
    /// request.
    ///
    /// `http.config(*, headers: dict = None, timeout: str = None) -> None`
    ///
    /// Needs no permission; each request is judged by itself.
    fn config<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        send::config("http.config", args, eval)
    }

    /// Like `config`, as a `Result`.
    fn try_config<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(send::config("http.try_config", args, eval), eval.heap())
    }
}

fn make_url<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let url = args.required("url")?;
    args.finish("url")?;
    Ok(eval.heap().alloc(Url::new(args.text("url", url)?)))
}
