//! For tools that read a script without running it: `starcell check`, its reference and its language server.
//!
//! They must see the language and the predeclared names that the interpreter has, or they would accept what it refuses.
//! Nothing here evaluates a script, and [`parse`] stands behind the same bounds as a script that is run.

mod attributes;
mod signature;
mod variables;

use starlark::docs::{DocItem, DocMember, DocModule, DocParams, DocProperty, DocString, DocStringKind, DocType};
use starlark::environment::Globals;
use starlark::syntax::AstModule;
use starlark::typing::Ty;

pub use crate::modules::data::DataFormat;
pub use variables::VariableTree;

use crate::globals::{ARGUMENTS, globals, of_tests};
use crate::{diagnostic, elsewhere, load, modules, source};

/// The predeclared names, for the type checker: those of a script, or those of a test file.
#[must_use]
pub fn predeclared(test_file: bool) -> &'static Globals {
    if test_file { of_tests() } else { globals() }
}

/// What test files have besides what scripts have.
#[must_use]
pub fn test_documentation() -> DocModule {
    let scripts = documentation();
    of_tests().documentation().filter(|(name, _)| !scripts.members.contains_key(name))
}

/// Parses one file; `name` is how errors call it. It must be UTF-8 and within the bounds on size and nesting.
///
/// # Errors
/// What is wrong with the text, with its place.
pub fn parse(name: &str, text: &[u8]) -> starlark::Result<AstModule> {
    source::syntax(name, source::text(name, text)?)
}

/// The path of `load()` in one spelling, relative to the folder of the script.
///
/// # Errors
/// Why no file can be meant by it.
pub fn load_path(path: &str) -> Result<String, String> {
    load::normal(path)
}

/// Whether a name that `load()` takes from a file stands for all of it, unless the file defines that name itself.
#[must_use]
pub fn is_whole_file(path: &str, name: &str) -> bool {
    load::stem(path) == name
}

/// Why there is no file for a `load()` of `path`, with what to do when the script needs none.
#[must_use]
pub fn missing_load(path: &str, why: String) -> String {
    load::hinted(path, why)
}

/// An error alone, in one line.
#[must_use]
pub fn message(error: &starlark::Error) -> String {
    diagnostic::message(error)
}

/// The module of a predeclared function that is there under its name alone, such as `fs` of `read_text`.
#[must_use]
pub fn module_of(function: &str) -> Option<&'static str> {
    modules::module_of(function)
}

/// What a member that a module has not is called here, as a sentence says it after a semicolon.
#[must_use]
pub fn called_here(module: &str, member: &str) -> Option<String> {
    elsewhere::of_member(module, member)
}

/// What is predeclared, each function with its real parameters.
#[must_use]
pub fn documentation() -> DocModule {
    let mut module = globals().documentation();
    for (name, item) in module.members.iter_mut() {
        complete_item(name, item);
        if let DocItem::Module(module) = item {
            module.docs = modules::summary(name).and_then(|text| DocString::from_docstring(DocStringKind::Rust, text));
        }
    }
    module.members.insert(ARGUMENTS.to_owned(), arguments());
    module
}

/// What there is to say of the list of arguments, which is a value and has no documentation of its own.
fn arguments() -> DocItem {
    let text = "The arguments of the script, those behind `--` of `starcell run app.star -- ARGS`: a list of str that \
                cannot be changed, empty without arguments.";
    let docs = DocString::from_docstring(DocStringKind::Rust, text);
    DocItem::Member(DocMember::Property(DocProperty { docs, typ: Ty::list(Ty::string()) }))
}

/// The types of values that scripts meet, by the names that `type()` gives, with their methods and attributes.
#[must_use]
pub fn types() -> Vec<(&'static str, DocType)> {
    let mut types = modules::types();
    for (name, documented) in &mut types {
        for (method, member) in documented.members.iter_mut() {
            complete(name, method, member);
        }
        let originals: Vec<_> = documented.members.iter().filter_map(|(name, member)| original(name, member)).collect();
        for (method, member) in documented.members.iter_mut() {
            complete_twin(method, member, &originals);
        }
        attributes::add(name, documented);
    }
    types.sort_by_key(|(name, _)| *name);
    types
}

fn complete_item(name: &str, item: &mut DocItem) {
    match item {
        DocItem::Module(module) => {
            for (function, item) in module.members.iter_mut() {
                if let DocItem::Member(member) = item {
                    complete(name, function, member);
                }
            }
            complete_twins(module);
        }
        DocItem::Member(member) => complete("", name, member),
        DocItem::Type(_) => {}
    }
}

/// Gives a function that reads its arguments by itself the parameters that its documentation states.
fn complete(of: &str, name: &str, member: &mut DocMember) {
    if let DocMember::Function(function) = member {
        signature::complete(of, name, function);
    }
}

/// A function and its parameters, if it can have a twin.
fn original(name: &str, member: &DocMember) -> Option<(String, DocParams)> {
    match member {
        DocMember::Function(function) => Some((name.to_owned(), function.params.clone())),
        DocMember::Property(_) => None,
    }
}

fn complete_twins(module: &mut DocModule) {
    let members = module.members.iter();
    let originals: Vec<_> = members
        .filter_map(|(name, item)| match item {
            DocItem::Member(member) => original(name, member),
            DocItem::Module(_) | DocItem::Type(_) => None,
        })
        .collect();
    for (name, item) in module.members.iter_mut() {
        if let DocItem::Member(member) = item {
            complete_twin(name, member, &originals);
        }
    }
}

/// `try_f` takes what `f` takes, unless its documentation says what it takes.
fn complete_twin(name: &str, member: &mut DocMember, originals: &[(String, DocParams)]) {
    let (Some(of), DocMember::Function(function)) = (name.strip_prefix("try_"), member) else { return };
    if !reads_by_itself(&function.params) {
        return;
    }
    if let Some((_, params)) = originals.iter().find(|(name, _)| name == of) {
        function.params = params.clone();
    }
}

/// Whether these parameters are those that starlark gives to a function that reads its arguments by itself.
fn reads_by_itself(params: &DocParams) -> bool {
    params.regular_params().next().is_none() && params.args.is_some() && params.kwargs.is_some()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use starlark::docs::DocFunction;

    use super::*;
    use crate::testing::NativeHost;

    /// Every function of our own, as it is called: `fs.stat`, `http.server().handle`.
    fn functions() -> Vec<(String, DocFunction)> {
        let mut functions = Vec::new();
        for (module, item) in &documentation().members {
            let DocItem::Module(module_docs) = item else { continue };
            for (name, item) in &module_docs.members {
                if let DocItem::Member(DocMember::Function(function)) = item {
                    functions.push((format!("{module}.{name}"), function.clone()));
                }
            }
        }
        for (of, value) in
            [("http.server", "http.server()"), ("http.url", "http.url(\"http://a/\")"), ("log.logger", "log.child()")]
        {
            let (_, documented) = types().into_iter().find(|(name, _)| *name == of).unwrap();
            for (name, member) in documented.members {
                if let DocMember::Function(function) = member {
                    functions.push((format!("{value}.{name}"), function));
                }
            }
        }
        functions
    }

    /// A call with a value for each parameter that must be given, and whatever is added to it.
    fn call(name: &str, function: &DocFunction, also: &str) -> String {
        let required = function.params.regular_params().filter(|param| param.default_value.is_none());
        let mut arguments: Vec<String> = required
            .map(|param| {
                let value = match param.name.as_str() {
                    "data" => "b\"x\"",
                    "fn" | "handler" | "middleware" | "routes" => "lambda x: x",
                    _ => "\"x\"",
                };
                format!("{} = {value}", param.name)
            })
            .collect();
        arguments.push(also.to_owned());
        format!("{name}({})", arguments.join(", "))
    }

    fn error(source: &str) -> String {
        match crate::run(&NativeHost::new(), "a.star", source.as_bytes()) {
            Ok(()) => String::new(),
            Err(failure) => failure.message,
        }
    }

    #[test]
    fn no_function_is_without_parameters_and_words() {
        let functions = functions();
        assert!(functions.len() > 200, "{}", functions.len());
        for (name, function) in functions {
            assert!(!reads_by_itself(&function.params), "{name} does not state its signature");
            assert!(function.docs.is_some(), "{name} is not documented");
        }
    }

    /// No function takes an argument that its signature does not have, by name or by position.
    #[test]
    fn signatures_are_those_that_calls_meet() {
        let mut checked = 0;
        for (name, function) in functions() {
            if function.params.kwargs.is_some() || name.contains("try_") {
                continue;
            }
            checked += 1;
            let message = error(&call(&name, &function, "nonesuch = 1"));
            assert!(message.contains("nonesuch"), "{name}: {message}");
            let positional = function.params.pos_or_named.len() + function.params.pos_only.len();
            if function.params.args.is_none() {
                let many = vec!["\"x\""; positional + 1].join(", ");
                let message = error(&format!("{name}({many})"));
                let refused = ["positional", " must be "].iter().any(|part| message.contains(part));
                assert!(refused, "{name}: {message}");
            }
        }
        assert!(checked >= 180, "{checked}");
    }

    /// What the few functions state that read their arguments by themselves is what they take.
    #[test]
    fn stated_signatures_are_those_that_calls_meet() {
        let servers = ["http.server", "http.serve", "http.server().start", "http.server().serve"];
        for (name, function) in functions().into_iter().filter(|(name, _)| servers.contains(&name.as_str())) {
            let message = error(&call(&name, &function, "nonesuch = 1"));
            let names = function.params.regular_params().map(|param| param.name.as_str());
            // The refusal of `http.serve` lists the options of servers alone.
            let names: Vec<&str> = names.filter(|name| *name != "routes").collect();
            let expected = format!("unknown argument nonesuch, accepted: {}", names.join(", "));
            assert_eq!(sorted(&message), sorted(&expected), "{name}: {message}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_builtins() {
        let documented = documentation();
        let Some(DocItem::Module(regexp)) = documented.members.get("regexp") else { panic!("no regexp") };
        let Some(DocItem::Member(DocMember::Function(find_all))) = regexp.members.get("find_all") else {
            panic!("none")
        };
        let defaults: Vec<_> = find_all.params.regular_params().map(|param| param.default_value.as_deref()).collect();
        assert_eq!(defaults, [None, None, Some("-1"), Some("\"\"")]);
        let docs = find_all.docs.as_ref().unwrap();
        assert!(!docs.details.as_deref().unwrap_or_default().contains("defaults("), "{docs:?}");
    }

    /// The names that a refusal lists.
    fn sorted(message: &str) -> Vec<String> {
        let (_, names) = message.split_once("accepted: ").unwrap_or_else(|| panic!("{message}"));
        let mut names: Vec<String> = names.split(", ").map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_module_has_a_sentence() {
        for (name, item) in &documentation().members {
            if let DocItem::Module(module) = item {
                assert!(module.docs.is_some(), "{name} has no sentence in modules.rs");
            }
        }
    }

    #[test]
    fn what_a_script_cannot_spell_is_not_documented() {
        let documented = documentation();
        assert!(documented.members.keys().all(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_')));
        assert!(documented.members.contains_key("fs"));
    }

    #[test]
    fn a_text_is_parsed_within_the_bounds_of_a_script() {
        assert!(parse("a.star", b"x = 1").is_ok());
        for (source, expected) in [
            (&b"x = \xff"[..], "not UTF-8"),
            (b"\xef\xbb\xbfx = 1", "byte order mark"),
            (b"x = 1\0", "NUL"),
            (&b"(".repeat(1_000_000), "nested or chained too deeply"),
            (b"x = 1 +", "Parse error"),
        ] {
            let error = message(&parse("a.star", source).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(load_path("./lib//a.star").unwrap(), "lib/a.star");
        assert!(load_path("../a.star").is_err());
    }
}
