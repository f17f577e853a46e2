//! The files of an app as an operator sends them.
//!
//! The decision: a script with the files that it loads, and perhaps its `app.toml`, in one message. They become a revision
//! of their own, which is kept and pinned like one that was rolled back to; the folder of the app is never written, so that
//! nobody finds half of a deployment in it.
//!
//! What is refused: a name that leads out of the folder, that hides, or that is a folder's and a file's at once; a message
//! without a script; more or longer files than a revision can have.
//!
//! The attack it answers: whoever may deploy the apps of one tenant sends a file for another place of the machine.

#![expect(clippy::disallowed_methods, reason = "reads the folder that the command line names")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use starcell_runtime::read_source;

use crate::folder::MAIN;

use super::files::MANIFEST;

/// Files of a message, and folders above one of them.
const MAX_FILES: usize = 1000;
const MAX_DEPTH: usize = 8;

/// Bytes of a name.
const MAX_NAME: usize = 255;

/// Bytes of all files together.
const MAX_BYTES: usize = 4 << 20;

/// The files of an app, by their names in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload(BTreeMap<String, String>);

impl Upload {
    /// Checks names and sizes.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    pub(crate) fn new(files: BTreeMap<String, String>) -> Result<Self, String> {
        if !files.contains_key(MAIN) {
            return Err(format!("`files` has no {MAIN}"));
        }
        if files.len() > MAX_FILES {
            return Err(format!("`files` has more than {MAX_FILES} files"));
        }
        let bytes: usize = files.values().map(String::len).sum();
        if bytes > MAX_BYTES {
            return Err(format!("`files` has more than {} MiB", MAX_BYTES >> 20));
        }
        for name in files.keys() {
            let shown: String = name.chars().take(64).collect();
            if !is_name(name) {
                return Err(format!(
                    "{shown:?} is no name of a file: parts of letters, digits, `-`, `_` and `.` between slashes, none of \
                     which begins with a `.`"
                ));
            }
            let mut above = Path::new(name).ancestors().skip(1).filter_map(Path::to_str);
            if above.any(|above| files.contains_key(above)) {
                return Err(format!("{shown:?} is in a folder that is a file too"));
            }
        }
        Ok(Self(files))
    }

    /// The scripts of a folder, and its `app.toml` where that is wanted. Links are passed over. Blocks.
    ///
    /// # Errors
    /// The folder cannot be read, or has no script.
    pub(crate) fn of_folder(folder: &Path, with_manifest: bool) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        let mut wanted = Vec::new();
        scripts(folder, "", MAX_DEPTH, &mut wanted)?;
        if with_manifest {
            wanted.push(MANIFEST.to_owned());
        }
        for name in wanted {
            let shown = folder.join(&name);
            let read = read_source(folder, &name).map_err(|error| format!("{}: {error}", shown.display()))?;
            let text = String::from_utf8(read).map_err(|_| format!("{} is not UTF-8", shown.display()))?;
            files.insert(name, text);
        }
        Self::new(files).map_err(|why| format!("{}: {why}", folder.display()))
    }

    /// The files.
    pub(crate) fn files(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Whether the description of the app is among them.
    pub(crate) fn has_manifest(&self) -> bool {
        self.0.contains_key(MANIFEST)
    }

    /// How much it is, for the audit log.
    pub(crate) fn detail(&self) -> String {
        let bytes: usize = self.0.values().map(String::len).sum();
        format!("files={} bytes={bytes}", self.0.len())
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
    name.len() <= MAX_NAME && name.split('/').count() <= MAX_DEPTH && name.split('/').all(part)
}

/// Finds the scripts in a folder and those in it; `above` is its name in the folder that was begun with.
fn scripts(folder: &Path, above: &str, depth: usize, found: &mut Vec<String>) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot read the folder {}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let kind = entry.file_type().map_err(cannot)?;
        let Some(name) = entry.file_name().to_str().map(|name| format!("{above}{name}")) else { continue };
        if !is_name(&name) {
            continue;
        }
        if kind.is_dir() && depth > 1 {
            scripts(&entry.path(), &format!("{name}/"), depth - 1, found)?;
        } else if kind.is_file() && name.ends_with(".star") {
            found.push(name);
        }
        if found.len() > MAX_FILES {
            return Err(format!("{} has more than {MAX_FILES} scripts", folder.display()));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn of(names: &[&str]) -> Result<Upload, String> {
        Upload::new(names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect())
    }

    #[test]
    fn an_upload_has_a_script_and_plain_names() {
        let upload = of(&["main.star", "lib/text.star", "app.toml"]).unwrap();
        assert_eq!((upload.has_manifest(), upload.detail().as_str()), (true, "files=3 bytes=3"));
        let long = format!("{}.star", "a".repeat(MAX_NAME));
        for name in
            ["../main.star", "/etc/passwd", "a//b", "a/", ".hidden", "a/.git/b", "a\\b", "a\0", "ü", "", &long, "a b"]
        {
            assert!(of(&["main.star", name]).unwrap_err().contains("is no name of a file"), "{name:?}");
        }
        assert!(of(&["main.star", "a/b/c/d/e/f/g/h/i"]).is_err());
        assert!(of(&["lib.star"]).unwrap_err().contains("has no main.star"));
        assert!(of(&["main.star", "a", "a/b.star"]).unwrap_err().contains("a folder that is a file too"));
        let large = [("main.star".to_owned(), "a".repeat(MAX_BYTES + 1))];
        assert!(Upload::new(large.into()).unwrap_err().contains("4 MiB"));
    }
}
