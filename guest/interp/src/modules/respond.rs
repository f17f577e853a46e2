//! `http.response`, `http.redirect`, `http.error` and `http.cookie`: responses with the defaults one should have had.
//!
//! They return the plain dicts and strings that a handler could write itself, so middleware goes on editing them; what
//! they add is that a mistake is an error where it was made, and that the dangerous variant has to be asked for.

#![expect(clippy::too_many_arguments, reason = "they are named where they are given")]

mod cookie;

use fluent_uri::UriRef;
use starcell_macros::builtins;
use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::values::dict::{Dict, DictRef};
use starlark::values::list::AllocList;
use starlark::values::list_or_tuple::UnpackListOrTuple;
use starlark::values::{Heap, Value};

use crate::args::describe;
use crate::error::usage;
use crate::given::Given;
use crate::pairs::key;
use crate::response;

#[builtins("http")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A response: a dict of `status`, `headers` and `body`.
    ///
    /// `body` is str, bytes, `None`, or a dict or list to send as JSON; `headers` a dict of names and str or lists of
    /// str; `content_type` the header of that name; `cookies` a list of what `http.cookie` returns. Errors: a status
    /// outside 100 to 999, an illegal header, a header given in two ways.
    ///
    /// ```text
    /// >>> http.response("<p>hi", content_type = "text/html; charset=utf-8")
    /// {"status": 200, "headers": {"Content-Type": "text/html; charset=utf-8"}, "body": "<p>hi"}
    /// ```
    fn response<'v>(
        body: Option<Value<'v>>,
        status: Option<Value<'v>>,
        headers: Option<DictRef<'v>>,
        content_type: Option<&'v str>,
        cookies: Option<UnpackListOrTuple<&'v str>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let mut headers = Headers::new(headers)?;
        if let Some(content_type) = content_type {
            headers.add("Content-Type", "content_type", heap.alloc(content_type), heap)?;
        }
        if let Some(cookies) = cookies
            && !cookies.items.is_empty()
        {
            headers.add("Set-Cookie", "cookies", heap.alloc(AllocList(cookies.items)), heap)?;
        }
        let status = status.unwrap_or_else(|| heap.alloc(200));
        headers.finish(status, body.unwrap_or_default(), heap)
    }

    /// A redirect to a URL, or to a path of this site. `status` is 301, 302 (unless given), 303, 307 or 308.
    ///
    /// Errors: a URL that RFC 3986 does not allow, so that no header and no host can be smuggled into it; a scheme
    /// other than http and https; `//host`, which leaves the site and is nearly always someone else's idea.
    ///
    /// ```text
    /// >>> http.redirect("/login?next=%2Fhome", 303)
    /// {"status": 303, "headers": {"Location": "/login?next=%2Fhome"}, "body": None}
    /// ```
    fn redirect<'v>(
        url: Given<'v, &'v str>,
        status: Option<Given<'v, i32>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let target = url.take("url")?;
        if let Err(wrong) = check_target(target) {
            return Err(usage(format!("{wrong}, got {}", describe(url.0))));
        }
        let code = match status {
            None => 302,
            Some(status) => match status.take("status")? {
                code @ (301 | 302 | 303 | 307 | 308) => code,
                _ => return Err(status.wrong("status", "301, 302, 303, 307 or 308")),
            },
        };
        let mut headers = Headers::new(None)?;
        headers.add("Location", "url", url.0, heap)?;
        headers.finish(heap.alloc(code), Value::new_none(), heap)
    }

    /// An error response: `status` from 400 to 599, and a message for the client, which is the status in words unless given.
    ///
    /// A str is sent as plain text that no browser will take for a page; a dict or list is sent as JSON. `headers` is as
    /// for `http.response`. The message is public: details belong in the log.
    ///
    /// ```text
    /// >>> http.error(404)["body"]
    /// "Not Found"
    /// ```
    fn error<'v>(
        status: Given<'v, i32>,
        message: Option<Value<'v>>,
        headers: Option<DictRef<'v>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let code = status.take("status")?;
        if !(400..=599).contains(&code) {
            return Err(status.wrong("status", "an int from 400 to 599"));
        }
        let mut headers = Headers::new(headers)?;
        headers.default("X-Content-Type-Options", "nosniff", heap);
        let body = message.filter(|message| !message.is_none()).unwrap_or_else(|| heap.alloc(reason(code)));
        headers.finish(status.0, body, heap)
    }

    /// The value of a `Set-Cookie` header, for `http.response(cookies = [..])`.
    ///
    /// The cookie is sent back over TLS (or to localhost) only, hidden from scripts in the page, not sent along with
    /// other sites' requests, and forgotten when the browser closes; each can be changed: `max_age` is seconds or a
    /// duration such as `"24h"` (0 deletes the cookie), `secure = False`, `http_only = False`, `same_site` is `"lax"`,
    /// `"strict"` or `"none"`; `path` is `/` unless given, and `domain` adds subdomains. Errors: what a cookie cannot
    /// hold (encode it with `url.quote` or `base64.encode_url`), and combinations that browsers refuse.
    ///
    /// ```text
    /// >>> http.cookie("sid", "abc", max_age = "1h")
    /// "sid=abc; Path=/; Max-Age=3600; Secure; HttpOnly; SameSite=Lax"
    /// ```
    fn cookie<'v>(
        name: &'v str,
        value: &'v str,
        #[starlark(require = named)] max_age: Option<Value<'v>>,
        #[starlark(require = named, default = "/")] path: &'v str,
        #[starlark(require = named)] domain: Option<&'v str>,
        #[starlark(require = named, default = true)] secure: bool,
        #[starlark(require = named, default = true)] http_only: bool,
        #[starlark(require = named, default = "lax")] same_site: &'v str,
    ) -> starlark::Result<String> {
        cookie::Cookie {
            name,
            value,
            max_age: cookie::max_age(max_age.unwrap_or_default())?,
            path,
            domain,
            secure,
            http_only,
            same_site,
        }
        .header()
        .map_err(usage)
    }
}

/// The headers of a response in the making; they are checked as a handler's are.
struct Headers<'v> {
    fields: SmallMap<Value<'v>, Value<'v>>,
}

impl<'v> Headers<'v> {
    fn new(given: Option<DictRef<'v>>) -> starlark::Result<Self> {
        let mut fields = SmallMap::new();
        for (name, value) in given.iter().flat_map(|given| given.iter()) {
            fields.insert_hashed(name.get_hashed()?, value);
        }
        Ok(Self { fields })
    }

    fn has(&self, name: &str) -> bool {
        self.fields.keys().any(|given| given.unpack_str().is_some_and(|given| given.eq_ignore_ascii_case(name)))
    }

    /// Adds what has an argument of its own, unless it is among the headers too.
    fn add(&mut self, name: &str, argument: &str, value: Value<'v>, heap: Heap<'v>) -> starlark::Result<()> {
        if self.has(name) {
            return Err(usage(format!("give {argument} or the header {name}, not both")));
        }
        self.fields.insert_hashed(key(heap, name), value);
        Ok(())
    }

    /// Adds a header that was not given.
    fn default(&mut self, name: &str, value: &str, heap: Heap<'v>) {
        if !self.has(name) {
            self.fields.insert_hashed(key(heap, name), heap.alloc(value));
        }
    }

    /// The response, once it is known that it can be sent.
    fn finish(self, status: Value<'v>, body: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let headers = heap.alloc(Dict::new(self.fields));
        response::check(status, headers, body).map_err(usage)?;
        let mut response = SmallMap::with_capacity(3);
        response.insert_hashed(key(heap, "status"), status);
        response.insert_hashed(key(heap, "headers"), headers);
        response.insert_hashed(key(heap, "body"), body);
        Ok(heap.alloc(Dict::new(response)))
    }
}

fn check_target(target: &str) -> Result<(), String> {
    let url = UriRef::parse(target)
        .map_err(|e| format!("url is not a URL: {e}; url.quote encodes what a URL cannot hold"))?;
    if target.is_empty() {
        return Err("url must not be empty".to_owned());
    }
    match url.scheme().map(|scheme| scheme.as_str().to_ascii_lowercase()).as_deref() {
        Some("http" | "https") if url.authority().is_some_and(|authority| !authority.host().is_empty()) => Ok(()),
        Some("http" | "https") => Err("url has no host".to_owned()),
        Some(_) => Err("url must be http or https, or a path".to_owned()),
        None if url.authority().is_some() => {
            Err("url leaves this site without saying so; write the scheme before //".to_owned())
        }
        None => Ok(()),
    }
}

/// The status in words, for those a handler is likely to use.
pub(super) fn reason(status: i32) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ if status < 300 => "Success",
        _ if status < 400 => "Redirection",
        _ if status < 500 => "Client Error",
        _ => "Internal Server Error",
    }
}
