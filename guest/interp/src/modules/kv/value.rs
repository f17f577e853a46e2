//! Values on their way to the store and back. What would come back as something else is refused on its way in.

use starlark::values::bytes::StarlarkBytes;
use starlark::values::dict::DictRef;
use starlark::values::list::ListRef;
use starlark::values::{Heap, Value, ValueLike};

use crate::error::usage;
use crate::host::Stored;
use crate::modules::{json_decode, json_encode};

/// Deepest nesting of lists and dicts: less than the JSON decoder takes.
const MAX_DEPTH: usize = 100;

/// A value as it is stored.
pub(super) fn to_stored(value: Value<'_>) -> starlark::Result<Stored> {
    if let Some(text) = value.unpack_str() {
        return Ok(Stored::Text(text.to_owned()));
    }
    if let Some(bytes) = value.downcast_ref::<StarlarkBytes>() {
        return Ok(Stored::Bytes(bytes.as_bytes().to_owned()));
    }
    let refuse = |wrong: String| usage(format!("a value that kv cannot keep: {wrong}"));
    survives(value, 0).map_err(refuse)?;
    json_encode::encode(value, None).map(Stored::Json).map_err(refuse)
}

/// The value that was stored.
pub(super) fn from_stored<'v>(stored: &Stored, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
    match stored {
        Stored::Text(text) => Ok(heap.alloc(text.as_str())),
        Stored::Bytes(bytes) => Ok(heap.alloc(bytes.as_slice())),
        Stored::Json(json) => json_decode::decode(json.as_bytes(), heap).map_err(usage),
    }
}

/// JSON has one kind of list and one of dict; a tuple and a struct would come back as those.
fn survives(value: Value<'_>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("nested more than {MAX_DEPTH} deep"));
    }
    if let Some(list) = ListRef::from_value(value) {
        return list.iter().try_for_each(|item| survives(item, depth + 1));
    }
    if let Some(dict) = DictRef::from_value(value) {
        return dict.values().try_for_each(|item| survives(item, depth + 1));
    }
    match value.get_type() {
        "tuple" => Err("a tuple would come back as a list; use list(..)".to_owned()),
        "struct" => Err("a struct would come back as a dict; use a dict".to_owned()),
        _ => Ok(()),
    }
}
