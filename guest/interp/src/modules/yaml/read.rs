//! The documents of a YAML text.

use starlark::values::list::AllocList;
use starlark::values::{Heap, Value};

use super::decode;
use crate::error::usage;

/// The value of the only document.
pub(in crate::modules) fn one<'v>(text: &str, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
    let mut documents = decode::decode(text, heap).map_err(usage)?;
    if documents.len() > 1 {
        return Err(usage(format!("{} documents; decode_all reads more than one", documents.len())));
    }
    Ok(documents.pop().unwrap_or_default())
}

/// The values of all documents.
pub(in crate::modules) fn all<'v>(text: &str, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
    Ok(heap.alloc(AllocList(decode::decode(text, heap).map_err(usage)?)))
}
