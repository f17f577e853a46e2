//! Pairs of names and values as one dict, in the shape that queries and forms share.

use starlark::collections::{Hashed, SmallMap};
use starlark::values::dict::Dict;
use starlark::values::list::AllocList;
use starlark::values::{AllocValue, Heap, Value};

/// Each name once, in order of first appearance: its value, or the list of its values when it repeats.
pub(crate) fn dict<'v, N: AsRef<str>, V: AllocValue<'v>>(
    pairs: impl Iterator<Item = (N, V)>,
    heap: Heap<'v>,
) -> Value<'v> {
    let mut map: SmallMap<Value<'v>, Vec<V>> = SmallMap::with_capacity(pairs.size_hint().0);
    for (name, value) in pairs {
        map.entry_hashed(key(heap, name.as_ref())).or_default().push(value);
    }
    let mut dict = SmallMap::with_capacity(map.len());
    for (name, mut values) in map.into_iter_hashed() {
        let value = match values.pop() {
            Some(single) if values.is_empty() => heap.alloc(single),
            last => heap.alloc(AllocList(values.into_iter().chain(last))),
        };
        dict.insert_hashed(name, value);
    }
    heap.alloc(Dict::new(dict))
}

/// A dict's key.
pub(crate) fn key<'v>(heap: Heap<'v>, text: &str) -> Hashed<Value<'v>> {
    heap.alloc_str(text).get_hashed_value()
}
