//! Files in memory: names and contents, and no folders but those that names imply.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::host::{FileInfo, FileKind, Files, HostError, Position};

/// Files that live in memory.
#[derive(Debug, Default)]
pub struct NativeFiles {
    /// What every call answers, when set.
    pub refuse: Option<HostError>,
    files: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl NativeFiles {
    /// The content of a file.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.files.borrow().get(path).cloned()
    }

    fn found(&self, path: &str) -> Result<Vec<u8>, HostError> {
        self.granted()?;
        self.content(path).ok_or_else(|| HostError::Failed(format!("{path:?}: no such file or directory")))
    }

    fn granted(&self) -> Result<(), HostError> {
        self.refuse.clone().map_or(Ok(()), Err)
    }
}

impl Files for NativeFiles {
    fn read_text(&self, path: &str, _at: &Position) -> Result<String, HostError> {
        String::from_utf8(self.found(path)?).map_err(|_| HostError::Failed(format!("{path:?}: not UTF-8 text")))
    }

    fn read_bytes(&self, path: &str, _at: &Position) -> Result<Vec<u8>, HostError> {
        self.found(path)
    }

    fn write_text(&self, path: &str, text: &str, at: &Position) -> Result<(), HostError> {
        self.write_bytes(path, text.as_bytes(), at)
    }

    fn write_bytes(&self, path: &str, data: &[u8], _at: &Position) -> Result<(), HostError> {
        self.granted()?;
        self.files.borrow_mut().insert(path.to_owned(), data.to_owned());
        Ok(())
    }

    fn append_text(&self, path: &str, text: &str, _at: &Position) -> Result<(), HostError> {
        self.granted()?;
        self.files.borrow_mut().entry(path.to_owned()).or_default().extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn exists(&self, path: &str, _at: &Position) -> Result<bool, HostError> {
        self.granted()?;
        Ok(self.files.borrow().contains_key(path))
    }

    fn stat(&self, path: &str, _at: &Position) -> Result<FileInfo, HostError> {
        let size = self.found(path)?.len() as u64;
        Ok(FileInfo { kind: FileKind::File, size, modified: 1_700_000_000_123_456_789 })
    }

    fn resolve(&self, path: &str, _at: &Position) -> Result<String, HostError> {
        self.granted()?;
        Ok(match path {
            "." => "/app".to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => format!("/app/{path}"),
        })
    }

    fn listdir(&self, path: &str, _at: &Position) -> Result<Vec<String>, HostError> {
        self.granted()?;
        let files = self.files.borrow();
        let folder = format!("{path}/");
        Ok(files.keys().filter_map(|name| name.strip_prefix(&folder)).map(str::to_owned).collect())
    }

    fn glob(&self, pattern: &str, _at: &Position) -> Result<Vec<String>, HostError> {
        self.granted()?;
        let files = self.files.borrow();
        let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
        let found = files.keys().filter(|name| name.starts_with(before) && name.ends_with(after));
        Ok(found.cloned().collect())
    }

    fn mkdir(&self, _path: &str, _parents: bool, _at: &Position) -> Result<(), HostError> {
        self.granted()
    }

    fn remove(&self, path: &str, _recursive: bool, _at: &Position) -> Result<(), HostError> {
        self.found(path)?;
        self.files.borrow_mut().remove(path);
        Ok(())
    }

    fn rename(&self, source: &str, target: &str, at: &Position) -> Result<(), HostError> {
        self.copy(source, target, at)?;
        self.remove(source, false, at)
    }

    fn copy(&self, source: &str, target: &str, at: &Position) -> Result<(), HostError> {
        self.write_bytes(target, &self.found(source)?, at)
    }
}
