//! The key-value store of one app: how its handlers keep state.
//!
//! All of it is in memory, which its quota bounds, so reading never waits. Changes are made one after another: in memory
//! under a lock; with a file, by the one thread that writes it, which lets many calls share one commit and shows a
//! change to readers only when it is on the disk. So what a script was told is stored survives a crash.
//!
//! - `table`: keys and values in memory, and what each operation does to them
//! - `file`: the same on disk
//! - `value`: a value as it is stored

mod clock;
mod error;
mod file;
mod table;
pub(crate) mod value;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use starcell_policy::{KvKey, Permit};

use clock::now;
pub use error::KvError;
use file::File;
use table::Table;
pub(crate) use table::{Expected, Lifetime, Operation, Reply};
use value::Value;

/// Bytes that an app may keep unless it is given another quota: keys, values, and 64 for each pair.
pub const DEFAULT_QUOTA: usize = 64 << 20;

/// The store of one app. Cheap to clone.
#[derive(Clone)]
pub struct Kv {
    table: Arc<Mutex<Table>>,
    /// Where changes go that must survive the process.
    file: Option<Arc<File>>,
}

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kv").field("durable", &self.file.is_some()).finish_non_exhaustive()
    }
}

impl Kv {
    /// A store that ends with the process.
    #[must_use]
    pub fn memory(quota: usize) -> Self {
        Self { table: Arc::new(Mutex::new(Table::new(quota))), file: None }
    }

    /// A store in a file, which is made if it is not there. Blocks while it is read.
    ///
    /// # Errors
    /// The file is damaged, in use by another process, or cannot be written.
    pub fn open(path: &Path, quota: usize) -> Result<Self, KvError> {
        let table = Arc::new(Mutex::new(Table::new(quota)));
        let file = File::open(path, Arc::clone(&table))?;
        Ok(Self { table, file: Some(Arc::new(file)) })
    }

    /// Opens a store as [`open`](Self::open) does, and begins an empty one when the file is damaged. The damaged file
    /// keeps its bytes under another name beside the old one, which is returned.
    ///
    /// # Errors
    /// The file is in use by another process, or cannot be written or renamed.
    pub fn open_or_set_aside(path: &Path, quota: usize) -> Result<(Self, Option<PathBuf>), KvError> {
        match Self::open(path, quota) {
            Err(KvError::Damaged { .. }) => {
                let aside = file::set_aside(path)
                    .map_err(|source| KvError::SetAside { path: path.display().to_string(), source })?;
                Ok((Self::open(path, quota)?, Some(aside)))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// Another store, in memory, that holds now what this one holds.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { table: Arc::new(Mutex::new(self.table.lock().clone())), file: None }
    }

    /// The value of a key.
    pub(crate) fn get(&self, permit: &Permit<KvKey>) -> Option<Value> {
        self.table.lock().get(permit.resource().as_str(), now()).cloned()
    }

    /// The keys with the permitted prefix behind `after`, sorted, at most `limit` and one more that tells of others.
    pub(crate) fn list(&self, permit: &Permit<KvKey>, after: Option<&str>, limit: usize) -> Vec<String> {
        self.table.lock().list(permit.resource().as_str(), after, limit.saturating_add(1), now())
    }

    /// Does an operation on the permitted key; ready when it cannot be lost any more. `compare` finds out whether two
    /// values are equal, on a thread that may take time; it is asked again when the value has changed meanwhile.
    pub(crate) async fn change<F>(
        &self,
        permit: &Permit<KvKey>,
        mut operation: Operation,
        compare: impl Fn(Value, Value) -> F,
    ) -> Result<Reply, String>
    where
        F: Future<Output = Result<bool, String>>,
    {
        let key = permit.resource().as_str();
        loop {
            let reply = match &self.file {
                None => self.table.lock().change(key, &operation, now())?,
                Some(file) => file.change(key.into(), operation.clone()).await?,
            };
            match (reply, &mut operation) {
                (
                    Reply::Compare(present),
                    Operation::CompareAndSet { expected: Expected::Equal { value, compared }, .. },
                ) => {
                    let equal = compare(present.clone(), value.clone()).await?;
                    *compared = Some((present, equal));
                }
                (reply, _) => return Ok(reply),
            }
        }
    }
}
