//! Values to TOML texts.

use starlark::values::dict::DictRef;
use starlark::values::float::StarlarkFloat;
use starlark::values::list::ListRef;
use starlark::values::structs::StructRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{UnpackValue, Value, ValueLike};

use crate::limits::MAX_CONFIG_VALUES;
use crate::modules::encoding::{Outcome, Wrong, check_size};

/// Deepest nesting when encoding: what is encoded can be decoded.
const MAX_DEPTH: usize = 80;

/// The document of a value.
pub(in crate::modules) fn document(value: Value<'_>) -> Outcome<String> {
    let mut left = MAX_CONFIG_VALUES;
    let toml::Value::Table(table) = toml_value(value, 0, &mut left)? else {
        return Err(Wrong::new(format!("a TOML document is a dict, got {}", crate::args::describe(value))));
    };
    let text = toml::to_string(&table).map_err(|error| Wrong::new(error.to_string()))?;
    check_size(text.len())?;
    Ok(text)
}

fn toml_value(value: Value<'_>, depth: usize, left: &mut usize) -> Outcome<toml::Value> {
    *left = left.checked_sub(1).ok_or_else(|| Wrong::new(format!("more than {MAX_CONFIG_VALUES} values")))?;
    if let Some(text) = value.unpack_str() {
        return Ok(toml::Value::String(text.to_owned()));
    }
    if let Some(truth) = value.unpack_bool() {
        return Ok(toml::Value::Boolean(truth));
    }
    if let Some(float) = value.downcast_ref::<StarlarkFloat>() {
        return Ok(toml::Value::Float(float.0));
    }
    if let Ok(Some(int)) = i64::unpack_value(value) {
        return Ok(toml::Value::Integer(int));
    }
    container(value, depth, left)
}

fn container(value: Value<'_>, depth: usize, left: &mut usize) -> Outcome<toml::Value> {
    if depth >= MAX_DEPTH {
        return Err(Wrong::too_deep(MAX_DEPTH));
    }
    if let Some(dict) = DictRef::from_value(value) {
        return table(dict.iter(), depth, left);
    }
    if let Some(fields) = StructRef::from_value(value) {
        return table(fields.iter().map(|(name, value)| (name.to_value(), value)), depth, left);
    }
    let values = match (ListRef::from_value(value), TupleRef::from_value(value)) {
        (Some(list), _) => list.content(),
        (None, Some(tuple)) => tuple.content(),
        (None, None) if value.is_none() => return Err(Wrong::new("TOML has no null; leave the key out")),
        (None, None) if value.get_type() == "int" => return Err(Wrong::new("a TOML int has at most 64 bits")),
        (None, None) => return Err(Wrong::value("TOML", value)),
    };
    let mut array = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        array.push(toml_value(*value, depth + 1, left).map_err(|wrong| wrong.at(index))?);
    }
    Ok(toml::Value::Array(array))
}

fn table<'v>(
    pairs: impl Iterator<Item = (Value<'v>, Value<'v>)>,
    depth: usize,
    left: &mut usize,
) -> Outcome<toml::Value> {
    let mut table = toml::Table::new();
    for (key, value) in pairs {
        let Some(name) = key.unpack_str() else {
            return Err(Wrong::key(key));
        };
        let value = toml_value(value, depth + 1, left).map_err(|wrong| wrong.under(name))?;
        table.insert(name.to_owned(), value);
    }
    Ok(toml::Value::Table(table))
}
