//! Build tool: core module to component, split, checked, compiled ahead of time, booted.
//!
//! `starcell-xtask CORE.wasm COMPILER OUT` writes to OUT: `starcell_guest.wasm` (the component, split from its memory) and
//! `starcell_guest.memory.wasm` (the module that gives it one); both of them compiled, `starcell_guest.cwasm` and
//! `starcell_guest.memory.cwasm`; and `starcell_guest.image` (the memory of a booted guest, which every script starts from).
//! Nothing is written when the inputs did not change.
//!
//! COMPILER is `starcell-compile` (guest/codegen), a program of its own: this one is built together with the host, which
//! has no compiler in it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use starcell_image::Split;
use starcell_runtime::Interpreter;
use starcell_runtime::artifact::{self, Artifact};
use wit_component::ComponentEncoder;
use wit_parser::Resolve;

/// The contract between host and guest.
const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [core, compiler, out] = arguments.as_slice() else { bail!("usage: starcell-xtask CORE.wasm COMPILER OUT") };
    let core = fs::read(core).with_context(|| format!("reading {}", core.display()))?;
    let stamp = out.join("starcell_guest.stamp");
    let inputs = inputs(&core, compiler)?;
    if fs::read_to_string(&stamp).is_ok_and(|last| last == inputs) {
        return Ok(());
    }
    build(&core, compiler, out)?;
    fs::write(&stamp, inputs).with_context(|| format!("writing {}", stamp.display()))
}

/// Names the inputs: the core module, the compiler, and this tool with the engine that boots the guest.
fn inputs(core: &[u8], compiler: &Path) -> Result<String> {
    let tool = fs::read(env::current_exe()?)?;
    let compiler = fs::read(compiler).with_context(|| format!("reading {}", compiler.display()))?;
    let mut hasher = DefaultHasher::new();
    (core, compiler, tool).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn build(core: &[u8], compiler: &Path, out: &Path) -> Result<()> {
    let core = starcell_image::keep_results(core)?;
    let component = ComponentEncoder::default().module(&core)?.validate(true).encode().context("making a component")?;
    let allowed = contract()?;
    starcell_image::check_imports(&component, &allowed.iter().map(String::as_str).collect::<Vec<_>>())?;
    let Split { component, base, memory_pages, .. } = starcell_image::split(&component)?;
    write(out, "starcell_guest.wasm", &component)?;
    write(out, "starcell_guest.memory.wasm", &artifact::memory_module(memory_pages))?;
    compile(compiler, out, &["starcell_guest", "starcell_guest.memory"])?;

    let [component, memory] =
        ["starcell_guest.cwasm", "starcell_guest.memory.cwasm"].map(|name| fs::read(out.join(name)));
    let (component, memory) = (component?, memory?);
    let artifact = Artifact { component: component.leak(), memory: memory.leak(), base: base.leak() };
    let interpreter = Interpreter::load(&artifact, 1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let image = runtime.block_on(interpreter.boot()).context("booting the guest")?;
    write(out, "starcell_guest.image", &image)
}

/// Makes of each NAME.wasm in `out` a NAME.cwasm, or leaves those that are there.
fn compile(compiler: &Path, out: &Path, names: &[&str]) -> Result<()> {
    let mut command = Command::new(compiler);
    for name in names {
        command.arg(out.join(format!("{name}.wasm"))).arg(out.join(format!("{name}.cwasm.partial")));
    }
    let status = command.status().with_context(|| format!("starting {}", compiler.display()))?;
    ensure!(status.success(), "compiling the guest: {} ended with {status}", compiler.display());
    for name in names {
        let (partial, path) = (out.join(format!("{name}.cwasm.partial")), out.join(format!("{name}.cwasm")));
        fs::rename(partial, &path).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
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
