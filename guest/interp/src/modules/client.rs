//! The half of `http` that asks: `http.get(..)` and its siblings, `http.url(..)`, `http.config(..)`.

mod encoding;
mod response;
mod send;
mod url;

use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::dict::DictRef;
use starlark::values::none::NoneType;

use super::time::Deadline;
use crate::given::{Given, Text};
pub(super) use send::{pairs, set_body, set_header};

use send::Question;
use url::{Address, Url};

/// The types of the values that these functions return.
pub(super) fn types() -> [(&'static str, DocType); 2] {
    [("http.client_response", response::documented()), ("http.url", url::documented())]
}

#[builtins("http")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Asks a server to delete a URL.
    ///
    /// Arguments, value and errors are those of `http.get`.
    fn delete<'v>(
        url: Address<'v>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { method: "DELETE", url: url.0, body: None, headers, timeout, redirects }.send(eval)
    }

    /// Asks a server for a URL.
    ///
    /// `headers` is a dict of str, `timeout` a time such as `"5s"`, `redirects` how many are followed, each of them
    /// judged like the first. Returns an `http.client_response`, whatever its status. An answer may be packed with gzip on
    /// its way: it is unpacked, and `Content-Encoding` and `Content-Length` are left out, unless the script sent an
    /// `Accept-Encoding` of its own. Errors: a server that cannot be reached or takes too long, an answer that is too
    /// large, unpacked too.
    ///
    /// ```text
    /// >>> reply = http.get("http://api.example.com/items", headers = {"Accept": "application/json"}, timeout = "5s")
    /// ... [reply.status_code, reply.ok]
    /// [200, True]
    /// ```
    fn get<'v>(
        url: Address<'v>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { method: "GET", url: url.0, body: None, headers, timeout, redirects }.send(eval)
    }

    /// Asks a server for the head of a URL.
    ///
    /// Arguments, value and errors are those of `http.get`.
    fn head<'v>(
        url: Address<'v>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { method: "HEAD", url: url.0, body: None, headers, timeout, redirects }.send(eval)
    }

    /// Asks a server what it offers for a URL.
    ///
    /// Arguments, value and errors are those of `http.get`.
    fn options<'v>(
        url: Address<'v>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { method: "OPTIONS", url: url.0, body: None, headers, timeout, redirects }.send(eval)
    }

    /// Sends a change to a URL.
    ///
    /// `body` is str, bytes, or a value that is sent as JSON. Everything else is as with `http.get`.
    fn patch<'v>(
        url: Address<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { method: "PATCH", url: url.0, body, headers, timeout, redirects }.send(eval)
    }

    /// Sends a body to a URL.
    ///
    /// `body` is str, bytes, or a value that is sent as JSON. Everything else is as with `http.get`.
    fn post<'v>(
        url: Address<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { method: "POST", url: url.0, body, headers, timeout, redirects }.send(eval)
    }

    /// Sends a content to a URL.
    ///
    /// `body` is str, bytes, or a value that is sent as JSON. Everything else is as with `http.get`.
    fn put<'v>(
        url: Address<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { method: "PUT", url: url.0, body, headers, timeout, redirects }.send(eval)
    }

    /// A URL with the methods of `http`, for several requests to it: an `http.url`. Making one needs no permission.
    ///
    /// ```text
    /// >>> http.url("http://api.example.com/items").post({"name": "Ada"}, timeout = "5s").status
    /// "200 OK"
    /// ```
    fn url<'v>(url: Text<'v>) -> starlark::Result<Url> {
        Ok(Url::new(url.0))
    }

    /// What later requests have unless they say otherwise: during setup for the whole script, in a handler for its
    /// request. `None` takes back what was set.
    ///
    /// Needs no permission; each request is judged by itself.
    fn config<'v>(
        #[starlark(require = named)] headers: Option<Given<'v, DictRef<'v>>>,
        #[starlark(require = named)] timeout: Option<Given<'v, Deadline>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        send::config(headers, timeout, eval)?;
        Ok(NoneType)
    }
}
