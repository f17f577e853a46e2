//! From JSON text to Starlark values, without a tree in between.
//!
//! serde_json parses and calls back; each callback allocates the Starlark value at once. starlark turns on serde_json's
//! `arbitrary_precision`, under which a number that fits no 64-bit int arrives as a map with one private key. A
//! document can spell that key itself, so the two are told apart by how the value behind it arrives: as an owned
//! `String` only from a number.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use num_bigint::BigInt;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use starlark::collections::SmallMap;
use starlark::values::dict::Dict;
use starlark::values::list::AllocList;
use starlark::values::{Heap, Value};

use crate::limits::{MAX_INT_DIGITS, MAX_VALUES};

/// The key under which serde_json hands over a number.
const NUMBER: &str = "$serde_json::private::Number";

/// Decodes a document; the error is the sentence to show, with line and column.
pub(crate) fn decode<'v>(json: &[u8], heap: Heap<'v>) -> Result<Value<'v>, String> {
    decoded(json, heap, Dict::new)
}

/// As [`decode`], and the keys of each object are attributes too.
pub(super) fn decode_by_dot<'v>(json: &[u8], heap: Heap<'v>) -> Result<Value<'v>, String> {
    decoded(json, heap, Dict::by_dot)
}

/// How a dict is made of its keys and values.
type ToDict<'v> = fn(SmallMap<Value<'v>, Value<'v>>) -> Dict<'v>;

fn decoded<'v>(json: &[u8], heap: Heap<'v>, to_dict: ToDict<'v>) -> Result<Value<'v>, String> {
    let text = match std::str::from_utf8(json) {
        Ok(text) => text,
        Err(e) => {
            let (line, column) = locate(json, e.valid_up_to());
            return Err(format!("line {line}, column {column}: not UTF-8"));
        }
    };
    // RFC 8259, section 8.1: a parser may skip the mark, and the readers of the other formats here do.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = serde_json::Deserializer::from_str(text);
    let seed = Seed { heap, left: &Cell::new(MAX_VALUES), to_dict };
    let value = seed.deserialize(&mut parser).map_err(|e| explain(text, &e))?;
    parser.end().map_err(|e| explain(text, &e))?;
    Ok(value)
}

/// serde_json's sentence, with the place in front and the column in characters.
fn explain(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let sentence = error.to_string();
    let sentence = sentence.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&sentence);
    let sentence = match sentence {
        "recursion limit exceeded" => "nested more than 127 deep",
        "unexpected end of hex escape" | "lone leading surrogate in hex escape" => {
            "an escape from \\ud800 to \\udfff is half of a character; its other half is missing"
        }
        sentence => sentence,
    };
    let before = text.split('\n').nth(line.saturating_sub(1)).and_then(|line| line.get(..column.saturating_sub(1)));
    let column = before.map_or(column, |before| before.chars().count() + 1);
    format!("line {}, column {}: {sentence}", line.max(1), column.max(1))
}

/// Line and column of a byte, from 1, in characters.
pub(super) fn locate(json: &[u8], at: usize) -> (usize, usize) {
    let before = String::from_utf8_lossy(json.get(..at).unwrap_or_default());
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Reads any value.
#[derive(Clone, Copy)]
struct Seed<'a, 'v> {
    heap: Heap<'v>,
    /// Values that the document may still have.
    left: &'a Cell<usize>,
    to_dict: ToDict<'v>,
}

impl Seed<'_, '_> {
    fn count<E: Error>(self) -> Result<(), E> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom(format_args!("more than {MAX_VALUES} values"))),
        }
    }
}

impl<'de, 'v> DeserializeSeed<'de> for Seed<'_, 'v> {
    type Value = Value<'v>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'v>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'v> Visitor<'de> for Seed<'_, 'v> {
    type Value = Value<'v>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'v>, E> {
        Ok(Value::new_none())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value<'v>, E> {
        Ok(Value::new_bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value<'v>, E> {
        Ok(self.heap.alloc(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value<'v>, E> {
        Ok(self.heap.alloc(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value<'v>, E> {
        finite(self.heap, value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value<'v>, E> {
        Ok(self.heap.alloc(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'v>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(self)? {
            self.count()?;
            values.push(value);
        }
        Ok(self.heap.alloc(AllocList(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'v>, A::Error> {
        let mut dict = SmallMap::new();
        let mut first = true;
        while let Some(key) = map.next_key_seed(Key)? {
            let value = if first && key == NUMBER {
                match map.next_value_seed(Behind(self))? {
                    Found::Number(number) => return Ok(number),
                    Found::Value(value) => value,
                }
            } else {
                map.next_value_seed(self)?
            };
            self.count()?;
            first = false;
            let key = self.heap.alloc_str(&key).get_hashed_value();
            dict.insert_hashed(key, value);
        }
        Ok(self.heap.alloc((self.to_dict)(dict)))
    }
}

/// Reads a key, borrowed from the document where it can be.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

/// Reads what is behind the private key: a number's text, or any value of a document that spells the key.
struct Behind<'a, 'v>(Seed<'a, 'v>);

enum Found<'v> {
    Number(Value<'v>),
    Value(Value<'v>),
}

impl<'de, 'v> DeserializeSeed<'de> for Behind<'_, 'v> {
    type Value = Found<'v>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'v>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'v> Visitor<'de> for Behind<'_, 'v> {
    type Value = Found<'v>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Found<'v>, E> {
        number(self.0.heap, &text).map(Found::Number)
    }

    fn visit_unit<E: Error>(self) -> Result<Found<'v>, E> {
        self.0.visit_unit().map(Found::Value)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Found<'v>, E> {
        self.0.visit_bool(value).map(Found::Value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Found<'v>, E> {
        self.0.visit_i64(value).map(Found::Value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Found<'v>, E> {
        self.0.visit_u64(value).map(Found::Value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Found<'v>, E> {
        self.0.visit_f64(value).map(Found::Value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Found<'v>, E> {
        self.0.visit_str(value).map(Found::Value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Found<'v>, A::Error> {
        self.0.visit_seq(seq).map(Found::Value)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Found<'v>, A::Error> {
        self.0.visit_map(map).map(Found::Value)
    }
}

/// The value of a number's text: an int, of any size, unless it has a point or an exponent.
fn number<'v, E: Error>(heap: Heap<'v>, text: &str) -> Result<Value<'v>, E> {
    if text.contains(['.', 'e', 'E']) {
        let float = text.parse().map_err(E::custom)?;
        return finite(heap, float);
    }
    if let Ok(int) = text.parse::<i64>() {
        return Ok(heap.alloc(int));
    }
    if text.len() > MAX_INT_DIGITS {
        return Err(E::custom(format_args!("an int of more than {MAX_INT_DIGITS} digits")));
    }
    let int: BigInt = text.parse().map_err(E::custom)?;
    Ok(heap.alloc(int))
}

fn finite<'v, E: Error>(heap: Heap<'v>, float: f64) -> Result<Value<'v>, E> {
    if !float.is_finite() {
        return Err(E::custom("number out of range"));
    }
    Ok(heap.alloc(float))
}
