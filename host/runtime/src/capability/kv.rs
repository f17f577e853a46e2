//! `starcell:guest/kv`: state that outlives a request, the capabilities `kv.read` and `kv.write`.

use starcell_audit::Arguments;
use starcell_policy::{KvFunction as Function, KvKey, NameError, Permit};

use crate::Position;
use crate::bindings::starcell::guest::kv::{Host, Lifetime as Wanted, Listing, Value as Given};
use crate::call_error::{Cause, HostCallError};
use crate::caller::Caller;
use crate::gate::Effect;
use crate::holding::NO_MEMORY;
use crate::kv::value::{Parts, Value};
use crate::kv::{Expected, Lifetime, Operation, Reply};
use crate::state::State;
use crate::store_failure::StoreError;

use super::blocking::{Work, WorkError, blocking};

/// Most keys of one answer: a mebibyte of keys as long as keys get.
const MAX_KEYS: usize = 10_000;

/// What a function of the host returns.
type Answer<T> = Result<T, HostCallError>;

impl Host for State {
    async fn get(&mut self, key: String, at: Position) -> Answer<Option<Given>> {
        let call = self.pairs("kv.get", &key, &at)?;
        call.look(Function::Get, |value| value.as_ref().and_then(Value::parts).map(given)).await
    }

    async fn exists(&mut self, key: String, at: Position) -> Answer<bool> {
        self.pairs("kv.exists", &key, &at)?.look(Function::Exists, |value| value.is_some()).await
    }

    async fn set(&mut self, key: String, value: Given, lifetime: Wanted, at: Position) -> Answer<()> {
        let call = self.pairs("kv.set", &key, &at)?;
        let set = |value| Operation::Set { value, lifetime: lifetime_of(lifetime) };
        call.change(Function::Set, call.value(value).map(set)).await.map(|_| ())
    }

    async fn delete(&mut self, key: String, at: Position) -> Answer<bool> {
        let call = self.pairs("kv.delete", &key, &at)?;
        call.change(Function::Delete, Ok(Operation::Delete)).await.map(|reply| reply == Reply::Whether(true))
    }

    async fn list(&mut self, listing: Listing, at: Position) -> Answer<Vec<String>> {
        self.pairs("kv.list", &listing.prefix, &at)?.list(listing.after, listing.limit).await
    }

    async fn increment(&mut self, key: String, by: i64, lifetime: Wanted, at: Position) -> Answer<i64> {
        let call = self.pairs("kv.incr", &key, &at)?;
        let operation = Operation::Increment { by, lifetime: lifetime_of(lifetime) };
        call.change(Function::Increment, Ok(operation)).await.map(|reply| match reply {
            Reply::Sum(sum) => sum,
            Reply::Compare(_) | Reply::Done | Reply::Whether(_) => 0,
        })
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<Given>,
        value: Given,
        lifetime: Wanted,
        at: Position,
    ) -> Answer<bool> {
        let call = self.pairs("kv.compare_and_set", &key, &at)?;
        let expected = expected.map(|expected| call.value(expected)).transpose();
        let operation = expected.and_then(|expected| {
            let expected = match expected {
                None => Expected::Nothing,
                Some(value) => Expected::Equal { value, compared: None },
            };
            Ok(Operation::CompareAndSet { expected, value: call.value(value)?, lifetime: lifetime_of(lifetime) })
        });
        let reply = call.change(Function::CompareAndSet, operation).await;
        reply.map(|reply| reply == Reply::Whether(true))
    }
}

impl State {
    fn pairs<'a>(&self, function: &'static str, key: &'a str, at: &'a Position) -> wasmtime::Result<Pairs<'a>> {
        let mut caller = self.caller()?;
        if let Some(place) = caller.app.config.state.kv.place() {
            // Records say where a pair is kept. The script is not told.
            caller.gate = caller.gate.about(Arguments::default().store(place));
        }
        Ok(Pairs { caller, function, key, at })
    }
}

/// One call of a function of this interface.
struct Pairs<'a> {
    caller: Caller,
    /// Its name in a script, for errors.
    function: &'static str,
    key: &'a str,
    at: &'a Position,
}

impl Pairs<'_> {
    /// Passes the gate with the key and looks at its value.
    async fn look<T>(&self, function: Function, answer: impl FnOnce(Option<Value>) -> T) -> Result<T, HostCallError> {
        let key = self.judged(function, KvKey::new(self.key)).await?;
        let look = |permit: Permit<KvKey>| async move {
            let value = self.caller.app.config.state.kv.get(&permit).await.map_err(|error| self.of_store(error))?;
            let bytes = value.as_ref().map_or(0, |value| value.as_bytes().len());
            if self.caller.app.config.state.kv.place().is_some() {
                // It came from a server, and is in no store of this process.
                self.caller.holding.keep(self.caller.holding.take(bytes).await.map_err(|error| self.failed(error))?);
            }
            Effect::Ok((answer(value), bytes as u64))
        };
        self.caller.gate.pass(self.at, function, key, look).await
    }

    /// Passes the gate with the key and changes its value.
    async fn change(
        &self,
        function: Function,
        operation: Result<Operation, HostCallError>,
    ) -> Result<Reply, HostCallError> {
        let key = self.judged(function, KvKey::new(self.key)).await?;
        let operation = match operation {
            Ok(operation) => operation,
            Err(error) => {
                self.caller.gate.unjudged(function, self.key, self.at).await;
                return Err(error);
            }
        };
        let bytes = match &operation {
            Operation::Set { value, .. } | Operation::CompareAndSet { value, .. } => value.as_bytes().len() as u64,
            Operation::Delete | Operation::Increment { .. } => 0,
        };
        let change = |permit: Permit<KvKey>| async move {
            let compare = |one: Value, other: Value| async move {
                let equal = blocking(&self.caller, move |work: &Work| match work.go_on() {
                    Ok(()) => Ok(one.equals(&other)),
                    Err(stopped) => Err(WorkError(stopped.to_string())),
                });
                equal.await.map_err(|error| error.0)
            };
            let reply = self.caller.app.config.state.kv.change(&permit, operation, compare).await;
            reply.map(|reply| (reply, bytes)).map_err(|error| self.of_store(error))
        };
        self.caller.gate.pass(self.at, function, key, change).await
    }

    /// The keys behind `after`. Whoever gives a limit will ask for the rest; without one, all keys have to fit.
    async fn list(&self, after: Option<String>, limit: Option<u32>) -> Result<Vec<String>, HostCallError> {
        let page = limit.is_some();
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MAX_KEYS).min(MAX_KEYS);
        let prefix = self.judged(Function::List, KvKey::prefix(self.key)).await?;
        let list = |permit: Permit<KvKey>| async move {
            let found = self.caller.app.config.state.kv.list(&permit, after.as_deref(), limit).await;
            let mut keys = found.map_err(|error| self.of_store(error))?;
            let more = keys.len() > limit;
            keys.truncate(limit);
            let bytes = keys.iter().map(|key| key.len() as u64).sum();
            match more && !page {
                true => {
                    let text = format!("there are more than {limit} keys; ask for pages with limit= and after=");
                    Err(self.failed(text))
                }
                false => Ok((keys, bytes)),
            }
        };
        self.caller.gate.pass(self.at, Function::List, prefix, list).await
    }

    /// The key, if it can be one; what cannot is refused.
    async fn judged(&self, function: Function, key: Result<KvKey, NameError>) -> Result<KvKey, HostCallError> {
        match key {
            Ok(key) => Ok(key),
            Err(error) => {
                self.caller.gate.unjudged(function, self.key, self.at).await;
                Err(self.failed(error))
            }
        }
    }

    fn value(&self, given: Given) -> Result<Value, HostCallError> {
        let parts = match given {
            Given::Text(text) => Parts::Text(text),
            Given::Bytes(bytes) => Parts::Bytes(bytes),
            Given::Json(json) => Parts::Json(json),
        };
        Value::new(&parts).map_err(|error| self.failed(error))
    }

    /// An error of the store, which is counted where it is the store's doing.
    fn of_store(&self, error: StoreError) -> HostCallError {
        if let (Some(failure), Some(watch)) = (error.failure, &self.caller.app.config.stores) {
            watch.failed(failure);
        }
        self.failed(error.sentence)
    }

    fn failed(&self, cause: impl Into<Cause>) -> HostCallError {
        let cause = cause.into();
        if cause.to_string() == NO_MEMORY {
            self.caller.holding.short();
        }
        HostCallError::about(self.function, self.key, cause)
    }
}

fn given(parts: Parts) -> Given {
    match parts {
        Parts::Text(text) => Given::Text(text),
        Parts::Bytes(bytes) => Given::Bytes(bytes),
        Parts::Json(json) => Given::Json(json),
    }
}

fn lifetime_of(wanted: Wanted) -> Lifetime {
    match wanted {
        Wanted::Forever => Lifetime::Forever,
        Wanted::Keep => Lifetime::Keep,
        Wanted::Last(nanoseconds) => Lifetime::Nanoseconds(nanoseconds),
    }
}
