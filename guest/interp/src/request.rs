//! The request value a handler receives.
//!
//! It holds the host's record and converts a part when a script first asks for it, since most handlers ask for two of
//! twelve. What was converted is kept: `req.params` is the same dict every time, so an edit made by middleware is seen
//! further down and never lost.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, a type id")]

use std::cell::Cell;
use std::fmt;

use allocative::Allocative;
use percent_encoding::percent_decode_str;
use starcell_macros::builtins;
use starlark::collections::SmallMap;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::values::dict::Dict;
use starlark::values::list::AllocList;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value, ValueLike, starlark_value};

use crate::bytes::text_or_bytes;
use crate::error::usage;
use crate::fields::Fields;
use crate::form;
use crate::headers::Headers;
use crate::host::Request;
use crate::modules::json_decode;
use crate::pairs;
use crate::unknown::{ATTRIBUTES, REQUEST as TYPE};

/// Moves a request onto the heap.
pub(crate) fn allocate<'v>(mut request: Request, heap: Heap<'v>) -> Value<'v> {
    let headers = heap.alloc(Headers::new(Fields::from_lines(std::mem::take(&mut request.headers))));
    heap.alloc_complex_no_freeze(RequestValue {
        request,
        headers,
        params: Cell::new(None),
        query: Cell::new(None),
        body: Cell::new(None),
        cookies: Cell::new(None),
    })
}

/// A request, and the parts of it that were asked for. Requests live as long as one call, so they never freeze.
#[derive(Trace, ProvidesStaticType, NoSerialize, Allocative)]
struct RequestValue<'v> {
    #[trace(static)]
    #[allocative(skip)]
    request: Request,
    headers: Value<'v>,
    #[allocative(skip)]
    params: Cell<Option<Value<'v>>>,
    #[allocative(skip)]
    query: Cell<Option<Value<'v>>>,
    #[allocative(skip)]
    body: Cell<Option<Value<'v>>>,
    #[allocative(skip)]
    cookies: Cell<Option<Value<'v>>>,
}

impl<'v> RequestValue<'v> {
    fn params(&self, heap: Heap<'v>) -> Value<'v> {
        let pairs = self.request.params.iter();
        cached(&self.params, || {
            let mut map = SmallMap::with_capacity(pairs.len());
            for (name, value) in pairs {
                map.insert_hashed(pairs::key(heap, name), heap.alloc(value.as_str()));
            }
            heap.alloc(Dict::new(map))
        })
    }

    fn query(&self, heap: Heap<'v>) -> Value<'v> {
        let pairs = self.request.query.iter();
        cached(&self.query, || pairs::dict(pairs.map(|(name, value)| (name, value.as_str())), heap))
    }

    /// The first value of each name: browsers send the most specific cookie first.
    fn cookies(&self, heap: Heap<'v>) -> Value<'v> {
        cached(&self.cookies, || {
            let mut map = SmallMap::new();
            for (name, value) in self.fields("cookie").flat_map(cookie_pairs) {
                map.entry_hashed(pairs::key(heap, name)).or_insert_with(|| heap.alloc(value));
            }
            heap.alloc(Dict::new(map))
        })
    }

    fn body(&self, heap: Heap<'v>) -> Value<'v> {
        cached(&self.body, || text_or_bytes(&self.request.body, heap))
    }

    fn fields(&self, name: &'static str) -> impl Iterator<Item = &'v str> {
        let headers: Option<&'v Headers> = self.headers.downcast_ref::<Headers>();
        headers.into_iter().flat_map(move |headers| headers.all(name))
    }

    fn json(&self, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        json_decode::decode(&self.request.body, heap).map_err(|wrong| usage(format!("the body is not JSON: {wrong}")))
    }

    fn form(&self, max_fields: u32, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let max_fields = usize::try_from(max_fields).unwrap_or(usize::MAX);
        form::read(&self.request.body, self.fields("content-type").next(), max_fields, heap).map_err(usage)
    }

    fn query_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let query = self.request.query.iter();
        query.filter(move |(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

fn cached<'v>(cell: &Cell<Option<Value<'v>>>, make: impl FnOnce() -> Value<'v>) -> Value<'v> {
    if let Some(value) = cell.get() {
        return value;
    }
    let value = make();
    cell.set(Some(value));
    value
}

/// What of the path that was asked for led to the app: what stands before the app's own path in the URL, decoded. Nothing
/// for an app that answers all paths. It is worked out of the two, so that a request which is not asked for it, as most are
/// not, carries nothing for it across the border.
fn prefix(url: &str, path: &str) -> String {
    let target = url.split_once("://").map_or(url, |(_, rest)| rest);
    let sent = target.find('/').and_then(|start| target.get(start..)).unwrap_or_default();
    let sent = sent.split_once('?').map_or(sent, |(sent, _query)| sent);
    let whole = percent_decode_str(sent).decode_utf8_lossy();
    match whole.strip_suffix(path) {
        Some(prefix) => prefix.to_owned(),
        // The prefix itself was asked for, which is the app's `/`.
        None if path == "/" => whole.into_owned(),
        None => String::new(),
    }
}

/// The cookies of one header field. What is no pair is left out: whatever else shares the domain can set cookies, and
/// must not be able to fail every request with them.
fn cookie_pairs(field: &str) -> impl Iterator<Item = (&str, &str)> {
    field.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        (!name.is_empty()).then_some((name, value))
    })
}

impl fmt::Debug for RequestValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RequestValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} {} {}>", self.request.method, self.request.url)
    }
}

/// What the reference says of the type.
pub(crate) fn documented() -> DocType {
    DocType::from_starlark_value::<RequestValue<'static>>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for RequestValue<'v> {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }

    fn get_attr(&self, attribute: &str, heap: Heap<'v>) -> Option<Value<'v>> {
        let request = &self.request;
        let text = match attribute {
            "method" => &request.method,
            "path" => &request.path,
            "url" => &request.url,
            "remote_addr" => &request.remote_addr,
            "host" => &request.host,
            "id" => &request.id,
            "proto" => &request.proto,
            "prefix" => return Some(heap.alloc(prefix(&request.url, &request.path))),
            "params" => return Some(self.params(heap)),
            "query" => return Some(self.query(heap)),
            "headers" => return Some(self.headers),
            "body" => return Some(self.body(heap)),
            "cookies" => return Some(self.cookies(heap)),
            "tls" => return Some(Value::new_bool(request.tls)),
            _ => return None,
        };
        Some(heap.alloc(text.as_str()))
    }

    fn has_attr(&self, attribute: &str, _heap: Heap<'v>) -> bool {
        ATTRIBUTES.contains(&attribute)
    }

    fn dir_attr(&self) -> Vec<String> {
        ATTRIBUTES.map(str::to_owned).to_vec()
    }

    fn set_attr(&self, attribute: &str, _new_value: Value<'v>) -> starlark::Result<()> {
        Err(usage(format!(
            "a request's attributes cannot be assigned, tried to set {attribute:?}; \
             params, query and cookies are dicts and can be edited"
        )))
    }
}

fn unpack<'v>(this: Value<'v>) -> starlark::Result<&'v RequestValue<'v>> {
    this.downcast_ref::<RequestValue<'v>>().ok_or_else(|| usage(format!("expected a request, got {}", this.get_type())))
}

#[builtins("req")]
fn methods(builder: &mut MethodsBuilder) {
    /// The first value of a query key, or the default; never a list.
    #[no_twin]
    fn query_first<'v>(
        this: Value<'v>,
        #[starlark(require = pos)] key: &str,
        default: Option<Value<'v>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(match unpack(this)?.query_values(key).next() {
            Some(value) => heap.alloc(value),
            None => default.unwrap_or_default(),
        })
    }

    /// Every value of a query key, in order; always a list.
    #[no_twin]
    fn query_list<'v>(
        this: Value<'v>,
        #[starlark(require = pos)] key: &str,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(AllocList(unpack(this)?.query_values(key))))
    }

    /// The body as JSON, whatever its content type says. Errors: a body that is not JSON, with line and column.
    ///
    /// With `default`, a body that is not JSON gives that instead.
    fn json<'v>(this: Value<'v>, default: Option<Value<'v>>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        match (unpack(this)?.json(heap), default) {
            (Err(_), Some(default)) => Ok(default),
            (outcome, _) => outcome,
        }
    }

    /// The body as a form, urlencoded or multipart: a value with `fields`, `files`, `first(name, default)`,
    /// `list(name)`, `file(name)` and `file_list(name)`.
    ///
    /// Errors: another content type, more than `max_fields` (1000 unless given) fields and files, a malformed body.
    fn form<'v>(
        this: Value<'v>,
        #[starlark(require = named, default = 1000)] max_fields: u32,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        unpack(this)?.form(max_fields, heap)
    }
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn a_prefix_is_what_stands_before_the_path() {
        for (url, path, expected) in [
            ("http://a/", "/", ""),
            ("http://a/items?x=/shop", "/items", ""),
            ("http://a/shop/items?x", "/items", "/shop"),
            ("http://a:8080/shop/eu/", "/", "/shop/eu"),
            ("https://a/shop", "/", "/shop"),
            ("https://a/%73hop/a%20b", "/a b", "/shop"),
            ("http://[::1]/shop/shop", "/shop", "/shop"),
            ("http://a*", "*", ""),
            ("http://a/x", "/elsewhere", ""),
        ] {
            assert_eq!(prefix(url, path), expected, "{url} {path}");
        }
    }
}
