//! The refusals of file operations, in words for a script.

use std::io;

use rustix::io::Errno;
use starcell_policy::PathError;

use crate::capability::blocking::Stopped;
use crate::os_words::os_words;

/// Why a file operation was not done.
#[derive(Debug, thiserror::Error)]
pub(in crate::capability) enum Refusal {
    /// Another process put something else in its place between two looks.
    #[error("it was changed by others while it was opened")]
    Changed,
    /// The host keeps it for itself.
    #[error("the file is the host's")]
    Hosts,
    /// The way goes round in links.
    #[error("more than {0} links on the way")]
    Links(usize),
    /// A name is not UTF-8.
    #[error("a link on the way is not UTF-8")]
    NotText,
    /// The content was asked for as text.
    #[error("not UTF-8 text: wrong byte at offset {0}; read it with read_bytes")]
    NotUtf8(usize),
    /// The system refused.
    #[error("{}", os_words(&io::Error::from(*.0)))]
    Os(Errno),
    /// The path, or where a link leads, cannot be judged.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It is no file: a device, a pipe, a socket, or a file system of the kernel.
    #[error("not a regular file or folder; devices, pipes, sockets and file systems of the kernel are out of reach")]
    Special,
    /// Its request has no time left, or is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A thread of the host failed.
    #[error("the host failed: {0}")]
    Task(String),
    /// Over a limit.
    #[error("{0}")]
    TooMuch(String),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Os(error)
    }
}

impl From<tokio::task::JoinError> for Refusal {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Task(error.to_string())
    }
}
