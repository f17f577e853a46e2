//! The reference of the modules, written from their own documentation and signatures.
//!
//! Nothing in it is said twice by hand: what a function takes is what the interpreter takes, what it needs is what the
//! list of capabilities says, and its examples are those that the tests run.

mod signature;

use std::fmt::Write as _;

use starcell_interp::as_written;
use starcell_policy::Capability;
use starlark::docs::{DocFunction, DocItem, DocMember, DocProperty, DocString, DocType};

pub use signature::signature;

use crate::builtins::{Builtins, builtins};
use crate::capabilities::{lowest, needs, server_method_needs};
use crate::values::path_needs;

const HEAD: &str = "\
# Reference

What a script can use, as the interpreter itself documents it. `starcell docs` writes this text; do not edit it.

A function that can fail has a twin with `try_` in front that takes the same arguments and returns a `Result` instead of
raising; a refused permission is caught that way too. The twins are listed at the end of each module. An argument behind
`*` must be given by its name, one before `/` cannot be. Examples are what a session would show, and the tests run them.

";

const TESTS: &str = "\
# Tests

A test file is called `*_test.star`, and each function `test_*` in it is a test, with the test (`t`, of the type `test`) as
its argument or none. A function `setup` runs before each test and a function `teardown` after it, failed or not; they take
the same argument or none. What follows is predeclared in test files and nowhere else, and in the module `test` as well.

";

/// The whole reference as Markdown, the same for the same binary.
#[must_use]
pub fn markdown() -> String {
    let builtins = builtins();
    let mut text = HEAD.to_owned();
    let mut names: Vec<&str> = builtins.documentation.members.keys().map(String::as_str).collect();
    names.sort_unstable();
    let (modules, plain): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| builtins.module(name).is_some());
    contents(&mut text, &modules, builtins);
    for name in modules {
        module(&mut text, name, builtins);
    }
    let mut types: Vec<_> = builtins.types.iter().collect();
    types.sort_by_key(|(name, _)| **name);
    text += "# Types\n\nValues that functions return and handlers get, by the names that `type()` gives.\n\n";
    for (name, documented) in types {
        typ(&mut text, name, documented);
    }
    text += TESTS;
    let mut assertions: Vec<_> = builtins.tests.members.iter().map(|(name, item)| (as_written(name), item)).collect();
    assertions.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, item) in assertions {
        if let DocItem::Member(DocMember::Function(documented)) = item {
            let _ = writeln!(text, "## {name}\n");
            function(&mut text, &name, documented, &[]);
        }
    }
    text += "# The language\n\nPredeclared functions without a module. The language is Starlark, and its types have the \
             methods that Starlark gives them.\n\n";
    for name in plain {
        predeclared(&mut text, name, builtins);
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

/// What the reference says of one member of a module, or of a predeclared function when the module is `""`.
#[must_use]
pub fn entry(module: &str, name: &str) -> Option<String> {
    let builtins = builtins();
    let mut text = String::new();
    let whole = if module.is_empty() { name.to_owned() } else { format!("{module}.{name}") };
    if let Some(documented) = builtins.function(module, name) {
        function(&mut text, &whole, documented, &needs(module, name));
        return Some(text);
    }
    match builtins.module(module)?.members.get(name)? {
        DocItem::Member(DocMember::Property(documented)) => property(&mut text, &whole, documented),
        _ => return None,
    }
    Some(text)
}

/// What the reference says of one attribute or method of a type.
#[must_use]
pub fn member_entry(of: &str, name: &str) -> Option<String> {
    let mut text = String::new();
    match builtins().types.get(of)?.members.get(name)? {
        DocMember::Function(documented) => function(&mut text, name, documented, &method_needs(of, name)),
        DocMember::Property(documented) => property(&mut text, name, documented),
    }
    Some(text)
}

fn contents(text: &mut String, modules: &[&str], builtins: &Builtins) {
    *text += "| module | needs |\n|---|---|\n";
    for name in modules {
        let members = builtins.module(name).into_iter().flat_map(|module| module.members.keys());
        let mut needed: Vec<Capability> = members.flat_map(|member| needs(name, member)).collect();
        needed.sort_unstable();
        needed.dedup();
        let needed: Vec<String> = needed.iter().map(|capability| format!("`{capability}`")).collect();
        let needed = if needed.is_empty() { "nothing".to_owned() } else { needed.join(", ") };
        let _ = writeln!(text, "| [`{name}`](#{name}) | {needed} |");
    }
    *text += "\n";
}

fn module(text: &mut String, name: &str, builtins: &Builtins) {
    let Some(module) = builtins.module(name) else { return };
    let _ = writeln!(text, "# {name}\n");
    prose(text, module.docs.as_ref());
    let mut members: Vec<_> = module.members.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    let mut twins = Vec::new();
    for (member, item) in members {
        let whole = format!("{name}.{member}");
        match item {
            DocItem::Member(DocMember::Function(documented)) if is_twin(member, documented) => {
                twins.push(format!("`{member}`"));
            }
            DocItem::Member(DocMember::Function(documented)) => {
                let _ = writeln!(text, "## {whole}\n");
                function(text, &whole, documented, &needs(name, member));
            }
            DocItem::Member(DocMember::Property(documented)) => {
                let _ = writeln!(text, "## {whole}\n");
                property(text, &whole, documented);
            }
            DocItem::Module(_) | DocItem::Type(_) => {}
        }
    }
    list_twins(text, &twins);
}

fn typ(text: &mut String, name: &str, documented: &DocType) {
    let _ = writeln!(text, "## {name}\n");
    prose(text, documented.docs.as_ref());
    let mut members: Vec<_> = documented.members.iter().collect();
    members.sort_by_key(|(name, member)| (matches!(member, DocMember::Function(_)), *name));
    let mut twins = Vec::new();
    for (member, item) in members {
        match item {
            DocMember::Function(function) if is_twin(member, function) => twins.push(format!("`{member}`")),
            DocMember::Function(documented) => {
                let _ = writeln!(text, "### {name} .{member}()\n");
                function(text, member, documented, &method_needs(name, member));
            }
            DocMember::Property(documented) => {
                let _ = writeln!(text, "### {name} .{member}\n");
                property(text, member, documented);
            }
        }
    }
    list_twins(text, &twins);
}

fn predeclared(text: &mut String, name: &str, builtins: &Builtins) {
    let Some(item) = builtins.documentation.members.get(name) else { return };
    let docs = match item {
        DocItem::Member(DocMember::Function(function)) => function.docs.as_ref(),
        DocItem::Member(DocMember::Property(property)) => property.docs.as_ref(),
        DocItem::Type(typ) => typ.docs.as_ref().or_else(|| typ.constructor.as_ref()?.docs.as_ref()),
        DocItem::Module(_) => return,
    };
    let shown = match builtins.function("", name) {
        Some(function) => signature(name, function),
        None => name.to_owned(),
    };
    let _ = writeln!(text, "## {name}\n\n```python\n{shown}\n```\n");
    // The examples of the language's own functions are written for another reader.
    if let Some(docs) = docs {
        let _ = writeln!(text, "{}\n", docs.summary);
        if docs.details.as_deref().is_some_and(|details| details.contains(">>> ")) {
            let _ = writeln!(text, "{}\n", docs.details.as_deref().unwrap_or_default());
        }
    }
}

fn function(text: &mut String, name: &str, documented: &DocFunction, needs: &[Capability]) {
    let _ = writeln!(text, "```python\n{}\n```\n", signature(name, documented));
    prose(text, documented.docs.as_ref());
    if !needs.is_empty() {
        let needs: Vec<String> =
            needs.iter().map(|capability| format!("`{capability}` (from `{}`)", lowest(*capability))).collect();
        let _ = writeln!(text, "Needs {}.\n", needs.join(" and "));
    }
}

fn property(text: &mut String, _name: &str, documented: &DocProperty) {
    prose(text, documented.docs.as_ref());
}

fn prose(text: &mut String, docs: Option<&DocString>) {
    let Some(docs) = docs else { return };
    let _ = writeln!(text, "{}\n", docs.summary);
    for part in [&docs.details, &docs.examples].into_iter().flatten() {
        let _ = writeln!(text, "{part}\n");
    }
}

fn list_twins(text: &mut String, twins: &[String]) {
    if !twins.is_empty() {
        let _ = writeln!(text, "Twins: {}.\n", twins.join(", "));
    }
}

/// Whether a function is nothing but the twin of another one.
fn is_twin(name: &str, function: &DocFunction) -> bool {
    let Some(of) = name.strip_prefix("try_") else { return false };
    function.docs.as_ref().is_none_or(|docs| docs.summary == format!("Like `{of}`, as a `Result`."))
}

/// The capabilities that a method needs.
fn method_needs(of: &str, method: &str) -> Vec<Capability> {
    match of {
        "fs.path" => path_needs(method),
        "http.server" => server_method_needs(method),
        "http.url" => needs("http", method),
        // The value asks for nothing by itself: each of its methods does.
        "sql.database" => needs("sql", "open"),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_signature_words_and_what_it_needs() {
        let text = entry("fs", "mkdir").unwrap();
        assert!(text.contains("fs.mkdir(path: str, *, parents: bool = False) -> None"), "{text}");
        assert!(text.contains("Makes a folder"), "{text}");
        assert!(text.ends_with("Needs `fs.write` (from `allow-fs`).\n\n"), "{text}");
        assert!(member_entry("http.server", "serve").unwrap().contains("Needs `http.server`"));
        assert!(member_entry("http.request", "path").unwrap().contains("decoded"));
        assert!(entry("math", "pi").is_some());
        assert!(entry("", "len").unwrap().contains("len("));
        assert_eq!((entry("fs", "nope"), member_entry("nope", "x")), (None, None));
    }

    #[test]
    fn it_is_the_same_each_time_and_names_every_function() {
        let text = markdown();
        assert_eq!(text, markdown());
        for name in builtins().modules() {
            for member in builtins().module(name).unwrap().members.keys() {
                let listed = text.contains(&format!("## {name}.{member}\n")) || text.contains(&format!("`{member}`"));
                assert!(listed, "{name}.{member}");
            }
        }
    }
}
