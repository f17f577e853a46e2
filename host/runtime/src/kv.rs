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
use tokio::sync::OnceCell;

use clock::now;
pub use error::KvError;
use file::File;
pub use table::KvShare;
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
    file: Option<Arc<OnDisk>>,
}

/// The file of a store: opened, or made when something is first kept in it. Most of the apps of a node keep nothing, and
/// need no file, no thread and no descriptor.
struct OnDisk {
    path: PathBuf,
    file: OnceCell<File>,
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
        Self::in_file(path, Table::new(quota), true)
    }

    /// A store in a file, which is made when something is first kept in it, and which is counted in `share` too. Blocks
    /// while a file that is there is read.
    ///
    /// # Errors
    /// The file is damaged or in use by another process.
    pub fn when_used(path: &Path, quota: usize, share: Option<KvShare>) -> Result<Self, KvError> {
        let is_there = path.try_exists().unwrap_or(true);
        Self::in_file(path, Table::of_share(quota, share), is_there)
    }

    /// Opens a store as [`when_used`](Self::when_used) does, and sets a damaged file aside as
    /// [`open_or_set_aside`](Self::open_or_set_aside) does.
    ///
    /// # Errors
    /// The file is in use by another process, or cannot be renamed.
    pub fn when_used_or_set_aside(
        path: &Path,
        quota: usize,
        share: Option<KvShare>,
    ) -> Result<(Self, Option<PathBuf>), KvError> {
        match Self::when_used(path, quota, share.clone()) {
            Err(KvError::Damaged { .. }) => {
                let aside = file::set_aside(path)
                    .map_err(|source| KvError::SetAside { path: path.display().to_string(), source })?;
                Ok((Self::when_used(path, quota, share)?, Some(aside)))
            }
            opened => Ok((opened?, None)),
        }
    }

    fn in_file(path: &Path, table: Table, now: bool) -> Result<Self, KvError> {
        let table = Arc::new(Mutex::new(table));
        let file = OnceCell::new();
        if now {
            // It is empty, since it is new.
            let _ = file.set(File::open(path, Arc::clone(&table))?);
        }
        Ok(Self { table, file: Some(Arc::new(OnDisk { path: path.to_owned(), file })) })
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
                Some(disk) => disk.file(&self.table).await?.change(key.into(), operation.clone()).await?,
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

impl OnDisk {
    /// The file, made if it is not there.
    async fn file(&self, table: &Arc<Mutex<Table>>) -> Result<&File, String> {
        let open = || async {
            let (path, table) = (self.path.clone(), Arc::clone(table));
            let opened = tokio::task::spawn_blocking(move || File::open(&path, table)).await;
            opened.map_err(|error| error.to_string())?.map_err(|error| format!("the store cannot be written: {error}"))
        };
        self.file.get_or_try_init(open).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::value::Parts;
    use super::*;

    #[tokio::test]
    async fn a_file_is_made_when_something_is_kept() {
        let path = std::env::temp_dir().join(format!("starcell-kv-later-{}", std::process::id()));
        let kv = Kv::when_used(&path, 1 << 20, None).unwrap();
        assert!(!path.exists());
        let disk = kv.file.clone().unwrap();
        let set = Operation::Set { value: Value::new(&Parts::Text("v".into())).unwrap(), lifetime: Lifetime::Forever };
        let file = disk.file(&kv.table).await.unwrap();
        file.change("k".into(), set).await.unwrap();
        assert!(path.exists());
        drop((kv, disk));
        let share = KvShare::new(1 << 20);
        let kv = Kv::when_used(&path, 1 << 20, Some(share.clone())).unwrap();
        assert!(kv.table.lock().get("k", now()).is_some());
        assert!(share.used() > 0, "what is there already counts");
        drop(kv);
        assert_eq!(share.used(), 0);
        std::fs::remove_file(path).unwrap();
    }
}
