//! The files of one log: which ones there are, and in which order they were written.
//!
//! The writer numbers full files upwards, rotation tools number them downwards or by date, and an operator names them in
//! any order. The order that counts is the chain's: each file names the hash that it follows. Names decide only where
//! the chain does not.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "part of what owns the files of the audit log"
)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::{chain::Hash, tail};

/// The files of the logs at these paths, in the order they were written: of each path the full files that were renamed,
/// and the file itself, which may be gone.
pub fn files_of(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        let full = numbered(path)?.into_iter().map(|(_, path)| path);
        for file in full.chain([path.clone()]) {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(in_chain_order(files))
}

/// The full files of a log, by their numbers.
pub(crate) fn numbered(path: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(prefix) = path.file_name().and_then(|name| name.to_str()).map(|name| format!("{name}.")) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)).and_then(|digits| digits.parse().ok());
        // Not `.01` or `.+1`, which are somebody else's.
        if let Some(number) = number.filter(|n: &u64| name.to_str() == Some(&format!("{prefix}{n}"))) {
            found.push((number, with_suffix(path, &format!(".{number}"))));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The full files of a log, in the order they were written.
pub(crate) fn full_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(in_chain_order(numbered(path)?.into_iter().map(|(_, path)| path).collect()))
}

/// The path with more at its end.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Renames a damaged file, whose bytes stay, to the first free name of the form `FILE.damaged-N`.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let names = (1..=u32::MAX).map(|number| with_suffix(path, &format!(".damaged-{number}")));
    for name in names {
        match fs::symlink_metadata(&name) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return fs::rename(path, &name).map(|()| name),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no name is free"))
}

/// Files so that each follows the one before it; as they were given where their chain does not say how.
fn in_chain_order(files: Vec<PathBuf>) -> Vec<PathBuf> {
    if files.len() < 2 {
        return files;
    }
    let Some(ends) = files.iter().map(|path| ends(path)).collect::<Option<Vec<_>>>() else { return files };
    let links = || ends.iter().enumerate().filter_map(|(index, ends)| ends.map(|(first, last)| (index, first, last)));
    let by_start: BTreeMap<Hash, usize> = links().map(|(index, first, _)| (first, index)).collect();
    let by_end: BTreeMap<Hash, usize> = links().map(|(index, _, last)| (last, index)).collect();
    let mut starts = links().filter(|(_, first, _)| !by_end.contains_key(first));
    let (Some((start, ..)), None) = (starts.next(), starts.next()) else { return files };
    let mut order = vec![start];
    let mut next = start;
    while let Some(Some((_, last))) = ends.get(next)
        && let Some(follower) = by_start.get(last)
        && order.len() <= ends.len()
    {
        order.push(*follower);
        next = *follower;
    }
    if order.len() != links().count() {
        return files;
    }
    // A file without a line is where the writer goes on.
    order.extend(ends.iter().enumerate().filter(|(_, ends)| ends.is_none()).map(|(index, _)| index));
    order.into_iter().filter_map(|index| files.get(index).cloned()).collect()
}

/// The hash that the first line of a file follows, and that of its last line; none in it for a file without a line. None
/// for a file that is no log, or cannot be read.
fn ends(path: &Path) -> Option<Option<(Hash, Hash)>> {
    match File::open(path) {
        Ok(file) if file.metadata().is_ok_and(|about| about.is_file()) => tail::ends(&file).ok(),
        _ => None,
    }
}
