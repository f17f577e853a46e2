//! From YAML events to Starlark values, with a stack of our own: depth is a number here, not native stack.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::str::Chars;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use starlark::collections::SmallMap;
use starlark::values::dict::{Dict, DictRef};
use starlark::values::list::{AllocList, ListRef};
use starlark::values::{Heap, Value};

use super::scalar::{self, Plain};
use crate::limits::MAX_CONFIG_VALUES;
use crate::shorten::shorten;

/// Deepest nesting, that of a JSON document.
const MAX_DEPTH: usize = 127;
const TOO_DEEP: &str = "nested more than 127 deep";

/// Most words and signs between two events. The parser holds a flow collection (`[..]`, `{..}`) back until it has read
/// all of it, since it could still turn out to be a key: 140 bytes for each of its tokens.
const MAX_HELD: usize = 200_000;

/// The values of a text's documents; the error is the sentence to show, with line and column.
pub(super) fn decode<'v>(text: &str, heap: Heap<'v>) -> Result<Vec<Value<'v>>, String> {
    let mut decoder = Decoder { heap, documents: Vec::new(), open: Vec::new(), anchors: BTreeMap::new(), values: 0 };
    let left = Cell::new(0);
    let mut parser = Parser::new_from_iter(Metered { chars: text.chars(), word: false, left: &left });
    loop {
        left.set(MAX_HELD);
        let Some(event) = parser.next_event() else {
            return Ok(decoder.documents);
        };
        if left.get() == 0 {
            let marker = event.map_or_else(|error| *error.marker(), |(_, span)| span.start);
            return Err(at(&marker, &format!("a text, [..] or {{..}} of more than {MAX_HELD} words and signs")));
        }
        let (event, span) = event.map_err(|error| refused(&error))?;
        decoder.event(event).map_err(|sentence| at(&span.start, &sentence))?;
    }
}

/// Characters until the words and signs among them are used up; no token is made of less than one.
struct Metered<'a> {
    chars: Chars<'a>,
    /// Whether the last character was part of a word.
    word: bool,
    left: &'a Cell<usize>,
}

impl Iterator for Metered<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        let word = c.is_ascii_alphanumeric();
        if !word || !self.word {
            self.left.set(self.left.get().checked_sub(1)?);
        }
        self.word = word;
        Some(c)
    }
}

fn refused(error: &ScanError) -> String {
    let sentence = match error.info() {
        // Brackets are read ahead of the events, up to 255 of them.
        "recursion limit exceeded" => TOO_DEEP,
        sentence => sentence,
    };
    at(error.marker(), sentence)
}

fn at(marker: &Marker, sentence: &str) -> String {
    format!("line {}, column {}: {sentence}", marker.line().max(1), marker.col() + 1)
}

struct Decoder<'v> {
    heap: Heap<'v>,
    documents: Vec<Value<'v>>,
    /// What is not closed yet, outermost first.
    open: Vec<Open<'v>>,
    anchors: BTreeMap<usize, Anchored<'v>>,
    /// Values so far, those of aliases included.
    values: usize,
}

/// What an alias stands for.
#[derive(Clone, Copy)]
struct Anchored<'v> {
    value: Value<'v>,
    /// Values in it, aliases in it counted in full.
    values: usize,
}

/// A list or a map that is being read.
struct Open<'v> {
    anchor: usize,
    /// The number of values before it.
    before: usize,
    kind: Kind<'v>,
}

enum Kind<'v> {
    List(Vec<Value<'v>>),
    Map { entries: SmallMap<Value<'v>, Value<'v>>, key: Option<Key<'v>>, merged: Vec<Value<'v>> },
}

/// A key whose value is still to come.
enum Key<'v> {
    Of(Value<'v>),
    /// `<<`, not quoted.
    Merge,
}

impl<'v> Decoder<'v> {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let merge = style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                if merge && self.expects_key() {
                    return self.key(Key::Merge);
                }
                self.count(1)?;
                let value = self.scalar(&text, style, tag.as_deref())?;
                self.finished(anchor, value, 1)
            }
            Event::Alias(id) => {
                let Some(anchored) = self.anchors.get(&id).copied() else {
                    return Err("an alias inside of what it stands for".to_owned());
                };
                self.count(anchored.values)?;
                let copy = self.copy(anchored.value);
                self.finished(0, copy, anchored.values)
            }
            Event::SequenceStart(anchor, tag) => self.opened(anchor, tag.as_deref(), "seq", Kind::List(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                let map = Kind::Map { entries: SmallMap::new(), key: None, merged: Vec::new() };
                self.opened(anchor, tag.as_deref(), "map", map)
            }
            Event::SequenceEnd | Event::MappingEnd => self.closed(),
            Event::DocumentStart(_) => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn count(&mut self, values: usize) -> Result<(), String> {
        self.values = self.values.saturating_add(values);
        if self.values > MAX_CONFIG_VALUES {
            return Err(format!("more than {MAX_CONFIG_VALUES} values, aliases counted in full"));
        }
        Ok(())
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value<'v>, String> {
        let Some(tag) = tag else {
            let plain = if style == ScalarStyle::Plain { scalar::resolve(text)? } else { Plain::Text };
            return Ok(plain.alloc(text, self.heap));
        };
        let name = core_tag(tag)?;
        let plain = scalar::resolve(text)?;
        let plain = match (name, plain) {
            ("str", _) => Plain::Text,
            ("null", plain @ Plain::Null)
            | ("bool", plain @ Plain::Bool(_))
            | ("int", plain @ (Plain::Int(_) | Plain::BigInt(_)))
            | ("float", plain @ Plain::Float(_)) => plain,
            ("float", Plain::Int(_) | Plain::BigInt(_)) => Plain::Float(text.parse().map_err(|_| not_a(name, text))?),
            ("null" | "bool" | "int" | "float", _) => return Err(not_a(name, text)),
            _ => return Err(unknown(tag)),
        };
        Ok(plain.alloc(text, self.heap))
    }

    fn opened(&mut self, anchor: usize, tag: Option<&Tag>, name: &str, kind: Kind<'v>) -> Result<(), String> {
        if let Some(tag) = tag
            && core_tag(tag)? != name
        {
            return Err(unknown(tag));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(TOO_DEEP.to_owned());
        }
        if self.expects_key() {
            return Err("a key must be a scalar, not a list or a map".to_owned());
        }
        let before = self.values;
        self.count(1)?;
        self.open.push(Open { anchor, before, kind });
        Ok(())
    }

    fn closed(&mut self) -> Result<(), String> {
        let Some(Open { anchor, before, kind }) = self.open.pop() else {
            return Ok(());
        };
        let value = match kind {
            Kind::List(values) => self.heap.alloc(AllocList(values)),
            Kind::Map { mut entries, merged, .. } => {
                for map in merged {
                    merge(&mut entries, map)?;
                }
                self.heap.alloc(Dict::new(entries))
            }
        };
        self.finished(anchor, value, self.values - before)
    }

    /// Puts a value where it belongs.
    fn finished(&mut self, anchor: usize, value: Value<'v>, values: usize) -> Result<(), String> {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { value, values });
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(value);
            return Ok(());
        };
        match &mut open.kind {
            Kind::List(list) => list.push(value),
            Kind::Map { entries, key, merged } => match key.take() {
                None => return self.key(Key::Of(value)),
                Some(Key::Merge) => merged.push(value),
                Some(Key::Of(key)) => {
                    let hashed =
                        key.get_hashed().map_err(|_| "a key must be a scalar, not a list or a map".to_owned())?;
                    if entries.insert_hashed(hashed, value).is_some() {
                        return Err(format!("the key {} is given twice", shorten(key.to_repr(), 120)));
                    }
                }
            },
        }
        Ok(())
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: Kind::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, new: Key<'v>) -> Result<(), String> {
        if let Some(Open { kind: Kind::Map { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(new);
        }
        Ok(())
    }

    /// A value of its own: a list that is changed in one place must not change in another.
    fn copy(&self, value: Value<'v>) -> Value<'v> {
        if let Some(list) = ListRef::from_value(value) {
            return self.heap.alloc(AllocList(list.iter().map(|value| self.copy(value))));
        }
        if let Some(dict) = DictRef::from_value(value) {
            let mut entries = SmallMap::with_capacity(dict.len());
            for (key, value) in dict.iter_hashed() {
                entries.insert_hashed(key, self.copy(value));
            }
            return self.heap.alloc(Dict::new(entries));
        }
        value
    }
}

/// Adds a map, or each of a list of maps, where there is no such key yet.
fn merge<'v>(entries: &mut SmallMap<Value<'v>, Value<'v>>, from: Value<'v>) -> Result<(), String> {
    if let Some(dict) = DictRef::from_value(from) {
        for (key, value) in dict.iter_hashed() {
            if !entries.contains_key_hashed_by_value(key) {
                entries.insert_hashed(key, value);
            }
        }
        return Ok(());
    }
    let maps = ListRef::from_value(from).filter(|maps| maps.iter().all(|map| DictRef::from_value(map).is_some()));
    let Some(maps) = maps else {
        return Err("`<<` needs a map or a list of maps".to_owned());
    };
    maps.iter().try_for_each(|map| merge(entries, map))
}

fn core_tag(tag: &Tag) -> Result<&str, String> {
    if tag.is_yaml_core_schema() { Ok(&tag.suffix) } else { Err(unknown(tag)) }
}

fn unknown(tag: &Tag) -> String {
    let tag = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
    format!("the tag {} means nothing here", shorten(tag, 80))
}

fn not_a(name: &str, text: &str) -> String {
    format!("!!{name} {} is none", shorten(format!("{text:?}"), 80))
}
