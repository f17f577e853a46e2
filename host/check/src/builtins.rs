//! The predeclared names, as the checks ask for them.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use starcell_interp::tools;
use starlark::docs::{DocFunction, DocItem, DocMember, DocModule, DocType};

/// The predeclared names.
#[derive(Debug)]
pub struct Builtins {
    /// Their documentation, each function with its real parameters.
    pub documentation: DocModule,
    /// What test files have besides.
    pub tests: DocModule,
    /// The types of values that scripts meet.
    pub types: HashMap<&'static str, DocType>,
}

/// The predeclared names; built once, which takes some milliseconds.
pub fn builtins() -> &'static Builtins {
    static BUILTINS: LazyLock<Builtins> = LazyLock::new(|| Builtins {
        documentation: tools::documentation(),
        tests: tools::test_documentation(),
        types: tools::types().into_iter().collect(),
    });
    &BUILTINS
}

impl Builtins {
    /// The names of the modules.
    pub fn modules(&self) -> HashSet<&str> {
        let members = self.documentation.members.iter();
        members.filter(|(_, item)| matches!(item, DocItem::Module(_))).map(|(name, _)| name.as_str()).collect()
    }

    /// A module.
    pub fn module(&self, name: &str) -> Option<&DocModule> {
        match self.documentation.members.get(name) {
            Some(DocItem::Module(module)) => Some(module),
            _ => None,
        }
    }

    /// A function of a module, or a predeclared one when the module is `""`.
    pub fn function(&self, module: &str, name: &str) -> Option<&DocFunction> {
        let members = match module {
            "" => &self.documentation.members,
            module => &self.module(module)?.members,
        };
        match members.get(name)? {
            DocItem::Member(DocMember::Function(function)) => Some(function),
            DocItem::Type(typ) => typ.constructor.as_ref(),
            DocItem::Member(DocMember::Property(_)) | DocItem::Module(_) => None,
        }
    }

    /// The type of what a function of a module returns, where its methods can be told from that.
    pub fn returned(&self, module: &str, name: &str) -> Option<(&'static str, &DocType)> {
        let (_, _, typ) = RETURNED.iter().find(|(of, function, _)| *of == module && *function == name)?;
        Some((typ, self.types.get(typ)?))
    }
}

/// Functions that make a value, and its type.
const RETURNED: [(&str, &str, &str); 4] = [
    ("http", "server", "http.server"),
    ("http", "url", "http.url"),
    ("log", "child", "log.logger"),
    ("regexp", "compile", "regexp.pattern"),
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_returned_is_a_known_type() {
        for (module, name, _) in RETURNED {
            assert!(builtins().function(module, name).is_some(), "{module}.{name}");
            assert!(builtins().returned(module, name).is_some(), "{module}.{name}");
        }
        assert!(builtins().returned("http", "serve").is_none());
    }

    #[test]
    fn modules_functions_and_types_are_told_apart() {
        let builtins = builtins();
        assert!(builtins.modules().contains("fs"));
        assert!(!builtins.modules().contains("len"));
        assert!(builtins.function("", "len").is_some());
        assert!(builtins.function("fs", "read_text").is_some());
        assert!(builtins.function("fs", "nope").is_none());
        assert!(builtins.function("nope", "nope").is_none());
        assert_eq!(builtins.function("fs", "mkdir").unwrap().params.named_only.len(), 1);
    }
}
