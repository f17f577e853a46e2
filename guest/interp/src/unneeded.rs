//! Lines of other languages and hosts that a script does without.
//!
//! Many public Starlark files begin with `load("time.star", "time")`, and who comes from Python writes `import json`.
//! Here modules are predeclared. The errors for such lines say so, instead of speaking of a file that is missing or of
//! a reserved word.

use crate::globals::globals;

/// What modules of other languages and hosts are called here.
const OTHER_NAMES: [(&str, &str); 12] = [
    ("datetime", "time"),
    ("hashlib", "hash"),
    ("logging", "log"),
    ("pathlib", "fs"),
    ("rand", "random"),
    ("re", "regexp"),
    ("requests", "http"),
    ("shutil", "fs"),
    ("string", "strings"),
    ("subprocess", "os"),
    ("sys", "os"),
    ("urllib", "url"),
];

/// What to say about a reserved word of Python in place of a statement or an operator.
const RESERVED: [(&str, &str); 14] = [
    ("class", "keep data in a dict or a `struct(...)`, and write functions that take it"),
    ("del", "remove a key with `d.pop(key)`"),
    ("except", "call the `try_` form of a function, whose Result has `ok` and `error`"),
    ("finally", "call the `try_` form of a function, whose Result has `ok` and `error`"),
    ("global", "a function cannot rebind a name outside of it: return the value, or keep it in a dict"),
    ("is", "compare with `==`"),
    ("nonlocal", "a function cannot rebind a name outside of it: return the value, or keep it in a dict"),
    ("raise", "end with an error by `fail(\"why\")`"),
    ("try", "call the `try_` form of a function, whose Result has `ok` and `error`"),
    ("while", "write `for _ in range(n)`, and `break` when it is time"),
    ("with", "call the function and use its value: there is nothing to close"),
    ("yield", "return a list"),
    ("async", "calls wait until they are done"),
    ("await", "calls wait until they are done"),
];

/// The hint for a `load()` of `path` that finds no file, if the path names what is predeclared.
pub(crate) fn load(path: &str) -> Option<String> {
    let file = path.rsplit(['/', ':', '@']).find(|part| !part.is_empty())?;
    let name = predeclared(file.split('.').next().unwrap_or(file))?;
    Some(format!("{name} is there without a load, so leave this line out"))
}

/// The hint for a reserved word; `line` begins with it.
pub(crate) fn reserved(word: &str, line: &str) -> Option<String> {
    if !matches!(word, "import" | "from") {
        return RESERVED.iter().find(|(reserved, _)| *reserved == word).map(|(_, hint)| (*hint).to_owned());
    }
    let module = line.split([' ', '\t', ',', ';', '#', '(']).filter(|word| !word.is_empty()).nth(1).unwrap_or_default();
    let known = module.split('.').rev().find_map(predeclared);
    Some(match known {
        Some(name) => format!("{name} is there without an import, so leave this line out"),
        None => "load(\"file.star\", \"name\") binds a name of another file of the script".to_owned(),
    })
}

/// What is predeclared under a name or under what it is called here, as a sentence begins with it.
fn predeclared(name: &str) -> Option<String> {
    let here = OTHER_NAMES.iter().find(|(other, _)| *other == name).map_or(name, |(_, here)| *here);
    let (_, value) = globals().iter().find(|(predeclared, _)| *predeclared == here)?;
    Some(match value.to_value().get_type() {
        "namespace" => format!("the module `{here}`"),
        _ => format!("`{here}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::{load, reserved};

    #[test]
    fn paths_of_other_hosts_name_modules() {
        for path in
            ["time.star", "@stdlib//time", "@ytt:time", "lib/time.star", "@starlib//:time.sky", "time", "datetime.star"]
        {
            let hint = load(path);
            assert_eq!(
                hint.as_deref(),
                Some("the module `time` is there without a load, so leave this line out"),
                "{path}"
            );
        }
        assert_eq!(load("struct.star").as_deref(), Some("`struct` is there without a load, so leave this line out"));
        for path in ["", "lib/util.star", "timer.star", "@", "time/"] {
            assert_eq!(load(path).is_some(), path == "time/", "{path}");
        }
    }

    #[test]
    fn imports_name_modules() {
        let known = "the module `json` is there without an import, so leave this line out";
        for line in
            ["import json", "import json as j", "from json import loads", "import encoding.json", "import json, os"]
        {
            let word = line.split(' ').next().unwrap_or_default();
            assert_eq!(reserved(word, line).as_deref(), Some(known), "{line}");
        }
        for line in ["import numpy", "from . import x", "import"] {
            let hint = reserved(line.split(' ').next().unwrap_or_default(), line).unwrap_or_default();
            assert!(hint.starts_with("load("), "{line}: {hint}");
        }
        assert!(reserved("while", "while True:").unwrap_or_default().contains("range"));
        assert_eq!(reserved("assert", "assert x"), None);
    }
}
