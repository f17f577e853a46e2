//! Request headers: an immutable mapping that does not care about case.
//!
//! A dict would make `req.headers["content-type"]` depend on how the client spelled it, or on remembering one canonical
//! spelling. Immutable, because an edit in middleware would change what later handlers believe the client sent.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_simple_value;
use starlark::values::list::AllocList;
use starlark::values::tuple::AllocTuple;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, ValueError, starlark_value};

use crate::args::describe;
use crate::error::usage;
use crate::fields::Fields;

/// The header fields of one request, in order, names canonical.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(crate) struct Headers {
    #[allocative(skip)]
    fields: Fields,
}

starlark_simple_value!(Headers);

impl Headers {
    pub(crate) fn new(fields: Fields) -> Self {
        Self { fields }
    }

    /// Every value of a field, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of a field; repeats are joined as RFC 9110 allows a recipient to.
    fn joined(&self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        let mut joined = values.next()?.to_owned();
        for value in values {
            joined.push_str(", ");
            joined.push_str(value);
        }
        Some(joined)
    }

    /// The names without repeats, in order of first appearance.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.fields.iter() {
            if !names.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                names.push(name);
            }
        }
        names
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, String)> {
        self.names().into_iter().map(|name| (name, self.joined(name).unwrap_or_default()))
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers(")?;
        f.debug_map().entries(self.pairs()).finish()?;
        f.write_str(")")
    }
}

/// What the reference says of the type.
pub(crate) fn documented() -> DocType {
    DocType::from_starlark_value::<Headers>()
}

#[starlark_value(type = "http.headers")]
impl<'v> StarlarkValue<'v> for Headers {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new("http.headers", methods);
        Some(METHODS.methods())
    }

    fn at(&self, index: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let name = header_name(index)?;
        match self.joined(name) {
            Some(value) => Ok(heap.alloc(value)),
            None => Err(ValueError::KeyNotFound(index.to_repr()).into()),
        }
    }

    fn is_in(&self, other: Value<'v>) -> starlark::Result<bool> {
        Ok(self.all(header_name(other)?).next().is_some())
    }

    fn length(&self) -> starlark::Result<i32> {
        Ok(i32::try_from(self.names().len()).unwrap_or(i32::MAX))
    }

    fn to_bool(&self) -> bool {
        !self.fields.is_empty()
    }

    fn iterate_collect(&self, heap: Heap<'v>) -> starlark::Result<Vec<Value<'v>>> {
        Ok(self.names().into_iter().map(|n| heap.alloc(n)).collect())
    }

    fn set_at(&self, index: Value<'v>, _new_value: Value<'v>) -> starlark::Result<()> {
        Err(usage(format!("request headers cannot be changed, tried to set {}", index.to_repr())))
    }
}

fn header_name<'v>(name: Value<'v>) -> starlark::Result<&'v str> {
    name.unpack_str().ok_or_else(|| usage(format!("a header name must be a string, got {}", describe(name))))
}

#[builtins("headers")]
fn methods(builder: &mut MethodsBuilder) {
    /// The value of a header, repeats joined by a comma, or the default.
    #[no_twin]
    fn get<'v>(
        this: &Headers,
        #[starlark(require = pos)] name: Value<'v>,
        default: Option<Value<'v>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(match this.joined(header_name(name)?) {
            Some(value) => heap.alloc(value),
            None => default.unwrap_or_default(),
        })
    }

    /// Every value of a header, in order.
    #[no_twin]
    fn get_all<'v>(
        this: &Headers,
        #[starlark(require = pos)] name: Value<'v>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(AllocList(this.all(header_name(name)?))))
    }

    /// The canonical names.
    fn keys<'v>(this: &Headers, heap: Heap<'v>) -> Value<'v> {
        heap.alloc(AllocList(this.names()))
    }

    /// The values, repeats joined.
    fn values<'v>(this: &Headers, heap: Heap<'v>) -> Value<'v> {
        heap.alloc(AllocList(this.pairs().map(|(_, value)| value)))
    }

    /// Pairs of canonical name and value, repeats joined.
    fn items<'v>(this: &Headers, heap: Heap<'v>) -> Value<'v> {
        let pairs = this.pairs().map(|(name, value)| heap.alloc(AllocTuple([heap.alloc(name), heap.alloc(value)])));
        heap.alloc(AllocList(pairs))
    }
}
