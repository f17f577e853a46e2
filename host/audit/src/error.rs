//! The reasons why a call cannot be recorded. A caller that gets one from an intent must not do the effect.

use std::{io, path::PathBuf, sync::Arc};

use thiserror::Error;

/// The audit log cannot be opened or written. Cheap to clone: one failed write refuses many calls.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The anchors cannot be read or written.
    #[error("cannot anchor the audit log in {place}")]
    Anchor {
        /// The file of the anchors, or the URL that they are sent to.
        place: String,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The last lines of an existing file are not a chain.
    #[error(
        "the audit log {} does not end in a sound chain: {problem}; see `starcell audit verify`, then start with \
         --set-aside-damaged, which keeps the file under another name and begins a new one", path.display()
    )]
    BadTail {
        /// The file.
        path: PathBuf,
        /// The first fault that was found.
        problem: &'static str,
    },
    /// Another program wrote to the file or cut it.
    #[error(
        "the audit log {} was changed by another program; move the file away, and the log goes on in a new one", path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The writer has ended.
    #[error("the audit log is closed")]
    Closed,
    /// The disk is full, and the app of the call wrote most of what fills it.
    #[error("the disk of the audit log {} is full, and this app wrote most of its records", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another process writes the file.
    #[error("the audit log {} is being written by another process; give each its own file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The path leads to something that cannot be appended to, cut and renamed.
    #[error("the audit log {} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file cannot be opened, or its existing lines not read.
    #[error("cannot open the audit log {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// Another file, with other lines, lies at the path.
    #[error(
        "another file was put in place of the audit log {}; move that file away, and the log goes on in a new one",
        path.display()
    )]
    Replaced {
        /// The path.
        path: PathBuf,
    },
    /// There is no thread for the writer.
    #[error("cannot start the writer of the audit log")]
    Thread {
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The file cannot be written: a full disk, a lost mount.
    #[error("cannot write the audit log {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: Arc<io::Error>,
    },
}

impl AuditError {
    pub(crate) fn anchor(place: &str, source: io::Error) -> Self {
        Self::Anchor { place: place.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn open(path: &std::path::Path, source: io::Error) -> Self {
        Self::Open { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn write(path: &std::path::Path, source: io::Error) -> Self {
        Self::Write { path: path.to_owned(), source: Arc::new(source) }
    }
}
