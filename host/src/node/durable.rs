//! Files and folders that are there after a power cut, as a whole or not at all.
//!
//! The decision: bytes go to a file of another name in the same folder, that file is handed to the disk, takes its own name,
//! and then the folder is handed to the disk, which holds the names. A folder with files is written in the same way. A
//! process that is killed in between leaves something with the ending `.new`, which the next write replaces.
//!
//! What is refused: a name that is there and a content that is not. Without the first sync a file system may keep the rename
//! and lose the bytes, and an empty index would look like an app without revisions.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "owns files of the state of a node")]

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Writes a file in the place of the one that is there. Blocks.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = file.with_extension("new");
    let mut written = own_file(&beside)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    fs::rename(&beside, file)?;
    sync_parent(file)
}

/// Writes a folder with these files in the place of the one that is there. Names have slashes between their parts. Blocks.
pub(crate) fn write_folder<N: AsRef<str>>(
    folder: &Path,
    files: impl Iterator<Item = io::Result<(N, Vec<u8>)>>,
) -> io::Result<()> {
    let beside = folder.with_extension("new");
    // After all of them are written: the disk takes the first one with the others.
    for path in fill(&beside, files)? {
        File::open(path)?.sync_all()?;
    }
    remove(folder)?;
    fs::rename(&beside, folder)?;
    sync_parent(folder)
}

/// Writes a folder that need not be there after a power cut, for a moment. Blocks.
pub(crate) fn write_passing_folder<N: AsRef<str>>(
    folder: &Path,
    files: impl Iterator<Item = io::Result<(N, Vec<u8>)>>,
) -> io::Result<()> {
    let beside = folder.with_extension("new");
    fill(&beside, files)?;
    remove(folder)?;
    fs::rename(&beside, folder)
}

/// Writes files into a new folder, and returns their paths and those of the folders.
fn fill<N: AsRef<str>>(
    folder: &Path,
    files: impl Iterator<Item = io::Result<(N, Vec<u8>)>>,
) -> io::Result<BTreeSet<PathBuf>> {
    remove(folder)?;
    own_folder(folder)?;
    let mut written = BTreeSet::from([folder.to_owned()]);
    for file in files {
        let (name, bytes) = file?;
        let path = folder.join(name.as_ref());
        if let Some(parent) = path.parent() {
            own_folder(parent)?;
            written.extend(parent.ancestors().take_while(|above| above.starts_with(folder)).map(Path::to_owned));
        }
        own_file(&path)?.write_all(&bytes)?;
        written.insert(path);
    }
    Ok(written)
}

/// Makes a folder and those above it that are not there, for the node's own user alone. Blocks.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        // Another thread was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| sync_parent(folder)),
    }
}

/// Gives a file another name, which no other one has, and returns it. Blocks.
pub(crate) fn set_aside(file: &Path) -> io::Result<PathBuf> {
    let free = |number: u32| {
        let aside = file.with_extension(format!("damaged.{number}"));
        let is_free = fs::symlink_metadata(&aside).is_err();
        is_free.then_some(aside)
    };
    let aside = (1..=u32::MAX).find_map(free).ok_or(io::ErrorKind::AlreadyExists)?;
    fs::rename(file, &aside)?;
    sync_parent(file)?;
    Ok(aside)
}

/// Removes a folder, if it is there. Blocks.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A new file for the node's own user alone.
fn own_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn own_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn files(files: &[(&str, &str)]) -> Vec<io::Result<(String, Vec<u8>)>> {
        files.iter().map(|(name, text)| Ok(((*name).to_owned(), text.as_bytes().to_vec()))).collect()
    }

    #[test]
    fn a_folder_is_replaced_as_a_whole_and_half_of_one_is_none() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("revisions/a/1");
        make_folders(folder.parent().unwrap()).unwrap();
        make_folders(folder.parent().unwrap()).unwrap();
        assert_eq!(fs::metadata(root.path().join("revisions")).unwrap().permissions().mode() & 0o777, 0o700);
        write_folder(&folder, files(&[("main.star", "one"), ("lib/deep/text.star", "two")]).into_iter()).unwrap();
        assert_eq!(fs::read_to_string(folder.join("lib/deep/text.star")).unwrap(), "two");
        let half = files(&[("main.star", "three")]).into_iter().chain([Err(io::Error::other("gone"))]);
        write_folder(&folder, half).unwrap_err();
        assert_eq!(fs::read_to_string(folder.join("main.star")).unwrap(), "one");
        write_folder(&folder, files(&[("main.star", "four")]).into_iter()).unwrap();
        assert_eq!(fs::read_to_string(folder.join("main.star")).unwrap(), "four");
        assert!(!folder.join("lib").exists() && !folder.with_extension("new").exists());
    }

    #[test]
    fn a_file_is_replaced_and_one_that_is_set_aside_keeps_its_bytes() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("index.json");
        for (text, aside) in [("one", "index.damaged.1"), ("two", "index.damaged.2")] {
            write(&file, b"before").unwrap();
            write(&file, text.as_bytes()).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(set_aside(&file).unwrap(), root.path().join(aside));
            assert!(!file.exists());
            assert_eq!(fs::read_to_string(root.path().join(aside)).unwrap(), text);
        }
    }
}
