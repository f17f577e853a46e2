//! The predeclared names, built once.

use std::sync::OnceLock;

use starlark::environment::{Globals, GlobalsBuilder, LibraryExtension};
use starlark::values::list::AllocList;

use crate::session::Session;
use crate::{modules, result};

/// The predeclared names.
pub(crate) fn globals() -> &'static Globals {
    static GLOBALS: OnceLock<Globals> = OnceLock::new();
    GLOBALS.get_or_init(|| builder().build())
}

/// The predeclared names of test files: made when there is one, so that no image of a script has them.
pub(crate) fn of_tests() -> &'static Globals {
    static GLOBALS: OnceLock<Globals> = OnceLock::new();
    GLOBALS.get_or_init(|| builder().with(modules::register_assertions).build())
}

/// The name of the list of arguments.
pub(crate) const ARGUMENTS: &str = "args";

/// What is predeclared for the code that runs.
pub(crate) fn of<'a>(session: &'a Session<'_>) -> &'a Globals {
    let all = if session.is_test_file() { of_tests() } else { globals() };
    let arguments = &session.host.conditions().arguments;
    match arguments.is_empty() {
        true => all,
        false => session.globals.get_or_init(|| with_arguments(all, arguments)),
    }
}

/// The same names, with the arguments of this script. The values are those of `all`, which outlives every script.
fn with_arguments(all: &'static Globals, arguments: &[String]) -> Globals {
    let mut builder = GlobalsBuilder::new();
    for (name, value) in all.iter().filter(|(name, _)| *name != ARGUMENTS) {
        builder.set(name, value);
    }
    builder.set(ARGUMENTS, AllocList(arguments.iter().map(String::as_str)));
    builder.build()
}

fn builder() -> GlobalsBuilder {
    GlobalsBuilder::extended_by(&[
        LibraryExtension::StructType,
        LibraryExtension::RecordType,
        LibraryExtension::EnumType,
        LibraryExtension::SetType,
        LibraryExtension::Map,
        LibraryExtension::Filter,
        LibraryExtension::Partial,
        LibraryExtension::Typing,
    ])
    .with(modules::register)
    .with(result::register)
    .with(|builder| builder.set(ARGUMENTS, AllocList::EMPTY))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn nothing_unexpected_is_predeclared() {
        let names: Vec<&str> = globals().iter().map(|(name, _)| name).collect();
        for name in ["breakpoint", "debug", "call_stack", "pprint"] {
            assert!(!names.contains(&name), "{name}");
        }
        for name in [
            "base64",
            "fmt",
            "fs",
            "hash",
            "hex",
            "hmac",
            "html",
            "http",
            "json",
            "kv",
            "math",
            "os",
            "retry",
            "sql",
            "strings",
            "uuid",
            "log",
            "random",
            "time",
            "print",
            "Result",
            "fail",
            "args",
            "vars",
            "var_str",
            "var_int",
            "var_bool",
            "var_float",
            "var_list",
            "var_dict",
            "var_names",
        ] {
            assert!(names.contains(&name), "{name}");
        }
    }
}
