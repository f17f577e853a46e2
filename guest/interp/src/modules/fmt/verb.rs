//! One verb: its flags, width and precision, and the argument it shows.

use num_bigint::{BigInt, Sign};
use starlark::values::bytes::StarlarkBytes;
use starlark::values::float::UnpackFloat;
use starlark::values::{UnpackValue, Value, ValueLike};

use super::arguments::Arguments;
use super::float;
use super::spec::Spec;
use crate::args::describe;
use crate::modules::strings::quoted;

/// Writes what the verb after a percent sign shows; returns what follows it. The error is the sentence to show.
pub(super) fn write<'a>(text: &'a str, args: &mut Arguments<'_, '_>, output: &mut String) -> Result<&'a str, String> {
    let (spec, text) = Spec::parse(text, args)?;
    let text = args.choose(text)?;
    let letter = text.chars().next().ok_or("the format ends within a verb")?;
    let rest = text.get(letter.len_utf8()..).unwrap_or_default();
    if letter == '%' {
        output.push('%');
        return Ok(rest);
    }
    if !"vsqTtdboxXcUeEfFgG".contains(letter) {
        return Err(format!("unknown verb %{letter}"));
    }
    let value = args.take().ok_or_else(|| format!("no argument is left for %{letter}"))?;
    let (sign, digits) = shown(&spec, letter, value)?;
    let padded_as = if letter == 'v' && number(value).is_some() { 'd' } else { letter };
    spec.pad(padded_as, &sign, &digits, output);
    Ok(rest)
}

/// A value's sign, or the prefix that zeros come after, and the rest of its text.
fn shown(spec: &Spec, letter: char, value: Value<'_>) -> Result<(String, String), String> {
    let wrong = |needs: &str| format!("%{letter} needs {needs}, got {}", describe(value));
    let text = match letter {
        'v' if spec.alternate => value.to_repr(),
        // As Go does, a number that is asked for in a certain form is one of `%d` or `%g`.
        'v' if spec.plus || spec.space || spec.precision.is_some() => match number(value) {
            Some(Number::Int(int)) => return Ok(shown_int(spec, 'd', &int)),
            Some(Number::Float(float)) => return Ok(float::shown(spec, 'g', float)),
            None => cut(spec, value.to_str()),
        },
        'v' | 's' => cut(spec, value.to_str()),
        'T' => value.get_type().to_owned(),
        'q' => quotation(spec, value.unpack_str().ok_or_else(|| wrong("a str"))?),
        't' => value.unpack_bool().ok_or_else(|| wrong("a bool"))?.to_string(),
        'x' | 'X' if bytes(value).is_some() => hexadecimal(spec, bytes(value).unwrap_or_default(), letter),
        'c' => String::from(character(value).ok_or_else(|| wrong("the number of a character"))?),
        'U' => {
            let c = character(value).ok_or_else(|| wrong("the number of a character"))?;
            let quoted = if spec.alternate { format!(" '{c}'") } else { String::new() };
            format!("U+{:04X}{quoted}", u32::from(c))
        }
        'd' | 'b' | 'o' | 'x' | 'X' => match number(value) {
            Some(Number::Int(int)) => return Ok(shown_int(spec, letter, &int)),
            Some(Number::Float(_)) | None => return Err(wrong("an int")),
        },
        _ => {
            let number = UnpackFloat::unpack_value(value).ok().flatten().filter(|_| value.unpack_bool().is_none());
            return Ok(float::shown(spec, letter, number.ok_or_else(|| wrong("a number"))?.0));
        }
    };
    Ok((String::new(), text))
}

/// A value that is a number; a bool is none.
enum Number {
    Int(BigInt),
    Float(f64),
}

fn number(value: Value<'_>) -> Option<Number> {
    if value.unpack_bool().is_some() {
        return None;
    }
    if let Some(int) = BigInt::unpack_value(value).ok().flatten() {
        return Some(Number::Int(int));
    }
    UnpackFloat::unpack_value(value).ok().flatten().map(|float| Number::Float(float.0))
}

/// A text in quotes: with `#` in back quotes if it can be, with `+` in ASCII alone.
fn quotation(spec: &Spec, text: &str) -> String {
    let text = cut(spec, text.to_owned());
    let raw = |c: char| c != '`' && c != '\u{feff}' && (c == '\t' || !c.is_control());
    match (spec.alternate, spec.plus) {
        (true, _) if text.chars().all(raw) => format!("`{text}`"),
        (_, true) => quoted(&text).chars().map(ascii).collect(),
        (_, false) => quoted(&text),
    }
}

/// A character as it is in ASCII, any other as an escape.
fn ascii(c: char) -> String {
    match u32::from(c) {
        0..=0x7f => c.to_string(),
        code @ 0x80..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

fn cut(spec: &Spec, text: String) -> String {
    match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text,
    }
}

fn shown_int(spec: &Spec, letter: char, int: &BigInt) -> (String, String) {
    let (radix, prefix) = match letter {
        'b' => (2, "0b"),
        'o' => (8, "0"),
        'x' => (16, "0x"),
        'X' => (16, "0X"),
        _ => (10, ""),
    };
    let mut digits = int.magnitude().to_str_radix(radix);
    if letter == 'X' {
        digits.make_ascii_uppercase();
    }
    if let Some(missing) = spec.precision.and_then(|precision| precision.checked_sub(digits.len())) {
        digits.insert_str(0, &"0".repeat(missing));
    }
    let sign = spec.sign(int.sign() == Sign::Minus);
    (format!("{sign}{}", if spec.alternate { prefix } else { "" }), digits)
}

fn bytes<'v>(value: Value<'v>) -> Option<&'v [u8]> {
    match value.unpack_str() {
        Some(text) => Some(text.as_bytes()),
        None => value.downcast_ref::<StarlarkBytes>().map(StarlarkBytes::as_bytes),
    }
}

/// The digits of bytes: with a space apart, with `#` behind `0x`, each of them if both are given. A precision is how many.
fn hexadecimal(spec: &Spec, bytes: &[u8], letter: char) -> String {
    let bytes = bytes.get(..spec.precision.unwrap_or(bytes.len())).unwrap_or(bytes);
    let (encoding, prefix) = match letter {
        'X' => (&data_encoding::HEXUPPER, "0X"),
        _ => (&data_encoding::HEXLOWER, "0x"),
    };
    let prefix = if spec.alternate && !bytes.is_empty() { prefix } else { "" };
    if !spec.space {
        return format!("{prefix}{}", encoding.encode(bytes));
    }
    let each: Vec<String> = bytes.iter().map(|byte| format!("{prefix}{}", encoding.encode(&[*byte]))).collect();
    each.join(" ")
}

fn character(value: Value<'_>) -> Option<char> {
    char::from_u32(u32::try_from(value.unpack_i32()?).ok()?)
}
