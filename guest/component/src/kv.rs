//! `Kv` over the component's import `kv`.

use starcell_interp::{HostError, Kv, Lifetime, Listing, Position, Stored};

use crate::bindings::starcell::guest::kv;
use crate::{Imports, host_error, position};

impl Kv for Imports {
    fn get(&self, key: &str, at: &Position) -> Result<Option<Stored>, HostError> {
        let value = kv::get(key, &position(at)).map_err(host_error)?;
        Ok(value.map(|value| match value {
            kv::Value::Text(text) => Stored::Text(text),
            kv::Value::Bytes(bytes) => Stored::Bytes(bytes),
            kv::Value::Json(json) => Stored::Json(json),
        }))
    }

    fn exists(&self, key: &str, at: &Position) -> Result<bool, HostError> {
        kv::exists(key, &position(at)).map_err(host_error)
    }

    fn set(&self, key: &str, value: &Stored, lifetime: Lifetime, at: &Position) -> Result<(), HostError> {
        kv::set(key, &value_into(value), lifetime_into(lifetime), &position(at)).map_err(host_error)
    }

    fn delete(&self, key: &str, at: &Position) -> Result<bool, HostError> {
        kv::delete(key, &position(at)).map_err(host_error)
    }

    fn list(&self, listing: &Listing, at: &Position) -> Result<Vec<String>, HostError> {
        let Listing { prefix, after, limit } = listing;
        let page = limit.is_some();
        kv::list(prefix, after.as_deref(), limit.unwrap_or(u32::MAX), page, &position(at)).map_err(host_error)
    }

    fn increment(&self, key: &str, by: i64, lifetime: Lifetime, at: &Position) -> Result<i64, HostError> {
        kv::increment(key, by, lifetime_into(lifetime), &position(at)).map_err(host_error)
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&Stored>,
        value: &Stored,
        lifetime: Lifetime,
        at: &Position,
    ) -> Result<bool, HostError> {
        let expected = expected.map(value_into);
        kv::compare_and_set(key, expected.as_ref(), &value_into(value), lifetime_into(lifetime), &position(at))
            .map_err(host_error)
    }
}

fn value_into(value: &Stored) -> kv::Value {
    match value {
        Stored::Text(text) => kv::Value::Text(text.clone()),
        Stored::Bytes(bytes) => kv::Value::Bytes(bytes.clone()),
        Stored::Json(json) => kv::Value::Json(json.clone()),
    }
}

fn lifetime_into(lifetime: Lifetime) -> kv::Lifetime {
    match lifetime {
        Lifetime::Forever => kv::Lifetime::Forever,
        Lifetime::Keep => kv::Lifetime::Keep,
        Lifetime::Last(nanoseconds) => kv::Lifetime::Last(nanoseconds),
    }
}
