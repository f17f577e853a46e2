//! The files of a script's folder, for commands that look at a script without running it.

use std::path::PathBuf;

use starcell_check::ScriptFiles;

/// The files of a script's folder. Nothing leads out of it.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl ScriptFiles for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        starcell_runtime::read_source(&self.0, path)
    }
}
