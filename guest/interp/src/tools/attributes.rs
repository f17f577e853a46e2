//! The attributes that a value makes when a script asks for them, and so does not list by itself.

use starlark::docs::{DocMember, DocProperty, DocString, DocStringKind, DocType};
use starlark::typing::Ty;

/// Type, attribute, and what it is.
const ATTRIBUTES: [(&str, &str, &str); 29] = [
    ("Result", "error", "What went wrong: a str, or what the script passed on; `None` when `ok`."),
    ("Result", "ok", "Whether it worked. A `Result` that worked is also true by itself."),
    ("Result", "value", "What the function returned; `None` unless `ok`, except where a function says otherwise."),
    ("http.client_response", "body", "The body: str when it is UTF-8, else bytes."),
    ("http.client_response", "headers", "The header fields, an `http.headers`."),
    ("http.client_response", "ok", "Whether the status is from 200 to 299."),
    ("http.client_response", "status", "The status line's code and reason, such as `\"200 OK\"`."),
    ("http.client_response", "status_code", "The status as an int."),
    ("http.client_response", "url", "The URL that answered, after redirects."),
    ("http.request", "body", "The body: str when it is UTF-8, else bytes; `\"\"` without one."),
    ("http.request", "cookies", "A dict of the cookies; of a name that repeats, the first."),
    ("http.request", "headers", "The header fields, an `http.headers`."),
    ("http.request", "host", "The host the client asked for, with a port if it named one."),
    ("http.request", "id", "The request id, also in the log and in `X-Request-Id`."),
    ("http.request", "method", "The method as it was sent."),
    ("http.request", "params", "A dict of the wildcards of the route's pattern and what they matched, decoded."),
    ("http.request", "path", "The path, decoded; behind the prefix where the app has one."),
    (
        "http.request",
        "prefix",
        "The path that led to the app, such as `\"/shop\"`; `\"\"` for an app that answers all paths.",
    ),
    ("http.request", "proto", "The protocol, such as `\"HTTP/1.1\"`."),
    ("http.request", "query", "A dict of the query: str, or a list of str for a key that repeats."),
    ("http.request", "remote_addr", "The address and port of the client."),
    ("http.request", "tls", "Whether the connection is encrypted."),
    ("http.request", "url", "The whole URL as it was sent, with scheme and host."),
    ("test", "name", "The name of the test."),
    ("test.reply", "body", "The body: str when it is UTF-8, else bytes."),
    ("test.reply", "cookies", "A dict of the cookies that the reply sets."),
    ("test.reply", "error", "What the handler raised, or `None`."),
    ("test.reply", "headers", "The header fields, an `http.headers`."),
    ("test.reply", "status", "The status as an int."),
];

/// Adds the attributes of a type to what is documented of it.
pub(super) fn add(of: &str, documented: &mut DocType) {
    for (_, name, text) in ATTRIBUTES.iter().filter(|(owner, ..)| *owner == of) {
        let docs = DocString::from_docstring(DocStringKind::Rust, text);
        let typ = Ty::any();
        documented.members.insert((*name).to_owned(), DocMember::Property(DocProperty { docs, typ }));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::fields::Fields;
    use crate::host::Request;
    use crate::testing::NativeHost;
    use crate::{modules, run_native};

    const SCRIPT: &str = r#"
def names(req):
    return {type(value): dir(value) for value in [req, req.form(), req.headers, Result(True), http.get("http://a/")]}
http.serve(names)
"#;

    /// Whatever a value says it has is in the reference, and nothing else.
    #[test]
    fn every_attribute_is_documented() {
        let host = NativeHost::new();
        let (_, serving) = run_native(&host, "a.star", SCRIPT);
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let request = Request { headers: Fields::from_iter(form).into_lines(), ..Request::default() };
        let response = serving.unwrap().handle(&host, 0, request).unwrap();
        let shown: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(shown.len(), 5, "{shown:?}");
        for (name, mut documented) in modules::types() {
            add(name, &mut documented);
            let Some(names) = shown.get(name) else { continue };
            let mut expected: Vec<&str> = names.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            let mut members: Vec<&str> = documented.members.keys().map(String::as_str).collect();
            expected.sort_unstable();
            expected.dedup();
            members.sort_unstable();
            assert_eq!(members, expected, "{name}");
        }
    }
}
