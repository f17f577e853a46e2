//! What the reference says of each module as a whole: starlark keeps words for functions, but none for namespaces.

const SUMMARIES: [(&str, &str); 27] = [
    ("base64", "Base64 by RFC 4648, with both alphabets."),
    ("csv", "Rows of texts, quoted as RFC 4180 has it, and dicts by the names of a header row."),
    ("fmt", "Texts by Go's verbs. `printf`, `sprintf` and `println` are also there without the module's name."),
    (
        "fs",
        "Files of the host. A relative path starts at the working directory; a path and everything it leads to must be \
         granted. An error names the path and what is wrong with it.",
    ),
    ("gzip", "Compression in memory, with limits on what an archive may become."),
    ("hash", "Digests of str or bytes, in lower-case hexadecimal."),
    ("hex", "Bytes as hexadecimal digits."),
    ("hmac", "Signing messages, and checking signatures in constant time."),
    ("html", "Text into markup and back."),
    ("http", "Servers, responses, and requests to other servers."),
    ("json", "JSON: ints of any size stay ints, floats stay floats, order is kept both ways."),
    ("k8s", "Objects of a Kubernetes cluster."),
    (
        "kv",
        "Keys and values that outlive a request, since nothing else of a fork does: in memory, or in the operator's \
         `--state` folder. Each script has its own.",
    ),
    ("log", "Messages with attributes for whoever runs the script."),
    ("math", "Functions of numbers, the same to the last digit on every machine."),
    ("os", "Programs and environment of the host. No shell is ever involved."),
    ("random", "Random values from the host's generator, at every call; fit for secrets."),
    ("regexp", "Regular expressions, matched in time linear in the text whatever the pattern."),
    ("retry", "Calling a function again until it works."),
    ("strings", "What the methods of str leave out."),
    ("template", "Jinja templates, escaped for HTML unless told otherwise."),
    ("time", "The wall clock, read at every call, and arithmetic with what it says."),
    ("toml", "Configuration texts in TOML."),
    ("typing", "Types for annotations."),
    ("url", "Taking URLs apart and putting them together, by RFC 3986."),
    ("uuid", "Identifiers as text."),
    ("yaml", "YAML 1.2 with its core schema."),
];

/// The sentence about a module.
pub(crate) fn summary(module: &str) -> Option<&'static str> {
    SUMMARIES.iter().find(|(name, _)| *name == module).map(|(_, text)| *text)
}
