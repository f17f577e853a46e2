//! The crates of the workspace as parsed files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// A crate: its folder in the workspace, and its files by the path of the module that each one is.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) files: BTreeMap<Vec<String>, File>,
}

/// A source file.
pub(crate) struct File {
    /// Its path in the workspace.
    pub(crate) path: String,
    pub(crate) syntax: syn::File,
}

/// Every crate of the host and of the guest.
pub(crate) fn crates() -> Vec<Crate> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut manifests: Vec<PathBuf> = ["host", "guest"]
        .iter()
        .flat_map(|room| WalkDir::new(root.join(room)).max_depth(2))
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.ends_with("Cargo.toml") && path.with_file_name("src").is_dir())
        .collect();
    manifests.sort();
    assert!(manifests.len() >= 10, "found {manifests:?}");
    manifests.iter().map(|manifest| read(root, manifest.parent().unwrap())).collect()
}

fn read(root: &Path, folder: &Path) -> Crate {
    let sources = folder.join("src");
    let mut files = BTreeMap::new();
    for entry in WalkDir::new(&sources) {
        let path = entry.unwrap().into_path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let module = module(path.strip_prefix(&sources).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root).unwrap().display().to_string();
        files.insert(module, File { path, syntax });
    }
    Crate { name: folder.strip_prefix(root).unwrap().display().to_string(), files }
}

/// The module that a file is: `a/b.rs` and `a/b/mod.rs` are `a::b`, `lib.rs` is the crate itself. `main.rs` is a crate
/// of its own that no other file imports.
fn module(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> = path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    match parts.last().unwrap().as_str() {
        "lib" if parts.len() == 1 => parts.clear(),
        "mod" => drop(parts.pop()),
        _ => {}
    }
    parts
}
