//! The predeclared modules.

mod http;
mod json;
mod json_decode;
pub(crate) mod json_encode;
mod log;
mod middleware;
mod options;
mod print;
mod random;
mod regexp;
mod server;
mod time;

use starlark::environment::GlobalsBuilder;

/// Adds every module to the predeclared names.
pub(crate) fn register(builder: &mut GlobalsBuilder) {
    builder.namespace("http", http::register);
    builder.namespace("json", json::register);
    builder.namespace("log", log::register);
    builder.namespace("random", random::register);
    builder.namespace("regexp", regexp::register);
    builder.namespace("time", time::register);
    print::register(builder);
}
