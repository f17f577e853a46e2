//! Texts that stand for the predeclared modules, so that an editor has somewhere to go to: `starlark:/fs.star`.

use starcell_check::{builtins, reference};
use starlark::docs::{DocFunction, DocItem, DocMember, DocString};

/// The file with what is predeclared without a module.
const PLAIN: &str = "builtins";

/// The text of one module.
#[derive(Debug)]
pub(super) struct Stub {
    pub(super) text: String,
    /// Names and the lines they are declared in, from 0.
    lines: Vec<(String, usize)>,
}

impl Stub {
    /// The line that declares a name, from 0.
    pub(super) fn line(&self, name: &str) -> Option<usize> {
        self.lines.iter().find(|(declared, _)| declared == name).map(|(_, line)| *line)
    }

    fn new(docs: Option<&DocString>) -> Self {
        let mut stub = Self { text: String::new(), lines: Vec::new() };
        stub.words(docs, "");
        stub
    }

    fn item(&mut self, name: &str, item: &DocItem) {
        match item {
            DocItem::Member(DocMember::Function(function)) => self.function(name, function),
            DocItem::Type(typ) => match &typ.constructor {
                Some(constructor) => self.function(name, constructor),
                None => self.value(name, typ.docs.as_ref()),
            },
            DocItem::Member(DocMember::Property(property)) => self.value(name, property.docs.as_ref()),
            DocItem::Module(_) => {}
        }
    }

    fn function(&mut self, name: &str, function: &DocFunction) {
        // Not every type that is told can be written.
        let signature = reference::signature(name, function).replace("struct(..)", "struct");
        self.declare(name, &format!("def {signature}:"));
        self.words(function.docs.as_ref(), "    ");
        self.text += "    pass\n\n";
    }

    fn value(&mut self, name: &str, docs: Option<&DocString>) {
        self.declare(name, &format!("{name} = None"));
        self.words(docs, "");
        self.text += "\n";
    }

    fn declare(&mut self, name: &str, line: &str) {
        self.lines.push((name.to_owned(), self.text.matches('\n').count()));
        self.text += line;
        self.text += "\n";
    }

    /// Documentation as a comment: as a text it could hold the quotes that end one.
    fn words(&mut self, docs: Option<&DocString>, indent: &str) {
        let Some(docs) = docs else { return };
        for part in [Some(&docs.summary), docs.details.as_ref()].into_iter().flatten() {
            for line in part.lines() {
                self.text += format!("{indent}# {line}").trim_end();
                self.text += "\n";
            }
        }
    }
}

/// The text of a module.
pub(super) fn module(name: &str) -> Option<Stub> {
    let (docs, mut members): (_, Vec<_>) = match name {
        PLAIN => (None, builtins().documentation.members.iter().collect()),
        name => {
            let module = builtins().module(name)?;
            (module.docs.as_ref(), module.members.iter().collect())
        }
    };
    members.sort_by_key(|(name, _)| *name);
    let mut stub = Stub::new(docs);
    for (name, item) in members {
        stub.item(name, item);
    }
    Some(stub)
}

/// Where the text of a module is.
pub(super) fn uri(module: &str) -> String {
    format!("starlark:{}", path(module))
}

/// The path in that.
pub(super) fn path(module: &str) -> String {
    format!("/{module}.star")
}

/// The module that a path means.
pub(super) fn at(path: &str) -> Option<Stub> {
    module(path.strip_prefix('/')?.strip_suffix(".star")?)
}

/// The file that declares a predeclared name.
pub(super) fn of(symbol: &str) -> Option<String> {
    match builtins().documentation.members.get(symbol)? {
        DocItem::Module(_) => Some(path(symbol)),
        DocItem::Member(_) | DocItem::Type(_) => Some(path(PLAIN)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_module_has_a_text_that_declares_its_members() {
        for name in builtins().modules().into_iter().chain([PLAIN]) {
            let stub = module(name).unwrap();
            let parsed = starcell_interp::tools::parse(name, stub.text.as_bytes());
            assert!(parsed.is_ok(), "{:?}\n{}", parsed.err(), stub.text);
            for (member, line) in &stub.lines {
                let text = stub.text.lines().nth(*line).unwrap();
                assert!(
                    text.starts_with(&format!("def {member}(")) || text.starts_with(&format!("{member} =")),
                    "{text}"
                );
            }
        }
        assert_eq!(of("fs").unwrap(), "/fs.star");
        assert_eq!(of("len").unwrap(), "/builtins.star");
        assert!(of("nope").is_none() && at("/nope.star").is_none());
        assert!(at("/fs.star").unwrap().line("read_text").is_some());
    }
}
