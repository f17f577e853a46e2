//! The predeclared modules.

mod client;
mod fs;
mod http;
mod json;
mod json_decode;
pub(crate) mod json_encode;
mod kv;
mod log;
mod middleware;
mod options;
mod os;
mod print;
mod random;
mod server;
mod sleep;
mod time;

use starlark::environment::GlobalsBuilder;

/// Adds every module to the predeclared names.
pub(crate) fn register(builder: &mut GlobalsBuilder) {
    builder.namespace("fs", fs::register);
    builder.namespace("http", |builder| {
        client::register(builder);
        http::register(builder);
    });
    builder.namespace("json", json::register);
    builder.namespace("kv", kv::register);
    builder.namespace("log", log::register);
    builder.namespace("os", os::register);
    builder.namespace("random", random::register);
    builder.namespace("time", |builder| {
        sleep::register(builder);
        time::register(builder);
    });
    print::register(builder);
}
