//! `Kv` over the component's import `kv`.

use starcell_interp::{HostError, Kv, Lifetime, Listing, Position, Stored};

use crate::bindings::starcell::guest::kv;
use crate::imports::Imports;

impl Kv for Imports {
    fn get(&self, key: &str, at: &Position) -> Result<Option<Stored>, HostError> {
        kv::get(key, at)
    }

    fn exists(&self, key: &str, at: &Position) -> Result<bool, HostError> {
        kv::exists(key, at)
    }

    fn set(&self, key: &str, value: &Stored, lifetime: Lifetime, at: &Position) -> Result<(), HostError> {
        kv::set(key, value, lifetime, at)
    }

    fn delete(&self, key: &str, at: &Position) -> Result<bool, HostError> {
        kv::delete(key, at)
    }

    fn list(&self, listing: &Listing, at: &Position) -> Result<Vec<String>, HostError> {
        kv::list(listing, at)
    }

    fn increment(&self, key: &str, by: i64, lifetime: Lifetime, at: &Position) -> Result<i64, HostError> {
        kv::increment(key, by, lifetime, at)
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&Stored>,
        value: &Stored,
        lifetime: Lifetime,
        at: &Position,
    ) -> Result<bool, HostError> {
        kv::compare_and_set(key, expected, value, lifetime, at)
    }
}
