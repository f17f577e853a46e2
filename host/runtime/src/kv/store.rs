//! What each store does, wherever it keeps its pairs.

use std::fmt;

use futures_util::future::BoxFuture;
use starcell_budget::MemoryBudget;

use super::table::{Operation, Reply, Table};
use super::value::Value;
use crate::store_failure::{StoreError, StoreFailure};

/// What a store answers.
pub(super) type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The longest lifetime on a server, in microseconds, some decades: as far as the numbers of each server are exact.
pub(super) const MAX_LIFETIME: u64 = 1 << 51;

/// The error about a value that somebody else put into the store.
pub(super) fn foreign() -> StoreError {
    StoreError::new(StoreFailure::Refused, "what the store has there was not written by starcell")
}

/// The error about an answer of a server that none of our questions has.
pub(super) fn unread() -> StoreError {
    StoreError::new(StoreFailure::Refused, "the store answered something that is no answer")
}

/// Keeps the pairs of one app.
pub(super) trait Store: fmt::Debug + Send + Sync + 'static {
    /// The value of a key.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Value>>;

    /// At most `limit` keys with the prefix behind `after`, sorted by their bytes.
    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Vec<String>>;

    /// Does an operation as a whole or not at all, and answers when it is kept as well as this store keeps anything.
    fn change<'a>(&'a self, key: &'a str, operation: &'a Operation) -> Answer<'a, Reply>;

    /// The server that it is on, without credentials; none for a store of this process.
    fn place(&self) -> Option<&str> {
        None
    }

    /// Counts what it holds of the memory of this process from now on; nothing for one on a server.
    fn count(&self, _memory: &MemoryBudget) {}

    /// Gives up what another process would find in use. A store on a server gives nothing up.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// What a store of this process holds; nothing for one on a server.
    fn snapshot(&self) -> Table;
}
