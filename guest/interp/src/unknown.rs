//! Attributes that a request has not: what scripts get wrong most, so the error names those that it has.

/// What `type(req)` says.
pub(crate) const REQUEST: &str = "http.request";

/// What a request has.
pub(crate) const ATTRIBUTES: [&str; 20] = [
    "body",
    "cookies",
    "form",
    "headers",
    "host",
    "id",
    "json",
    "method",
    "params",
    "path",
    "prefix",
    "proto",
    "query",
    "query_first",
    "query_list",
    "remote_addr",
    "tls",
    "try_form",
    "try_json",
    "url",
];

/// The text for an attribute that does not exist.
pub(crate) fn attribute(attribute: &str) -> String {
    format!("a request has no attribute {attribute:?}, it has: {}", ATTRIBUTES.join(", "))
}
