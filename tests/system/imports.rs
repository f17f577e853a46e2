//! What the guest may reach: its import list is the whole authority of a script, so it is written down here in full. And
//! what the host around it cannot do, whoever asks: make code.

use std::fs;
use std::path::{Path, PathBuf};

use starcell_tests::process::{binary, target};

#[test]
fn the_guest_imports_this_and_nothing_else() {
    assert_eq!(
        starcell_image::imports(&guest()).unwrap(),
        [
            "image",
            "starcell:guest/client@0.1.0",
            "starcell:guest/fork@0.1.0",
            "starcell:guest/fs@0.1.0",
            "starcell:guest/k8s@0.1.0",
            "starcell:guest/kv@0.1.0",
            "starcell:guest/log@0.1.0",
            "starcell:guest/os@0.1.0",
            "starcell:guest/server@0.1.0",
            "starcell:guest/source@0.1.0",
            "starcell:guest/sql@0.1.0",
            "starcell:guest/timer@0.1.0",
            "starcell:guest/tool@0.1.0",
            "starcell:guest/types@0.1.0",
            "wasi:clocks/wall-clock@0.2.12",
            "wasi:random/random@0.2.12",
        ]
    );
}

#[test]
fn the_guest_exports_the_interpreter_and_nothing_else() {
    assert_eq!(starcell_image::exports(&guest()).unwrap(), ["starcell:guest/interpreter@0.1.0"]);
}

/// The build compiles the guest, and the host only loads that. A compiler in it would be one more thing to attack. Each
/// crate's own name is in the texts of its panics, so the program that does have it shows that it would be found.
#[test]
fn there_is_no_compiler_in_the_host() {
    let compiler = |program: &Path| {
        let program = fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let name = b"cranelift-codegen-";
        program.windows(name.len()).any(|bytes| bytes == name)
    };
    assert!(compiler(&target().join("guest/build/release/starcell-compile")));
    assert!(!compiler(&binary()));
}

/// An interface that nothing imports or exports is one that no test of the guest can reach.
#[test]
fn every_interface_in_wit_is_used() {
    let guest = guest();
    let mut unused = starcell_image::imports(&guest).unwrap();
    unused.extend(starcell_image::exports(&guest).unwrap());
    unused.retain(|name| name != "image");
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut seen = 0;
    for (package, file) in files(&wit) {
        let text = fs::read_to_string(&file).unwrap();
        for interface in text.lines().filter_map(|line| line.strip_prefix("interface ")?.strip_suffix(" {")) {
            let name = package.replace('@', &format!("/{interface}@"));
            let at = unused.iter().position(|used| *used == name);
            unused.swap_remove(at.unwrap_or_else(|| panic!("{name} of {} is in neither list", file.display())));
            seen += 1;
        }
    }
    assert!(seen >= 14, "{seen} interfaces found");
    assert_eq!(unused, Vec::<String>::new(), "interfaces that are not in wit/");
}

/// The files of a folder and of its `deps`, each with the package it belongs to.
pub(crate) fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let own: Vec<PathBuf> = entries.into_iter().filter(|path| path.extension().is_some_and(|e| e == "wit")).collect();
    let texts: String = own.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let package = texts.lines().find_map(|line| line.strip_prefix("package ")?.strip_suffix(';'));
    let package = package.unwrap_or_else(|| panic!("no package in {}", folder.display())).to_owned();
    let mut files: Vec<_> = own.into_iter().map(|path| (package.clone(), path)).collect();
    if let Ok(deps) = fs::read_dir(folder.join("deps")) {
        files.extend(deps.flat_map(|dep| self::files(&dep.unwrap().path())));
    }
    files
}

/// The guest component that the binary under test was made of.
fn guest() -> Vec<u8> {
    fs::read(target().join("guest/starcell_guest.wasm")).expect("the guest is built before the binary")
}
