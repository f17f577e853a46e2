//! Which files hold tests, and what each of them tests.

#![expect(clippy::disallowed_methods, reason = "looks for the files that the command line names")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use starcell_interp::TEST_FILE_SUFFIX as SUFFIX;

use crate::folder;

/// Folders below one that is searched: more are a mistake, such as a link that was followed by a mount.
const MAX_DEPTH: usize = 64;

/// A test file and the script beside it.
#[derive(Clone, Debug)]
pub(super) struct TestFile {
    pub(super) path: PathBuf,
    /// What it tests, if that is there: a test of files that are loaded has no script beside it.
    pub(super) script: Option<PathBuf>,
    /// The folder that was searched, if one was: nothing outside of it is read.
    within: Option<PathBuf>,
}

impl TestFile {
    fn new(path: PathBuf, within: Option<&Path>) -> Self {
        let script = name(&path).and_then(|name| name.strip_suffix(SUFFIX)).map(|stem| format!("{stem}.star"));
        let script = script.map(|script| path.with_file_name(script)).filter(|script| script.is_file());
        Self { path, script, within: within.map(Path::to_owned) }
    }

    /// Reads the test file or its script.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        match &self.within {
            Some(folder) => {
                let inside = path.strip_prefix(folder).unwrap_or(path).display().to_string();
                folder::read(if folder.as_os_str().is_empty() { Path::new(".") } else { folder }, &inside)
            }
            None => folder::read_named(path),
        }
    }
}

/// Test files by their paths. A file that is named and lies in a folder that is searched counts once.
type Found = BTreeMap<PathBuf, TestFile>;

fn add(found: &mut Found, file: TestFile) {
    found.entry(file.path.clone()).or_insert(file);
}

/// The test files that paths name or have below them, sorted, each once.
///
/// # Errors
/// A path is not there or is no test; the sentence for whoever typed it.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<TestFile>, String> {
    let mut found = Found::new();
    for path in paths {
        // `./a` and `a` are one file, and messages name it as short as they can.
        let path = path.strip_prefix(".").unwrap_or(path);
        if path.as_os_str().is_empty() || path.is_dir() {
            let before = found.len();
            walk(path, path, 0, &mut found)?;
            if found.len() == before {
                let folder = if path.as_os_str().is_empty() { ".".into() } else { path.display().to_string() };
                return Err(format!("there is no file in {folder} whose name ends in {SUFFIX}"));
            }
        } else {
            add(&mut found, TestFile::new(file(path)?, None));
        }
    }
    Ok(found.into_values().collect())
}

/// The test file that a path names, or the one of the script that it names.
fn file(path: &Path) -> Result<PathBuf, String> {
    let shown = path.display();
    fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let name = name(path).unwrap_or_default();
    if name.ends_with(SUFFIX) {
        return Ok(path.to_owned());
    }
    let Some(stem) = name.strip_suffix(".star") else {
        return Err(format!("{shown} is no test file: its name does not end in {SUFFIX}"));
    };
    let test = path.with_file_name(format!("{stem}{SUFFIX}"));
    match test.is_file() {
        true => Ok(test),
        false => Err(format!("{shown} has no test: there is no {}", test.display())),
    }
}

/// Adds the test files of a folder and of those below it. Links to folders are not followed, nor hidden ones entered.
fn walk(root: &Path, folder: &Path, depth: usize, found: &mut Found) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("{} is more than {MAX_DEPTH} folders deep", folder.display()));
    }
    let shown = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let failed = |error| format!("cannot read {}: {error}", shown.display());
    for entry in fs::read_dir(shown).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = folder.join(entry.file_name());
        if name(&path).is_none_or(|name| name.starts_with('.')) {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(root, &path, depth + 1, found)?;
        } else if name(&path).is_some_and(|name| name.ends_with(SUFFIX)) && path.is_file() {
            let file = TestFile::new(path, Some(root));
            // A link that leads out is told before any test runs.
            for linked in
                [Some(&file.path), file.script.as_ref()].into_iter().flatten().filter(|path| path.is_symlink())
            {
                file.read(linked)?;
            }
            add(found, file);
        }
    }
    Ok(())
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
