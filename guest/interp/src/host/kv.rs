//! The key-value store, as the host offers it.

use starcell_contract::{HostError, Lifetime, Listing, Position, Stored};

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
