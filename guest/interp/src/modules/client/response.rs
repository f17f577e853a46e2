//! The response that `http.get` and its siblings return: plain data, all of it read.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_simple_value;
use starlark::values::{Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use crate::bytes::text_or_bytes;
use crate::error::usage;
use crate::headers::Headers;
use crate::host::Incoming;
use crate::modules::json_decode;

const TYPE: &str = "http.client_response";

const ATTRIBUTES: [&str; 6] = ["body", "headers", "ok", "status", "status_code", "url"];

/// A response from another server.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct ClientResponse(#[allocative(skip)] Incoming);

starlark_simple_value!(ClientResponse);

impl ClientResponse {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self(incoming)
    }

    /// Bytes of its body.
    pub(super) fn bytes(&self) -> usize {
        self.0.body.len()
    }

    fn text(&self) -> starlark::Result<&str> {
        std::str::from_utf8(&self.0.body)
            .map_err(|wrong| usage(format!("the body is not UTF-8: wrong byte at offset {}", wrong.valid_up_to())))
    }

    fn json<'v>(&self, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        json_decode::decode(&self.0.body, heap).map_err(|wrong| usage(format!("the body is not JSON: {wrong}")))
    }
}

impl fmt::Display for ClientResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} {} {}>", self.0.status, self.0.url)
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<ClientResponse>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for ClientResponse {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }

    fn get_attr(&self, attribute: &str, heap: Heap<'v>) -> Option<Value<'v>> {
        let Incoming { status, reason, url, headers, body } = &self.0;
        Some(match attribute {
            "status_code" => heap.alloc(i32::from(*status)),
            "status" => heap.alloc(format!("{status} {reason}").trim_end()),
            "ok" => Value::new_bool((200..300).contains(status)),
            "url" => heap.alloc(url.as_str()),
            "headers" => heap.alloc(Headers::new(headers.iter().map(|(name, value)| (name, value)).collect())),
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

#[builtins("response")]
fn methods(builder: &mut MethodsBuilder) {
    /// The body as bytes.
    fn get_bytes<'v>(this: &ClientResponse, heap: Heap<'v>) -> Value<'v> {
        heap.alloc(this.0.body.as_slice())
    }

    /// The body as text; an error if it is not UTF-8.
    fn get_text<'v>(this: &ClientResponse, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(this.text()?))
    }

    /// The value of a body of JSON.
    fn json<'v>(this: &ClientResponse, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        this.json(heap)
    }
}
