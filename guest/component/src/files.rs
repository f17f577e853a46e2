//! `Files` over the component's import `fs`.

use starcell_interp::{FileInfo, Files, HostError, Position};

use crate::bindings::starcell::guest::fs;
use crate::imports::Imports;

impl Files for Imports {
    fn read_text(&self, path: &str, at: &Position) -> Result<String, HostError> {
        fs::read_text(path, at)
    }

    fn read_bytes(&self, path: &str, at: &Position) -> Result<Vec<u8>, HostError> {
        fs::read_bytes(path, at)
    }

    fn write_text(&self, path: &str, text: &str, at: &Position) -> Result<(), HostError> {
        fs::write_text(path, text, at)
    }

    fn write_bytes(&self, path: &str, data: &[u8], at: &Position) -> Result<(), HostError> {
        fs::write_bytes(path, data, at)
    }

    fn append_text(&self, path: &str, text: &str, at: &Position) -> Result<(), HostError> {
        fs::append_text(path, text, at)
    }

    fn exists(&self, path: &str, at: &Position) -> Result<bool, HostError> {
        fs::exists(path, at)
    }

    fn stat(&self, path: &str, at: &Position) -> Result<FileInfo, HostError> {
        fs::stat(path, at)
    }

    fn resolve(&self, path: &str, at: &Position) -> Result<String, HostError> {
        fs::resolve(path, at)
    }

    fn listdir(&self, path: &str, at: &Position) -> Result<Vec<String>, HostError> {
        fs::listdir(path, at)
    }

    fn glob(&self, pattern: &str, at: &Position) -> Result<Vec<String>, HostError> {
        fs::glob(pattern, at)
    }

    fn mkdir(&self, path: &str, parents: bool, at: &Position) -> Result<(), HostError> {
        fs::mkdir(path, parents, at)
    }

    fn remove(&self, path: &str, recursive: bool, at: &Position) -> Result<(), HostError> {
        fs::remove(path, recursive, at)
    }

    fn rename(&self, source: &str, target: &str, at: &Position) -> Result<(), HostError> {
        fs::rename(source, target, at)
    }

    fn copy(&self, source: &str, target: &str, at: &Position) -> Result<(), HostError> {
        fs::copy(source, target, at)
    }
}
