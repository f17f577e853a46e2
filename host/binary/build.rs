//! Finds the guest that `make guest` built and tells the crate where it is.

#![expect(clippy::disallowed_methods, reason = "a build script: cargo speaks to it in its environment")]

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    // OUT_DIR is <target>/<profile>/build/<package>/out.
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let guest = out.ancestors().nth(4).unwrap_or(Path::new("target")).join("guest");
    for file in ["starcell_guest.cwasm", "starcell_guest.memory.cwasm", "starcell_guest.image"] {
        let path = guest.join(file);
        assert!(path.exists(), "the guest is not built: {} is missing; run `make guest`", path.display());
        println!("cargo:rerun-if-changed={}", path.display());
    }
    println!("cargo:rustc-env=STARCELL_GUEST={}", guest.display());
}
