//! A store of this process: in memory, or in memory and a file.
//!
//! All of it is in memory, which its quota bounds, so reading never waits. Changes are made one after another: in memory
//! under a lock; with a file, by the one thread that writes it, which lets many calls share one commit and shows a
//! change to readers only when it is on the disk. So what a script was told is stored survives a crash.

use std::fmt;
use std::future::ready;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use starcell_budget::MemoryBudget;
use tokio::sync::OnceCell;

use super::clock::now;
use super::error::KvError;
use super::file::File;
use super::store::{Answer, Store};
use super::table::{Operation, Reply, Table};
use super::value::Value;
use crate::slow::on_blocking_thread;
use crate::store_failure::{StoreError, StoreFailure};

/// A store of this process.
pub(super) struct Local {
    table: Arc<Mutex<Table>>,
    /// Where changes go that must survive the process.
    file: Option<OnDisk>,
}

/// The file of a store: opened, or made when something is first kept in it. Most of the apps of a node keep nothing, and
/// need no file, no thread and no descriptor.
struct OnDisk {
    path: PathBuf,
    file: OnceCell<File>,
    /// True once no file may be made any more.
    closed: AtomicBool,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("durable", &self.file.is_some()).finish_non_exhaustive()
    }
}

impl Local {
    /// A store that ends with the process.
    pub(super) fn memory(table: Table) -> Self {
        Self { table: Arc::new(Mutex::new(table)), file: None }
    }

    /// A store in a file, which is opened `now` or when something is first kept in it.
    pub(super) fn in_file(path: &Path, table: Table, now: bool) -> Result<Self, KvError> {
        let table = Arc::new(Mutex::new(table));
        let file = OnceCell::new();
        if now {
            // It is empty, since it is new.
            let _ = file.set(File::open(path, Arc::clone(&table))?);
        }
        Ok(Self { table, file: Some(OnDisk { path: path.to_owned(), file, closed: AtomicBool::new(false) }) })
    }
}

impl Store for Local {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Value>> {
        Box::pin(ready(Ok(self.table.lock().get(key, now()).cloned())))
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Vec<String>> {
        Box::pin(ready(Ok(self.table.lock().list(prefix, after, limit, now()))))
    }

    fn change<'a>(&'a self, key: &'a str, operation: &'a Operation) -> Answer<'a, Reply> {
        Box::pin(async move {
            match &self.file {
                None => self.table.lock().change(key, operation, now()),
                Some(disk) => disk.file(&self.table).await?.change(key.into(), operation.clone()).await,
            }
        })
    }

    fn count(&self, memory: &MemoryBudget) {
        self.table.lock().count(memory);
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let Some(disk) = &self.file else { return };
            disk.closed.store(true, Ordering::SeqCst);
            // A file that is being opened at this moment is waited for.
            let Ok(file) = disk.file.get_or_try_init(|| async { Err(()) }).await else { return };
            if let Some(thread) = file.end() {
                // A panic of the thread was told to those who waited for it.
                let _ = on_blocking_thread(move || thread.join()).await;
            }
        })
    }

    fn snapshot(&self) -> Table {
        self.table.lock().clone()
    }
}

impl OnDisk {
    /// The file, made if it is not there.
    async fn file(&self, table: &Arc<Mutex<Table>>) -> Result<&File, StoreError> {
        let open = || async {
            if self.closed.load(Ordering::SeqCst) {
                return Err("the store is closed".into());
            }
            let (path, table) = (self.path.clone(), Arc::clone(table));
            let opened = on_blocking_thread(move || File::open(&path, table)).await;
            let opened = opened.map_err(|error| error.to_string())?;
            opened.map_err(|error| StoreError::new(StoreFailure::Disk, format!("the store cannot be written: {error}")))
        };
        self.file.get_or_try_init(open).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::super::table::{KvShare, Lifetime};
    use super::super::value::Parts;
    use super::*;

    fn when_used(path: &Path, share: Option<KvShare>) -> Local {
        Local::in_file(path, Table::of_share(1 << 20, share), path.exists()).unwrap()
    }

    #[tokio::test]
    async fn a_file_is_made_when_something_is_kept() {
        let path = std::env::temp_dir().join(format!("starcell-kv-later-{}", std::process::id()));
        let kv = when_used(&path, None);
        assert!(!path.exists());
        let set = Operation::Set { value: Value::new(&Parts::Text("v".into())).unwrap(), lifetime: Lifetime::Forever };
        kv.change("k", &set).await.unwrap();
        assert!(path.exists());
        drop(kv);
        let share = KvShare::new(1 << 20);
        let kv = when_used(&path, Some(share.clone()));
        assert!(kv.get("k").await.unwrap().is_some());
        assert!(share.used() > 0, "what is there already counts");
        drop(kv);
        assert_eq!(share.used(), 0);
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_closed_store_is_free_for_another_and_changes_no_more() {
        let path = std::env::temp_dir().join(format!("starcell-kv-closed-{}", std::process::id()));
        let (kept, unused) = (when_used(&path, None), when_used(&path.with_extension("no"), None));
        let set = Operation::Set { value: Value::new(&Parts::Text("v".into())).unwrap(), lifetime: Lifetime::Forever };
        kept.change("k", &set).await.unwrap();
        kept.close().await;
        unused.close().await;
        let other = when_used(&path, None);
        assert!(other.get("k").await.unwrap().is_some());
        for kv in [&kept, &unused] {
            assert_eq!(kv.change("l", &set).await.map(drop).unwrap_err().sentence, "the store is closed");
        }
        kept.close().await;
        drop(other);
        std::fs::remove_file(path).unwrap();
    }
}
