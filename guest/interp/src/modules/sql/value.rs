//! Values on their way to a database and back.

use num_bigint::BigInt;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::dict::AllocDict;
use starlark::values::float::UnpackFloat;
use starlark::values::{Heap, UnpackValue, Value, ValueLike};

use crate::args::describe;
use crate::error::usage;
use crate::host::{Rows, SqlValue};
use crate::modules::time;

/// What stands for a placeholder; `number` counts from 1.
pub(super) fn parameter(number: usize, value: Value<'_>) -> starlark::Result<SqlValue> {
    if value.is_none() {
        return Ok(SqlValue::Null);
    }
    if let Some(value) = value.unpack_bool() {
        return Ok(SqlValue::Boolean(value));
    }
    if let Some(text) = value.unpack_str() {
        return Ok(SqlValue::Text(text.to_owned()));
    }
    if let Some(bytes) = value.downcast_ref::<StarlarkBytes>() {
        return Ok(SqlValue::Bytes(bytes.as_bytes().to_owned()));
    }
    if let Some(text) = time::rfc3339(value) {
        return Ok(SqlValue::Text(text));
    }
    // An int that does not fit is an error to this, and a `BigInt` below.
    if let Some(int) = i64::unpack_value(value).ok().flatten() {
        return Ok(SqlValue::Int(int));
    }
    if let Some(int) = BigInt::unpack_value(value)? {
        return Ok(SqlValue::Big(int.to_string()));
    }
    match (value.get_type(), UnpackFloat::unpack_value(value)?) {
        ("float", Some(float)) => Ok(SqlValue::Float(float.0)),
        ("list" | "tuple", _) => Err(usage(format!(
            "parameter {number} is a {}; give each value by itself, as in db.query(text, *values)",
            value.get_type()
        ))),
        _ => Err(usage(format!(
            "parameter {number} must be None, a bool, int, float, str, bytes or time, got {}",
            describe(value)
        ))),
    }
}

/// A value that a database returned.
pub(super) fn returned<'v>(value: &SqlValue, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
    Ok(match value {
        SqlValue::Null => Value::new_none(),
        SqlValue::Boolean(value) => Value::new_bool(*value),
        SqlValue::Int(int) => heap.alloc(*int),
        SqlValue::Big(digits) => match digits.parse::<BigInt>() {
            Ok(int) => heap.alloc(int),
            Err(_) => return Err(usage(format!("the database returned a number that is none: {digits:?}"))),
        },
        SqlValue::Float(float) => heap.alloc(*float),
        SqlValue::Text(text) => heap.alloc(text.as_str()),
        SqlValue::Bytes(bytes) => heap.alloc(bytes.as_slice()),
        SqlValue::Time(nanoseconds) => time::at(*nanoseconds, heap)?,
    })
}

/// Each row as a dict, its keys in the order of the columns.
pub(super) fn dicts<'v>(rows: &Rows, heap: Heap<'v>) -> starlark::Result<Vec<Value<'v>>> {
    rows.rows.iter().map(|row| dict(&rows.columns, row, heap)).collect()
}

/// One row as a dict.
pub(super) fn dict<'v>(columns: &[String], row: &[SqlValue], heap: Heap<'v>) -> starlark::Result<Value<'v>> {
    let pairs: starlark::Result<Vec<(&str, Value<'v>)>> =
        columns.iter().zip(row).map(|(column, value)| Ok((column.as_str(), returned(value, heap)?))).collect();
    Ok(heap.alloc(AllocDict(pairs?)))
}
