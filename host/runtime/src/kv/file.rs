//! The store on disk.
//!
//! One thread owns the file. It takes all changes that wait, works them out one after another over the table in memory,
//! commits them together, and only then shows them to readers and answers: a caller that was answered has its change on
//! the disk, and one change costs a share of a commit when many are under way. Where a commit fails, none of its changes
//! was done.

use std::collections::HashMap;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::clock::now;
use super::error::KvError;
use super::table::{Change, Entry, Operation, Reply, Table, cost};
use super::value::Value;
use crate::slow::put_this_thread_behind;
use crate::store_failure::{StoreError, StoreFailure};

/// Keys, and values behind the time they end at (8 bytes, 0 for never).
const PAIRS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("pairs");

/// Changes that may wait for the thread; callers wait for a place.
const QUEUE: usize = 1024;

/// Memory for the file's pages. Everything is read once, at the start.
const CACHE_BYTES: usize = 4 << 20;

/// The writer of a file; dropping it ends the thread after what was asked.
pub(super) struct File {
    /// None once the file is closed.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Job {
    key: Arc<str>,
    operation: Operation,
    answer: oneshot::Sender<Result<Reply, StoreError>>,
}

impl File {
    /// Opens the file, fills the table from it and starts the thread.
    #[expect(clippy::disallowed_methods, reason = "`File` owns this thread and joins it")]
    pub(super) fn open(path: &Path, table: Arc<Mutex<Table>>) -> Result<Self, KvError> {
        // A damaged file may lead redb to what it takes for impossible, and it panics; nothing of the table is used then.
        let opened = panic::catch_unwind(AssertUnwindSafe(|| {
            let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
            load(&database, &mut table.lock())?;
            Ok(database)
        }));
        let damaged = |_| Err(redb::Error::Corrupted("it leads the reader astray".to_owned()));
        let database = opened.unwrap_or_else(damaged).map_err(|error| failed(path, error))?;
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new().name("kv".into()).spawn(move || {
            put_this_thread_behind();
            write_all(&database, waiting, &table);
        });
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread.map_err(KvError::Thread)?)) })
    }

    /// Does an operation; ready when it is on the disk.
    pub(super) async fn change(&self, key: Arc<str>, operation: Operation) -> Result<Reply, StoreError> {
        let ended = || StoreError::from("the store is closed");
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.lock().clone().ok_or_else(ended)?;
        jobs.send(Job { key, operation, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

impl File {
    /// Takes no more changes, does those that were asked, and gives the file up. Returns the thread that does so.
    pub(super) fn end(&self) -> Option<JoinHandle<()>> {
        self.jobs.lock().take();
        self.thread.lock().take()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if let Some(thread) = self.end() {
            // A panic of the thread was told to those who waited for it.
            let _ = thread.join();
        }
    }
}

/// Renames a damaged file, whose bytes stay, to the first free name of the form `FILE.damaged-N`.
#[expect(clippy::disallowed_methods, reason = "the store owns its file")]
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1..=u32::MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        match std::fs::symlink_metadata(&name) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return std::fs::rename(path, &name).map(|()| name.into());
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("no name is free"))
}

/// Tells a damaged file from one that is in use or cannot be read: only the first may be set aside.
fn failed(path: &Path, error: redb::Error) -> KvError {
    let (path, source) = (path.display().to_string(), Box::new(error));
    let is_damage = |kind| matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
    match &*source {
        redb::Error::Io(error) if !is_damage(error.kind()) => KvError::Open { path, source },
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => KvError::Open { path, source },
        _ => KvError::Damaged { path, source },
    }
}

fn load(database: &Database, table: &mut Table) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    write.open_table(PAIRS)?;
    write.commit()?;
    let read = database.begin_read()?;
    for pair in read.open_table(PAIRS)?.iter()? {
        let (key, stored) = pair?;
        let Some(entry) = decoded(stored.value()) else {
            return Err(redb::Error::Corrupted(format!("the value of {:?} is none of ours", key.value())));
        };
        table.put(key.value().into(), entry);
    }
    Ok(())
}

fn encoded(entry: &Entry) -> Vec<u8> {
    [&entry.expires.unwrap_or(0).to_le_bytes(), entry.value.as_bytes()].concat()
}

fn decoded(stored: &[u8]) -> Option<Entry> {
    let (expires, value) = stored.split_first_chunk()?;
    let expires = Some(u64::from_le_bytes(*expires)).filter(|end| *end != 0);
    Some(Entry { value: Value::stored(value)?, expires })
}

/// The thread: works, commits, shows, answers.
fn write_all(database: &Database, mut waiting: mpsc::Receiver<Job>, table: &Mutex<Table>) {
    let mut jobs = Vec::with_capacity(QUEUE);
    while waiting.blocking_recv_many(&mut jobs, QUEUE) > 0 {
        let batch = Batch::of(&jobs, &table.lock(), now());
        match commit(database, &batch.changes) {
            Ok(()) => {
                show(batch.changes, &mut table.lock());
                for (job, reply) in jobs.drain(..).zip(batch.replies) {
                    // Whoever asked may be gone.
                    let _ = job.answer.send(reply);
                }
            }
            Err(error) => {
                let failed = StoreError::new(StoreFailure::Disk, format!("the store cannot be written: {error}"));
                for job in jobs.drain(..) {
                    let _ = job.answer.send(Err(failed.clone()));
                }
            }
        }
    }
}

/// What many changes come to: the entries of the keys they touch, and an answer for each.
struct Batch {
    changes: HashMap<Arc<str>, Option<Entry>>,
    replies: Vec<Result<Reply, StoreError>>,
}

impl Batch {
    fn of(jobs: &[Job], table: &Table, now: u64) -> Self {
        let mut batch = Self { changes: HashMap::new(), replies: Vec::with_capacity(jobs.len()) };
        let mut used = table.used();
        for key in table.ended(now) {
            used -= table.held(&key);
            batch.changes.insert(key, None);
        }
        for Job { key, operation, .. } in jobs {
            let reply = batch.work_out(key, operation, table, &mut used, now);
            batch.replies.push(reply);
        }
        batch
    }

    fn work_out(
        &mut self,
        key: &Arc<str>,
        operation: &Operation,
        table: &Table,
        used: &mut usize,
        now: u64,
    ) -> Result<Reply, StoreError> {
        let (present, held) = match self.changes.get(key) {
            Some(changed) => (changed.as_ref(), changed.as_ref().map_or(0, |entry| cost(key, entry))),
            None => (table.entry(key, now), table.held(key)),
        };
        let (reply, change) = operation.on(present, now)?;
        match change {
            Change::None => {}
            Change::Remove => {
                *used -= held;
                self.changes.insert(Arc::clone(key), None);
            }
            Change::Put(entry) => {
                let wanted = *used - held + cost(key, &entry);
                table.check(wanted, table.used())?;
                *used = wanted;
                self.changes.insert(Arc::clone(key), Some(entry));
            }
        }
        Ok(reply)
    }
}

fn commit(database: &Database, changes: &HashMap<Arc<str>, Option<Entry>>) -> Result<(), redb::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let write = database.begin_write()?;
    {
        let mut pairs = write.open_table(PAIRS)?;
        for (key, entry) in changes {
            match entry {
                Some(entry) => pairs.insert(&**key, encoded(entry).as_slice())?,
                None => pairs.remove(&**key)?,
            };
        }
    }
    Ok(write.commit()?)
}

fn show(changes: HashMap<Arc<str>, Option<Entry>>, table: &mut Table) {
    for (key, entry) in changes {
        match entry {
            Some(entry) => table.put(key, entry),
            None => table.remove(&key),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::super::value::Parts;
    use super::*;
    use crate::kv::{Kv, Lifetime};

    fn open(path: &Path) -> (Arc<Mutex<Table>>, File) {
        let table = Arc::new(Mutex::new(Table::new(1 << 20)));
        let file = File::open(path, Arc::clone(&table)).unwrap();
        (table, file)
    }

    fn set(text: &str, lifetime: Lifetime) -> Operation {
        Operation::Set { value: Value::new(&Parts::Text(text.into())).unwrap(), lifetime }
    }

    #[tokio::test]
    async fn what_was_answered_is_there_again() {
        let path = std::env::temp_dir().join(format!("starcell-kv-{}", std::process::id()));
        let (table, file) = open(&path);
        for i in 0..100 {
            file.change(format!("k{i}").as_str().into(), set("v", Lifetime::Forever)).await.unwrap();
        }
        file.change("k1".into(), Operation::Delete).await.unwrap();
        file.change("gone".into(), set("v", Lifetime::Nanoseconds(1))).await.unwrap();
        file.change("stays".into(), set("v", Lifetime::Nanoseconds(u64::MAX / 4))).await.unwrap();
        let used = table.lock().used();
        drop((table, file));

        let (table, file) = open(&path);
        assert_eq!(table.lock().list("", None, 1000, now()).len(), 100);
        assert!(table.lock().get("gone", now()).is_none() && table.lock().get("k1", now()).is_none());
        assert!(table.lock().entry("stays", now()).unwrap().expires.is_some());
        assert!(table.lock().used() <= used);
        drop(file);
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_store_is_set_aside_and_one_in_use_is_not() {
        let folder = std::env::temp_dir().join(format!("starcell-kv-damaged-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("kv.redb");
        let fill = || async {
            let (_table, file) = open(&path);
            for i in 0..300 {
                file.change(format!("k{i}").as_str().into(), set(&"v".repeat(200), Lifetime::Forever)).await.unwrap();
            }
        };
        let zeros = |bytes: &mut Vec<u8>| bytes[..4096].fill(0);
        let garbage = |bytes: &mut Vec<u8>| bytes.splice(0..5000, [b'x'; 5000]).for_each(drop);
        let short = |bytes: &mut Vec<u8>| bytes.truncate(5000);
        let pages = |bytes: &mut Vec<u8>| bytes[4096..].fill(0xff);
        type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
        let damages: [Damage<'_>; 4] = [&zeros, &garbage, &short, &pages];
        for (number, damage) in damages.iter().enumerate() {
            fill().await;
            let mut bytes = std::fs::read(&path).unwrap();
            damage(&mut bytes);
            std::fs::write(&path, &bytes).unwrap();
            let refused = Kv::open(&path, 1 << 20).unwrap_err();
            assert!(matches!(refused, KvError::Damaged { .. }), "{number}: {refused:?}");
            assert!(refused.to_string().contains("--set-aside-damaged"), "{refused}");
            let (kv, aside) = Kv::open_or_set_aside(&path, 1 << 20).unwrap();
            let aside = aside.unwrap();
            assert_eq!(aside, folder.join(format!("kv.redb.damaged-{}", number + 1)));
            assert!(kv.0.list("", None, 1000).await.unwrap().is_empty());
            assert!(matches!(Kv::open_or_set_aside(&path, 1 << 20), Err(KvError::Open { .. })), "it is in use");
            drop(kv);
            assert_eq!(Kv::open_or_set_aside(&path, 1 << 20).unwrap().1, None, "it is sound");
            std::fs::remove_file(&path).unwrap();
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn one_batch_sees_its_own_changes() {
        let path = std::env::temp_dir().join(format!("starcell-kv-batch-{}", std::process::id()));
        let (_table, file) = open(&path);
        let by = || Operation::Increment { by: 1, lifetime: Lifetime::Forever };
        let all = (0..500).map(|_| file.change("n".into(), by()));
        let replies = futures_util::future::join_all(all).await;
        let mut sums: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
        sums.sort_by_key(|sum| match sum {
            Reply::Sum(sum) => *sum,
            _ => -1,
        });
        assert_eq!(sums, (1..=500).map(Reply::Sum).collect::<Vec<_>>());
        drop(file);
        std::fs::remove_file(path).unwrap();
    }
}
