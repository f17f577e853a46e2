//! Members of modules, and of values whose type the text tells: completion, hover, definition.
//!
//! A text that is being typed does not parse behind a dot, so this looks at the line and not at a syntax tree.

use lsp_types::CompletionItemKind;
use serde_json::{Value, json};
use starcell_check::{builtins, reference};
use starlark::docs::{DocItem, DocMember, DocString};

use super::documents::Place;
use super::stubs;

/// What is before the dot.
enum Owner {
    Module(String),
    Type(&'static str),
}

/// A member as the text names it.
struct Member<'d> {
    owner: Owner,
    /// As far as it was typed, or all of it.
    name: &'d str,
}

/// The members of what is before the cursor's dot.
pub(super) fn completions(place: &Place<'_>) -> Option<Value> {
    let before = place.line.get(..place.at)?;
    let (object, typed) = split(before)?;
    let owner = owner(object, place.text)?;
    let mut items: Vec<Value> = Vec::new();
    let mut add = |name: &str, function: bool, docs: Option<&DocString>, entry: Option<String>| {
        if name.starts_with(typed) {
            let kind = if function { CompletionItemKind::FUNCTION } else { CompletionItemKind::FIELD };
            items.push(json!({
                "label": name,
                "kind": kind,
                "detail": docs.map(|docs| docs.summary.as_str()).unwrap_or_default(),
                "documentation": {"kind": "markdown", "value": entry.unwrap_or_default()},
                // Twins last: who wants one types it.
                "sortText": format!("{}{name}", u8::from(name.starts_with("try_"))),
            }));
        }
    };
    match &owner {
        Owner::Module(module) => {
            for (name, item) in &builtins().module(module)?.members {
                let function = matches!(item, DocItem::Member(DocMember::Function(_)));
                add(name, function, item.get_doc_string(), reference::entry(module, name));
            }
        }
        Owner::Type(of) => {
            for (name, member) in &builtins().types.get(of)?.members {
                let function = matches!(member, DocMember::Function(_));
                add(name, function, member.get_doc_string(), reference::member_entry(of, name));
            }
        }
    }
    Some(json!(items))
}

/// What the reference says of the member under the cursor.
pub(super) fn hover(place: &Place<'_>) -> Option<Value> {
    let member = member(place)?;
    let entry = match member.owner {
        Owner::Module(module) => reference::entry(&module, member.name)?,
        Owner::Type(of) => reference::member_entry(of, member.name)?,
    };
    Some(json!({"contents": {"kind": "markdown", "value": entry.trim_end()}}))
}

/// Where the member under the cursor is declared, in the text that stands for its module.
pub(super) fn definition(place: &Place<'_>) -> Option<Value> {
    let member = member(place)?;
    let Owner::Module(module) = member.owner else { return None };
    let line = stubs::module(&module)?.line(member.name)?;
    let range = json!({"start": {"line": line, "character": 0}, "end": {"line": line, "character": 0}});
    Some(json!({"uri": stubs::uri(&module), "range": range}))
}

fn member<'d>(place: &Place<'d>) -> Option<Member<'d>> {
    let rest = place.line.get(place.at..)?;
    let end = place.at + rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
    let (object, name) = split(place.line.get(..end)?)?;
    Some(Member { owner: owner(object, place.text)?, name })
}

/// The names around the last dot of a text that ends in a member.
fn split(text: &str) -> Option<(&str, &str)> {
    let (before, name) = text.split_at(text.rfind(|c: char| !is_name(c)).map_or(0, |at| at + width(text, at)));
    let before = before.strip_suffix('.')?;
    let (ahead, object) = before.split_at(before.rfind(|c: char| !is_name(c)).map_or(0, |at| at + width(before, at)));
    (!object.is_empty() && !ahead.ends_with('.')).then_some((object, name))
}

fn width(text: &str, at: usize) -> usize {
    text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn owner(object: &str, text: &str) -> Option<Owner> {
    if let Some(typ) = assigned(object, text) {
        return Some(Owner::Type(typ));
    }
    if builtins().module(object).is_some() {
        return Some(Owner::Module(object.to_owned()));
    }
    // What handlers are called with, by the names that everybody gives it.
    matches!(object, "req" | "request").then_some(Owner::Type("http.request"))
}

/// The type of a variable that some line assigns what a function of a module returns.
fn assigned(name: &str, text: &str) -> Option<&'static str> {
    text.lines().find_map(|line| {
        let value = line.trim_start().strip_prefix(name)?.trim_start().strip_prefix('=')?.trim_start();
        let (function, _) = value.split_once('(')?;
        let (module, function) = function.split_once('.')?;
        builtins().returned(module, function).map(|(typ, _)| typ)
    })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn place(text: &str) -> Place<'_> {
        let line = text.lines().last().unwrap_or_default();
        Place { text, line, at: line.len() }
    }

    fn labels(text: &str) -> Vec<String> {
        let items = completions(&place(text)).unwrap_or(json!([]));
        items.as_array().unwrap().iter().map(|item| item["label"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn members_are_offered_behind_a_dot() {
        assert!(labels("x = fs.").contains(&"read_text".to_owned()));
        assert_eq!(labels("print(kv.incr"), ["incr"]);
        assert!(labels("srv = http.server()\nsrv.").contains(&"handle".to_owned()));
        assert!(labels("def h(req):\n    req.que").contains(&"query_first".to_owned()));
        for text in ["x", "x.", "fs", "a.fs.", "fs.x.", "f().", "1.", "", ".", "é."] {
            assert_eq!(labels(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_variable_is_what_it_was_assigned() {
        assert!(labels("fs = http.server()\nfs.").contains(&"handle".to_owned()));
        assert!(hover(&place("url = http.url(\"x\")\nurl.post")).unwrap().to_string().contains("Needs `http.client`"));
    }

    #[test]
    fn hover_and_definition_are_those_of_the_member() {
        let text = hover(&place("fs.read_text")).unwrap().to_string();
        assert!(text.contains("The text of a file") && text.contains("fs.read_text(path: str) -> str"), "{text}");
        let found = definition(&place("fs.read_text")).unwrap();
        assert_eq!(found["uri"], "starlark:/fs.star");
        assert!(found["range"]["start"]["line"].as_u64().unwrap() > 0);
        assert!(hover(&place("fs.nope")).is_none());
    }
}
