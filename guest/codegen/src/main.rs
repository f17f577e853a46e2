//! Build tool: compiles WebAssembly ahead of time, for the machine it runs on and the host that is built with it.
//!
//! `starcell-compile (IN OUT)...` writes a component or a module IN to OUT, in wasmtime's own format.

use std::path::{Path, PathBuf};
use std::{env, fs};

use wasmtime::error::Context as _;
use wasmtime::{Engine, Result, bail};

/// The first eight bytes of a component; those of a module end otherwise.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let (pairs, rest) = arguments.as_chunks();
    if pairs.is_empty() || !rest.is_empty() {
        bail!("usage: starcell-compile (IN OUT)...");
    }
    let engine = Engine::new(&starcell_codegen::config())?;
    pairs.iter().try_for_each(|[from, to]| compile(&engine, from, to))
}

fn compile(engine: &Engine, from: &Path, to: &Path) -> Result<()> {
    let wasm = fs::read(from).with_context(|| format!("reading {}", from.display()))?;
    let code = match wasm.starts_with(COMPONENT) {
        true => engine.precompile_component(&wasm),
        false => engine.precompile_module(&wasm),
    };
    let code = code.with_context(|| format!("compiling {}", from.display()))?;
    fs::write(to, code).with_context(|| format!("writing {}", to.display()))
}
