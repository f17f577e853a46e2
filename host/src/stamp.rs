//! Whether a file is still the one that was looked at before.
//!
//! By looking: it works on every file system, survives editors that replace a file by renaming another one over it, and
//! costs one system call a file each time. A file that another one takes the place of can have its size and its time of
//! modification, as `mv`, `rsync -t` and reproducible images leave them: then its inode differs, or the time when the
//! inode changed, which nobody can set.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What changes with a file; a file that is not there has none.
pub(crate) type Stamp = Option<Identity>;

/// What tells one state of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: (u64, u64),
}

/// Looks at files. Blocks.
pub(crate) fn stamps(files: Vec<PathBuf>) -> BTreeMap<PathBuf, Stamp> {
    files.into_iter().map(|file| (stamp(&file), file)).map(|(stamp, file)| (file, stamp)).collect()
}

#[expect(clippy::disallowed_methods, reason = "looks at files that the operator names")]
fn stamp(file: &Path) -> Stamp {
    let about = fs::metadata(file).ok()?;
    Some(Identity {
        size: about.size(),
        modified: (about.mtime(), about.mtime_nsec()),
        changed: (about.ctime(), about.ctime_nsec()),
        inode: (about.dev(), about.ino()),
    })
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests"
)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_file_of_the_same_size_and_time_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("main.star"), folder.path().join("other"));
        let looked = || stamps(vec![file.clone()]);
        assert_eq!(looked(), BTreeMap::from([(file.clone(), None)]));
        let write = |path: &Path, text: &str| {
            fs::write(path, text).unwrap();
            fs::File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        };
        write(&file, "one");
        let before = looked();
        assert_eq!((before[&file].is_some(), looked() == before), (true, true));
        write(&other, "two");
        fs::rename(&other, &file).unwrap();
        assert_ne!(looked(), before);
    }
}
