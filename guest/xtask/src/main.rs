//! Build tool: core module to component, split, checked, compiled ahead of time, booted.
//!
//! `starcell-xtask CORE.wasm OUT` writes to OUT: `starcell_guest.wasm` (the component, split from its memory),
//! `starcell_guest.cwasm` (the same, compiled with the host's engine configuration) and `starcell_guest.image` (the
//! memory of a booted guest, which every script starts from). Nothing is written when the inputs are those of last time.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use starcell_image::Split;
use starcell_runtime::Interpreter;
use starcell_runtime::artifact::{self, Artifact};
use wit_component::ComponentEncoder;

/// All that a guest may import, types included: the whole authority of a script.
const IMPORTS: &[&str] = &[
    "starcell:guest/client@0.1.0",
    "starcell:guest/fork@0.1.0",
    "starcell:guest/fs@0.1.0",
    "starcell:guest/k8s@0.1.0",
    "starcell:guest/kv@0.1.0",
    "starcell:guest/log@0.1.0",
    "starcell:guest/os@0.1.0",
    "starcell:guest/server@0.1.0",
    "starcell:guest/source@0.1.0",
    "starcell:guest/timer@0.1.0",
    "starcell:guest/tool@0.1.0",
    "starcell:guest/types@0.1.0",
    "wasi:clocks/wall-clock@0.2.12",
    "wasi:random/random@0.2.12",
];

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [core, out] = arguments.as_slice() else { bail!("usage: starcell-xtask CORE.wasm OUT") };
    let core = fs::read(core).with_context(|| format!("reading {}", core.display()))?;
    let stamp = out.join("starcell_guest.stamp");
    let inputs = inputs(&core)?;
    if fs::read_to_string(&stamp).is_ok_and(|last| last == inputs) {
        return Ok(());
    }
    build(&core, out)?;
    fs::write(&stamp, inputs).with_context(|| format!("writing {}", stamp.display()))
}

/// Names the inputs: the core module, and this tool with the engine it compiles for.
fn inputs(core: &[u8]) -> Result<String> {
    let tool = fs::read(env::current_exe()?)?;
    let mut hasher = DefaultHasher::new();
    (core, tool).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn build(core: &[u8], out: &Path) -> Result<()> {
    let core = starcell_image::keep_results(core)?;
    let component = ComponentEncoder::default().module(&core)?.validate(true).encode().context("making a component")?;
    starcell_image::check_imports(&component, IMPORTS)?;
    let Split { component, base, .. } = starcell_image::split(&component)?;
    write(out, "starcell_guest.wasm", &component)?;

    let compiled = artifact::compile(&component).context("compiling the guest")?;
    write(out, "starcell_guest.cwasm", &compiled)?;

    let interpreter = Interpreter::load(&Artifact { component: compiled.leak(), base: base.leak() }, 1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let image = runtime.block_on(interpreter.boot()).context("booting the guest")?;
    write(out, "starcell_guest.image", &image)
}

/// Writes a file whole or not at all.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (partial, path) = (folder.join(format!("{name}.partial")), folder.join(name));
    fs::create_dir_all(folder)?;
    fs::write(&partial, bytes).with_context(|| format!("writing {}", partial.display()))?;
    fs::rename(&partial, &path).with_context(|| format!("writing {}", path.display()))
}
