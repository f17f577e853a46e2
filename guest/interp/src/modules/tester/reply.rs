//! What an app under test answered: plain data.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_simple_value;
use starlark::values::dict::AllocDict;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use crate::bytes::text_or_bytes;
use crate::error::usage;
use crate::headers::Headers;
use crate::host::Reply;
use crate::modules::json_decode;

const TYPE: &str = "test.reply";

const ATTRIBUTES: [&str; 5] = ["body", "cookies", "error", "headers", "status"];

/// A reply.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct ReplyValue(#[allocative(skip)] Reply);

starlark_simple_value!(ReplyValue);

impl ReplyValue {
    pub(super) fn new(reply: Reply) -> Self {
        Self(reply)
    }

    fn json<'v>(&self, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        json_decode::decode(&self.0.body, heap).map_err(|wrong| usage(format!("the body is not JSON: {wrong}")))
    }

    /// Names and values of the cookies that the reply sets.
    fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        let set = self.0.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        set.filter_map(|(_, cookie)| cookie.split(';').next()?.trim().split_once('='))
    }
}

impl fmt::Display for ReplyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} {}>", self.0.status)
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<ReplyValue>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for ReplyValue {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }

    fn get_attr(&self, attribute: &str, heap: Heap<'v>) -> Option<Value<'v>> {
        let Reply { status, headers, body, failure } = &self.0;
        Some(match attribute {
            "status" => heap.alloc(i32::from(*status)),
            "headers" => heap.alloc(Headers::new(headers.iter().map(|(name, value)| (name, value)).collect())),
            "cookies" => heap.alloc(AllocDict(self.cookies())),
            "error" => failure.as_deref().map_or_else(Value::new_none, |failure| heap.alloc(failure)),
            "body" => text_or_bytes(body, heap),
            _ => return None,
        })
    }

    fn has_attr(&self, attribute: &str, _heap: Heap<'v>) -> bool {
        ATTRIBUTES.contains(&attribute)
    }

    fn dir_attr(&self) -> Vec<String> {
        ATTRIBUTES.map(str::to_owned).to_vec()
    }
}

#[builtins("reply")]
fn methods(builder: &mut MethodsBuilder) {
    /// The value of a body of JSON.
    fn json<'v>(this: &ReplyValue, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        this.json(heap)
    }
}
