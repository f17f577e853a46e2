//! The predeclared modules.

mod assert;
mod base64;
mod client;
mod csv;
mod encoding;
mod fmt;
mod fs;
mod gzip;
mod hash;
mod hex;
mod hmac;
mod html;
mod http;
mod json;
pub(crate) mod json_decode;
pub(crate) mod json_encode;
mod k8s;
mod kv;
mod log;
mod math;
mod middleware;
mod options;
mod os;
mod print;
mod random;
mod regexp;
mod respond;
mod retry;
mod server;
mod strings;
mod summaries;
mod template;
mod tester;
mod text;
pub(crate) mod time;
mod toml;
mod twins;
mod url;
mod uuid;
mod yaml;

use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;

use crate::{form, headers, request, result};
pub(crate) use tester::Tester;

pub(crate) use summaries::summary;

/// Adds every module to the predeclared names.
pub(crate) fn register(builder: &mut GlobalsBuilder) {
    twins::namespace(builder, "base64", base64::register);
    twins::namespace(builder, "csv", csv::register);
    twins::namespace(builder, "fmt", fmt::register);
    builder.namespace("fs", fs::register);
    twins::namespace(builder, "gzip", gzip::register);
    twins::namespace(builder, "hash", hash::register);
    twins::namespace(builder, "hex", hex::register);
    twins::namespace(builder, "hmac", hmac::register);
    twins::namespace(builder, "html", html::register);
    builder.namespace("http", |builder| {
        client::register(builder);
        http::register(builder);
        twins::members(builder, respond::register);
    });
    builder.namespace("json", json::register);
    builder.namespace("k8s", k8s::register);
    builder.namespace("kv", kv::register);
    builder.namespace("log", log::register);
    twins::namespace(builder, "math", math::register);
    builder.namespace("os", os::register);
    twins::namespace(builder, "random", random::register);
    twins::namespace(builder, "regexp", regexp::register);
    twins::namespace(builder, "retry", retry::register);
    twins::namespace(builder, "strings", strings::register);
    twins::namespace(builder, "template", template::register);
    twins::namespace(builder, "time", time::register);
    twins::namespace(builder, "toml", toml::register);
    twins::namespace(builder, "url", url::register);
    twins::namespace(builder, "uuid", uuid::register);
    twins::namespace(builder, "yaml", yaml::register);
    // Also under their bare names.
    fmt::register(builder);
    print::register(builder);
}

/// Adds what only test files have.
pub(crate) fn register_assertions(builder: &mut GlobalsBuilder) {
    assert::register(builder);
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
        ("hash.content", hash::documented()),
        ("log.logger", log::documented()),
        ("template", template::documented()),
    ];
    types.extend(client::types());
    types.extend(regexp::types());
    types.extend(tester::types());
    types.extend(time::types());
    types
}
