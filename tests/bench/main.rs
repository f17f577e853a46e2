//! Benches. Everything is a ratio against a baseline that runs in the same command, since absolute times on a shared
//! machine say little.
//!
//! `starcell-bench` measures all but the attacks; `starcell-bench micro`, `audit`, `http`, `edge` or `attacks [NAME]` only
//! that part. `starcell-bench compare [SVG]` puts all servers into one table and, if a file is named, one plot.
//! `starcell-bench crowd [APPS]` measures one node with thousands of apps, and `starcell-bench neighbours [NAME]` what a
//! tenant notices of another one that attacks; `starcell-bench peers` puts other hosts beside this one.
//! `starcell-bench fleet [SVG]` tells what clients of three nodes notice while one is killed, restarted or upgraded, and
//! `starcell-bench kv` what `kv` costs on each store. `tests/bench/README.md` says what was tried and what it gave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench"
)]

mod attacks;
mod audit;
mod baseline;
mod compare;
mod crowd;
mod edge;
mod fleet;
mod hello;
mod http;
mod kv;
mod kv_bare;
mod kv_call;
mod load;
mod micro;
mod neighbours;
mod peers;
mod plain;
mod plot;
mod scale;
mod stamped;

use starcell_runtime::Forks;

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve-hyper"] => baseline::serve(baseline::Kind::Hyper),
        ["serve-native"] => baseline::serve(baseline::Kind::Native),
        ["micro"] => micro::run(),
        ["audit"] => audit::run(),
        // For a profiler: one thing, over and over.
        ["spin", route] => micro::spin(route.parse().unwrap(), Forks::default(), 100_000),
        ["spin", route, "fresh"] => micro::spin(route.parse().unwrap(), Forks::Fresh, 100_000),
        ["deploy"] => micro::deploy(),
        ["serve-plain", answer] => plain::serve(answer, None),
        ["serve-plain", answer, cert, key] => plain::serve(answer, Some((cert.as_ref(), key.as_ref()))),
        ["http"] => http::run(),
        ["edge"] => edge::run(),
        ["compare"] => compare::run(None),
        ["compare", plot] => compare::run(Some(plot.as_ref())),
        ["crowd"] => crowd::run(10_000, 500),
        ["crowd", apps] => crowd::run(apps.parse().unwrap(), 0),
        ["neighbours"] => neighbours::run(""),
        ["neighbours", name] => neighbours::run(name),
        ["peers"] => peers::run(),
        ["fleet"] => fleet::run(None),
        ["fleet", plot] => fleet::run(Some(plot.as_ref())),
        ["kv"] => kv::run(),
        ["attacks"] => attacks::run(""),
        ["attacks", name] => attacks::run(name),
        [] => {
            micro::run();
            audit::run();
            http::run();
            edge::run();
        }
        other => panic!(
            "usage: starcell-bench [micro|audit|http|edge|compare [SVG]|crowd [APPS]|attacks [NAME]|neighbours [NAME]|peers|fleet [SVG]|kv]; got {other:?}"
        ),
    }
}
