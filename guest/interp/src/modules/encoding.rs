//! What the encoders share: how an error names the path to a value, and the texts of scalars.
//!
//! The path (`$.users[2].name`) is put together while the error travels up, so that a value that encodes costs nothing
//! for it.

use std::fmt::{Display, Write};

use num_bigint::BigInt;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::{UnpackValue, Value, ValueLike};

use super::json_string;
use crate::limits::{MAX_INT_DIGITS, MAX_TEXT_BYTES};

/// Bits that no int of [`MAX_INT_DIGITS`] digits exceeds.
const MAX_INT_BITS: u64 = MAX_INT_DIGITS as u64 * 10 / 3;

/// What cannot be encoded, and the way to it, innermost step first.
pub(super) struct Wrong {
    text: String,
    path: Vec<String>,
}

/// Of encoding a part.
pub(super) type Outcome<T = ()> = Result<T, Box<Wrong>>;

impl Wrong {
    pub(super) fn new(text: impl Into<String>) -> Box<Self> {
        Box::new(Self { text: text.into(), path: Vec::new() })
    }

    pub(super) fn too_deep(limit: usize) -> Box<Self> {
        Self::new(format!("nested more than {limit} deep"))
    }

    /// A key that is no text.
    pub(super) fn key(key: Value<'_>) -> Box<Self> {
        Self::new(format!("a key must be a str, got {}", crate::args::describe(key)))
    }

    /// A value for which a format has nothing.
    pub(super) fn value(format: &str, value: Value<'_>) -> Box<Self> {
        if value.downcast_ref::<StarlarkBytes>().is_some() {
            return Self::new(format!("{format} has no bytes; decode them to text first, as with str(b)"));
        }
        let of = value.get_type();
        Self::new(match of {
            "set" | "range" => format!("{format} has no {of}; use list(..)"),
            _ => format!("{format} has no value of type {of}"),
        })
    }

    /// The same, from inside a list.
    pub(super) fn at(mut self: Box<Self>, index: usize) -> Box<Self> {
        self.path.push(format!("[{index}]"));
        self
    }

    /// The same, from inside a dict: `.name`, or `["two words"]`.
    pub(super) fn under(mut self: Box<Self>, name: &str) -> Box<Self> {
        let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        self.path.push(if plain { format!(".{name}") } else { format!("[{}]", json_string::string(name)) });
        self
    }

    /// The sentence to show.
    pub(super) fn into_text(self) -> String {
        let mut path = String::from("$");
        for step in self.path.iter().rev() {
            path.push_str(step);
        }
        let path = crate::shorten::shorten(path, 200);
        format!("{path}: {}", self.text)
    }
}

/// Refuses a text that has become too large.
pub(super) fn check_size(bytes: usize) -> Outcome {
    if bytes <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(Wrong::new(format!("the text would take more than {MAX_TEXT_BYTES} bytes")))
}

/// Writes an int that fits no machine's; false when the value is no int.
pub(super) fn push_big_int(text: &mut String, value: Value<'_>) -> Outcome<bool> {
    let Ok(Some(int)) = BigInt::unpack_value(value) else {
        return Ok(false);
    };
    let begin = text.len();
    if int.bits() <= MAX_INT_BITS {
        push(text, &int);
    }
    let digits = text.get(begin..).unwrap_or_default().trim_start_matches('-').len();
    if digits == 0 || digits > MAX_INT_DIGITS {
        return Err(Wrong::new(format!("an int of more than {MAX_INT_DIGITS} digits")));
    }
    Ok(true)
}

/// Appends what a value shows as; writing to a String cannot fail.
pub(super) fn push(text: &mut String, value: impl Display) {
    let _ = write!(text, "{value}");
}
