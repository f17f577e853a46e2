//! Which variable of the module a request tried to change, and where it is bound: the hint of an error about frozen state.
//!
//! It reads the text of the script, as a request must not pay for a syntax tree: the name that the failed statement
//! begins with; if that is a parameter, the names in the calls that led there. A variable of the module is a name that a
//! line without indentation binds. Where none is found nothing is said, so a wrong guess costs a sentence and no more.

use starlark::Error;
use starlark::codemap::FileSpan;

/// Most calls that are looked through.
const MOST_CALLS: usize = 16;

/// The sentence for an error that says that a value is immutable.
pub(crate) fn hint(error: &Error) -> Option<String> {
    let here = error.span()?;
    let names = names(here.source_span()).take(1).map(|name| (name, here));
    let calls = error.call_stack().frames.iter().rev().filter_map(|frame| frame.location.as_ref()).take(MOST_CALLS);
    let handed = calls.flat_map(|at| names_of_arguments(at.source_span()).map(move |name| (name, at)));
    let (name, line, at) = names.chain(handed).find_map(|(name, at)| {
        // A parameter or a local name hides a variable of the module.
        let hidden = is_hidden(at, name);
        (!hidden).then(|| bound(at.file.source(), name)).flatten().map(|line| (name, line, at))
    })?;
    Some(format!(
        "`{name}` is bound at {}:{line}, and each request gets the module as it was when the server started; keep in \
         kv what outlives a request, as in kv.set(\"{name}\", value)",
        at.filename()
    ))
}

/// The names of a piece of source, in their order.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.split(move |c| !is_name(c)).filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

fn names_of_arguments(call: &str) -> impl Iterator<Item = &str> {
    names(call.split_once('(').map(|(_, arguments)| arguments).unwrap_or_default())
}

/// The line, from 1, that binds a name at the top level.
fn bound(source: &str, name: &str) -> Option<usize> {
    source.lines().position(|line| binds(line, name)).map(|at| at + 1)
}

/// Whether a line without indentation assigns to a name, alone or among others.
fn binds(line: &str, name: &str) -> bool {
    let Some((targets, value)) = line.split_once('=') else { return false };
    // `==` compares, and `+=` changes.
    let is_plain = !value.starts_with('=') && !targets.ends_with(|c: char| "!<>+-*/%&|^".contains(c));
    let targets = targets.split_once(':').map_or(targets, |(target, _)| target);
    // An element, or an argument of a call.
    let is_part = targets.split(['(', '[']).rev().skip(1).any(|before| before.ends_with(|c: char| c.is_alphanumeric()));
    let are_names = !is_part && targets.chars().all(|c| c.is_alphanumeric() || "_, ()[]".contains(c));
    is_plain && are_names && !line.starts_with([' ', '\t']) && names(targets).any(|target| target == name)
}

/// Whether the function around a place has a parameter or a variable of its own with this name.
fn is_hidden(at: &FileSpan, name: &str) -> bool {
    let source = at.file.source();
    let lines: Vec<&str> = source.lines().take(at.resolve_span().begin.line + 1).collect();
    let inside = lines.iter().rev().take_while(|line| line.is_empty() || line.starts_with([' ', '\t', '#', ')']));
    let inside: Vec<&&str> = inside.collect();
    let start = lines.len().checked_sub(inside.len() + 1).and_then(|at| lines.get(at));
    let has_parameter = start
        .filter(|line| line.starts_with("def "))
        .is_some_and(|line| names_of_arguments(line).any(|parameter| parameter == name));
    let is_assigned = |line: &str| binds(line.trim_start(), name) || is_inner_parameter(line.trim_start(), name);
    has_parameter || inside.iter().any(|line| is_assigned(line))
}

fn is_inner_parameter(line: &str, name: &str) -> bool {
    line.starts_with("def ") && names_of_arguments(line).any(|parameter| parameter == name)
}

#[cfg(test)]
mod tests {
    use super::{binds, names};

    #[test]
    fn a_line_of_the_top_level_binds_names() {
        for line in [
            "items = []",
            "items=[]",
            "items: list[int] = []",
            "a, items = 1, []",
            "[items, b] = f(x == 1)",
            "(items, b) = x",
        ] {
            assert!(binds(line, "items"), "{line}");
        }
        for line in [
            " items = []",
            "items == []",
            "items += 1",
            "items[0] = 1",
            "items.x = 1",
            "f(items = 1)",
            "print(items)",
            "item = items",
            "# items = 1",
        ] {
            assert!(!binds(line, "items"), "{line}");
        }
    }

    #[test]
    fn names_are_words() {
        let found: Vec<&str> = names("a.b[\"c\"] = 1x + _d").collect();
        assert_eq!(found, ["a", "b", "c", "_d"]);
    }
}
