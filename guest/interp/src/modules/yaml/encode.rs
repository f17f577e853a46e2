//! From Starlark values to YAML text: blocks of two spaces, quotes where there could be a doubt.

use starlark::values::dict::DictRef;
use starlark::values::float::StarlarkFloat;
use starlark::values::list::ListRef;
use starlark::values::structs::StructRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{Value, ValueLike};

use super::super::encoding::{Outcome, Wrong, check_size, push, push_big_int};
use super::super::json_string;
use super::scalar::may_be_plain;

/// Deepest nesting: what is encoded can be decoded. Lists can contain themselves.
const MAX_DEPTH: usize = 127;

/// Longest key on the line of its value; YAML allows 1024 characters.
const MAX_KEY_BYTES: usize = 1000;

/// One text with a document for each value; the error is the sentence to show.
pub(in crate::modules) fn encode(documents: &[Value<'_>]) -> Result<String, String> {
    let mut encoder = Encoder { text: String::new() };
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            encoder.text.push_str("---\n");
        }
        let outcome = encoder.document(*document);
        outcome.map_err(|wrong| wrong.into_text())?;
    }
    Ok(encoder.text)
}

struct Encoder {
    text: String,
}

/// What follows the place that has been reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// A line's begin, or `- `: a block begins right here.
    Here,
    /// `key:`, without the space: a block begins on the next line.
    Key,
}

impl Encoder {
    fn document(&mut self, value: Value<'_>) -> Outcome {
        self.value(value, 0, After::Here)?;
        self.text.push('\n');
        check_size(self.text.len())
    }

    /// Writes a value whose block, if it is one, is at this level; the last line is left open.
    fn value(&mut self, value: Value<'_>, level: usize, after: After) -> Outcome {
        if let Some(dict) = DictRef::from_value(value) {
            return self.map(dict.iter(), level, after);
        }
        if let Some(fields) = StructRef::from_value(value) {
            return self.map(fields.iter().map(|(name, value)| (name.to_value(), value)), level, after);
        }
        if let Some(list) = ListRef::from_value(value) {
            return self.list(list.content(), level, after);
        }
        if let Some(tuple) = TupleRef::from_value(value) {
            return self.list(tuple.content(), level, after);
        }
        if after == After::Key {
            self.text.push(' ');
        }
        match value.unpack_str() {
            Some(text) if level > 0 && is_block(text) => self.block(text, level),
            _ => self.scalar(value)?,
        }
        Ok(())
    }

    fn list(&mut self, values: &[Value<'_>], level: usize, after: After) -> Outcome {
        if values.is_empty() {
            return self.empty("[]", after);
        }
        check_depth(level)?;
        for (index, value) in values.iter().enumerate() {
            self.begin(index == 0, level, after)?;
            self.text.push_str("- ");
            self.value(*value, level + 1, After::Here).map_err(|wrong| wrong.at(index))?;
        }
        Ok(())
    }

    fn map<'v>(
        &mut self,
        pairs: impl ExactSizeIterator<Item = (Value<'v>, Value<'v>)>,
        level: usize,
        after: After,
    ) -> Outcome {
        if pairs.len() == 0 {
            return self.empty("{}", after);
        }
        check_depth(level)?;
        for (index, (key, value)) in pairs.enumerate() {
            self.begin(index == 0, level, after)?;
            self.key(key, level)?;
            self.value(value, level + 1, After::Key).map_err(|wrong| match key.unpack_str() {
                Some(name) => wrong.under(name),
                None => wrong.under(&key.to_repr()),
            })?;
        }
        Ok(())
    }

    fn key(&mut self, key: Value<'_>, level: usize) -> Outcome {
        let begin = self.text.len();
        self.scalar(key)?;
        if self.text.len() - begin > MAX_KEY_BYTES {
            self.text.insert_str(begin, "? ");
            self.line(level);
        }
        self.text.push(':');
        Ok(())
    }

    fn empty(&mut self, brackets: &str, after: After) -> Outcome {
        if after == After::Key {
            self.text.push(' ');
        }
        self.text.push_str(brackets);
        Ok(())
    }

    /// Goes to where the next entry of a block begins.
    fn begin(&mut self, first: bool, level: usize, after: After) -> Outcome {
        if !first || after == After::Key {
            self.line(level);
        }
        check_size(self.text.len())
    }

    fn line(&mut self, level: usize) {
        self.text.push('\n');
        for _ in 0..level {
            self.text.push_str("  ");
        }
    }

    fn scalar(&mut self, value: Value<'_>) -> Outcome {
        if let Some(text) = value.unpack_str() {
            self.string(text);
        } else if value.is_none() {
            self.text.push_str("null");
        } else if let Some(truth) = value.unpack_bool() {
            self.text.push_str(if truth { "true" } else { "false" });
        } else if let Some(float) = value.downcast_ref::<StarlarkFloat>() {
            self.float(float.0);
        } else if !push_big_int(&mut self.text, value)? {
            return Err(Wrong::value("YAML", value));
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        if may_be_plain(text) {
            self.text.push_str(text);
            return;
        }
        // Every JSON string is a YAML string; what YAML forbids and JSON does not is escaped on the way.
        for c in json_string::string(text).chars() {
            match c {
                '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                    push(&mut self.text, format_args!("\\u{:04x}", u32::from(c)));
                }
                c => self.text.push(c),
            }
        }
    }

    fn float(&mut self, float: f64) {
        match float {
            f64::INFINITY => self.text.push_str(".inf"),
            f64::NEG_INFINITY => self.text.push_str("-.inf"),
            float if float.is_nan() => self.text.push_str(".nan"),
            // Debug always has a point or an exponent.
            float => push(&mut self.text, format_args!("{float:?}")),
        }
    }

    /// Lines as they are, under a bar that says what is at their end.
    fn block(&mut self, text: &str, level: usize) {
        let lines = text.trim_end_matches('\n');
        self.text.push_str(match text.len() - lines.len() {
            0 => "|-",
            1 => "|",
            _ => "|+",
        });
        for line in lines.split('\n') {
            if line.is_empty() {
                self.text.push('\n');
            } else {
                self.line(level);
                self.text.push_str(line);
            }
        }
        // The line's own end is written with whatever comes next.
        for _ in 1..text.len() - lines.len() {
            self.text.push('\n');
        }
    }
}

fn check_depth(level: usize) -> Outcome {
    if level < MAX_DEPTH { Ok(()) } else { Err(Wrong::too_deep(MAX_DEPTH)) }
}

/// Whether a text reads best as lines, and comes back the same: no line may begin the block with a space, and nothing
/// in it may need an escape.
fn is_block(text: &str) -> bool {
    let printable = |c: char| {
        c == '\n'
            || c == '\t'
            || (!c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'))
    };
    text.trim_end_matches('\n').contains('\n') && !text.starts_with([' ', '\t', '\n']) && text.chars().all(printable)
}
