//! `req.form()`: the fields and files of a form, urlencoded or multipart.
//!
//! Whoever fills in a form decides which fields repeat and which are files. So next to the two dicts there are methods
//! whose answers never change type, and a file is never where a field is looked for.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::values::list::AllocList;
use starlark::values::structs::AllocStruct;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value, ValueLike, starlark_value};

use crate::error::usage;
use crate::multipart::{self, Part};
use crate::pairs;

/// What `type(req.form())` says.
const TYPE: &str = "http.form";

/// Reads a body; the error is the sentence to show.
pub(crate) fn read<'v>(
    body: &[u8],
    content_type: Option<&str>,
    max_fields: usize,
    heap: Heap<'v>,
) -> Result<Value<'v>, String> {
    let given = content_type.unwrap_or_default();
    let form = match given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => urlencoded(body, max_fields)?,
        "multipart/form-data" => multipart(body, given, max_fields, heap)?,
        "" if body.is_empty() => Form::default(),
        "" => return Err("the request has a body and no Content-Type, so it is not a form".to_owned()),
        other => {
            let other = crate::shorten::shorten(other.to_owned(), 80);
            return Err(format!("the body is {other:?}, not a form"));
        }
    };
    Ok(heap.alloc_complex_no_freeze(form))
}

fn urlencoded<'v>(body: &[u8], max_fields: usize) -> Result<Form<'v>, String> {
    let mut fields = Vec::new();
    for (name, value) in form_urlencoded::parse(body) {
        if fields.len() >= max_fields {
            return Err(format!("more than {max_fields} fields"));
        }
        fields.push((name.into_owned(), value.into_owned()));
    }
    Ok(Form { fields, files: Vec::new() })
}

fn multipart<'v>(body: &[u8], content_type: &str, max_fields: usize, heap: Heap<'v>) -> Result<Form<'v>, String> {
    let mut form = Form::default();
    for part in multipart::parse(body, content_type, max_fields)? {
        if part.filename.is_some() {
            form.files.push((part.name.clone(), file(part, heap)));
            continue;
        }
        let Ok(text) = std::str::from_utf8(part.body) else {
            return Err(format!("field {:?} is not UTF-8", part.name));
        };
        form.fields.push((part.name, text.to_owned()));
    }
    Ok(form)
}

fn file<'v>(part: Part<'_>, heap: Heap<'v>) -> Value<'v> {
    let content_type = part.content_type.as_deref().unwrap_or("application/octet-stream");
    heap.alloc(AllocStruct([
        ("name", heap.alloc(part.name)),
        ("filename", heap.alloc(part.filename.unwrap_or_default())),
        ("content_type", heap.alloc(content_type)),
        ("body", heap.alloc(part.body)),
    ]))
}

/// A form as it was sent. It lives as long as one call, so it never freezes.
#[derive(Default, Trace, ProvidesStaticType, NoSerialize, Allocative)]
struct Form<'v> {
    #[trace(static)]
    fields: Vec<(String, String)>,
    files: Vec<(String, Value<'v>)>,
}

impl fmt::Debug for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Form<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} of {} fields and {} files>", self.fields.len(), self.files.len())
    }
}

/// What the reference says of the type.
pub(crate) fn documented() -> DocType {
    DocType::from_starlark_value::<Form<'static>>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for Form<'v> {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }
}

fn unpack<'v>(this: Value<'v>) -> starlark::Result<&'v Form<'v>> {
    this.downcast_ref::<Form<'v>>().ok_or_else(|| usage(format!("expected a form, got {}", this.get_type())))
}

fn named<'a, T>(pairs: &'a [(String, T)], name: &'a str) -> impl Iterator<Item = &'a T> {
    pairs.iter().filter(move |(given, _)| given == name).map(|(_, value)| value)
}

#[builtins("form")]
fn methods(builder: &mut MethodsBuilder) {
    /// The fields: a dict of str, or of list of str where a name repeats.
    #[starlark(attribute)]
    fn fields<'v>(this: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let fields = unpack(this)?.fields.iter();
        Ok(pairs::dict(fields.map(|(name, value)| (name, value.as_str())), heap))
    }

    /// The files: a dict of structs with `name`, `filename`, `content_type` and `body` (bytes), or of lists of them.
    #[starlark(attribute)]
    fn files<'v>(this: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(pairs::dict(unpack(this)?.files.iter().map(|(name, value)| (name, *value)), heap))
    }

    /// The first value of a field, or the default; never a list and never a file.
    #[no_twin]
    fn first<'v>(
        this: Value<'v>,
        #[starlark(require = pos)] name: &str,
        default: Option<Value<'v>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(match named(&unpack(this)?.fields, name).next() {
            Some(value) => heap.alloc(value.as_str()),
            None => default.unwrap_or_default(),
        })
    }

    /// Every value of a field, in order; always a list.
    #[no_twin]
    fn list<'v>(this: Value<'v>, #[starlark(require = pos)] name: &str, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(AllocList(named(&unpack(this)?.fields, name).map(String::as_str))))
    }

    /// The first file of a name, or `None`.
    #[no_twin]
    fn file<'v>(this: Value<'v>, #[starlark(require = pos)] name: &str) -> starlark::Result<Value<'v>> {
        Ok(named(&unpack(this)?.files, name).next().copied().unwrap_or_default())
    }

    /// Every file of a name, in order; always a list.
    #[no_twin]
    fn file_list<'v>(
        this: Value<'v>,
        #[starlark(require = pos)] name: &str,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(AllocList(named(&unpack(this)?.files, name).copied())))
    }
}
