//! Stores on Redis or Valkey.
//!
//! Each change is one script on the server, and a script runs alone: what it finds is what it changes, whichever nodes
//! ask at the same time. The pairs of an app are the fields of one hash, so that a key of a script is never part of a key
//! of the server, and no prefix, wildcard or brace in it means anything. Beside the hash are a sorted set of names, for
//! lists, one of ends, and two sums for quotas. All keys of one tenant have one hash tag.
//!
//! Time is that of the server, so that nodes need not agree about it.

mod link;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use redis::{Cmd, Value as Given};
use starcell_log::Logs;

use self::link::{Links, Script};
use super::space::KvSpace;
use super::store::{Answer, MAX_LIFETIME, Store, foreign, unread};
use super::table::{Expected, Lifetime, Operation, Reply, Table, behind, replied};
use super::value::Value;
use crate::remote::server::RemoteServer;
use crate::store_failure::StoreError;

const CHANGE: Script = Script::new(0, include_str!("redis/change.lua"));
const GET: Script = Script::new(1, include_str!("redis/get.lua"));
const LIST: Script = Script::new(2, include_str!("redis/list.lua"));
const SCRIPTS: [Script; 3] = [CHANGE, GET, LIST];

/// The connections to a server, which all stores on it share. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Redis(Arc<Links>);

impl Redis {
    pub(super) fn new(server: RemoteServer, logs: Logs) -> Self {
        Self(Arc::new(Links::new(server, logs, &SCRIPTS)))
    }

    pub(super) fn store(&self, space: &KvSpace) -> RedisStore {
        RedisStore { links: Arc::clone(&self.0), keys: Keys::new(space), quota: space.quota, share: space.share }
    }

    /// Finds out whether the server answers.
    pub(super) fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { self.0.ask(&redis::cmd("PING"), true).await.map(drop) })
    }
}

/// The store of one app.
pub(super) struct RedisStore {
    links: Arc<Links>,
    keys: Keys,
    quota: usize,
    share: Option<usize>,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("values", &self.keys.values).finish_non_exhaustive()
    }
}

/// The keys of the server that hold one app.
struct Keys {
    values: String,
    names: String,
    ends: String,
    used: String,
    share: String,
    scratch: String,
}

impl Keys {
    /// Names of tenants and apps are escaped, so that none can end the hash tag or spell the key of another one.
    fn new(space: &KvSpace) -> Self {
        let tenant = format!("starcell:{{{}}}", escaped(&space.tenant));
        let key = |part| format!("{tenant}:{}:{part}", escaped(&space.app));
        let share = format!("{tenant}:used");
        let [values, names, ends, used, scratch] = ["values", "names", "ends", "used", "sum"].map(key);
        Self { values, names, ends, used, share, scratch }
    }
}

fn escaped(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl RedisStore {
    async fn ended(&self, key: &str) -> Result<Option<Value>, StoreError> {
        let script = |cmd: &mut Cmd| {
            cmd.arg(2).arg(&self.keys.values).arg(&self.keys.ends).arg(key);
        };
        stored(self.links.run(GET, &script, true).await?)
    }

    /// Does an operation whose expected value is one of bytes.
    async fn change_bytes(&self, key: &str, operation: &Operation) -> Result<Reply, StoreError> {
        let Keys { values, names, ends, used, share, scratch } = &self.keys;
        let script = |cmd: &mut Cmd| {
            cmd.arg(6).arg(values).arg(names).arg(ends).arg(used).arg(share).arg(scratch);
            cmd.arg(name(operation)).arg(key).arg(self.quota);
            cmd.arg(self.share.map(|share| share.to_string()).unwrap_or_default());
            match operation {
                Operation::Set { value, lifetime } => {
                    cmd.arg(value.as_bytes()).arg(wire(*lifetime));
                }
                Operation::Delete => {}
                Operation::Increment { by, lifetime } => {
                    cmd.arg(*by).arg(wire(*lifetime));
                }
                Operation::CompareAndSet { expected, value, lifetime } => {
                    cmd.arg(value.as_bytes()).arg(wire(*lifetime));
                    match expected {
                        Expected::Nothing => cmd.arg("nothing"),
                        Expected::Equal { .. } => cmd.arg("equal").arg(expected.bytes().unwrap_or_default()),
                    };
                }
            }
        };
        let reply = self.links.run(CHANGE, &script, false).await?;
        let parts = match &reply {
            Given::Array(parts) => parts.as_slice(),
            _ => &[],
        };
        match parts {
            [Given::BulkString(word)] => replied(std::str::from_utf8(word).unwrap_or_default(), self.quota, self.share),
            [Given::BulkString(word), Given::BulkString(with)] if word == b"sum" => {
                let sum = std::str::from_utf8(with).ok().and_then(|sum| sum.parse().ok());
                sum.map(Reply::Sum).ok_or_else(unread)
            }
            [Given::BulkString(word), Given::BulkString(with)] if word == b"compare" => {
                Value::stored(with).map(Reply::Compare).ok_or_else(unread)
            }
            _ => Err(unread()),
        }
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Value>> {
        Box::pin(async move {
            let found = self.links.ask(redis::cmd("HGET").arg(&self.keys.values).arg(key), true).await?;
            match &found {
                // Whether it has ended is for the server's clock to say.
                Given::BulkString(bytes) if bytes.first() == Some(&b't') => self.ended(key).await,
                _ => stored(found),
            }
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let mut from = match after.filter(|after| *after >= prefix) {
                Some(after) => [b"(", after.as_bytes()].concat(),
                None => [b"[", prefix.as_bytes()].concat(),
            };
            let to = behind(prefix).map_or(b"+".to_vec(), |end| [b"(", end.as_slice()].concat());
            let mut keys: Vec<String> = Vec::new();
            loop {
                let left = limit.saturating_sub(keys.len());
                let script = |cmd: &mut Cmd| {
                    cmd.arg(2).arg(&self.keys.names).arg(&self.keys.ends);
                    cmd.arg(from.as_slice()).arg(to.as_slice()).arg(left);
                };
                let page: Vec<String> =
                    redis::from_redis_value(self.links.run(LIST, &script, true).await?).map_err(|_| unread())?;
                let mut page = page.into_iter();
                let last = page.next().unwrap_or_default();
                keys.extend(page);
                if last.is_empty() || keys.len() >= limit {
                    return Ok(keys);
                }
                from = [b"(", last.as_bytes()].concat();
            }
        })
    }

    fn change<'a>(&'a self, key: &'a str, operation: &'a Operation) -> Answer<'a, Reply> {
        Box::pin(async move {
            match operation.is_known_to_differ() {
                true => Ok(Reply::Whether(false)),
                false => self.change_bytes(key, operation).await,
            }
        })
    }

    fn place(&self) -> Option<&str> {
        Some(self.links.place())
    }

    fn snapshot(&self) -> Table {
        Table::new(self.quota)
    }
}

fn name(operation: &Operation) -> &'static str {
    match operation {
        Operation::CompareAndSet { .. } => "swap",
        Operation::Delete => "delete",
        Operation::Increment { .. } => "add",
        Operation::Set { .. } => "set",
    }
}

/// A lifetime as the script takes it: a word, or microseconds.
fn wire(lifetime: Lifetime) -> String {
    match lifetime {
        Lifetime::Forever => "forever".to_owned(),
        Lifetime::Keep => "keep".to_owned(),
        Lifetime::Nanoseconds(time) => (time / 1000).min(MAX_LIFETIME).to_string(),
    }
}

/// A value behind its flag.
fn stored(found: Given) -> Result<Option<Value>, StoreError> {
    match found {
        Given::Nil => Ok(None),
        Given::BulkString(bytes) => {
            let value = bytes.get(1..).and_then(Value::stored);
            value.map(Some).ok_or_else(foreign)
        }
        _ => Err(unread()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_app_can_spell_the_keys_of_another() {
        let keys = |tenant: &str, app: &str| {
            let space = KvSpace { tenant: tenant.into(), app: app.into(), quota: 1, share: None };
            let Keys { values, names, ends, used, share, scratch } = Keys::new(&space);
            [values, names, ends, used, share, scratch]
        };
        let spaces = [("a", "b"), ("a}:b", "c"), ("a", "b:values"), ("a:b", ""), ("a", ""), ("*", "?"), ("a", "used")];
        let mut seen = std::collections::BTreeMap::new();
        for (tenant, app) in spaces {
            for key in keys(tenant, app) {
                assert_eq!(key.matches('}').count(), 1, "{key}");
                let owner = if key.ends_with("}:used") { (tenant, "") } else { (tenant, app) };
                assert_eq!(*seen.entry(key.clone()).or_insert(owner), owner, "{key}");
            }
        }
    }

    #[test]
    fn lifetimes_are_exact_numbers_of_a_script() {
        assert_eq!(wire(Lifetime::Nanoseconds(999)), "0");
        assert_eq!(wire(Lifetime::Nanoseconds(1_000_000)), "1000");
        assert_eq!(wire(Lifetime::Nanoseconds(u64::MAX)), MAX_LIFETIME.to_string());
    }
}
