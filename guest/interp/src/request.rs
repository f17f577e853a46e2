//! The request value a handler receives.
//!
//! It holds the host's record and converts a part when a script first asks for it, since most handlers ask for two of
//! twelve. What was converted is kept: `req.params` is the same dict every time, so an edit made by middleware is seen
//! further down and never lost.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, a type id")]

use std::cell::Cell;
use std::fmt;

use allocative::Allocative;
use starlark::collections::SmallMap;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_module;
use starlark::values::dict::Dict;
use starlark::values::list::AllocList;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value, ValueLike, starlark_value};

use crate::error::usage;
use crate::headers::Headers;
use crate::host::Request;

/// What `type(req)` says.
pub(crate) const TYPE: &str = "http.request";

const ATTRIBUTES: [&str; 14] = [
    "body",
    "headers",
    "host",
    "id",
    "method",
    "params",
    "path",
    "proto",
    "query",
    "query_first",
    "query_list",
    "remote_addr",
    "tls",
    "url",
];

/// The text for an attribute that does not exist.
pub(crate) fn unknown(attribute: &str) -> String {
    format!("a request has no attribute {attribute:?}, it has: {}", ATTRIBUTES.join(", "))
}

/// Moves a request onto the heap.
pub(crate) fn allocate<'v>(mut request: Request, heap: Heap<'v>) -> Value<'v> {
    let headers = heap.alloc(Headers::new(std::mem::take(&mut request.headers)));
    heap.alloc_complex_no_freeze(RequestValue {
        request,
        headers,
        params: Cell::new(None),
        query: Cell::new(None),
        body: Cell::new(None),
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
}

impl<'v> RequestValue<'v> {
    fn params(&self, heap: Heap<'v>) -> Value<'v> {
        let pairs = self.request.params.iter();
        cached(&self.params, || {
            let mut map = SmallMap::with_capacity(pairs.len());
            for (name, value) in pairs {
                map.insert_hashed(string_key(heap, name), heap.alloc(value.as_str()));
            }
            heap.alloc(Dict::new(map))
        })
    }

    /// Each key once, in order of first appearance: its value, or the list of its values when it repeats.
    fn query(&self, heap: Heap<'v>) -> Value<'v> {
        cached(&self.query, || {
            let mut map: SmallMap<Value<'v>, Vec<&str>> = SmallMap::with_capacity(self.request.query.len());
            for (name, value) in &self.request.query {
                map.entry_hashed(string_key(heap, name)).or_default().push(value);
            }
            let mut dict = SmallMap::with_capacity(map.len());
            for (name, values) in map.iter_hashed() {
                let value = match values.as_slice() {
                    [single] => heap.alloc(*single),
                    several => heap.alloc(AllocList(several.iter().copied())),
                };
                dict.insert_hashed(name.copied(), value);
            }
            heap.alloc(Dict::new(dict))
        })
    }

    fn body(&self, heap: Heap<'v>) -> Value<'v> {
        let body = &self.request.body;
        cached(&self.body, || match std::str::from_utf8(body) {
            Ok(text) => heap.alloc(text),
            Err(_) => heap.alloc(body.as_slice()),
        })
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

fn string_key<'v>(heap: Heap<'v>, text: &str) -> starlark::collections::Hashed<Value<'v>> {
    let key = heap.alloc_str(text);
    key.get_hashed_value()
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
            "params" => return Some(self.params(heap)),
            "query" => return Some(self.query(heap)),
            "headers" => return Some(self.headers),
            "body" => return Some(self.body(heap)),
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
             params and query are dicts and can be edited"
        )))
    }
}

fn unpack<'v>(this: Value<'v>) -> starlark::Result<&'v RequestValue<'v>> {
    this.downcast_ref::<RequestValue<'v>>().ok_or_else(|| usage(format!("expected a request, got {}", this.get_type())))
}

#[starlark_module]
fn methods(builder: &mut MethodsBuilder) {
    /// The first value of a query key, or the default; never a list.
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
    fn query_list<'v>(
        this: Value<'v>,
        #[starlark(require = pos)] key: &str,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(AllocList(unpack(this)?.query_values(key))))
    }
}
