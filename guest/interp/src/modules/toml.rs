//! `toml`: configuration texts. The toml crate reads and writes; it stops at 80 levels by itself.
//!
//! Dates and times become texts as they were written (RFC 3339), since the language has no value for them; going out, a
//! text stays a text.

use num_bigint::BigInt;
use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::starlark_module;
use starlark::values::dict::{Dict, DictRef};
use starlark::values::float::StarlarkFloat;
use starlark::values::list::{AllocList, ListRef};
use starlark::values::structs::StructRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{Heap, UnpackValue, Value, ValueLike};
use toml::de::{DeInteger, DeTable, DeValue};

use super::encoding::{Outcome, Wrong, check_size};
use super::json_decode::locate;
use super::text::document;
use crate::bytes::Bytes;
use crate::error::usage;
use crate::given::Given;
use crate::limits::{MAX_CONFIG_VALUES, MAX_INT_DIGITS};

/// Largest document: the reader keeps tokens and events of all of it, many times its size.
const MAX_DOCUMENT_BYTES: usize = 512 * 1024;

/// Deepest nesting when encoding: what is encoded can be decoded.
const MAX_DEPTH: usize = 80;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The dict of a TOML document, given as str or bytes.
    ///
    /// Tables keep their order; dates and times become texts. Errors: what is not TOML, with line and column; a
    /// document of more than 512 KiB or 80 levels.
    ///
    /// ```text
    /// >>> toml.decode("name = 'app'\n[server]\nports = [80, 443]\n")
    /// {"name": "app", "server": {"ports": [80, 443]}}
    /// ```
    fn decode<'v>(text: Given<'v, Bytes<'v>>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let text = document(text, "toml.decode", "text")?;
        decoded(text, heap).map_err(|sentence| usage(format!("toml.decode: {sentence}")))
    }

    /// The TOML document of a dict or struct.
    ///
    /// Errors: what TOML cannot hold, with the path to it: `None`, ints of more than 64 bits, keys that are no str,
    /// more than 80 levels.
    ///
    /// ```text
    /// >>> toml.encode({"name": "app", "server": {"ports": [80, 443]}})
    /// "name = \"app\"\n\n[server]\nports = [80, 443]\n"
    /// ```
    fn encode<'v>(value: Value<'v>) -> starlark::Result<String> {
        encoded(value).map_err(|wrong| usage(format!("toml.encode: {}", wrong.into_text())))
    }
}

fn decoded<'v>(text: &str, heap: Heap<'v>) -> Result<Value<'v>, String> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(format!("the document has {} bytes, more than {MAX_DOCUMENT_BYTES}", text.len()));
    }
    let table = DeTable::parse(text).map_err(|error| {
        let sentence = match error.message() {
            "recursion limit" | "cannot recurse further; max recursion depth met" => "nested more than 80 deep",
            sentence => sentence,
        };
        place(text, error.span().map_or(0, |span| span.start), sentence)
    })?;
    let mut reader = Reader { text, heap, left: MAX_CONFIG_VALUES };
    reader.table(table.into_inner())
}

fn place(text: &str, at: usize, sentence: &str) -> String {
    let (line, column) = locate(text.as_bytes(), at);
    format!("line {line}, column {column}: {}", sentence.replace('\n', ", "))
}

struct Reader<'t, 'v> {
    text: &'t str,
    heap: Heap<'v>,
    /// Values that the document may still have.
    left: usize,
}

impl<'v> Reader<'_, 'v> {
    fn table(&mut self, table: DeTable<'_>) -> Result<Value<'v>, String> {
        let mut entries = SmallMap::with_capacity(table.len());
        for (key, value) in table {
            let at = value.span().start;
            let value = self.value(value.into_inner(), at)?;
            entries.insert_hashed(self.heap.alloc_str(key.get_ref()).get_hashed_value(), value);
        }
        Ok(self.heap.alloc(Dict::new(entries)))
    }

    fn value(&mut self, value: DeValue<'_>, at: usize) -> Result<Value<'v>, String> {
        let wrong = |sentence: String| place(self.text, at, &sentence);
        self.left = self.left.checked_sub(1).ok_or_else(|| wrong(format!("more than {MAX_CONFIG_VALUES} values")))?;
        Ok(match value {
            DeValue::String(text) => self.heap.alloc(text.as_ref()),
            DeValue::Integer(int) => self.heap.alloc(integer(&int).map_err(wrong)?),
            DeValue::Float(float) => {
                // What the grammar lets through, Rust reads; a number beyond the largest float is no number.
                let number: f64 = float.as_str().parse().map_err(|_| wrong("invalid float".to_owned()))?;
                if number.is_infinite() && !float.as_str().contains("inf") {
                    return Err(wrong("number out of range".to_owned()));
                }
                self.heap.alloc(number)
            }
            DeValue::Boolean(truth) => Value::new_bool(truth),
            DeValue::Datetime(datetime) => self.heap.alloc(datetime.to_string()),
            DeValue::Array(array) => {
                let mut values = Vec::with_capacity(array.len());
                for value in array {
                    let at = value.span().start;
                    values.push(self.value(value.into_inner(), at)?);
                }
                self.heap.alloc(AllocList(values))
            }
            DeValue::Table(table) => self.table(table)?,
        })
    }
}

fn integer(int: &DeInteger<'_>) -> Result<BigInt, String> {
    let digits = int.as_str();
    if digits.len() > MAX_INT_DIGITS {
        return Err(format!("an int of more than {MAX_INT_DIGITS} digits"));
    }
    BigInt::parse_bytes(digits.as_bytes(), int.radix()).ok_or_else(|| "invalid int".to_owned())
}

fn encoded(value: Value<'_>) -> Outcome<String> {
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
