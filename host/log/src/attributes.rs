//! The attributes that a script gives to a line.
//!
//! A reader of the log must be able to tell them from the fields of the host. In JSON they stand below one key,
//! `attrs`, and no object has a key twice. In text a name that is not plain is quoted, and one that a field of the host
//! has is written with `attrs.` before it. The values are JSON texts that came from a guest: they are parsed here and
//! written anew, so that a guest that breaks the contract cannot add a field of its own.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use starcell_text::{escape_json, push_json};

use crate::field::Field;
use crate::level::Format;
use crate::value::{MAX_NAME, MAX_VALUE, bounded, push_text};

/// Attributes of one line; the rest are counted.
const MAX_ATTRIBUTES: usize = 64;

/// Levels of a value that are looked through for keys that stand twice; a deeper value becomes a text.
const MAX_DEPTH: usize = 32;

/// Adds the attributes that fit into `room` bytes, and returns how many did not.
pub(crate) fn push(out: &mut String, format: Format, attributes: &[(String, String)], room: usize) -> usize {
    let names = attributes.iter().map(|(name, _)| bounded(name, MAX_NAME)).collect::<Vec<_>>();
    let unique = unique(names.iter().map(AsRef::as_ref).zip(attributes.iter().map(|(_, json)| json.as_str())));
    let start = out.len();
    let mut written = 0;
    if format == Format::Json {
        out.push_str(",\"attrs\":{");
    }
    for (name, json) in unique.iter().take(MAX_ATTRIBUTES) {
        let before = out.len();
        match format {
            Format::Json => {
                out.push_str(if written > 0 { "," } else { "" });
                push_json(out, name);
                out.push(':');
            }
            Format::Text => {
                out.push(' ');
                push_name(out, name);
                out.push('=');
            }
        }
        push_value(out, json);
        if out.len() - start > room {
            out.truncate(before);
            break;
        }
        written += 1;
    }
    if format == Format::Json {
        out.push('}');
    }
    unique.len() - written
}

/// Adds a name of an attribute as it stands in text.
fn push_name(out: &mut String, name: &str) {
    if Field::is_taken(name) {
        out.push_str(Field::ATTRS.name());
        out.push('.');
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if !name.is_empty() && name.bytes().all(plain) {
        out.push_str(name);
    } else {
        push_json(out, name);
    }
}

/// Adds a JSON text as it may stand in a line. One that is none, is too long or too deep becomes a text.
fn push_value(out: &mut String, json: &str) {
    let start = out.len();
    let raw = (json.len() <= MAX_VALUE).then(|| serde_json::from_str::<&RawValue>(json).ok()).flatten();
    let whole = raw.is_some_and(|raw| push_raw(out, raw, MAX_DEPTH));
    if !whole || out.len() - start > MAX_VALUE {
        out.truncate(start);
        push_text(out, json);
    }
}

/// Adds a JSON value with each key once, the last value of a key that stands twice. False where it is too deep.
fn push_raw(out: &mut String, raw: &RawValue, depth: usize) -> bool {
    let text = raw.get();
    let Some(depth) = depth.checked_sub(1) else { return false };
    match text.as_bytes().first() {
        Some(b'{') => {
            let Ok(Members(members)) = serde_json::from_str(text) else { return false };
            let mut separator = "{";
            for (name, value) in unique(members.iter().map(|(name, value)| (name.as_ref(), *value))) {
                out.push_str(separator);
                separator = ",";
                push_json(out, name);
                out.push(':');
                if !push_raw(out, value, depth) {
                    return false;
                }
            }
            out.push_str(if separator == "{" { "{}" } else { "}" });
        }
        Some(b'[') => {
            let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(text) else { return false };
            out.push('[');
            for (place, value) in values.into_iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                if !push_raw(out, value, depth) {
                    return false;
                }
            }
            out.push(']');
        }
        _ => out.push_str(&escape_json(text)),
    }
    true
}

/// Each name once, at its first place, with its last value.
fn unique<'a, V>(pairs: impl Iterator<Item = (&'a str, V)>) -> Vec<(&'a str, V)> {
    let mut places = HashMap::new();
    let mut unique: Vec<(&str, V)> = Vec::new();
    for (name, value) in pairs {
        let place = *places.entry(name).or_insert(unique.len());
        match unique.get_mut(place) {
            Some(known) => known.1 = value,
            None => unique.push((name, value)),
        }
    }
    unique
}

/// The members of an object, keys that stand twice included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    const ROOM: usize = 60 << 10;

    fn pushed(format: Format, attributes: &[(&str, &str)]) -> (String, usize) {
        let attributes: Vec<_> = attributes.iter().map(|(name, json)| ((*name).into(), (*json).into())).collect();
        let mut out = String::new();
        let left_out = push(&mut out, format, &attributes, ROOM);
        (out, left_out)
    }

    #[test]
    fn no_object_has_a_key_twice() {
        let (json, _) = pushed(Format::Json, &[("a", "1"), ("b", r#"{"c":1,"d":[{"e":1,"e":2}],"c":3}"#), ("a", "2")]);
        assert_eq!(json, r#","attrs":{"a":2,"b":{"c":3,"d":[{"e":2}]}}"#);
        let long = "n".repeat(300);
        let (json, _) = pushed(Format::Json, &[(&format!("{long}x"), "1"), (&format!("{long}y"), "2")]);
        assert_eq!(json.matches("nnn... (45 bytes more)").count(), 1, "names that are equal once they are cut: {json}");
    }

    #[test]
    fn in_text_no_name_is_one_of_the_hosts() {
        let (text, _) =
            pushed(Format::Text, &[("request", "\"x\""), ("n", "1"), ("a level=error b", "1"), ("x\" y", "2")]);
        assert_eq!(text, r#" attrs.request="x" n=1 "a level=error b"=1 "x\" y"=2"#);
        for field in ["time", "level", "msg", "script", "at", "status", "attrs"] {
            assert_eq!(pushed(Format::Text, &[(field, "1")]).0, format!(" attrs.{field}=1"));
        }
    }

    #[test]
    fn a_value_that_is_not_one_json_text_becomes_a_text() {
        for json in ["1,\"level\":\"error\"", "", "nope", "1}", "\"a", &"[".repeat(40), &"[".repeat(8000)] {
            let (text, _) = pushed(Format::Json, &[("a", json)]);
            let value: serde_json::Value =
                serde_json::from_str(&format!("{{{}}}", text.trim_start_matches(','))).unwrap();
            assert_eq!(value["attrs"]["a"].as_str(), Some(json), "{text}");
        }
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(pushed(Format::Text, &[("a", &deep)]).0, format!(" a=\"{deep}\""));
        assert_eq!(
            pushed(Format::Text, &[("a", "123456789012345678901234567890.5")]).0,
            " a=123456789012345678901234567890.5"
        );
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let value = format!("\"{}\"", "\u{1}".repeat(16_300).replace('\u{1}', "\\u0001"));
        let attributes: Vec<_> = (0..64).map(|number| format!("v{number}")).collect();
        let attributes: Vec<_> = attributes.iter().map(|name| (name.as_str(), value.as_str())).collect();
        for format in [Format::Json, Format::Text] {
            let (out, left_out) = pushed(format, &attributes);
            assert!(out.len() <= ROOM + 20 && left_out > 50, "{} {left_out}", out.len());
        }
        let many: Vec<_> = (0..100).map(|number| format!("v{number}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "1")).collect();
        assert_eq!(pushed(Format::Text, &many).1, 100 - MAX_ATTRIBUTES);
    }

    #[test]
    fn what_disturbs_is_escaped() {
        let (json, _) = pushed(Format::Json, &[("a\u{202e}", "\"\u{9b}31m\"")]);
        assert_eq!(json, r#","attrs":{"a\u202e":"\u009b31m"}"#);
    }
}
