//! The key-value store, as the host offers it.

use super::{HostError, Position};

/// A value as a script gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A str.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Anything else: one JSON text.
    Json(String),
}

/// How long a value stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is replaced or deleted.
    Forever,
    /// As long as the value it replaces would have stayed.
    Keep,
    /// So many nanoseconds.
    Last(u64),
}

/// Which keys to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What they start with.
    pub prefix: String,
    /// The key they come behind.
    pub after: Option<String>,
    /// Most of them; `None` for as many as there may be, and an error if there are more.
    pub limit: Option<u32>,
}

/// Keys and values of one app. Each call is done as a whole or not at all.
pub trait Kv {
    /// The value of a key.
    fn get(&self, key: &str, at: &Position) -> Result<Option<Stored>, HostError>;
    /// Whether it has one.
    fn exists(&self, key: &str, at: &Position) -> Result<bool, HostError>;
    /// Gives it one.
    fn set(&self, key: &str, value: &Stored, lifetime: Lifetime, at: &Position) -> Result<(), HostError>;
    /// Takes it away; says whether there was one.
    fn delete(&self, key: &str, at: &Position) -> Result<bool, HostError>;
    /// Keys, sorted.
    fn list(&self, listing: &Listing, at: &Position) -> Result<Vec<String>, HostError>;
    /// Adds to an int.
    fn increment(&self, key: &str, by: i64, lifetime: Lifetime, at: &Position) -> Result<i64, HostError>;
    /// Sets the value if the present one is `expected`, none being no value or null.
    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&Stored>,
        value: &Stored,
        lifetime: Lifetime,
        at: &Position,
    ) -> Result<bool, HostError>;
}
