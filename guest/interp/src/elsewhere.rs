//! Names that other languages and hosts have and this one has not: what an error about one of them adds.
//!
//! Whoever writes `json.loads(text)` knows what it does and not what it is called here, so the error for the unknown name
//! says the other name. The error stays what it is; a hint that does not fit costs half a sentence.

/// Functions and statements that scripts of other languages take for granted, and what to write instead.
const NAMES: [(&str, &str); 19] = [
    ("array", "a list is written as [1, 2]"),
    ("datetime", "the module for times is `time`"),
    ("defer", "code below serve() runs once the servers have stopped"),
    ("divmod", "write (x // y, x % y)"),
    ("exit", "a script ends with its last line, and with an error by fail(\"why\")"),
    ("format", "write \"{}\".format(x), or fmt.sprintf(\"%.2f\", x)"),
    ("input", "a script reads what the operator gives it with args and vars"),
    ("null", "write None"),
    ("nil", "write None"),
    ("on_signal", "a signal stops the servers, and code below serve() runs then"),
    ("open", "read a file with fs.read_text(path), write it with fs.write_text(path, text)"),
    ("pow", "write math.pow(x, y)"),
    ("re", "the module for patterns is `regexp`"),
    ("requests", "requests are sent with http.get(url) and its siblings"),
    ("round", "write math.round(x)"),
    ("self", "a function has no object that it belongs to: pass what it needs"),
    ("sum", "add in a loop: for x in items: total += x"),
    ("this", "a function has no object that it belongs to: pass what it needs"),
    ("undefined", "write None"),
];

/// What only test files have.
const OF_TESTS: [&str; 4] = ["assert_", "skip", "test", "mock"];

/// Members of modules under names that they have elsewhere: the module, the other name, what to write.
const MEMBERS: [(&str, &str, &str); 58] = [
    ("base64", "b64decode", "base64.decode(s)"),
    ("base64", "b64encode", "base64.encode(data)"),
    ("base64", "urlsafe_b64decode", "base64.decode_url(s)"),
    ("base64", "urlsafe_b64encode", "base64.encode_url(data)"),
    ("csv", "parse", "csv.decode(text)"),
    ("csv", "read_all", "csv.decode(text)"),
    ("csv", "reader", "csv.decode(text)"),
    ("csv", "write_all", "csv.encode(rows)"),
    ("csv", "writer", "csv.encode(rows)"),
    ("fs", "open", "fs.read_text(path)"),
    ("fs", "read", "fs.read_text(path)"),
    ("fs", "read_file", "fs.read_text(path)"),
    ("fs", "write", "fs.write_text(path, text)"),
    ("fs", "write_file", "fs.write_text(path, text)"),
    ("hash", "new", "hash.sha256(data), or a sibling of it"),
    ("http", "listen", "http.server()"),
    ("http", "listen_and_serve", "http.serve(routes)"),
    ("json", "dumps", "json.encode(value)"),
    ("json", "encode_indent", "json.encode(value, indent = 2)"),
    ("json", "indent", "json.encode(value, indent = 2)"),
    ("json", "loads", "json.decode(text)"),
    ("json", "parse", "json.decode(text)"),
    ("json", "stringify", "json.encode(value)"),
    ("log", "critical", "log.error(message)"),
    ("log", "fatal", "log.error(message), and fail(\"why\") to end the script"),
    ("log", "printf", "log.info(fmt.sprintf(format, x))"),
    ("log", "println", "log.info(message)"),
    ("log", "warning", "log.warn(message)"),
    ("math", "abs", "abs(x)"),
    ("math", "max", "max(x, y)"),
    ("math", "min", "min(x, y)"),
    ("os", "environ", "os.env(name)"),
    ("os", "getcwd", "os.cwd()"),
    ("os", "getenv", "os.env(name)"),
    ("os", "listdir", "fs.listdir(path)"),
    ("os", "path", "fs.path(path)"),
    ("os", "popen", "os.exec(command)"),
    ("os", "run", "os.exec(command)"),
    ("os", "system", "os.exec(command)"),
    ("random", "randint", "random.int(least, most)"),
    ("random", "random", "random.float()"),
    ("random", "uniform", "random.float()"),
    ("regexp", "findall", "regexp.find_all(pattern, text)"),
    ("regexp", "fullmatch", "regexp.match(\"^(?:...)$\", text)"),
    ("regexp", "search", "regexp.find(pattern, text)"),
    ("regexp", "sub", "regexp.replace(pattern, text, replacement)"),
    ("regexp", "test", "regexp.match(pattern, text)"),
    ("time", "from_timestamp", "time.from_unix(seconds)"),
    ("time", "hour", "time.duration(\"1h\")"),
    ("time", "minute", "time.duration(\"1m\")"),
    ("time", "parse_duration", "time.duration(text)"),
    ("time", "parse_time", "time.parse(layout, text)"),
    ("time", "second", "time.duration(\"1s\")"),
    ("time", "strftime", "time.format(t, layout)"),
    ("time", "strptime", "time.parse(layout, text)"),
    ("time", "time", "time.unix() for the clock, or time.parse(layout, text)"),
    ("yaml", "dump", "yaml.encode(value)"),
    ("yaml", "load", "yaml.decode(text)"),
];

/// Methods under names that they have elsewhere: the type, the other name, what to write.
const METHODS: [(&str, &str, &str); 30] = [
    ("bytes", "decode", "str(b)"),
    ("bytes", "hex", "hex.encode(b)"),
    ("dict", "contains", "key in d"),
    ("dict", "copy", "dict(d)"),
    ("dict", "has_key", "key in d"),
    ("dict", "iteritems", "d.items()"),
    ("dict", "length", "len(d)"),
    ("list", "add", "l.append(x)"),
    ("list", "contains", "x in l"),
    ("list", "copy", "list(l)"),
    ("list", "count", "len([x for x in l if x == y])"),
    ("list", "filter", "[x for x in l if ...]"),
    ("list", "includes", "x in l"),
    ("list", "join", "sep.join(l)"),
    ("list", "length", "len(l)"),
    ("list", "map", "[f(x) for x in l]"),
    ("list", "push", "l.append(x)"),
    ("list", "reverse", "reversed(l)"),
    ("list", "sort", "sorted(l)"),
    ("string", "center", "strings.center(s, width)"),
    ("string", "contains", "x in s"),
    ("string", "encode", "bytes(s)"),
    ("string", "includes", "x in s"),
    ("string", "length", "len(s)"),
    ("string", "ljust", "strings.ljust(s, width)"),
    ("string", "rjust", "strings.rjust(s, width)"),
    ("string", "toLowerCase", "s.lower()"),
    ("string", "toUpperCase", "s.upper()"),
    ("string", "trim", "s.strip()"),
    ("string", "zfill", "strings.rjust(s, width, \"0\")"),
];

/// A sentence about a name that does not exist, with what the name is here; nothing for any other sentence.
pub(crate) fn completed(sentence: &str) -> Option<String> {
    let hint = match quoted(sentence)[..] {
        [name] if sentence == format!("Variable `{name}` not found") => of_name(name)?,
        [module, name] if sentence == format!("The module `{module}` has no `{name}`") => of_member(module, name)?,
        [of, name] if sentence == format!("Object of type `{of}` has no attribute `{name}`") => of_value(of, name)?,
        _ => return None,
    };
    Some(format!("{sentence}; {hint}"))
}

fn of_name(name: &str) -> Option<String> {
    if let Some((_, hint)) = NAMES.iter().find(|(other, _)| *other == name) {
        return Some((*hint).to_owned());
    }
    let is_of_tests = OF_TESTS.iter().any(|of_tests| name == *of_tests || name.starts_with("assert_"));
    is_of_tests.then(|| "only test files have it, those whose names end in _test.star".to_owned())
}

/// What to write for a member that a module has under another name.
pub(crate) fn of_member(module: &str, name: &str) -> Option<String> {
    if let Some((.., here)) = MEMBERS.iter().find(|(of, other, _)| (*of, *other) == (module, name)) {
        return Some(format!("write {here}"));
    }
    let is_method = module == "strings"
        && starlark::values::Heap::temp(|heap| heap.alloc("").dir_attr().iter().any(|method| method == name));
    is_method.then(|| format!("it is a method of str, as in s.{name}(...)"))
}

fn of_value(of: &str, name: &str) -> Option<String> {
    if let Some((.., here)) = METHODS.iter().find(|(typ, other, _)| (*typ, *other) == (of, name)) {
        return Some(format!("write {here}"));
    }
    // What comes from JSON is read by dot in other languages.
    (of == "dict").then(|| format!("a key is read as d[\"{name}\"], or as d.get(\"{name}\") if it may be missing"))
}

/// What stands between back quotes.
fn quoted(sentence: &str) -> Vec<&str> {
    sentence.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::{MEMBERS, NAMES, completed};
    use crate::globals::globals;

    #[test]
    fn a_name_of_another_language_leads_to_ours() {
        for (sentence, hint) in [
            ("Variable `open` not found", Some("fs.read_text")),
            ("Variable `skip` not found", Some("test files")),
            ("Variable `assert_equal` not found", Some("test files")),
            ("Variable `x` not found", None),
            ("Variable `opne` not found, did you mean `open`?", None),
            ("The module `json` has no `loads`", Some("write json.decode(text)")),
            ("The module `strings` has no `upper`", Some("s.upper(...)")),
            ("Object of type `list` has no attribute `push`", Some("write l.append(x)")),
            ("Object of type `dict` has no attribute `name`", Some("d[\"name\"]")),
            ("Object of type `list` has no attribute `nope`", None),
            ("The module `json` has no `nope`", None),
            ("fail: Variable `open` not found", None),
        ] {
            let completed = completed(sentence);
            assert_eq!(completed.is_some(), hint.is_some(), "{sentence}");
            if let (Some(completed), Some(hint)) = (completed, hint) {
                assert!(completed.starts_with(sentence) && completed.contains(hint), "{completed}");
            }
        }
    }

    /// A name of ours would never be unknown, and what a hint tells to write must be there.
    #[test]
    fn the_tables_hold_names_of_others_and_lead_to_names_of_ours() {
        let names: Vec<&str> = globals().iter().map(|(name, _)| name).collect();
        for (other, _) in NAMES {
            assert!(!names.contains(&other), "{other}");
        }
        let member = |module: &str, name: &str| {
            let value = globals().iter().find(|(predeclared, _)| *predeclared == module);
            value.is_some_and(|(_, value)| value.to_value().dir_attr().iter().any(|member| member == name))
        };
        for (module, other, here) in MEMBERS {
            assert!(!member(module, other), "{module}.{other}");
            let (function, _) = here.split_once('(').unwrap_or((here, ""));
            match function.split_once('.') {
                Some((module, name)) => assert!(member(module, name), "{here}"),
                None => assert!(names.contains(&function), "{here}"),
            }
        }
    }
}
