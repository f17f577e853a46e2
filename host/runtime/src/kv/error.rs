//! The errors of opening a store.

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// The file is damaged.
    #[error(
        "the store {path} is damaged; start with --set-aside-damaged, which keeps the file under another name and begins \
         an empty store"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The file is in use, or cannot be written.
    #[error("cannot open the store {path}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: Box<redb::Error>,
    },
    /// A damaged file cannot be renamed.
    #[error("cannot set the damaged store {path} aside")]
    SetAside {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// There is no thread for the writer.
    #[error("cannot start the writer of the store")]
    Thread(#[source] std::io::Error),
}
