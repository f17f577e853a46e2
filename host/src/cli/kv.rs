//! The flags about the store of a run.

use std::path::{Path, PathBuf};

use clap::Args;
use starcell_config::KvPlace;

/// Where the store of a run is kept.
#[derive(Args, Clone, Debug, Default)]
pub struct KvFlags {
    /// Keeps what the script stores in kv here, so that several nodes share it: redis://HOST:PORT/0, rediss:// for an
    /// encrypted connection, postgres://USER@HOST/DATABASE, or file:FOLDER.
    #[arg(long, value_name = "URL")]
    pub kv: Option<KvPlace>,

    /// The file that holds the password for the server of --kv. The file is read for each connection.
    #[arg(long, value_name = "FILE", requires = "kv")]
    pub kv_password_file: Option<PathBuf>,

    /// The name of the script on the server of --kv. Scripts with one name share what they store. Without this flag the
    /// name is that of the script's file or folder.
    #[arg(long, value_name = "NAME", requires = "kv")]
    pub kv_app: Option<String>,
}

impl KvFlags {
    /// The folder of the store, if it is kept in one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.kv.as_ref().and_then(KvPlace::folder)
    }

    /// Whether the store is kept on a server.
    #[must_use]
    pub fn is_on_server(&self) -> bool {
        self.kv.as_ref().is_some_and(|place| place.folder().is_none())
    }
}
