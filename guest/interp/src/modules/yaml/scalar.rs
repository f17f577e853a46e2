//! The core schema of YAML 1.2: what a scalar without quotes is, and which text may go without quotes.

use num_bigint::BigInt;
use starlark::values::{Heap, Value};

use crate::limits::MAX_INT_DIGITS;

/// What a plain scalar is.
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    BigInt(BigInt),
    Float(f64),
    Text,
}

/// Resolves a plain scalar; the error is an int beyond the limit.
pub(super) fn resolve(text: &str) -> Result<Plain, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Plain::Float(f64::NAN),
        text => match number(text)? {
            Some(number) => number,
            None => Plain::Text,
        },
    })
}

impl Plain {
    /// The value; the scalar's own text when it is one.
    pub(super) fn alloc<'v>(self, text: &str, heap: Heap<'v>) -> Value<'v> {
        match self {
            Self::Null => Value::new_none(),
            Self::Bool(truth) => Value::new_bool(truth),
            Self::Int(int) => heap.alloc(int),
            Self::BigInt(int) => heap.alloc(int),
            Self::Float(float) => heap.alloc(float),
            Self::Text => heap.alloc(text),
        }
    }
}

fn number(text: &str) -> Result<Option<Plain>, String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(None);
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return int(digits, radix);
        }
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return int(text, 10);
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        let infinity = if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY };
        return Ok(Some(Plain::Float(infinity)));
    }
    let digits = unsigned.bytes().any(|b| b.is_ascii_digit());
    // Rust also reads `inf` and `nan`, which are texts here.
    let plain = unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    match text.parse() {
        Ok(float) if digits && plain => Ok(Some(Plain::Float(float))),
        _ => Ok(None),
    }
}

fn int(digits: &str, radix: u32) -> Result<Option<Plain>, String> {
    if digits.len() > MAX_INT_DIGITS {
        return Err(format!("an int of more than {MAX_INT_DIGITS} digits"));
    }
    // Parsing takes signs as well, which only the decimal form has, and that of big ints takes `_`.
    if digits.contains('_') || (radix != 10 && digits.starts_with(['-', '+'])) {
        return Ok(None);
    }
    if let Ok(int) = i64::from_str_radix(digits, radix) {
        return Ok(Some(Plain::Int(int)));
    }
    Ok(BigInt::parse_bytes(digits.as_bytes(), radix).map(Plain::BigInt))
}

/// Whether a text may be written without quotes, as a value or as a key.
///
/// Stricter than the grammar: a reader of YAML 1.1 must not see a bool in `no`, or a number of minutes in `12:30`.
pub(super) fn may_be_plain(text: &str) -> bool {
    const WORDS: [&str; 12] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];
    let first = text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '/');
    let last = text.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | '+' | ')'));
    let colons = text.match_indices(':').all(|(at, _)| !text.get(at + 1..).unwrap_or_default().starts_with(' '));
    let between =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | '+' | '(' | ')' | ' ' | '@' | ':' | '=');
    first && last && colons && text.chars().all(between) && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_those_of_the_core_schema() {
        for (text, is) in [
            ("0", Plain::Int(0)),
            ("-12", Plain::Int(-12)),
            ("+7", Plain::Int(7)),
            ("007", Plain::Int(7)),
            ("0x1F", Plain::Int(31)),
            ("0o17", Plain::Int(15)),
            ("1.5", Plain::Float(1.5)),
            ("1.", Plain::Float(1.0)),
            ("-.5", Plain::Float(-0.5)),
            ("1e3", Plain::Float(1000.0)),
            (".inf", Plain::Float(f64::INFINITY)),
            ("-.INF", Plain::Float(f64::NEG_INFINITY)),
        ] {
            assert_eq!(resolve(text).unwrap_or(Plain::Null), is, "{text}");
        }
        for text in [
            "yes",
            "no",
            "on",
            "0b1",
            "-0x1",
            "0x",
            "0x_1",
            "1_000",
            "1e",
            "e3",
            ".",
            "-",
            "+",
            "inf",
            "nan",
            "1:30",
            "0xg",
            "2024-01-01",
            "1.2.3",
            "--1",
            "nUll",
            "1e+",
            "infinity",
        ] {
            assert_eq!(resolve(text), Ok(Plain::Text), "{text}");
        }
    }

    #[test]
    fn what_another_reader_could_mistake_is_quoted() {
        for text in ["a", "a b", "/x/y", "_x", "http://x/y", "é", "a-b.c", "user@host", "k=v"] {
            assert!(may_be_plain(text), "{text}");
            assert_eq!(resolve(text), Ok(Plain::Text), "{text}");
        }
        for text in [
            "", " a", "a ", "no", "Yes", "NULL", "1", "1.0", "12:30", "a: b", "a:", "#a", "a #b", "-a", "?a", "!a",
            "&a", "*a", "[a", "{a", "'a", "\"a", "%a", "@a", "`a", "|", ">", "a\nb", "a\tb", "a\u{0}", "~", ".inf",
            "=", "<<", "a,b",
        ] {
            assert!(!may_be_plain(text), "{text}");
        }
    }
}
