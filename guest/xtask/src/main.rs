//! Build tool: core module to component, split, checked, compiled ahead of time, booted.
//!
//! `starcell-xtask CORE.wasm OUT` writes to OUT: `starcell_guest.wasm` (the component, split from its memory),
//! `starcell_guest.cwasm` (that component, compiled with the host's engine configuration), `starcell_guest.memory.cwasm` (the
//! module that gives it a memory) and `starcell_guest.image` (the memory of a booted guest, which every script starts from). Nothing is written when the inputs did not change.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use starcell_image::Split;
use starcell_runtime::Interpreter;
use starcell_runtime::artifact::{self, Artifact, Compiled};
use wit_component::ComponentEncoder;
use wit_parser::Resolve;

/// The contract between host and guest.
const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");

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
    let allowed = contract()?;
    starcell_image::check_imports(&component, &allowed.iter().map(String::as_str).collect::<Vec<_>>())?;
    let Split { component, base, memory_pages, .. } = starcell_image::split(&component)?;
    write(out, "starcell_guest.wasm", &component)?;

    let Compiled { component, memory } = artifact::compile(&component, memory_pages).context("compiling the guest")?;
    write(out, "starcell_guest.cwasm", &component)?;
    write(out, "starcell_guest.memory.cwasm", &memory)?;

    let artifact = Artifact { component: component.leak(), memory: memory.leak(), base: base.leak() };
    let interpreter = Interpreter::load(&artifact, 1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let image = runtime.block_on(interpreter.boot()).context("booting the guest")?;
    write(out, "starcell_guest.image", &image)
}

/// The names of all that a guest may import, which is the whole authority of a script: the imports of the world in `wit/`.
/// A dependency of the guest can bring imports of its own, and those are not in this list.
fn contract() -> Result<Vec<String>> {
    let mut resolve = Resolve::default();
    let (package, _files) = resolve.push_dir(WIT).with_context(|| format!("reading {WIT}"))?;
    let world = resolve.select_world(&[package], Some("guest"))?;
    let world = resolve.worlds.get(world).context("the world `guest` is gone")?;
    Ok(world.imports.keys().map(|key| resolve.name_world_key(key)).collect())
}

/// Writes a file whole or not at all.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (partial, path) = (folder.join(format!("{name}.partial")), folder.join(name));
    fs::create_dir_all(folder)?;
    fs::write(&partial, bytes).with_context(|| format!("writing {}", partial.display()))?;
    fs::rename(&partial, &path).with_context(|| format!("writing {}", path.display()))
}
