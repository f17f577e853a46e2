//! TOML texts to values.

use num_bigint::BigInt;
use starlark::collections::SmallMap;
use starlark::values::dict::Dict;
use starlark::values::list::AllocList;
use starlark::values::{Heap, Value};
use toml::de::{DeInteger, DeTable, DeValue};

use crate::limits::{MAX_CONFIG_VALUES, MAX_INT_DIGITS};
use crate::modules::json_decode::locate;

/// Largest document: the reader keeps tokens and events of all of it, many times its size.
const MAX_DOCUMENT_BYTES: usize = 512 * 1024;

/// The dict of a document; the error is the sentence to show.
pub(in crate::modules) fn document<'v>(text: &str, heap: Heap<'v>) -> Result<Value<'v>, String> {
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
