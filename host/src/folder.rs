//! The files that a command was told to look at: a script, or a folder of them.
//!
//! A folder may come from a stranger. Its files are opened beneath it by the kernel, which follows no link out of it, and
//! only files are opened, so that no command shows what lies elsewhere or waits for a pipe. A file that the command line
//! names itself is the operator's choice and is read wherever it leads.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "looks at what the command line names")]

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use starcell_check::ScriptFiles;
use starcell_interp::MAX_SOURCE_BYTES;
use starcell_runtime::{SourceError, read_source};

/// The script that a folder stands for.
pub(crate) const MAIN: &str = "main.star";

/// The files of a script's folder. Nothing leads out of it.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl ScriptFiles for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        read_source(&self.0, path).map_err(|error| error.to_string())
    }
}

/// Returns whether the command line names a folder.
pub(crate) fn is_folder(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.is_dir())
}

/// Reads a file of a folder by its path in there.
///
/// # Errors
/// A sentence that names the file: it is not there, is no file, or leads out of the folder.
pub(crate) fn read(folder: &Path, path: &str) -> Result<Vec<u8>, String> {
    read_source(folder, path).map_err(|error| match error {
        SourceError::Outside => format!("{path}: a link leads out of the folder"),
        error => format!("{path}: {error}"),
    })
}

/// Reads a file that the command line names, or as much of it as tells that it is too large: a device has no end.
///
/// # Errors
/// A sentence that names the file.
pub(crate) fn read_named(path: &Path) -> Result<Vec<u8>, String> {
    let text = bounded(path, MAX_SOURCE_BYTES as u64 + 1);
    text.map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// Reads a file that the operator names, but no more than so many bytes of it.
///
/// # Errors
/// It cannot be read.
pub(crate) fn bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The script that a command was told to start: a file, or the `main.star` of a folder.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The script's own path.
    pub(crate) script: PathBuf,
    /// The folder that the command line names in place of the script.
    folder: Option<PathBuf>,
}

impl Entry {
    /// What a path on the command line stands for.
    pub(crate) fn of(path: &Path) -> Self {
        match is_folder(path) {
            true => Self { script: path.join(MAIN), folder: Some(path.to_owned()) },
            false => Self { script: path.to_owned(), folder: None },
        }
    }

    /// Reads the script as it is now.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(crate) fn read(&self) -> Result<Vec<u8>, String> {
        match &self.folder {
            Some(folder) => read(folder, MAIN),
            None => read_named(&self.script),
        }
    }
}

/// The names of the scripts in a folder, sorted.
///
/// # Errors
/// The folder cannot be read, or holds no script.
pub(crate) fn scripts(folder: &Path) -> Result<Vec<String>, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name();
        match name.into_string() {
            Ok(name) if name.ends_with(".star") => names.push(name),
            _ => {}
        }
    }
    names.sort_unstable();
    match names.is_empty() {
        true => Err(format!("there is no script in {}: none of its files ends in .star", folder.display())),
        false => Ok(names),
    }
}
