//! The databases of one app.
//!
//! A script holds a description of a database, and the connections are here: kept for the next call of the same app, never
//! shared with another one, and gone with the revision. A transaction belongs to one instance, which is one request, and is
//! undone when that ends without a word.
//!
//! - `value`: values and rows on their way in and out, and their bounds
//! - `words`: what a statement begins with, and errors without the values in them
//! - `sqlite`: files
//! - `postgres`: servers

pub(crate) mod postgres;
pub(crate) mod sqlite;
pub(crate) mod value;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use starcell_policy::SqlSource;
use tokio::task::JoinSet;
use tokio::time::sleep;

use postgres::Servers;
use sqlite::Files;

/// Most transactions that one request has open at a time.
const MAX_TRANSACTIONS: usize = 4;

/// How often connections are looked for that nobody uses any more.
const TIDIED: Duration = Duration::from_secs(1);

/// The connections of one app. Cheap to clone; a clone is the same connections.
#[derive(Clone, Debug, Default)]
pub struct Databases(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connections: Arc<Connections>,
    /// Whether records hold statements and parameters.
    records_statements: bool,
    /// Ends connections that nobody uses; ends with the app.
    tidying: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Connections {
    files: Files,
    servers: Servers,
    /// Whether a task looks after them.
    tidied: AtomicBool,
}

impl Databases {
    /// No connection yet, for an app whose records hold statements and parameters or do not.
    #[must_use]
    pub fn new(records_statements: bool) -> Self {
        Self(Arc::new(Inner { records_statements, ..Inner::default() }))
    }

    /// Returns whether records hold statements and parameters.
    pub(crate) fn records_statements(&self) -> bool {
        self.0.records_statements
    }

    /// The files.
    pub(crate) fn files(&self) -> &Files {
        &self.0.connections.files
    }

    /// The servers.
    pub(crate) fn servers(&self) -> &Servers {
        &self.0.connections.servers
    }

    /// Has connections ended that nobody uses, from now on and until there is none.
    pub(crate) fn tidy(&self) {
        if self.0.connections.tidied.swap(true, Ordering::AcqRel) {
            return;
        }
        let connections = Arc::downgrade(&self.0.connections);
        let mut tidying = self.0.tidying.lock();
        // The one before has ended, or is about to.
        while tidying.try_join_next().is_some() {}
        tidying.spawn(async move {
            loop {
                sleep(TIDIED).await;
                let Some(connections) = connections.upgrade() else { return };
                if connections.end_idle() {
                    continue;
                }
                connections.tidied.store(false, Ordering::Release);
                // One that was kept in between has found a task that it took to go on.
                if !connections.has_any() || connections.tidied.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
    }
}

impl Connections {
    /// Ends those that were not used for a while. Returns whether any are left.
    fn end_idle(&self) -> bool {
        self.files.end_idle();
        self.servers.end_idle();
        self.has_any()
    }

    fn has_any(&self) -> bool {
        self.files.has_any() || self.servers.has_any()
    }
}

/// A transaction that is open.
pub(crate) enum Transaction {
    /// On a server.
    Postgres(Box<postgres::OpenSession>),
    /// On a file.
    Sqlite(Box<sqlite::OpenFile>),
}

/// The transactions of one instance, by the numbers that its script knows. A number means nothing in another instance, so
/// a fork inherits none.
#[derive(Default)]
pub(crate) struct Transactions {
    open: BTreeMap<u32, (SqlSource, Transaction)>,
    last: u32,
}

impl fmt::Debug for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transactions").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Transactions {
    /// Whether another one may begin.
    pub(crate) fn room(&self) -> Result<(), String> {
        match self.open.len() < MAX_TRANSACTIONS {
            true => Ok(()),
            false => Err(format!("{MAX_TRANSACTIONS} transactions are open; end one first")),
        }
    }

    /// Keeps a transaction of a database, and tells its number.
    pub(crate) fn keep(&mut self, source: SqlSource, transaction: Transaction) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.open.insert(self.last, (source, transaction));
        self.last
    }

    /// Takes a transaction out, for a statement or its end, with the database that it was begun on. Whoever goes on with
    /// it puts it back.
    pub(crate) fn take(&mut self, number: u32) -> Result<(SqlSource, Transaction), String> {
        self.open.remove(&number).ok_or_else(|| {
            "the transaction has ended; its database cannot be used outside of the function that it was given to"
                .to_owned()
        })
    }

    /// Puts a transaction back.
    pub(crate) fn put_back(&mut self, number: u32, source: SqlSource, transaction: Transaction) {
        self.open.insert(number, (source, transaction));
    }
}
