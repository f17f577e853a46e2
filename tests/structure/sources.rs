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
    let root = workspace();
    let manifests = found(&["host", "guest"], |path| path.ends_with("Cargo.toml"));
    let folders: Vec<&Path> =
        manifests.iter().filter_map(|path| path.parent()).filter(|folder| folder.join("src").is_dir()).collect();
    assert!(folders.len() >= 10, "found {folders:?}");
    let first = |sources: &Path| if sources.join("lib.rs").is_file() { "lib" } else { "main" };
    let read = |folder: &&Path| read(root, folder, &folder.join("src"), first(&folder.join("src")));
    folders.iter().map(read).collect()
}

/// The library of the tests, and every test or bench that has a folder of its own.
pub(crate) fn test_crates() -> Vec<Crate> {
    let root = workspace();
    let library = root.join("tests");
    let in_src = |path: &Path| path.components().any(|part| part.as_os_str() == "src");
    let roots = found(&["host", "guest", "tests"], |path| path.ends_with("main.rs") && !in_src(path));
    assert!(roots.len() >= 4, "found {roots:?}");
    let targets = roots.iter().filter_map(|path| path.parent()).map(|folder| read(root, folder, folder, "main"));
    [read(root, &library, &library.join("src"), "lib")].into_iter().chain(targets).collect()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The files in these folders that are chosen, sorted.
fn found(folders: &[&str], chosen: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let folders = folders.iter().map(|folder| workspace().join(folder));
    // Sources of others are not ours to judge.
    let ours = |entry: &walkdir::DirEntry| !entry.path().ends_with("guest/starlark");
    let entries = folders.flat_map(|folder| WalkDir::new(folder).max_depth(4).into_iter().filter_entry(ours));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().into_path()).filter(|path| chosen(path)).collect();
    found.sort();
    found
}

/// Reads the crate of a folder, whose sources lie in another one and begin with the file `first`.
fn read(root: &Path, folder: &Path, sources: &Path, first: &str) -> Crate {
    let mut files = BTreeMap::new();
    for entry in WalkDir::new(sources) {
        let path = entry.unwrap().into_path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let module = module(path.strip_prefix(sources).unwrap(), first);
        let text = fs::read_to_string(&path).unwrap();
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root).unwrap().display().to_string();
        files.insert(module, File { path, syntax });
    }
    Crate { name: folder.strip_prefix(root).unwrap().display().to_string(), files }
}

/// The module that a file is: `a/b.rs` and `a/b/mod.rs` are `a::b`, and `first` is the crate itself. A `main.rs` beside
/// a
/// `lib.rs` is a crate of its own that no other file imports.
fn module(path: &Path, first: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    match parts.last().unwrap().as_str() {
        only if parts.len() == 1 && only == first => parts.clear(),
        "mod" => drop(parts.pop()),
        _ => {}
    }
    parts
}
