//! A variable by its name, as a value of the type that is asked for.

use starlark::collections::SmallMap;
use starlark::eval::Evaluator;
use starlark::values::dict::{Dict, DictRef};
use starlark::values::float::UnpackFloat;
use starlark::values::list::ListRef;
use starlark::values::{Heap, UnpackValue, Value};

use super::super::{json_decode, json_string};
use crate::error::usage;
use crate::host::{Conditions, Setting};
use crate::limits::MAX_INT_DIGITS;
use crate::session::Session;
use crate::shorten::shorten;

/// What the names of variables of the environment begin with.
const PREFIX: &str = "STARCELL_VAR_";

/// Bytes of a value that an error quotes.
const MAX_QUOTED_BYTES: usize = 200;

/// What a script asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Str,
    Int,
    Bool,
    Float,
    List,
    Dict,
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Self::Str => "a str",
            Self::Int => "an int",
            Self::Bool => "true, false, 1 or 0",
            Self::Float => "a finite number",
            Self::List => "a list, in JSON such as [\"a\", \"b\"]",
            Self::Dict => "a dict, in JSON such as {\"a\": 1}",
        }
    }
}

/// The value of a variable; none if nobody gives it.
pub(super) fn find<'v>(name: &str, kind: Kind, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Option<Value<'v>>> {
    let (conditions, heap) = (Session::of(eval)?.host.conditions(), eval.heap());
    if let Some(variable) = conditions.variables.iter().find(|variable| variable.name == name) {
        let (value, written) = match &variable.setting {
            Setting::Text(text) => (of_text(text, kind, heap), json_string::string(text)),
            Setting::Json(json) => (of_json(json, kind, heap), json.clone()),
        };
        return value.map(Some).ok_or_else(|| wrong(name, kind, written, &variable.origin));
    }
    let variable = environment_name(name);
    let Some((_, text)) = conditions.environment.iter().find(|(name, _)| *name == variable) else { return Ok(None) };
    let value = of_text(text, kind, heap);
    value.map(Some).ok_or_else(|| wrong(name, kind, json_string::string(text), &variable))
}

/// The names of all variables, sorted.
pub(super) fn names(conditions: &Conditions) -> Vec<String> {
    let mut names: Vec<String> = conditions.variables.iter().map(|variable| variable.name.clone()).collect();
    let known: Vec<String> = names.iter().map(|name| environment_name(name)).collect();
    let environment = conditions.environment.iter().filter(|(name, _)| name != PREFIX && !known.contains(name));
    names.extend(environment.filter_map(|(name, _)| Some(name.strip_prefix(PREFIX)?.to_ascii_lowercase())));
    names.sort_unstable();
    names
}

/// The name in the environment: ASCII letters and digits in upper case, `_` for every other character.
fn environment_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    PREFIX.chars().chain(name.chars().map(plain)).collect()
}

/// A number as a float, if a finite one holds it.
pub(super) fn number(value: Value<'_>) -> Option<f64> {
    let number = UnpackFloat::unpack_value(value).ok().flatten()?;
    number.0.is_finite().then_some(number.0)
}

/// A dict without entries.
pub(super) fn empty_dict<'v>() -> Dict<'v> {
    Dict::new(SmallMap::new())
}

/// A text, read as what is asked for.
fn of_text<'v>(text: &str, kind: Kind, heap: Heap<'v>) -> Option<Value<'v>> {
    match kind {
        Kind::Str => Some(heap.alloc(text)),
        Kind::Int => int(text, heap),
        Kind::Bool => match text {
            "true" | "1" => Some(Value::new_bool(true)),
            "false" | "0" => Some(Value::new_bool(false)),
            _ => None,
        },
        Kind::Float => text.parse().ok().filter(|number: &f64| number.is_finite()).map(|number| heap.alloc(number)),
        Kind::List | Kind::Dict => {
            let value = json_decode::decode(text.as_bytes(), heap).ok()?;
            of_value(value, kind, heap)
        }
    }
}

/// A value that has a type. A text in it is read like any other.
fn of_json<'v>(json: &str, kind: Kind, heap: Heap<'v>) -> Option<Value<'v>> {
    let value = json_decode::decode(json.as_bytes(), heap).ok()?;
    match value.unpack_str() {
        Some(text) => of_text(text, kind, heap),
        None => of_value(value, kind, heap),
    }
}

fn of_value<'v>(value: Value<'v>, kind: Kind, heap: Heap<'v>) -> Option<Value<'v>> {
    match kind {
        Kind::Str => value.unpack_str().map(|_| value),
        Kind::Int => (value.get_type() == "int").then_some(value),
        Kind::Bool => match (value.unpack_bool(), value.unpack_i32()) {
            (Some(_), _) => Some(value),
            (_, Some(0)) => Some(Value::new_bool(false)),
            (_, Some(1)) => Some(Value::new_bool(true)),
            _ => None,
        },
        Kind::Float => number(value).map(|number| heap.alloc(number)),
        Kind::List => ListRef::from_value(value).map(|_| value),
        Kind::Dict => DictRef::from_value(value).map(|_| value),
    }
}

/// An int in decimal digits, of any size that a document may hold.
fn int<'v>(text: &str, heap: Heap<'v>) -> Option<Value<'v>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || digits.len() > MAX_INT_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    num_bigint::BigInt::parse_bytes(text.as_bytes(), 10).map(|int| heap.alloc(int))
}

#[cold]
fn wrong(name: &str, kind: Kind, written: String, origin: &str) -> starlark::Error {
    let (expected, written) = (kind.expected(), shorten(written, MAX_QUOTED_BYTES));
    usage(format!("the variable {name:?} must be {expected}, got {written} from {origin}"))
}

#[cfg(test)]
mod tests {
    use super::environment_name;

    #[test]
    fn a_name_in_the_environment_is_in_upper_case_with_underscores() {
        for (name, expected) in [
            ("port", "STARCELL_VAR_PORT"),
            ("db.host-1", "STARCELL_VAR_DB_HOST_1"),
            ("größe", "STARCELL_VAR_GR__E"),
            ("../PATH", "STARCELL_VAR____PATH"),
            ("", "STARCELL_VAR_"),
        ] {
            assert_eq!(environment_name(name), expected);
        }
    }
}
