//! `starcell:guest/source`: the files that a script loads. Needs no permission: they are part of the script.
//!
//! A path is opened beneath the script's folder by the kernel itself, which follows no link and no `..` out of it; so
//! there is no moment between a check and its use.

#![expect(clippy::disallowed_types, reason = "reads the files of a script")]

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use crate::bindings::starcell::guest::source::Host;
use crate::slow::on_blocking_thread;
use crate::state::{Role, State};

/// Bytes of one file; the interpreter takes no larger source.
const MAX_BYTES: u64 = 8 << 20;

impl Host for State {
    async fn read(&mut self, path: String) -> Result<Vec<u8>, String> {
        let app = match &self.role {
            Role::Setup(app, _) | Role::Collect(app) => Arc::clone(app),
            _ => return Err("files are loaded only while the script sets up".into()),
        };
        let Some(folder) = app.config.folder.clone() else {
            return Err(SourceError::Missing.to_string());
        };
        app.note_loaded(folder.join(&path));
        let name = path.clone();
        let read = on_blocking_thread(move || read(&folder, &path).map_err(|error| error.to_string()));
        let read = read.await.unwrap_or_else(|error| Err(error.to_string()));
        app.witness.loaded(&name, read.as_deref().ok());
        read
    }
}

/// Why a file of a script's folder cannot be read. The texts are sentences for the author of the script.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is none of that name.
    #[error("there is no such file in the script's folder")]
    Missing,
    /// A link or `..` leads out of the folder.
    #[error("a link leads out of the script's folder")]
    Outside,
    /// It is a folder, a pipe, a device.
    #[error("it is not a file")]
    Special,
    /// It is larger than a source can be.
    #[error("it has more than {MAX_BYTES} bytes")]
    Large,
    /// The file system refused.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// Reads a file of a script's folder, which nothing in the path leads out of. It blocks.
///
/// # Errors
/// There is no such file, it leads out of the folder, or it is larger than a source can be.
pub fn read(folder: &Path, path: &str) -> Result<Vec<u8>, SourceError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let folder = openat(CWD, folder, flags | OFlags::DIRECTORY, Mode::empty()).map_err(refused)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // Without NONBLOCK a named pipe would be waited for.
    let file = openat2(&folder, path, flags | OFlags::NONBLOCK, Mode::empty(), resolve).map_err(refused)?;
    let file = File::from(file);
    if !file.metadata()?.is_file() {
        return Err(SourceError::Special);
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(SourceError::Large),
        false => Ok(bytes),
    }
}

fn refused(error: Errno) -> SourceError {
    match error {
        Errno::NOENT => SourceError::Missing,
        Errno::XDEV | Errno::LOOP => SourceError::Outside,
        // A socket cannot be opened at all.
        Errno::NXIO => SourceError::Special,
        error => SourceError::System(error.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_of_the_folder_is_read() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        let folder = root.join("app");
        std::fs::create_dir_all(folder.join("lib")).unwrap();
        std::fs::write(root.join("secret.star"), "x").unwrap();
        std::fs::write(folder.join("lib/a.star"), "a = 1").unwrap();
        symlink("../secret.star", folder.join("out.star")).unwrap();
        symlink("lib/a.star", folder.join("in.star")).unwrap();
        symlink("..", folder.join("up")).unwrap();
        assert_eq!(read(&folder, "lib/a.star").unwrap(), b"a = 1");
        assert_eq!(read(&folder, "in.star").unwrap(), b"a = 1");
        for (path, why) in [
            ("out.star", "leads out"),
            ("up/secret.star", "leads out"),
            ("../secret.star", "leads out"),
            ("none.star", "no such file"),
            ("lib", "not a file"),
        ] {
            let error = read(&folder, path).unwrap_err().to_string();
            assert!(error.contains(why), "{path}: {error}");
        }
        let secret = root.join("secret.star");
        assert!(read(&folder, secret.to_str().unwrap()).unwrap_err().to_string().contains("leads out"));
    }
}
