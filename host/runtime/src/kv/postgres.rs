//! Stores on PostgreSQL.
//!
//! Each change is one statement: a function of the database, which locks the row of the key's shard, looks, changes and
//! counts in one transaction. Tenant, app and key are columns of every row and parameters of every statement, so no key
//! can reach another app's rows, whatever is in it. Time is that of the server, so that nodes need not agree about it.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use starcell_log::Logs;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row, Statement};

use super::space::KvSpace;
use super::store::{Answer, MAX_LIFETIME, Store, foreign, unread};
use super::table::{Expected, Lifetime, Operation, Reply, Table, behind, replied};
use super::value::Value;
use crate::client::resolve::System;
use crate::client::tls::server_name;
use crate::remote::dial;
use crate::remote::postgres::{Borrowed, Session, Sessions, words};
use crate::remote::presence::{AWAY, DEADLINE, NoConnection, Presence, UNKNOWN};
use crate::remote::server::RemoteServer;
use crate::store_failure::{StoreError, StoreFailure};

/// Sessions with one server.
const SESSIONS: usize = 16;

/// How long a session waits for the next call.
const IDLE: Duration = Duration::from_secs(300);

/// Rows that changes of one app lock: as many are made at a time.
const SHARDS: u64 = 16;

const SCHEMA: &str = include_str!("postgres/schema.sql");

/// A session waits for locks and answers no longer than its caller does, and what nobody waits for ends.
const SETTINGS: &str = "SET statement_timeout = '3s'; SET lock_timeout = '3s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_read_only = off; SET search_path = pg_catalog";

const CHANGE: &str = "SELECT word, present, total FROM \
    starcell.kv_change_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const GET: &str = "SELECT value FROM starcell.kv \
    WHERE tenant = $1 AND app = $2 AND key = $3 AND (ends IS NULL OR ends > clock_timestamp())";
/// A null bound is none.
const LIST: &str = "SELECT key FROM starcell.kv WHERE tenant = $1 AND app = $2 AND key >= $3 \
    AND key > coalesce($4, ''::bytea) AND ($5::bytea IS NULL OR key < $5) \
    AND (ends IS NULL OR ends > clock_timestamp()) ORDER BY key LIMIT $6";

/// The sessions with a server, which all stores on it share. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Postgres(Arc<Server>);

#[derive(Debug)]
struct Server {
    server: RemoteServer,
    presence: Presence,
    resolver: System,
    sessions: Sessions<Prepared>,
}

/// The statements of a session.
struct Prepared {
    change: Statement,
    get: Statement,
    list: Statement,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").finish_non_exhaustive()
    }
}

impl Postgres {
    pub(super) fn new(server: RemoteServer, logs: Logs) -> Self {
        let presence = Presence::new(format!("postgres://{server}"), logs);
        Self(Arc::new(Server { server, presence, resolver: System::default(), sessions: Sessions::new(SESSIONS) }))
    }

    pub(super) fn store(&self, space: &KvSpace) -> PostgresStore {
        let space = space.clone();
        PostgresStore { server: Arc::clone(&self.0), space }
    }

    /// Finds out whether the server answers.
    pub(super) fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { self.0.session(Instant::now() + DEADLINE).await.map(drop) })
    }
}

/// The store of one app.
#[derive(Debug)]
pub(super) struct PostgresStore {
    server: Arc<Server>,
    space: KvSpace,
}

type Parameters<'a> = [&'a (dyn ToSql + Sync)];

impl Server {
    /// A session, from those that wait or a new one.
    async fn session(&self, deadline: Instant) -> Result<Borrowed<Prepared>, StoreError> {
        if let Some(moment) = Instant::now().checked_sub(IDLE) {
            self.sessions.end_before(moment);
        }
        let place = timeout_at(deadline, self.sessions.place()).await;
        let busy = |_| StoreError::new(StoreFailure::Busy, "too many calls wait for the server that keeps it");
        let (place, waiting) = place.map_err(busy)??;
        let session = match waiting {
            Some(session) => session,
            None => self.presence.connected(deadline, || self.connect()).await?,
        };
        Ok(self.sessions.lend(place, session))
    }

    async fn connect(&self) -> Result<Session<Prepared>, NoConnection> {
        let stream = dial::tcp(&self.resolver, &self.server.host, self.server.port).await?;
        let password = self.server.password().await;
        let password = password.map_err(|reason| NoConnection::new(StoreFailure::Password, reason))?;
        let tls = if self.server.tls { Some(server_name(&self.server.host)?) } else { None };
        let session = Session::begin(stream, tls, &self.config(password)).await;
        let session = session.map_err(|error| NoConnection::new(failure(&error), words(&error)))?;
        let prepared = prepared(&session).await;
        let prepared = prepared.map_err(|error| NoConnection::new(failure(&error), words(&error)))?;
        Ok(session.with(prepared))
    }

    fn config(&self, password: Option<String>) -> Config {
        let RemoteServer { user, database, tls, .. } = &self.server;
        let mut config = Config::new();
        config.application_name("starcell").dbname(database).user(user.as_deref().unwrap_or("starcell"));
        config.ssl_mode(match tls {
            true => tokio_postgres::config::SslMode::Require,
            false => tokio_postgres::config::SslMode::Disable,
        });
        if let Some(password) = password {
            config.password(password);
        }
        config
    }

    /// Asks for rows. A question that only looks is asked once more when its session ends under it.
    async fn ask(
        &self,
        statement: impl Fn(&Prepared) -> &Statement,
        parameters: &Parameters<'_>,
        looks: bool,
    ) -> Result<Vec<Row>, StoreError> {
        let deadline = Instant::now() + DEADLINE;
        let mut again = looks;
        loop {
            let borrowed = self.session(deadline).await?;
            let session = borrowed.session()?;
            let asked = session.client.query(statement(&session.prepared), parameters);
            match timeout_at(deadline, asked).await {
                Ok(Ok(rows)) => return Ok(rows),
                Ok(Err(error)) => {
                    // A server that is going down says so. Whether a change was done by then is unknown all the same.
                    let refused = error.as_db_error().map(|error| error.code().code());
                    if let Some(code) = refused.filter(|code| !code.starts_with("57P")) {
                        self.presence.complain(&format!("it refused a call: {}", words(&error)));
                        return Err(of_refusal(code));
                    }
                    self.presence.went(StoreFailure::Unanswered, &format!("the session ended: {}", words(&error)));
                    borrowed.end();
                    match looks {
                        true if again => again = false,
                        true => return Err(StoreError::new(StoreFailure::Unanswered, AWAY)),
                        false => return Err(StoreError::new(StoreFailure::Unanswered, UNKNOWN)),
                    }
                }
                Err(_elapsed) => {
                    self.presence.went(StoreFailure::Unanswered, "it does not answer");
                    borrowed.end();
                    return Err(StoreError::new(StoreFailure::Unanswered, if looks { AWAY } else { UNKNOWN }));
                }
            }
        }
    }
}

/// The error of a call that the server refused.
fn of_refusal(code: &str) -> StoreError {
    let failure = failure_of(code);
    match failure {
        StoreFailure::Full => StoreError::new(failure, "the store is full: the server that keeps it has no room left"),
        StoreFailure::ReadOnly => StoreError::new(failure, "the server that keeps it cannot be written now"),
        StoreFailure::Unanswered => StoreError::new(failure, "the server that keeps it took too long"),
        _ => StoreError::new(failure, format!("the server that keeps it refused the call ({code})")),
    }
}

/// What a code of the server means for a store.
fn failure_of(code: &str) -> StoreFailure {
    match code {
        "25006" => StoreFailure::ReadOnly,
        "53100" | "53200" => StoreFailure::Full,
        "53300" => StoreFailure::Busy,
        "55P03" | "57014" => StoreFailure::Unanswered,
        // It starts or goes down.
        _ if code.starts_with("57P") => StoreFailure::Away,
        _ if code.starts_with("28") => StoreFailure::Password,
        _ => StoreFailure::Refused,
    }
}

/// Why a session could not be begun.
fn failure(error: &tokio_postgres::Error) -> StoreFailure {
    let of_tls = || error.source().and_then(|cause| cause.downcast_ref::<NoConnection>());
    match error.code() {
        Some(code) => failure_of(code.code()),
        None => of_tls().map_or(StoreFailure::Away, |refused| refused.failure),
    }
}

/// Makes the tables and the function where they are not there, and prepares the statements.
async fn prepared(session: &Session<()>) -> Result<Prepared, tokio_postgres::Error> {
    let client = &session.client;
    client.batch_execute(SETTINGS).await?;
    let there = "SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
        WHERE n.nspname = 'starcell' AND p.proname = 'kv_change_1'";
    if client.query(there, &[]).await?.is_empty() {
        // Nodes that start at the same time make it one after another.
        let make = format!("BEGIN; SELECT pg_advisory_xact_lock(7310593858020254331); {SCHEMA}; COMMIT");
        client.batch_execute(&make).await?;
    }
    let (change, get, list) = (client.prepare(CHANGE), client.prepare(GET), client.prepare(LIST));
    let (change, get, list) = tokio::try_join!(change, get, list)?;
    Ok(Prepared { change, get, list })
}

impl PostgresStore {
    async fn change_bytes(&self, key: &str, operation: &Operation) -> Result<Reply, StoreError> {
        let KvSpace { tenant, app, quota, share } = &self.space;
        let (name, value, lifetime, by, expected) = match operation {
            Operation::Set { value, lifetime } => ("set", Some(value.as_bytes()), wire(*lifetime), 0, None),
            Operation::Delete => ("delete", None, -1, 0, None),
            Operation::Increment { by, lifetime } => ("add", None, wire(*lifetime), *by, None),
            Operation::CompareAndSet { expected, value, lifetime } => {
                ("swap", Some(value.as_bytes()), wire(*lifetime), 0, Expected::bytes(expected))
            }
        };
        let (quota_bytes, share_bytes) = (whole(*quota), share.map(whole));
        let (key, shard) = (key.as_bytes(), shard(key));
        let parameters: [&(dyn ToSql + Sync); 11] =
            [tenant, app, &key, &shard, &name, &value, &lifetime, &by, &expected, &quota_bytes, &share_bytes];
        let rows = self.server.ask(|prepared| &prepared.change, &parameters, false).await?;
        let row = rows.first().ok_or_else(unread)?;
        let word: &str = row.try_get(0).map_err(|_| unread())?;
        match word {
            "sum" => row.try_get(2).map(Reply::Sum).map_err(|_| unread()),
            "compare" => {
                let present: &[u8] = row.try_get(1).map_err(|_| unread())?;
                stored(present).map(Reply::Compare)
            }
            word => replied(word, *quota, *share),
        }
    }
}

impl Store for PostgresStore {
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Value>> {
        Box::pin(async move {
            let KvSpace { tenant, app, .. } = &self.space;
            let rows = self.server.ask(|prepared| &prepared.get, &[tenant, app, &key.as_bytes()], true).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let bytes: &[u8] = row.try_get(0).map_err(|_| unread())?;
            stored(bytes).map(Some)
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Vec<String>> {
        Box::pin(async move {
            let KvSpace { tenant, app, .. } = &self.space;
            let (after, behind, limit) = (after.map(str::as_bytes), behind(prefix), whole(limit));
            let parameters: [&(dyn ToSql + Sync); 6] = [tenant, app, &prefix.as_bytes(), &after, &behind, &limit];
            let rows = self.server.ask(|prepared| &prepared.list, &parameters, true).await?;
            let key = |row: &Row| {
                let bytes: &[u8] = row.try_get(0).map_err(|_| unread())?;
                String::from_utf8(bytes.to_vec()).map_err(|_| unread())
            };
            rows.iter().map(key).collect()
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
        Some(self.server.presence.place())
    }

    fn snapshot(&self) -> Table {
        Table::new(self.space.quota)
    }
}

/// The shard of a key: the same for all nodes and versions.
fn shard(key: &str) -> i16 {
    // FNV-1a.
    let hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The last bytes of a key reach the lower half alone.
    i16::try_from((hash ^ (hash >> 32)) % SHARDS).unwrap_or_default()
}

/// A lifetime as the function takes it.
fn wire(lifetime: Lifetime) -> i64 {
    match lifetime {
        Lifetime::Forever => -1,
        Lifetime::Keep => -2,
        Lifetime::Nanoseconds(time) => {
            i64::try_from((Duration::from_nanos(time).as_micros()).min(u128::from(MAX_LIFETIME))).unwrap_or(i64::MAX)
        }
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn stored(bytes: &[u8]) -> Result<Value, StoreError> {
    Value::stored(bytes).ok_or_else(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_spread_over_the_shards() {
        let shards: std::collections::BTreeSet<i16> = (0..1000).map(|i| shard(&format!("k{i}"))).collect();
        assert_eq!(shards, (0..16).collect());
        assert_eq!((shard("visits"), shard("")), (shard("visits"), shard("")));
    }

    #[test]
    fn codes_of_the_server_are_told_apart() {
        for (code, failure) in [
            ("28P01", StoreFailure::Password),
            ("28000", StoreFailure::Password),
            ("42501", StoreFailure::Refused),
            ("53100", StoreFailure::Full),
            ("57014", StoreFailure::Unanswered),
            ("57P03", StoreFailure::Away),
        ] {
            assert_eq!(failure_of(code), failure, "{code}");
        }
        assert_eq!(of_refusal("42501").sentence, "the server that keeps it refused the call (42501)");
    }

    #[test]
    fn lifetimes_are_numbers_that_the_function_knows() {
        assert_eq!((wire(Lifetime::Forever), wire(Lifetime::Keep)), (-1, -2));
        assert_eq!((wire(Lifetime::Nanoseconds(999)), wire(Lifetime::Nanoseconds(1_000_000))), (0, 1000));
        assert_eq!(wire(Lifetime::Nanoseconds(u64::MAX)), 1 << 51);
    }
}
