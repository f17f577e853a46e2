//! The predeclared modules.

mod base64;
mod hash;
mod hex;
mod hmac;
mod http;
mod json;
pub(crate) mod json_decode;
pub(crate) mod json_encode;
mod log;
mod middleware;
mod options;
mod print;
mod random;
mod regexp;
mod respond;
mod server;
mod time;
mod twins;
mod url;

use starlark::environment::GlobalsBuilder;

/// Adds every module to the predeclared names.
pub(crate) fn register(builder: &mut GlobalsBuilder) {
    twins::namespace(builder, "base64", base64::register);
    twins::namespace(builder, "hash", hash::register);
    twins::namespace(builder, "hex", hex::register);
    twins::namespace(builder, "hmac", hmac::register);
    builder.namespace("http", |builder| {
        http::register(builder);
        twins::members(builder, respond::register);
    });
    builder.namespace("json", json::register);
    builder.namespace("log", log::register);
    builder.namespace("random", random::register);
    builder.namespace("regexp", regexp::register);
    builder.namespace("time", time::register);
    twins::namespace(builder, "url", url::register);
    print::register(builder);
}
