//! The predeclared names, built once.

use std::sync::OnceLock;

use starlark::environment::{Globals, GlobalsBuilder, LibraryExtension};

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

/// What is predeclared for the code that runs.
pub(crate) fn of(session: &Session<'_>) -> &'static Globals {
    match session.is_test_file() {
        true => of_tests(),
        false => globals(),
    }
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
            "base64", "fmt", "fs", "hash", "hex", "hmac", "html", "http", "json", "kv", "math", "os", "retry",
            "strings", "uuid", "log", "random", "time", "print", "Result", "fail",
        ] {
            assert!(names.contains(&name), "{name}");
        }
    }
}
