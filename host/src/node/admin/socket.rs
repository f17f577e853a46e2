//! The unix socket by which a node is operated, in the file system.
//!
//! The decision: the socket is made under another name, given the mode 0600, and then renamed to its own: at no moment could
//! somebody else connect, and a socket that is there already is replaced, be it one that a killed node has left behind or
//! that of the node that is taken over. Whoever removes a socket looks whether it is its own: one that another node has put
//! in its place since is left alone.
//!
//! What is refused: a folder for the socket that others may write to, since they could put a socket of theirs in its place.

#![expect(clippy::disallowed_methods, reason = "owns the socket that the configuration names")]

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixSocket};

use crate::node::files::make_folder;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// The bytes that the path of a unix socket may have.
const MAX_PATH: usize = 107;

/// A socket that this process has made.
#[derive(Debug)]
pub(super) struct OwnSocket {
    path: PathBuf,
    /// The number of its file.
    number: u64,
}

impl OwnSocket {
    /// Makes the socket, for the node's own user alone.
    pub(super) fn bind(path: &Path) -> Result<(UnixListener, Self), String> {
        let shown = path.display();
        let cannot = |error: io::Error| format!("cannot make the socket {shown}: {error}");
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(format!("{shown} is no path of a socket"));
        };
        make_folder(folder)?;
        let mode = fs::metadata(folder).map_err(cannot)?.permissions().mode();
        // In a folder with the sticky bit nobody can replace what is another one's.
        if mode & 0o022 != 0 && mode & 0o1000 == 0 {
            return Err(format!("others may write to {}, the folder of the socket; chmod 700 it", folder.display()));
        }
        let beside = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
        let length = beside.as_os_str().len().max(path.as_os_str().len());
        if length > MAX_PATH {
            return Err(format!("the path {shown} is too long for a socket; choose a shorter one for the folder"));
        }
        if fs::symlink_metadata(path).is_ok_and(|about| !about.file_type().is_socket()) {
            return Err(format!("{shown} is there, and is no socket"));
        }
        let (listener, number) = made(&beside, path).map_err(cannot)?;
        Ok((listener, Self { path: path.to_owned(), number }))
    }

    /// Removes the socket, unless it is another node's by now.
    pub(super) fn remove(self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|about| about.ino() == self.number) {
            // A socket that stays is replaced by the next node.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn made(beside: &Path, path: &Path) -> io::Result<(UnixListener, u64)> {
    let _ = fs::remove_file(beside);
    let socket = UnixSocket::new_stream()?;
    socket.bind(beside)?;
    // Nobody can connect before it listens.
    fs::set_permissions(beside, Permissions::from_mode(0o600))?;
    let number = fs::symlink_metadata(beside)?.ino();
    let listener = socket.listen(BACKLOG)?;
    fs::rename(beside, path)?;
    Ok((listener, number))
}
