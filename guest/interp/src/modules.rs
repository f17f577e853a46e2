//! The predeclared modules.

mod assert;
mod base64;
mod client;
mod concur;
mod csv;
pub(crate) mod data;
mod documents;
mod encoding;
mod files;
mod fmt;
mod fs;
mod gzip;
mod hash;
mod hex;
mod hmac;
mod html;
mod http;
mod indent;
mod innermost;
mod json;
pub(crate) mod json_decode;
pub(crate) mod json_encode;
pub(crate) mod json_string;
mod k8s;
mod kv;
mod log;
mod math;
mod middleware;
mod options;
mod os;
mod path;
mod print;
mod random;
mod regexp;
mod respond;
mod retry;
mod server;
mod sql;
mod strings;
mod table;
mod template;
mod tester;
mod text;
pub(crate) mod time;
mod toml;
mod url;
mod uuid;
mod vars;
mod yaml;

use starlark::docs::DocType;
use starlark::environment::{Globals, GlobalsBuilder};

use crate::{form, headers, request, result};
pub(crate) use tester::Tester;

/// A module: its name, what the reference says of it as a whole, and what registers its functions.
struct Module {
    name: &'static str,
    summary: &'static str,
    register: fn(&mut GlobalsBuilder),
}

/// Every module, in the order of the reference.
const MODULES: &[Module] = &[
    Module { name: "base64", summary: "Base64 by RFC 4648, with both alphabets.", register: base64::register },
    Module {
        name: "concur",
        summary: "A function for each of several items, with the results in order.",
        register: concur::register,
    },
    Module {
        name: "csv",
        summary: "Rows of texts, quoted as RFC 4180 has it, and dicts by the names of a header row.",
        register: csv::register,
    },
    Module {
        name: "fmt",
        summary: "Texts by Go's verbs. `printf`, `sprintf` and `println` are also there without the module's name.",
        register: fmt::register,
    },
    Module {
        name: "fs",
        summary: "Files of the host. A relative path starts at the working directory; a path and everything it leads to must be \
         granted. An error names the path and what is wrong with it.",
        register: fs::register,
    },
    Module {
        name: "gzip",
        summary: "Compression in memory, with limits on what an archive may become.",
        register: gzip::register,
    },
    Module { name: "hash", summary: "Digests of str or bytes, in lower-case hexadecimal.", register: hash::register },
    Module { name: "hex", summary: "Bytes as hexadecimal digits.", register: hex::register },
    Module {
        name: "hmac",
        summary: "Signing messages, and checking signatures in constant time.",
        register: hmac::register,
    },
    Module { name: "html", summary: "Text into markup and back.", register: html::register },
    Module { name: "http", summary: "Servers, responses, and requests to other servers.", register: register_http },
    Module {
        name: "json",
        summary: "JSON: ints of any size stay ints, floats stay floats, order is kept both ways.",
        register: json::register,
    },
    Module { name: "k8s", summary: "Objects of a Kubernetes cluster.", register: k8s::register },
    Module {
        name: "kv",
        summary: "Keys and values that outlive a request, since nothing else of a fork does: in memory, or in the operator's \
         `--state` folder. Each script has its own.",
        register: kv::register,
    },
    Module { name: "log", summary: "Messages with attributes for whoever runs the script.", register: log::register },
    Module {
        name: "math",
        summary: "Functions of numbers, the same to the last digit on every machine.",
        register: math::register,
    },
    Module {
        name: "os",
        summary: "Programs and environment of the host. No shell is ever involved.",
        register: os::register,
    },
    Module {
        name: "random",
        summary: "Random values from the host's generator, at every call; fit for secrets.",
        register: random::register,
    },
    Module {
        name: "regexp",
        summary: "Regular expressions, matched in time linear in the text whatever the pattern.",
        register: regexp::register,
    },
    Module { name: "retry", summary: "Calling a function again until it works.", register: retry::register },
    Module {
        name: "sql",
        summary: "Databases: files of SQLite and servers of PostgreSQL. What is given to a statement stands for its placeholders \
         and is never part of its text. Each call is checked; reading and writing are granted apart.",
        register: sql::register,
    },
    Module { name: "strings", summary: "What the methods of str leave out.", register: strings::register },
    Module { name: "table", summary: "Rows of values as a text whose columns are aligned.", register: table::register },
    Module {
        name: "template",
        summary: "Jinja templates, escaped for HTML unless told otherwise.",
        register: template::register,
    },
    Module {
        name: "time",
        summary: "The wall clock, read at every call, and arithmetic with what it says.",
        register: time::register,
    },
    Module { name: "toml", summary: "Configuration texts in TOML.", register: toml::register },
    Module {
        name: "url",
        summary: "Taking URLs apart and putting them together, by RFC 3986.",
        register: url::register,
    },
    Module { name: "uuid", summary: "Identifiers as text.", register: uuid::register },
    Module {
        name: "vars",
        summary: "Values that the operator gives a script, with `--var`, `--var-file` or the environment. No permission is \
         needed. All but `names` are also there without the module's name.",
        register: vars::register,
    },
    Module { name: "yaml", summary: "YAML 1.2 with its core schema.", register: yaml::register },
];

/// Adds every module to the predeclared names.
pub(crate) fn register(builder: &mut GlobalsBuilder) {
    for module in MODULES {
        builder.namespace(module.name, module.register);
    }
    for Bare { register, names, .. } in BARE {
        bare(builder, *register, names);
    }
    print::register(builder);
}

/// Functions of a module that are also there under their names alone.
struct Bare {
    module: &'static str,
    register: fn(&mut GlobalsBuilder),
    names: &'static [&'static str],
}

const BARE: &[Bare] = &[
    Bare { module: "fmt", register: fmt::register_originals, names: &["printf", "println", "sprintf"] },
    Bare {
        module: "fs",
        register: fs::register_originals,
        names: &["exists", "glob", "path", "read_text", "write_text"],
    },
    Bare {
        module: "os",
        register: os::register_originals,
        names: &["cwd", "env", "exec", "hostname", "try_exec", "which"],
    },
    Bare {
        module: "vars",
        register: vars::register_originals,
        names: &["var_bool", "var_dict", "var_float", "var_int", "var_list", "var_names", "var_str"],
    },
];

/// The module of a function that is there under its name alone.
pub(crate) fn module_of(function: &str) -> Option<&'static str> {
    BARE.iter().find(|bare| bare.names.contains(&function)).map(|bare| bare.module)
}

/// Adds some functions of a module under their names alone.
fn bare(builder: &mut GlobalsBuilder, register: fn(&mut GlobalsBuilder), names: &[&str]) {
    // What is in it must outlive every script, and the predeclared names are built once.
    let members: &'static Globals = Box::leak(Box::new(GlobalsBuilder::new().with(register).build()));
    for (name, value) in members.iter().filter(|(name, _)| names.contains(name)) {
        builder.set(name, value);
    }
}

/// `http` has three files.
fn register_http(builder: &mut GlobalsBuilder) {
    client::register(builder);
    http::register(builder);
    respond::register(builder);
}

/// The sentence about a module.
pub(crate) fn summary(name: &str) -> Option<&'static str> {
    // Starlark's own.
    if name == "typing" {
        return Some("Types for annotations.");
    }
    MODULES.iter().find(|module| module.name == name).map(|module| module.summary)
}

/// Adds what only test files have.
pub(crate) fn register_assertions(builder: &mut GlobalsBuilder) {
    assert::register(builder);
    builder.namespace("test", |builder| {
        assert::register(builder);
        assert::register_test(builder);
    });
}

/// The types of values that scripts meet, by the names that `type()` gives.
pub(crate) fn types() -> Vec<(&'static str, DocType)> {
    let mut types = vec![
        ("Result", result::documented()),
        ("http.form", form::documented()),
        ("http.headers", headers::documented()),
        ("http.request", request::documented()),
        ("http.server", server::documented()),
        ("base64.content", base64::documented()),
        ("fs.path", path::documented()),
        ("hash.content", hash::documented()),
        ("log.logger", log::documented()),
        ("table", table::documented()),
        ("template", template::documented()),
    ];
    types.extend(client::types());
    types.extend(documents::types());
    types.extend(gzip::types());
    types.extend(regexp::types());
    types.extend(sql::types());
    types.extend(tester::types());
    types.extend(time::types());
    types
}
