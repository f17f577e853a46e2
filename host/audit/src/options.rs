//! Where a log is and when a new file of it begins.

use std::path::PathBuf;

/// Where the log is and when a new file begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The file that is written. Full ones are renamed to its name with `.1`, `.2` and so on.
    pub path: PathBuf,
    /// The size in bytes at which a new file begins.
    pub rotate_bytes: u64,
    /// How many full files are kept beside the one that is written; older ones are deleted.
    pub keep: usize,
}

impl Options {
    /// A new file every 256 MiB, and none is ever deleted: only the operator can say which one is no longer needed.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), rotate_bytes: 256 << 20, keep: usize::MAX }
    }
}
