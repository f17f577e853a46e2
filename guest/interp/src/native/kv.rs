//! A key-value store in memory that forgets no value by itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::host::{HostError, Kv, Lifetime, Listing, Position, Stored};

/// A store that lives in memory.
#[derive(Debug, Default)]
pub struct NativeKv {
    /// What every call answers, when set.
    pub refuse: Option<HostError>,
    /// How many calls of `compare_and_set` find that somebody else was faster.
    pub contended: Cell<u32>,
    pairs: RefCell<BTreeMap<String, Stored>>,
    lifetimes: RefCell<Vec<(String, Lifetime)>>,
}

impl NativeKv {
    /// The lifetimes that were asked for, with their keys.
    pub fn lifetimes(&self) -> Vec<(String, Lifetime)> {
        self.lifetimes.borrow().clone()
    }

    fn granted(&self) -> Result<(), HostError> {
        self.refuse.clone().map_or(Ok(()), Err)
    }
}

impl Kv for NativeKv {
    fn get(&self, key: &str, _at: &Position) -> Result<Option<Stored>, HostError> {
        self.granted()?;
        Ok(self.pairs.borrow().get(key).cloned())
    }

    fn exists(&self, key: &str, at: &Position) -> Result<bool, HostError> {
        Ok(self.get(key, at)?.is_some())
    }

    fn set(&self, key: &str, value: &Stored, lifetime: Lifetime, _at: &Position) -> Result<(), HostError> {
        self.granted()?;
        self.lifetimes.borrow_mut().push((key.to_owned(), lifetime));
        self.pairs.borrow_mut().insert(key.to_owned(), value.clone());
        Ok(())
    }

    fn delete(&self, key: &str, _at: &Position) -> Result<bool, HostError> {
        self.granted()?;
        Ok(self.pairs.borrow_mut().remove(key).is_some())
    }

    fn list(&self, listing: &Listing, _at: &Position) -> Result<Vec<String>, HostError> {
        self.granted()?;
        let pairs = self.pairs.borrow();
        let keys = pairs.keys().filter(|key| key.starts_with(&listing.prefix));
        let behind = keys.filter(|key| listing.after.as_ref().is_none_or(|after| *key > after));
        Ok(behind.take(listing.limit.unwrap_or(u32::MAX) as usize).cloned().collect())
    }

    fn increment(&self, key: &str, by: i64, lifetime: Lifetime, at: &Position) -> Result<i64, HostError> {
        let present = match self.get(key, at)? {
            None => Some(0),
            Some(Stored::Json(json)) => json.parse().ok(),
            Some(_) => None,
        };
        let sum = present.and_then(|int: i64| int.checked_add(by));
        let sum = sum.ok_or_else(|| HostError::Failed(format!("{key:?}: not an int")))?;
        self.set(key, &Stored::Json(sum.to_string()), lifetime, at)?;
        Ok(sum)
    }

    fn compare_and_set(
        &self,
        key: &str,
        expected: Option<&Stored>,
        value: &Stored,
        lifetime: Lifetime,
        at: &Position,
    ) -> Result<bool, HostError> {
        let present = self.get(key, at)?;
        if self.contended.get() > 0 {
            self.contended.set(self.contended.get() - 1);
            return Ok(false);
        }
        if present.as_ref() != expected {
            return Ok(false);
        }
        self.set(key, value, lifetime, at)?;
        Ok(true)
    }
}
