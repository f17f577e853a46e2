//! Scripts and folders that tests write.
//!
//! All of them are in one folder for each process, `starcell-tests-PID` of the machine's temporary folder. Nothing of a
//! test binary runs when its tests have ended, so the next one removes the folders of processes that are gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// How the names of the folders begin, before the number of the process.
const PREFIX: &str = "starcell-tests-";

/// A script of the fixtures folder.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}

/// Writes a script to a file of its own.
#[must_use]
pub fn script(source: &str) -> PathBuf {
    script_bytes(source.as_bytes())
}

/// Like [`script`], for sources that are not text.
#[must_use]
pub fn script_bytes(source: &[u8]) -> PathBuf {
    let path = temporary().join(format!("script{}.star", next()));
    fs::write(&path, source).expect("a temporary file");
    path
}

/// An empty folder of the test's own, its path without links.
#[must_use]
pub fn folder() -> PathBuf {
    let folder = temporary().join(format!("folder{}", next()));
    fs::create_dir(&folder).expect("a temporary folder");
    folder
}

/// The folder of everything that the tests of this process write, its path without links.
pub(crate) fn temporary() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let machines = std::env::temp_dir();
        remove_abandoned(&machines);
        let folder = machines.join(format!("{PREFIX}{}", std::process::id()));
        // A process that had this number may have left it.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a temporary folder");
        folder.canonicalize().expect("it exists")
    });
    &FOLDER
}

/// Removes the folders of processes that are gone. What another user left stays.
fn remove_abandoned(machines: &Path) {
    for entry in fs::read_dir(machines).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|id| id.parse::<u32>().ok());
        if process.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
