//! Files, as the host offers them.

use starcell_contract::{FileInfo, HostError, Position};

/// Files. The host judges every path, and follows no link that it did not judge too.
pub trait Files {
    /// The content, which must be UTF-8.
    fn read_text(&self, path: &str, at: &Position) -> Result<String, HostError>;
    /// The content.
    fn read_bytes(&self, path: &str, at: &Position) -> Result<Vec<u8>, HostError>;
    /// Replaces the file.
    fn write_text(&self, path: &str, text: &str, at: &Position) -> Result<(), HostError>;
    /// Replaces the file.
    fn write_bytes(&self, path: &str, data: &[u8], at: &Position) -> Result<(), HostError>;
    /// Adds to the end.
    fn append_text(&self, path: &str, text: &str, at: &Position) -> Result<(), HostError>;
    /// Whether there is anything of that name.
    fn exists(&self, path: &str, at: &Position) -> Result<bool, HostError>;
    /// What the file system says of it.
    fn stat(&self, path: &str, at: &Position) -> Result<FileInfo, HostError>;
    /// The path from the root that it leads to, behind links.
    fn resolve(&self, path: &str, at: &Position) -> Result<String, HostError>;
    /// The names in a folder, sorted.
    fn listdir(&self, path: &str, at: &Position) -> Result<Vec<String>, HostError>;
    /// The paths that a pattern matches, sorted.
    fn glob(&self, pattern: &str, at: &Position) -> Result<Vec<String>, HostError>;
    /// Makes a folder.
    fn mkdir(&self, path: &str, parents: bool, at: &Position) -> Result<(), HostError>;
    /// Removes a file or folder.
    fn remove(&self, path: &str, recursive: bool, at: &Position) -> Result<(), HostError>;
    /// Gives it another name.
    fn rename(&self, source: &str, target: &str, at: &Position) -> Result<(), HostError>;
    /// Copies the content.
    fn copy(&self, source: &str, target: &str, at: &Position) -> Result<(), HostError>;
}
