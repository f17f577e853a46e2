//! The key-value store of one app: how its handlers keep state.
//!
//! Where it is kept is the operator's choice, and a script cannot tell: each store does the same operations, each of them
//! whole or not at all, in one order for all forks and nodes.
//!
//! | store | module | an acknowledged change survives |
//! |---|---|---|
//! | memory | `local` | nothing: it ends with the process |
//! | a file | `local`, `file` | a crash of the process and of the machine: it is on the disk |
//! | Redis, Valkey | `redis` | a crash of the node; of the server as its `appendfsync` says |
//! | PostgreSQL | `postgres` | a crash of the node and of the server, as its `synchronous_commit` says |
//!
//! - `table`: keys and values in memory, and what each operation does to them
//! - `value`: a value as it is stored
//! - `store`: what each store does
//! - [`server`]: a server that keeps the stores of many apps

mod clock;
mod error;
mod file;
mod local;
mod postgres;
mod redis;
pub mod server;
mod space;
mod store;
mod table;
pub(crate) mod value;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use starcell_budget::MemoryBudget;
use starcell_policy::{KvKey, Permit};

pub use error::KvError;
use local::Local;
pub use server::KvServer;
pub use space::KvSpace;
use store::Store;
pub use table::KvShare;
use table::Table;
pub(crate) use table::{Expected, Lifetime, Operation, Reply};
use value::Value;

use crate::store_failure::StoreError;

/// Bytes that an app may keep unless it is given another quota: keys, values, and 64 for each pair.
pub const DEFAULT_QUOTA: usize = 64 << 20;

/// The store of one app. Cheap to clone.
#[derive(Clone)]
pub struct Kv(Arc<dyn Store>);

impl fmt::Debug for Kv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kv").field(&self.0).finish()
    }
}

impl Kv {
    /// A store that ends with the process.
    #[must_use]
    pub fn memory(quota: usize) -> Self {
        Self(Arc::new(Local::memory(Table::new(quota))))
    }

    /// A store in a file, which is made if it is not there. Blocks while it is read.
    ///
    /// # Errors
    /// The file is damaged, in use by another process, or cannot be written.
    pub fn open(path: &Path, quota: usize) -> Result<Self, KvError> {
        Ok(Self(Arc::new(Local::in_file(path, Table::new(quota), true)?)))
    }

    /// A store in a file, which is made when something is first kept in it, and which is counted in `share` too. Blocks
    /// while a file that is there is read.
    ///
    /// # Errors
    /// The file is damaged or in use by another process.
    pub fn when_used(path: &Path, quota: usize, share: Option<KvShare>) -> Result<Self, KvError> {
        let is_there = path.try_exists().unwrap_or(true);
        Ok(Self(Arc::new(Local::in_file(path, Table::of_share(quota, share), is_there)?)))
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
                let aside = set_aside(path)?;
                Ok((Self::when_used(path, quota, share)?, Some(aside)))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// Opens a store as [`open`](Self::open) does, and begins an empty one when the file is damaged. The damaged file
    /// keeps its bytes under another name beside the old one, which is returned.
    ///
    /// # Errors
    /// The file is in use by another process, or cannot be written or renamed.
    pub fn open_or_set_aside(path: &Path, quota: usize) -> Result<(Self, Option<PathBuf>), KvError> {
        match Self::open(path, quota) {
            Err(KvError::Damaged { .. }) => {
                let aside = set_aside(path)?;
                Ok((Self::open(path, quota)?, Some(aside)))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// The store of an app on a server.
    #[must_use]
    pub fn on_server(server: &KvServer, space: &KvSpace) -> Self {
        Self(server.store(space))
    }

    /// Counts what the store holds in the memory of the process: all of one of this process is there, beside the file if it
    /// has one.
    #[must_use]
    pub fn counted(self, memory: &MemoryBudget) -> Self {
        self.0.count(memory);
        self
    }

    /// Gives the file up, for another process: changes that were asked are on the disk when this ends, and each later one is
    /// an error, from whatever handle of the store it comes. A store on a server stays as it is.
    pub async fn close(&self) {
        self.0.close().await;
    }

    /// Another store, in memory, that holds now what this one holds. The copy of a store on a server begins empty: tests,
    /// which take copies, have none.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Arc::new(Local::memory(self.0.snapshot())))
    }

    /// The server that keeps it, for records; none for a store of this process.
    pub(crate) fn place(&self) -> Option<&str> {
        self.0.place()
    }

    /// The value of a key.
    pub(crate) async fn get(&self, permit: &Permit<KvKey>) -> Result<Option<Value>, StoreError> {
        self.0.get(permit.resource().as_str()).await
    }

    /// The keys with the permitted prefix behind `after`, sorted, at most `limit` and one more that tells of others.
    pub(crate) async fn list(
        &self,
        permit: &Permit<KvKey>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.0.list(permit.resource().as_str(), after, limit.saturating_add(1)).await
    }

    /// Does an operation on the permitted key; ready when the store answers for it. `compare` finds out whether two
    /// values are equal, on a thread that may take time; it is asked again when the value has changed meanwhile.
    pub(crate) async fn change<F>(
        &self,
        permit: &Permit<KvKey>,
        mut operation: Operation,
        compare: impl Fn(Value, Value) -> F,
    ) -> Result<Reply, StoreError>
    where
        F: Future<Output = Result<bool, String>>,
    {
        let key = permit.resource().as_str();
        loop {
            match (self.0.change(key, &operation).await?, &mut operation) {
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

fn set_aside(path: &Path) -> Result<PathBuf, KvError> {
    file::set_aside(path).map_err(|source| KvError::SetAside { path: path.display().to_string(), source })
}
