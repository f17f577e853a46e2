//! One verb: its flags, width and precision, and the argument it shows.

use std::slice::Iter;

use num_bigint::{BigInt, Sign};
use starlark::values::bytes::StarlarkBytes;
use starlark::values::float::UnpackFloat;
use starlark::values::{UnpackValue, Value, ValueLike};

use super::{MAX_WIDTH, float};
use crate::args::describe;
use crate::modules::strings::quoted;

/// What is between the percent sign and the letter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spec {
    left: bool,
    zero: bool,
    pub(super) plus: bool,
    pub(super) space: bool,
    pub(super) alternate: bool,
    width: usize,
    pub(super) precision: Option<usize>,
}

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
    let (sign, digits) = spec.shown(letter, *value)?;
    spec.pad(letter, &sign, &digits, output);
    Ok(rest)
}

impl Spec {
    fn parse<'a>(text: &'a str, args: &mut Iter<'_, Value<'_>>) -> Result<(Self, &'a str), String> {
        let mut spec = Self::default();
        let mut rest = text;
        while let Some(flag) = rest.chars().next().filter(|c| "-0+ #".contains(*c)) {
            match flag {
                '-' => spec.left = true,
                '0' => spec.zero = true,
                '+' => spec.plus = true,
                ' ' => spec.space = true,
                _ => spec.alternate = true,
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        let (width, after) = number(rest, "width", args)?;
        spec.width = width.unwrap_or(0);
        rest = after;
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after, "precision", args)?;
            spec.precision = Some(precision.unwrap_or(0));
            rest = after;
        }
        Ok((spec, rest))
    }

    /// A value's sign, or the prefix that zeros come after, and the rest of its text.
    fn shown(&self, letter: char, value: Value<'_>) -> Result<(String, String), String> {
        let wrong = |needs: &str| format!("%{letter} needs {needs}, got {}", describe(value));
        let text = match letter {
            'v' if self.alternate => value.to_repr(),
            'v' | 's' => self.cut(value.to_str()),
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
                return Ok(self.int(letter, &int.ok_or_else(|| wrong("an int"))?));
            }
            _ => {
                let number = UnpackFloat::unpack_value(value).ok().flatten().filter(|_| value.unpack_bool().is_none());
                return Ok(float::shown(self, letter, number.ok_or_else(|| wrong("a number"))?.0));
            }
        };
        Ok((String::new(), text))
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text,
        }
    }

    fn int(&self, letter: char, int: &BigInt) -> (String, String) {
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
        if let Some(missing) = self.precision.and_then(|precision| precision.checked_sub(digits.len())) {
            digits.insert_str(0, &"0".repeat(missing));
        }
        let sign = self.sign(int.sign() == Sign::Minus);
        (format!("{sign}{}", if self.alternate { prefix } else { "" }), digits)
    }

    pub(super) fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    fn pad(&self, letter: char, sign: &str, digits: &str, output: &mut String) {
        let missing = self.width.saturating_sub(sign.chars().count() + digits.chars().count());
        // As in Go: zeros are for numbers that have digits, and a precision of an int has said how many.
        let number = "dboxXeEfFgG".contains(letter) && digits.starts_with(|c: char| c.is_ascii_hexdigit());
        let zeros = self.zero && !self.left && number && !(self.precision.is_some() && "dboxX".contains(letter));
        let (before, zeros, after) = match (self.left, zeros) {
            (true, _) => (0, 0, missing),
            (false, true) => (0, missing, 0),
            (false, false) => (missing, 0, 0),
        };
        output.extend(std::iter::repeat_n(' ', before));
        output.push_str(sign);
        output.extend(std::iter::repeat_n('0', zeros));
        output.push_str(digits);
        output.extend(std::iter::repeat_n(' ', after));
    }
}

/// A number in the format, or the argument that `*` stands for.
fn number<'a>(text: &'a str, what: &str, args: &mut Iter<'_, Value<'_>>) -> Result<(Option<usize>, &'a str), String> {
    let (number, rest) = match text.strip_prefix('*') {
        Some(rest) => {
            let value = args.next().ok_or_else(|| format!("no argument is left for the {what} *"))?;
            let number = value.unpack_i32().and_then(|number| usize::try_from(number).ok());
            let number =
                number.ok_or_else(|| format!("a {what} must be an int of at least 0, got {}", describe(*value)));
            (Some(number?), rest)
        }
        None => {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            let (digits, rest) = text.split_at(end);
            (if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(usize::MAX)) }, rest)
        }
    };
    match number {
        Some(number) if number > MAX_WIDTH => Err(format!("a {what} must be at most {MAX_WIDTH}")),
        number => Ok((number, rest)),
    }
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
