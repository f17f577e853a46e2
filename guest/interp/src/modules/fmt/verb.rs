//! One verb: its flags, width and precision, and the argument it shows.

use std::slice::Iter;

use num_bigint::{BigInt, Sign};
use starlark::values::bytes::StarlarkBytes;
use starlark::values::float::UnpackFloat;
use starlark::values::{UnpackValue, Value, ValueLike};

use super::float;
use super::spec::Spec;
use crate::args::describe;
use crate::modules::strings::quoted;

/// Writes what the verb after a percent sign shows; returns what follows it. The error is the sentence to show.
pub(super) fn write<'a>(text: &'a str, args: &mut Iter<'_, Value<'_>>, output: &mut String) -> Result<&'a str, String> {
    let (spec, text) = Spec::parse(text, args)?;
    let letter = text.chars().next().ok_or("the format ends within a verb")?;
    let rest = text.get(letter.len_utf8()..).unwrap_or_default();
    if letter == '%' {
        output.push('%');
        return Ok(rest);
    }
    if !"vsqTtdboxXcUeEfFgG".contains(letter) {
        return Err(format!("unknown verb %{letter}"));
    }
    let value = args.next().ok_or_else(|| format!("no argument is left for %{letter}"))?;
    let (sign, digits) = shown(&spec, letter, *value)?;
    spec.pad(letter, &sign, &digits, output);
    Ok(rest)
}

/// A value's sign, or the prefix that zeros come after, and the rest of its text.
fn shown(spec: &Spec, letter: char, value: Value<'_>) -> Result<(String, String), String> {
    let wrong = |needs: &str| format!("%{letter} needs {needs}, got {}", describe(value));
    let text = match letter {
        'v' if spec.alternate => value.to_repr(),
        'v' | 's' => cut(spec, value.to_str()),
        'T' => value.get_type().to_owned(),
        'q' => quoted(value.unpack_str().ok_or_else(|| wrong("a str"))?),
        't' => value.unpack_bool().ok_or_else(|| wrong("a bool"))?.to_string(),
        'x' | 'X' if bytes(value).is_some() => hexadecimal(bytes(value).unwrap_or_default(), letter),
        'c' => String::from(character(value).ok_or_else(|| wrong("the number of a character"))?),
        'U' => {
            let c = character(value).ok_or_else(|| wrong("the number of a character"))?;
            format!("U+{:04X}", u32::from(c))
        }
        'd' | 'b' | 'o' | 'x' | 'X' => {
            let int = BigInt::unpack_value(value).ok().flatten().filter(|_| value.unpack_bool().is_none());
            return Ok(shown_int(spec, letter, &int.ok_or_else(|| wrong("an int"))?));
        }
        _ => {
            let number = UnpackFloat::unpack_value(value).ok().flatten().filter(|_| value.unpack_bool().is_none());
            return Ok(float::shown(spec, letter, number.ok_or_else(|| wrong("a number"))?.0));
        }
    };
    Ok((String::new(), text))
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

fn hexadecimal(bytes: &[u8], letter: char) -> String {
    match letter {
        'X' => data_encoding::HEXUPPER.encode(bytes),
        _ => data_encoding::HEXLOWER.encode(bytes),
    }
}

fn character(value: Value<'_>) -> Option<char> {
    char::from_u32(u32::try_from(value.unpack_i32()?).ok()?)
}
