//! From Starlark values to JSON text.
//!
//! Depth is limited: lists can contain themselves. So is the text: a list that holds one list twice, thirty levels of
//! that, is a small value and a text of a gigabyte.

use starlark::values::dict::DictRef;
use starlark::values::float::StarlarkFloat;
use starlark::values::list::ListRef;
use starlark::values::structs::StructRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{Value, ValueLike};

use super::encoding::{Outcome, Wrong, check_size, push, push_big_int};
use super::json_string::push_string;

/// Deepest nesting of lists and dicts.
pub(crate) const MAX_DEPTH: usize = 500;

/// Encodes a value, on one line or indented.
///
/// # Errors
///
/// The sentence to show: a value JSON cannot hold, and the path to it.
pub(crate) fn encode(value: Value<'_>, indent: Option<&str>) -> Result<String, String> {
    let mut encoder = Encoder { text: String::new(), indent, depth: 0 };
    match encoder.value(value).and_then(|()| check_size(encoder.text.len())) {
        Ok(()) => Ok(encoder.text),
        Err(wrong) => Err(wrong.into_text()),
    }
}

struct Encoder<'a> {
    text: String,
    indent: Option<&'a str>,
    depth: usize,
}

impl Encoder<'_> {
    fn value(&mut self, value: Value<'_>) -> Outcome {
        if let Some(text) = value.unpack_str() {
            push_string(&mut self.text, text);
        } else if let Some(int) = value.unpack_i32() {
            push(&mut self.text, int);
        } else if value.is_none() {
            self.text.push_str("null");
        } else if let Some(truth) = value.unpack_bool() {
            self.text.push_str(if truth { "true" } else { "false" });
        } else if let Some(dict) = DictRef::from_value(value) {
            self.object(dict.iter())?;
        } else if let Some(list) = ListRef::from_value(value) {
            self.array(list.content())?;
        } else if let Some(float) = value.downcast_ref::<StarlarkFloat>() {
            self.float(float.0)?;
        } else {
            self.rare(value)?;
        }
        Ok(())
    }

    fn rare(&mut self, value: Value<'_>) -> Outcome {
        if let Some(tuple) = TupleRef::from_value(value) {
            return self.array(tuple.content());
        }
        if let Some(fields) = StructRef::from_value(value) {
            return self.object(fields.iter().map(|(name, value)| (name.to_value(), value)));
        }
        match push_big_int(&mut self.text, value)? {
            true => Ok(()),
            false => Err(Wrong::value("JSON", value)),
        }
    }

    fn float(&mut self, float: f64) -> Outcome {
        if !float.is_finite() {
            return Err(Wrong::new(format!("JSON has no {float}")));
        }
        // Debug always has a point or an exponent, so that the number is a float again when it is decoded.
        push(&mut self.text, format_args!("{float:?}"));
        Ok(())
    }

    fn array(&mut self, values: &[Value<'_>]) -> Outcome {
        self.enter('[')?;
        for (index, value) in values.iter().enumerate() {
            self.separate(index == 0)?;
            self.value(*value).map_err(|wrong| wrong.at(index))?;
        }
        self.leave(values.is_empty(), ']');
        Ok(())
    }

    fn object<'v>(&mut self, pairs: impl ExactSizeIterator<Item = (Value<'v>, Value<'v>)>) -> Outcome {
        let empty = pairs.len() == 0;
        self.enter('{')?;
        for (index, (key, value)) in pairs.enumerate() {
            let Some(name) = key.unpack_str() else {
                return Err(Wrong::key(key));
            };
            self.separate(index == 0)?;
            push_string(&mut self.text, name);
            self.text.push(':');
            if self.indent.is_some() {
                self.text.push(' ');
            }
            self.value(value).map_err(|wrong| wrong.under(name))?;
        }
        self.leave(empty, '}');
        Ok(())
    }

    fn enter(&mut self, bracket: char) -> Outcome {
        self.text.push(bracket);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Wrong::too_deep(MAX_DEPTH));
        }
        Ok(())
    }

    fn separate(&mut self, first: bool) -> Outcome {
        if !first {
            self.text.push(',');
        }
        self.line();
        check_size(self.text.len())
    }

    fn leave(&mut self, empty: bool, bracket: char) {
        self.depth -= 1;
        if !empty {
            self.line();
        }
        self.text.push(bracket);
    }

    fn line(&mut self) {
        if let Some(indent) = self.indent {
            self.text.push('\n');
            for _ in 0..self.depth {
                self.text.push_str(indent);
            }
        }
    }
}
