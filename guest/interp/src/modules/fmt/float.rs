//! Floats as C and Go write them. Rust's own `{:e}` writes `1e20`, and it has no `%g`.

use super::spec::Spec;

/// The precision that `%e` and `%f` have when none is given.
const DEFAULT_PRECISION: usize = 6;

/// `%g` without a precision turns to exponents from here on, as in Go.
const SHORTEST_EXPONENT: i32 = 21;

/// A float's sign and the rest of its text.
pub(super) fn shown(spec: &Spec, letter: char, number: f64) -> (String, String) {
    let size = number.abs();
    let sign = spec.sign(number.is_sign_negative() && !number.is_nan()).to_owned();
    if !size.is_finite() {
        return (sign, if size.is_nan() { "NaN" } else { "Inf" }.to_owned());
    }
    let text = match letter {
        'f' | 'F' => format!("{size:.*}", spec.precision.unwrap_or(DEFAULT_PRECISION)),
        'e' | 'E' => with_exponent(&format!("{size:.*e}", spec.precision.unwrap_or(DEFAULT_PRECISION))),
        _ => general(spec, size),
    };
    let text = if letter.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text };
    (sign, text)
}

/// The exponent with its sign and two digits.
fn with_exponent(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// The shorter form: digits alone, or with an exponent where they would be many.
fn general(spec: &Spec, size: f64) -> String {
    let (text, limit) = match spec.precision {
        None => (format!("{size:e}"), SHORTEST_EXPONENT),
        Some(precision) => {
            let digits = precision.max(1);
            (format!("{size:.*e}", digits - 1), i32::try_from(digits).unwrap_or(i32::MAX))
        }
    };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = if spec.alternate { digits } else { without_zeros(digits) };
    if exponent < -4 || exponent >= limit {
        return with_exponent(&format!("{digits}e{exponent}"));
    }
    let written = digits.len() - usize::from(digits.contains('.'));
    let fraction = i32::try_from(written).unwrap_or(i32::MAX).saturating_sub(1).saturating_sub(exponent);
    // The digits, rounded already: reading them back and writing as many changes none.
    let rounded: f64 = text.parse().unwrap_or(size);
    format!("{rounded:.*}", usize::try_from(fraction).unwrap_or(0))
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}
