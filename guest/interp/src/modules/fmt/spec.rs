//! What is between the percent sign and the letter of a verb.

use super::arguments::Arguments;
use crate::args::describe;

/// Widest field and longest precision. Each verb may ask for them anew, so they bound what a short format can write.
const MAX_WIDTH: usize = 1000;

/// What is between the percent sign and the letter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spec {
    pub(super) left: bool,
    pub(super) zero: bool,
    pub(super) plus: bool,
    pub(super) space: bool,
    pub(super) alternate: bool,
    pub(super) width: usize,
    pub(super) precision: Option<usize>,
}

impl Spec {
    /// Reads flags, width and precision; returns what follows them. The error is the sentence to show.
    pub(super) fn parse<'a>(text: &'a str, args: &mut Arguments<'_, '_>) -> Result<(Self, &'a str), String> {
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

    /// What stands before a number.
    pub(super) fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    /// Appends a value's text in a field of the width.
    pub(super) fn pad(&self, letter: char, sign: &str, digits: &str, output: &mut String) {
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
fn number<'a>(text: &'a str, what: &str, args: &mut Arguments<'_, '_>) -> Result<(Option<usize>, &'a str), String> {
    // `[2]*` chooses an argument for the width; `[2]` before anything else is for the verb.
    let chosen = text.strip_prefix('[').and_then(|text| text.split_once(']')).filter(|(_, rest)| rest.starts_with('*'));
    let text = if chosen.is_some() { args.choose(text)? } else { text };
    let (number, rest) = match text.strip_prefix('*') {
        Some(rest) => {
            let value = args.take().ok_or_else(|| format!("no argument is left for the {what} *"))?;
            let number = value.unpack_i32().and_then(|number| usize::try_from(number).ok());
            let number =
                number.ok_or_else(|| format!("a {what} must be an int of at least 0, got {}", describe(value)));
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
