//! `Files` over the component's import `fs`.

use starcell_interp::{FileInfo, FileKind, Files, HostError, Position};

use crate::bindings::starcell::guest::fs;
use crate::{Imports, host_error, position};

impl Files for Imports {
    fn read_text(&self, path: &str, at: &Position) -> Result<String, HostError> {
        fs::read_text(path, &position(at)).map_err(host_error)
    }

    fn read_bytes(&self, path: &str, at: &Position) -> Result<Vec<u8>, HostError> {
        fs::read_bytes(path, &position(at)).map_err(host_error)
    }

    fn write_text(&self, path: &str, text: &str, at: &Position) -> Result<(), HostError> {
        fs::write_text(path, text, &position(at)).map_err(host_error)
    }

    fn write_bytes(&self, path: &str, data: &[u8], at: &Position) -> Result<(), HostError> {
        fs::write_bytes(path, data, &position(at)).map_err(host_error)
    }

    fn append_text(&self, path: &str, text: &str, at: &Position) -> Result<(), HostError> {
        fs::append_text(path, text, &position(at)).map_err(host_error)
    }

    fn exists(&self, path: &str, at: &Position) -> Result<bool, HostError> {
        fs::exists(path, &position(at)).map_err(host_error)
    }

    fn stat(&self, path: &str, at: &Position) -> Result<FileInfo, HostError> {
        let info = fs::stat(path, &position(at)).map_err(host_error)?;
        let kind = match info.kind {
            fs::Kind::File => FileKind::File,
            fs::Kind::Folder => FileKind::Folder,
            fs::Kind::Other => FileKind::Other,
        };
        Ok(FileInfo { kind, size: info.size, modified: info.modified })
    }

    fn listdir(&self, path: &str, at: &Position) -> Result<Vec<String>, HostError> {
        fs::listdir(path, &position(at)).map_err(host_error)
    }

    fn glob(&self, pattern: &str, at: &Position) -> Result<Vec<String>, HostError> {
        fs::glob(pattern, &position(at)).map_err(host_error)
    }

    fn mkdir(&self, path: &str, parents: bool, at: &Position) -> Result<(), HostError> {
        fs::mkdir(path, parents, &position(at)).map_err(host_error)
    }

    fn remove(&self, path: &str, recursive: bool, at: &Position) -> Result<(), HostError> {
        fs::remove(path, recursive, &position(at)).map_err(host_error)
    }

    fn rename(&self, source: &str, target: &str, at: &Position) -> Result<(), HostError> {
        fs::rename(source, target, &position(at)).map_err(host_error)
    }

    fn copy(&self, source: &str, target: &str, at: &Position) -> Result<(), HostError> {
        fs::copy(source, target, &position(at)).map_err(host_error)
    }
}
