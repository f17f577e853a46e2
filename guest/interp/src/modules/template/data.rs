//! From Starlark values to the template engine's: copied, since the engine keeps what it is given behind shared
//! pointers that must not reach into a script's heap.

use minijinja::Value as Data;
use num_bigint::BigInt;
use starlark::values::dict::DictRef;
use starlark::values::float::StarlarkFloat;
use starlark::values::list::ListRef;
use starlark::values::structs::StructRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{UnpackValue, Value, ValueLike};

use super::super::encoding::{Outcome, Wrong};
use crate::limits::MAX_CONFIG_VALUES;

/// Deepest nesting: the engine prints and drops by recursion.
const MAX_DEPTH: usize = 127;

/// A template's variables; the error is the sentence to show.
pub(super) fn root(value: Value<'_>) -> Result<Data, String> {
    let map = value.is_none() || DictRef::from_value(value).is_some() || StructRef::from_value(value).is_some();
    if !map {
        return Err(format!("must be a dict or a struct, got {}", crate::args::describe(value)));
    }
    let mut copier = Copier { left: MAX_CONFIG_VALUES, depth: 0 };
    copier.value(value).map_err(|wrong| wrong.into_text())
}

struct Copier {
    /// Values that may still be copied: one list in a list twice, and so on, is small here and huge there.
    left: usize,
    depth: usize,
}

impl Copier {
    fn value(&mut self, value: Value<'_>) -> Outcome<Data> {
        self.left =
            self.left.checked_sub(1).ok_or_else(|| Wrong::new(format!("more than {MAX_CONFIG_VALUES} values")))?;
        if let Some(text) = value.unpack_str() {
            return Ok(Data::from(text));
        }
        if let Some(int) = value.unpack_i32() {
            return Ok(Data::from(int));
        }
        if value.is_none() {
            return Ok(Data::from(()));
        }
        if let Some(truth) = value.unpack_bool() {
            return Ok(Data::from(truth));
        }
        if let Some(float) = value.downcast_ref::<StarlarkFloat>() {
            return Ok(Data::from(float.0));
        }
        if let Ok(Some(int)) = BigInt::unpack_value(value) {
            // An int that even 128 bits do not hold can be printed, but not calculated with.
            return Ok(i128::try_from(&int).map_or_else(|_| Data::from(value.to_str()), Data::from));
        }
        self.container(value)
    }

    fn container(&mut self, value: Value<'_>) -> Outcome<Data> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Wrong::too_deep(MAX_DEPTH));
        }
        let data = if let Some(dict) = DictRef::from_value(value) {
            self.map(dict.iter())
        } else if let Some(fields) = StructRef::from_value(value) {
            self.map(fields.iter().map(|(name, value)| (name.to_value(), value)))
        } else if let Some(list) = ListRef::from_value(value) {
            self.list(list.content())
        } else if let Some(tuple) = TupleRef::from_value(value) {
            self.list(tuple.content())
        } else {
            Err(Wrong::value("a template", value))
        };
        self.depth -= 1;
        data
    }

    fn list(&mut self, values: &[Value<'_>]) -> Outcome<Data> {
        let mut list = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            list.push(self.value(*value).map_err(|wrong| wrong.at(index))?);
        }
        Ok(Data::from(list))
    }

    fn map<'v>(&mut self, pairs: impl ExactSizeIterator<Item = (Value<'v>, Value<'v>)>) -> Outcome<Data> {
        let mut map = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let name = key.to_str();
            map.push((self.value(key)?, self.value(value).map_err(|wrong| wrong.under(&name))?));
        }
        Ok(Data::from_pairs(map))
    }
}
