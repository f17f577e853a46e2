//! The half of `http` that asks: `http.get(..)` and its siblings, `http.batch(..)`, `http.url(..)`, `http.config(..)`.

#![expect(clippy::too_many_arguments, reason = "they are named where they are given")]

mod batch;
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
use starlark::values::list_or_tuple::UnpackListOrTuple;
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
        Question { headers, timeout, redirects, ..Question::to("DELETE", url.0) }.send(eval)
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
        Question { headers, timeout, redirects, ..Question::to("GET", url.0) }.send(eval)
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
        Question { headers, timeout, redirects, ..Question::to("HEAD", url.0) }.send(eval)
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
        Question { headers, timeout, redirects, ..Question::to("OPTIONS", url.0) }.send(eval)
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
        Question { body, headers, timeout, redirects, ..Question::to("PATCH", url.0) }.send(eval)
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
        Question { body, headers, timeout, redirects, ..Question::to("POST", url.0) }.send(eval)
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
        Question { body, headers, timeout, redirects, ..Question::to("PUT", url.0) }.send(eval)
    }

    /// Sends a request with any of the methods that the functions of `http` are named after, in any case.
    ///
    /// `body` is str, bytes, or a value that is sent as JSON; `json` is any value that is sent as JSON, in its place.
    /// `params` is added to the query of the URL, as `url.encode_query` writes it. Everything else is as with
    /// `http.get`.
    ///
    /// ```text
    /// >>> http.request("GET", "http://api.example.com/items", params = {"page": 2}).url
    /// "http://api.example.com/items?page=2"
    /// ```
    fn request<'v>(
        method: &'v str,
        url: Address<'v>,
        body: Option<Value<'v>>,
        #[starlark(require = named)] json: Option<Value<'v>>,
        #[starlark(require = named)] params: Option<Value<'v>>,
        #[starlark(require = named)] headers: Option<DictRef<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named, default = 10)] redirects: u32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Question { body, json, params, headers, timeout, redirects, ..Question::to(method, url.0) }.send(eval)
    }

    /// Sends several requests side by side, at most `workers` of them at a time, and returns a list with a `Result` for
    /// each, in their order.
    ///
    /// A request is a URL, which is asked for with GET, or a dict with arguments of `http.request`. Each is judged,
    /// recorded and counted as one of `http.get` is; one that is denied or fails is a `Result` with its error, and the
    /// others go on. The bodies of all requests may have 16 MiB together, and so may those of all answers. Errors: a
    /// request that is none, more than 1000 requests, `workers` outside of 1 to 64.
    ///
    /// ```text
    /// >>> results = http.batch(["http://a.example.com/", {"method": "POST", "url": "http://b.example.com/", "json": [1]}])
    /// ... [(r.ok, r.value.status_code, r.value.url) for r in results]
    /// [(True, 200, "http://a.example.com/"), (True, 200, "http://b.example.com/")]
    /// ```
    fn batch<'v>(
        requests: UnpackListOrTuple<Value<'v>>,
        #[starlark(default = 8)] workers: i32,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        batch::send(requests.items, workers, eval)
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
