//! Fuzz targets for the parts of starcell that read what others wrote: bytes of clients, rules and files of operators,
//! scripts of tenants.
//!
//! One libFuzzer binary holds all of them, since linking the interpreter is what takes time; `STARCELL_FUZZ` names the
//! one to run. Each target states laws that hold for every input, so that it finds more than panics: what is printed
//! reads back, two readers of one message agree on where it ends, no redirect leads in a circle. `tests/fuzz/run.sh`
//! builds and runs them.
//!
//! - `wire`: hyper over memory, for the two targets that need the bytes of a connection
//! - `request`, `route`, `query`, `response`: the HTTP edge
//! - `place`, `names`: the app of a request and the certificate of a client, against a table that is read from top to end
//! - `rule`, `call`, `config`, `node`, `audit`: what operators write and read
//! - `bundle`: archives of apps that strangers made
//! - `path`: paths and rules against the kernel's own resolution, in a tree of folders and links
//! - `log`, `record`: texts of scripts as the log and the audit log write them
//! - `source`, `check`: the parser and the check before it; what `starcell check` makes of it
//! - `modules`: builtins of scripts, by laws written in Starlark (`src/scripts`)

#![no_main]

mod audit;
mod bundle;
mod call;
mod config;
mod log;
mod modules;
mod node;
mod path;
mod place;
mod query;
mod record;
mod request;
mod response;
mod route;
mod rule;
mod source;
mod target;
mod wire;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

use self::target::{Target, all, write_seeds};

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: {
        choose();
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            (target.run)(data);
        }
    }
);

/// Finds the target that the environment names. Without one, says which there are.
fn choose() {
    let name = std::env::var("STARCELL_FUZZ").unwrap_or_default();
    let Some(target) = all().into_iter().find(|target| target.name == name) else {
        for target in all() {
            println!("{}", target.name);
        }
        std::process::exit(if name.is_empty() { 0 } else { 2 });
    };
    if let Ok(folder) = std::env::var("STARCELL_FUZZ_SEEDS") {
        write_seeds(&target, folder.as_ref());
        std::process::exit(0);
    }
    TARGET.get_or_init(|| target);
}
